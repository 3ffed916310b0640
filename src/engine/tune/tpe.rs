//! Where to look next: the tree-structured Parzen estimator (Bergstra and others 2011, "Algorithms for Hyper-Parameter
//! Optimization"), each option by itself.

use super::space::{Domain, Point, Space};
use crate::random::Random;

/// Trials at random before anything is inferred from them.
pub(super) const AT_RANDOM: usize = 10;
/// Places drawn from the good trials' density, of which the most promising is tried.
const CANDIDATES: usize = 8;
/// Bells are at least so wide.
const NARROWEST: f64 = 0.05;

/// The next place to try, given the places tried and their losses (infinite: failed, stopped or not known yet).
pub(super) fn next(space: &Space, tried: &[(Point, f64)], random: &mut Random) -> Point {
    let known = tried.iter().filter(|(_, loss)| loss.is_finite()).count();
    if known < AT_RANDOM {
        return space.draw(random);
    }
    let mut order: Vec<&(Point, f64)> = tried.iter().collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    let good = known.div_ceil(10).clamp(2, 25);
    let (good, bad) = order.split_at(good);
    let mut point = Vec::with_capacity(space.0.len());
    for (i, (_, domain)) in space.0.iter().enumerate() {
        let places = |of: &[&(Point, f64)]| of.iter().map(|(p, _)| p[i]).collect::<Vec<f64>>();
        let (good, bad) = (
            Density::of(domain, places(good)),
            Density::of(domain, places(bad)),
        );
        let drawn = (0..CANDIDATES).map(|_| good.draw(random));
        let promise = |x: f64| good.at(x).ln() - bad.at(x).ln();
        let best = drawn.max_by(|a, b| promise(*a).total_cmp(&promise(*b)));
        point.push(best.unwrap_or_else(|| random.uniform()));
    }
    point
}

/// A density over the places of one option, mixed with an even one so that nothing is impossible.
enum Density {
    Range(Vec<Bell>),
    Choice(Vec<f64>),
}

/// A normal density cut off at 0 and 1.
struct Bell {
    centre: f64,
    width: f64,
    /// What makes the area one.
    height: f64,
}

impl Bell {
    fn new(centre: f64, width: f64) -> Bell {
        // The logistic function is close enough to the normal one.
        let below = |x: f64| 1.0 / (1.0 + (-1.702 * (x - centre) / width).exp());
        let inside = below(1.0) - below(0.0);
        Bell {
            centre,
            width,
            height: 1.0 / (2.507 * width * inside),
        }
    }

    fn at(&self, x: f64) -> f64 {
        self.height * (-0.5 * ((x - self.centre) / self.width).powi(2)).exp()
    }
}

impl Density {
    fn of(domain: &Domain, mut places: Vec<f64>) -> Density {
        match domain.choices() {
            None => {
                places.sort_unstable_by(f64::total_cmp);
                // As wide as the way to the farther neighbour, the ends counted (Bergstra's hyperopt).
                let bell = |(i, centre): (usize, &f64)| {
                    let before = i.checked_sub(1).map_or(0.0, |i| places[i]);
                    let after = places.get(i + 1).copied().unwrap_or(1.0);
                    let width = (centre - before).max(after - centre);
                    Bell::new(*centre, width.clamp(NARROWEST, 1.0))
                };
                Density::Range(places.iter().enumerate().map(bell).collect())
            }
            Some(count) => {
                let mut weights = vec![1.0; count];
                places.iter().for_each(|p| weights[*p as usize] += 1.0);
                let total: f64 = weights.iter().sum();
                Density::Choice(weights.into_iter().map(|w| w / total).collect())
            }
        }
    }

    fn draw(&self, random: &mut Random) -> f64 {
        match self {
            // One of the places, or anywhere.
            Density::Range(bells) => match bells.get(random.below(bells.len() + 1)) {
                None => random.uniform(),
                Some(bell) => loop {
                    let x = bell.centre + bell.width * random.normal();
                    if (0.0..=1.0).contains(&x) {
                        return x;
                    }
                },
            },
            Density::Choice(shares) => {
                let mut left = random.uniform();
                for (i, share) in shares.iter().enumerate() {
                    left -= share;
                    if left < 0.0 {
                        return i as f64;
                    }
                }
                (shares.len() - 1) as f64
            }
        }
    }

    fn at(&self, x: f64) -> f64 {
        match self {
            Density::Range(bells) => {
                let sum: f64 = bells.iter().map(|bell| bell.at(x)).sum();
                (1.0 + sum) / (bells.len() + 1) as f64
            }
            Density::Choice(shares) => shares.get(x as usize).copied().unwrap_or(1e-9),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean best loss of searches of a bowl with a choice that matters.
    fn best(trials: usize, clever: bool) -> f64 {
        let range = || Domain::Range {
            low: 0.0,
            high: 1.0,
            log: false,
            whole: false,
        };
        let choice = Domain::Choice((0..5).map(serde_json::Value::from).collect());
        let space = Space(vec![
            ("a".into(), range()),
            ("b".into(), range()),
            ("c".into(), choice),
        ]);
        let loss =
            |p: &Point| (p[0] - 0.2).powi(2) + (p[1] - 0.7).powi(2) + 0.1 * (p[2] - 3.0).abs();
        let search = |seed: u64| {
            let mut random = Random::new(seed);
            let mut tried: Vec<(Point, f64)> = Vec::new();
            for _ in 0..trials {
                let place = match clever {
                    true => next(&space, &tried, &mut random),
                    false => space.draw(&mut random),
                };
                let found = loss(&place);
                tried.push((place, found));
            }
            tried.iter().map(|t| t.1).fold(f64::INFINITY, f64::min)
        };
        (0..40).map(search).sum::<f64>() / 40.0
    }

    #[test]
    fn what_was_tried_tells_where_to_look() {
        let (clever, blind) = (best(50, true), best(50, false));
        assert!(clever < 0.5 * blind, "{clever} {blind}");
    }
}
