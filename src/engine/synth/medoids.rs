//! Groups of rows around rows of their own: k-medoids.

use super::gower::Points;
use crate::random::Random;
use crate::segment::silhouette;
use rayon::prelude::*;

/// Rows of a sample, at most: all distances between them are kept.
const SAMPLE: usize = 1000;
const SAMPLES: u64 = 5;
/// Exchanges of a medoid, at most; a dozen is usual.
const EXCHANGES: usize = 200;

/// Groups of rows.
pub(super) struct Groups {
    /// The row in the middle of each.
    pub medoids: Vec<usize>,
    /// The group of each row.
    pub of: Vec<usize>,
}

/// Groups of all rows around the medoids found in samples, of which the best are taken (CLARA, Kaufman and Rousseeuw 1990).
/// `k` is at least 2.
pub(super) fn clara(points: &Points, rows: usize, k: usize, seed: u64) -> Groups {
    let mut random = Random::new(seed ^ 0x1f83_d9ab);
    let mut best: Option<(f64, Groups)> = None;
    let samples = if rows > SAMPLE { SAMPLES } else { 1 };
    for _ in 0..samples {
        let mut sample = some(rows, &mut random);
        if let Some((_, groups)) = &best {
            // The best so far may be better still among others.
            sample.extend(&groups.medoids);
            sample.sort_unstable();
            sample.dedup();
        }
        let distances = Distances::of(points, &sample);
        let medoids: Vec<usize> = distances.pam(k).iter().map(|at| sample[*at]).collect();
        let nearest = |row: usize| {
            let each = medoids.iter().map(|m| points.distance(row, points, *m));
            let each = each.enumerate();
            each.fold((0, f32::INFINITY), |a, b| if b.1 < a.1 { b } else { a })
        };
        let all: Vec<(usize, f32)> = (0..rows).into_par_iter().map(nearest).collect();
        let cost = all.iter().map(|(_, d)| f64::from(*d)).sum::<f64>();
        if best.as_ref().is_none_or(|(least, _)| cost < *least) {
            let of = all.into_iter().map(|(group, _)| group).collect();
            best = Some((cost, Groups { medoids, of }));
        }
    }
    best.map_or_else(
        || Groups {
            medoids: Vec::new(),
            of: Vec::new(),
        },
        |(_, groups)| groups,
    )
}

/// How many groups there are: the number with the widest silhouette in a sample (Rousseeuw 1987).
pub(super) fn count(points: &Points, rows: usize, among: std::ops::RangeInclusive<usize>) -> usize {
    let sample = some(rows, &mut Random::new(0x5be0_cd19));
    let distances = Distances::of(points, &sample);
    let widths = among.clone().filter(|k| *k < sample.len()).map(|k| {
        let medoids = distances.pam(k);
        (k, distances.silhouette(&medoids))
    });
    let best = widths.fold(None, |best: Option<(usize, f64)>, next| match best {
        Some(best) if best.1 >= next.1 => Some(best),
        _ => Some(next),
    });
    best.map_or(*among.start(), |(k, _)| k)
}

fn some(rows: usize, random: &mut Random) -> Vec<usize> {
    let mut all: Vec<usize> = (0..rows).collect();
    if rows > SAMPLE {
        random.shuffle(&mut all);
        all.truncate(SAMPLE);
        all.sort_unstable();
    }
    all
}

/// Distances between the rows of a sample, `[rows][rows]`.
struct Distances {
    rows: usize,
    all: Vec<f32>,
}

/// The nearest medoid of a row, by place among them, and the distances to it and to the next.
#[derive(Clone, Copy)]
struct Near {
    medoid: usize,
    first: f32,
    second: f32,
}

impl Distances {
    fn of(points: &Points, sample: &[usize]) -> Distances {
        let row = |a: &usize| -> Vec<f32> {
            let each = sample.iter().map(|b| points.distance(*a, points, *b));
            each.collect()
        };
        let all: Vec<Vec<f32>> = sample.par_iter().map(row).collect();
        Distances {
            rows: sample.len(),
            all: all.concat(),
        }
    }

    fn from(&self, row: usize) -> &[f32] {
        &self.all[row * self.rows..(row + 1) * self.rows]
    }

    fn near(&self, medoids: &[usize]) -> Vec<Near> {
        let of = |row: usize| {
            let mut near = Near {
                medoid: 0,
                first: f32::INFINITY,
                second: f32::INFINITY,
            };
            for (place, medoid) in medoids.iter().enumerate() {
                let distance = self.from(row)[*medoid];
                if distance < near.first {
                    near = Near {
                        medoid: place,
                        first: distance,
                        second: near.first,
                    };
                } else if distance < near.second {
                    near.second = distance;
                }
            }
            near
        };
        (0..self.rows).map(of).collect()
    }

    /// Medoids by PAM (Kaufman and Rousseeuw 1990), each exchange found as in FastPAM1 (Schubert and Rousseeuw 2019).
    fn pam(&self, k: usize) -> Vec<usize> {
        let mut medoids = self.first(k.min(self.rows));
        if medoids.len() < 2 {
            return medoids;
        }
        for _ in 0..EXCHANGES {
            let near = self.near(&medoids);
            let mut loss = vec![0.0f64; medoids.len()];
            for own in &near {
                loss[own.medoid] += f64::from(own.second - own.first);
            }
            let changes = (0..self.rows).into_par_iter().map(|candidate| {
                let (mut change, mut shared) = (loss.clone(), 0.0);
                for (own, distance) in near.iter().zip(self.from(candidate)) {
                    if *distance < own.first {
                        shared += f64::from(distance - own.first);
                        change[own.medoid] += f64::from(own.first - own.second);
                    } else if *distance < own.second {
                        change[own.medoid] += f64::from(distance - own.second);
                    }
                }
                let (place, least) = least(&change);
                (least + shared, place)
            });
            let changes: Vec<(f64, usize)> = changes.collect();
            let costs: Vec<f64> = changes.iter().map(|c| c.0).collect();
            let (candidate, change) = least(&costs);
            if change >= -1e-6 {
                break;
            }
            medoids[changes[candidate].1] = candidate;
        }
        medoids
    }

    /// The row in the middle, then rows that bring most.
    fn first(&self, k: usize) -> Vec<usize> {
        let mut nearest = vec![f32::INFINITY; self.rows];
        let mut medoids: Vec<usize> = Vec::new();
        for _ in 0..k {
            let cost = |candidate: usize| -> f64 {
                if medoids.contains(&candidate) {
                    return f64::INFINITY;
                }
                let each = nearest.iter().zip(self.from(candidate));
                each.map(|(old, new)| f64::from(old.min(*new))).sum()
            };
            let costs: Vec<f64> = (0..self.rows).into_par_iter().map(cost).collect();
            let next = least(&costs).0;
            let closer = nearest.iter_mut().zip(self.from(next));
            closer.for_each(|(old, new)| *old = old.min(*new));
            medoids.push(next);
        }
        medoids
    }

    /// Mean width of the silhouettes.
    fn silhouette(&self, medoids: &[usize]) -> f64 {
        let of: Vec<usize> = self.near(medoids).iter().map(|n| n.medoid).collect();
        silhouette(&of, medoids.len(), |row, distances| {
            distances.copy_from_slice(self.from(row));
        })
    }
}

/// The first place of the least value, and that value.
fn least(values: &[f64]) -> (usize, f64) {
    let each = values.iter().copied().enumerate();
    each.fold((0, f64::INFINITY), |a, b| if b.1 < a.1 { b } else { a })
}
