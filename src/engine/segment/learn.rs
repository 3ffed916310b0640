//! Groups of points, by libraries: linfa-clustering's k-means and Gaussian mixture, hdbscan's HDBSCAN.

use super::params::{Algorithm, Params};
use super::rule::{Mixture, Rule, nearest, squared};
use crate::random::Random;
use hdbscan::{Hdbscan, HdbscanHyperParams, NnAlgorithm};
use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_clustering::{GaussianMixtureModel, KMeans};
use linfa_ndarray::Array2;
use rand_xoshiro::Xoshiro256Plus;
use rand_xoshiro::rand_core::SeedableRng;
use rayon::prelude::*;

/// Starts of k-means, of which the best is taken.
const STARTS: usize = 5;
const ROUNDS: u64 = 300;
/// What is added to the variances of a mixture, tried in turn: more where points lie on a plane, or far from all others.
const RIDGES: [f64; 3] = [1e-4, 1e-2, 1e-1];
/// Points of HDBSCAN, at most: the time grows with the square.
pub(super) const MOST_DENSE: usize = 3000;
/// Points that stand for its groups, at most.
const KEPT: usize = 2000;
/// So many of its own points a group takes back.
const TAKES: f64 = 0.99;
/// A group of HDBSCAN has at least this share of the points, and so many.
const LEAST_SHARE: f64 = 0.02;
pub(super) const LEAST: usize = 5;
/// Densities are looked for with every point moved a little, by this share of how far points spread: whole numbers lie on lines,
/// and equal points have no density.
const NUDGE: f32 = 0.05;

/// A rule for `k` groups of points (HDBSCAN finds how many); `None` where there are none, or fewer points than groups. The
/// same seed gives the same rule.
pub(super) fn learn(
    points: &[f32],
    width: usize,
    k: usize,
    params: &Params,
    seed: u64,
) -> Option<Rule> {
    let rows = points.len() / width.max(1);
    if rows == 0 || params.algorithm != Algorithm::Hdbscan && rows < k {
        return None;
    }
    match params.algorithm {
        Algorithm::Kmeans => centres(points, width, k, seed),
        Algorithm::Gmm => mixture(points, width, k, seed),
        Algorithm::Hdbscan => density(points, width, params.min_rows, seed),
    }
}

fn records(points: &[f32], width: usize) -> Option<DatasetBase<Array2<f64>, ()>> {
    let all = points.iter().map(|x| f64::from(*x)).collect();
    let array = Array2::from_shape_vec((points.len() / width, width), all).ok()?;
    Some(DatasetBase::new(array, ()))
}

fn centres(points: &[f32], width: usize, k: usize, seed: u64) -> Option<Rule> {
    let random = Xoshiro256Plus::seed_from_u64(seed);
    let found = KMeans::params_with_rng(k, random)
        .n_runs(STARTS)
        .max_n_iterations(ROUNDS)
        .tolerance(1e-4)
        .fit(&records(points, width)?)
        .ok()?;
    let centres = found.centroids().iter().map(|x| *x as f32).collect();
    Some(Rule::Centres { centres })
}

fn mixture(points: &[f32], width: usize, k: usize, seed: u64) -> Option<Rule> {
    let records = records(points, width)?;
    let fit = |ridge: &f64| {
        let random = Xoshiro256Plus::seed_from_u64(seed);
        GaussianMixtureModel::params(k)
            .with_rng(random)
            .n_runs(1)
            .max_n_iterations(ROUNDS)
            .tolerance(1e-3)
            .reg_covariance(*ridge)
            .fit(&records)
            .ok()
    };
    let found = RIDGES.iter().find_map(fit)?;
    let shares = found.weights();
    let each = found.precisions().outer_iter().zip(shares);
    let base: Option<Vec<f64>> = each
        .map(|(precision, share)| {
            let own: Vec<f64> = precision.iter().copied().collect();
            Some(share.max(1e-12).ln() + log_determinant(own, width)? / 2.0)
        })
        .collect();
    Some(Rule::Mixture(Mixture {
        base: base?,
        means: found.means().iter().copied().collect(),
        precisions: found.precisions().iter().copied().collect(),
    }))
}

