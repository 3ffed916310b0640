//! How many groups there are: those that stand apart, and that come again when some rows are left out.

use super::learn::{assign, groups, learn};
use super::params::{Algorithm, Params};
use super::rule::squared;
use super::silhouette::{adjusted_rand, silhouette};
use crate::random::Random;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Groups that are looked for where their number is not given.
const USUAL: RangeInclusive<usize> = 2..=10;
/// Points by which a number is judged, at most.
pub(super) const JUDGED: usize = 2000;
/// Times that groups are learned from some of the points.
const REPEATS: u64 = 8;
/// The share of the points they are then learned from.
const PART: f64 = 0.8;
/// Groups come again where the mean adjusted Rand index is at least this, or next to the best.
const STABLE: f64 = 0.8;
const NEXT: f64 = 0.02;

/// What was found of a number of groups.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Count {
    pub segments: usize,
    /// How far the groups stand apart: mean width of the silhouettes (Rousseeuw 1987), from -1 to 1.
    pub silhouette: f64,
    /// How far they come again: the mean adjusted Rand index between the groups of some points and those learned from 80% of
    /// them (Ben-Hur and others 2002), 1 where they are the same.
    pub stability: f64,
}

/// What is found of each number of groups, and the place of the one that stands apart most among those that come again. `go`
/// says whether there is time for another; `None` where no number can be had.
pub(super) fn choose(
    points: &[f32],
    width: usize,
    params: &Params,
    go: &mut dyn FnMut() -> bool,
) -> Option<(Vec<Count>, usize)> {
    let numbers = match (params.algorithm, params.k) {
        // It finds how many there are.
        (Algorithm::Hdbscan, _) => 0..=0,
        (_, Some(k)) => k..=k,
        (_, None) => USUAL,
    };
    let rows = points.len() / width;
    let mut found: Vec<Count> = Vec::new();
    for k in numbers {
        if k >= rows || !found.is_empty() && !go() {
            break;
        }
        found.extend(judge(points, width, k, params));
    }
    let best = found.iter().map(|c| c.stability).fold(0.0, f64::max);
    let enough = STABLE.min(best - NEXT);
    let stable = found
        .iter()
        .enumerate()
        .filter(|(_, c)| c.stability >= enough);
    // Of equally good ones the fewest groups.
    let chosen = stable.reduce(|a, b| match b.1.silhouette > a.1.silhouette {
        true => b,
        false => a,
    });
    let place = chosen?.0;
    Some((found, place))
}

fn judge(points: &[f32], width: usize, k: usize, params: &Params) -> Option<Count> {
    let rule = learn(points, width, k, params, params.seed)?;
    let segments = groups(&rule, width);
    let of = assign(&rule, points, width, segments);
    // Points without a group are not judged.
    let known: Vec<usize> = (0..of.len()).filter(|row| of[*row] > 0).collect();
    let own: Vec<usize> = known.iter().map(|row| of[*row] - 1).collect();
    let point = |row: usize| &points[row * width..(row + 1) * width];
    let width_of_all = silhouette(&own, segments, |row, to| {
        let from = point(known[row]);
        let each = to.iter_mut().zip(&known);
        each.for_each(|(to, other)| *to = squared(from, point(*other)).sqrt());
    });
    let again = (0..REPEATS).into_par_iter().filter_map(|repeat| {
        let mut random = Random::new(params.seed ^ ((repeat + 1) << 32) ^ k as u64);
        let mut rows: Vec<usize> = (0..of.len()).collect();
        random.shuffle(&mut rows);
        rows.truncate(((PART * of.len() as f64) as usize).max(1));
        rows.sort_unstable();
        let some: Vec<f32> = rows.iter().flat_map(|row| point(*row)).copied().collect();
        let rule = learn(&some, width, k, params, random.next_u64())?;
        let other = assign(&rule, points, width, groups(&rule, width));
        Some(adjusted_rand(&of, &other))
    });
    let again: Vec<f64> = again.collect();
    // Groups that cannot be learned again do not come again.
    let stability = again.iter().sum::<f64>() / REPEATS as f64;
    Some(Count {
        segments,
        silhouette: width_of_all,
        stability,
    })
}
