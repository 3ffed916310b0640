//! What says which segment a point belongs to.

use super::params::Algorithm;
use serde::{Deserialize, Serialize};

/// Points that belong to no segment have this number; segments count from 1.
pub const NONE: usize = 0;

/// How points are told apart; vectors are row-major, one point after the other.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Rule {
    /// The segment of the nearest centre.
    Centres { centres: Vec<f32> },
    /// The likeliest distribution of a mixture.
    Mixture(Mixture),
    /// The segment of the nearest of some rows, unless it is too far.
    Density {
        points: Vec<f32>,
        /// Of each point, counted from 1.
        segments: Vec<u32>,
        /// How far a point of each segment may be.
        reach: Vec<f32>,
    },
}

/// Gaussian distributions with shares.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Mixture {
    /// ln(share) + ln(det(precision)) / 2, of each.
    pub base: Vec<f64>,
    pub means: Vec<f64>,
    /// `[segments][width][width]`, symmetric.
    pub precisions: Vec<f64>,
}

impl Mixture {
    /// Writes how likely it is that a point is of each distribution: sums to 1.
    pub fn weigh(&self, point: &[f32], out: &mut [f64]) {
        let width = point.len();
        for (segment, out) in out.iter_mut().enumerate() {
            let mean = &self.means[segment * width..(segment + 1) * width];
            let precision = &self.precisions[segment * width * width..][..width * width];
            let off = |i: usize| f64::from(point[i]) - mean[i];
            let mut distance = 0.0;
            for (i, row) in precision.chunks_exact(width).enumerate() {
                let sum: f64 = row.iter().enumerate().map(|(j, p)| p * off(j)).sum();
                distance += off(i) * sum;
            }
            *out = self.base[segment] - distance / 2.0;
        }
        let most = out.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut sum = 0.0;
        for out in out.iter_mut() {
            *out = (*out - most).exp();
            sum += *out;
        }
        out.iter_mut().for_each(|out| *out /= sum);
    }
}

impl Rule {
    /// The segment of a point, from 1; [`NONE`] for a point that has none. `weights` has room for a number per segment.
    pub fn of(&self, point: &[f32], weights: &mut [f64]) -> usize {
        let width = point.len();
        match self {
            Rule::Centres { centres } => nearest(centres, point).0 + 1,
            Rule::Mixture(mixture) => {
                mixture.weigh(point, weights);
                let each = weights.iter().enumerate();
                let best = each.fold((0, f64::NEG_INFINITY), |best, (at, w)| {
                    if *w > best.1 { (at, *w) } else { best }
                });
                best.0 + 1
            }
            Rule::Density {
                points,
                segments,
                reach,
            } => {
                debug_assert_eq!(points.len(), segments.len() * width);
                let (at, distance) = nearest(points, point);
                let segment = segments.get(at).map_or(NONE, |own| *own as usize);
                match reach.get(segment.wrapping_sub(1)) {
                    Some(reach) if distance.sqrt() <= *reach => segment,
                    _ => NONE,
                }
            }
        }
    }

    /// Segments in another order: the first of `order` becomes the first. Those that are not in it are dropped.
    pub fn reorder(&mut self, order: &[usize], width: usize) {
        fn pick<T: Copy>(values: &mut Vec<T>, order: &[usize], each: usize) {
            let own = order
                .iter()
                .flat_map(|at| &values[at * each..(at + 1) * each]);
            *values = own.copied().collect();
        }
        match self {
            Rule::Centres { centres } => pick(centres, order, width),
            Rule::Mixture(mixture) => {
                pick(&mut mixture.base, order, 1);
                pick(&mut mixture.means, order, width);
                pick(&mut mixture.precisions, order, width * width);
            }
            Rule::Density {
                segments, reach, ..
            } => {
                pick(reach, order, 1);
                for segment in segments {
                    let place = order.iter().position(|at| at + 1 == *segment as usize);
                    *segment = place.map_or(NONE as u32, |place| place as u32 + 1);
                }
            }
        }
    }

    /// Whether it is a rule of `segments` segments of points of `width` numbers, as the algorithm makes them.
    pub fn is_sound(&self, algorithm: Algorithm, segments: usize, width: usize) -> bool {
        let finite = |all: &[f32]| all.iter().all(|x| x.is_finite());
        let known = |all: &[f64]| all.iter().all(|x| x.is_finite());
        match self {
            Rule::Centres { centres } => {
                algorithm == Algorithm::Kmeans
                    && centres.len() == segments * width
                    && finite(centres)
            }
            Rule::Mixture(m) => {
                algorithm == Algorithm::Gmm
                    && m.base.len() == segments
                    && m.means.len() == segments * width
                    && m.precisions.len() == segments * width * width
                    && [&m.base, &m.means, &m.precisions]
                        .into_iter()
                        .all(|v| known(v))
            }
            Rule::Density {
                points,
                segments: own,
                reach,
            } => {
                algorithm == Algorithm::Hdbscan
                    && points.len() == own.len().saturating_mul(width)
                    && reach.len() == segments
                    && own.iter().all(|s| (*s as usize) <= segments)
                    && finite(points)
                    && finite(reach)
            }
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        match self {
            Rule::Centres { centres } => 4 * centres.len(),
            Rule::Mixture(m) => 8 * (m.base.len() + m.means.len() + m.precisions.len()),
            Rule::Density {
                points, segments, ..
            } => 4 * (points.len() + segments.len()),
        }
    }
}

/// The nearest of `all` and its squared distance.
pub(super) fn nearest(all: &[f32], point: &[f32]) -> (usize, f32) {
    let each = all.chunks_exact(point.len().max(1)).enumerate();
    each.fold((0, f32::INFINITY), |best, (at, own)| {
        let d = squared(own, point);
        if d < best.1 { (at, d) } else { best }
    })
}

/// Squared distance of two points.
pub(super) fn squared(a: &[f32], b: &[f32]) -> f32 {
    let each = a.iter().zip(b);
    each.map(|(a, b)| (a - b) * (a - b)).sum()
}