/// Of a symmetric, positive definite matrix; `None` for another. By Cholesky's decomposition.
fn log_determinant(mut matrix: Vec<f64>, n: usize) -> Option<f64> {
    let mut sum = 0.0;
    for i in 0..n {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|m| matrix[i * n + m] * matrix[j * n + m]).sum();
            let rest = matrix[i * n + j] - dot;
            if i == j {
                if !(rest.is_finite() && rest > 0.0) {
                    return None;
                }
                matrix[i * n + i] = rest.sqrt();
                sum += rest.ln();
            } else {
                matrix[i * n + j] = rest / matrix[j * n + j];
            }
        }
    }
    Some(sum)
}

fn density(points: &[f32], width: usize, min_rows: Option<usize>, seed: u64) -> Option<Rule> {
    let mut random = Random::new(seed ^ 0x6864_6273);
    let all: Vec<Vec<f32>> = points.chunks_exact(width).map(<[f32]>::to_vec).collect();
    // The first component is the widest; points have mean 0.
    let squares: f64 = all.iter().map(|point| f64::from(point[0]).powi(2)).sum();
    let by = NUDGE * (squares / all.len() as f64).sqrt() as f32;
    let mut nudge = |x: &f32| x + by * random.normal() as f32;
    let moved: Vec<Vec<f32>> = all
        .iter()
        .map(|point| point.iter().map(&mut nudge).collect())
        .collect();
    let usual = ((LEAST_SHARE * all.len() as f64) as usize).max(LEAST);
    let least = min_rows.unwrap_or(usual).min(all.len() / 2).max(2);
    let how = HdbscanHyperParams::builder()
        .min_cluster_size(least)
        .min_samples(least.min(LEAST))
        .nn_algorithm(NnAlgorithm::KdTree)
        .build();
    let labels = Hdbscan::new(&moved, how).cluster().ok()?;
    let groups = labels.iter().copied().max().filter(|most| *most >= 0)? as usize + 1;
    let grouped: Vec<usize> = (0..all.len()).filter(|row| labels[*row] >= 0).collect();
    let kept: Vec<usize> = grouped
        .iter()
        .step_by(grouped.len().div_ceil(KEPT).max(1))
        .copied()
        .collect();
    // How far the rows of each group are from the next of those that are kept.
    let near: Vec<f32> = grouped
        .par_iter()
        .map(|row| {
            let others = kept
                .iter()
                .filter(|other| *other != row && labels[**other] == labels[*row]);
            let each = others.map(|other| squared(&all[*row], &all[*other]));
            each.fold(f32::INFINITY, f32::min).sqrt()
        })
        .collect();
    let reach = (0..groups).map(|group| {
        let of_group = |row: &usize| labels[*row] as usize == group;
        let own = grouped.iter().zip(&near).filter(|(row, _)| of_group(row));
        let mut own: Vec<f32> = own.map(|(_, d)| *d).filter(|d| d.is_finite()).collect();
        own.sort_unstable_by(f32::total_cmp);
        let at = (TAKES * own.len().saturating_sub(1) as f64).round() as usize;
        own.get(at).copied().unwrap_or(0.0)
    });
    Some(Rule::Density {
        points: kept.iter().flat_map(|row| all[*row].clone()).collect(),
        segments: kept.iter().map(|row| labels[*row] as u32 + 1).collect(),
        reach: reach.collect(),
    })
}

/// The segment of each point, from 1, or 0 for none; starts no threads.
pub(super) fn assign(rule: &Rule, points: &[f32], width: usize, segments: usize) -> Vec<usize> {
    let mut room = vec![0.0; segments];
    let points = points.chunks_exact(width);
    points.map(|point| rule.of(point, &mut room)).collect()
}

/// How many groups a rule tells apart.
pub(super) fn groups(rule: &Rule, width: usize) -> usize {
    match rule {
        Rule::Centres { centres } => centres.len() / width,
        Rule::Mixture(mixture) => mixture.base.len(),
        Rule::Density { reach, .. } => reach.len(),
    }
}

/// Whether there are at least so many different points.
pub(super) fn at_least(points: &[f32], width: usize, many: usize) -> bool {
    let mut different: Vec<f32> = Vec::new();
    for point in points.chunks_exact(width) {
        if different.is_empty() || nearest(&different, point).1 > 0.0 {
            different.extend(point);
            if different.len() >= many * width {
                return true;
            }
        }
    }
    different.len() >= many * width
}
