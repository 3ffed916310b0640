//! The shape of a column of numbers, brought closer to a normal distribution before it is scaled.

use super::options::Transform;
use super::power::{likeliest, yeo_johnson};
use super::quantiles::{self, Ranks};
use serde::{Deserialize, Serialize};

/// A shape must come closer to normal by so much, in squared correlation, to be preferred to a simpler one.
const CLOSER: f64 = 0.005;
/// By so much rounding may bring it above 1.
const ROUNDING: f64 = 1e-9;
/// What comes out stays in numbers that can be scaled.
pub(super) const BOUND: f64 = 1e300;

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Shape {
    #[default]
    Plain,
    /// sign(x) · ln(1 + |x|).
    Log,
    /// Yeo and Johnson's power of x / unit.
    Power { lambda: f64, unit: f64 },
    /// The normal distribution's value at the rank among the training rows.
    Quantile,
}

impl Shape {
    /// Chooses by the values present in the training rows. The choice "auto" takes the first of: as it is, a logarithm, a
    /// power, quantiles, whose normality no later one exceeds by 0.005 (see [`normality`]); where
    /// over half of the rows are equal, of the first and the last.
    pub(super) fn fit(values: &[f64], wanted: Transform) -> Shape {
        match wanted {
            Transform::None => Shape::Plain,
            Transform::Log => Shape::Log,
            Transform::Quantile => Shape::Quantile,
            Transform::Power => power(values).unwrap_or(Shape::Plain),
            Transform::Auto => {
                let sorted = quantiles::of(values.to_vec());
                if sorted.first() == sorted.last() {
                    return Shape::Plain;
                }
                // Where most rows are equal a logarithm or a power sets the few others further apart, not closer to normal.
                let middle = sorted[sorted.len() / 2];
                let equal = sorted.iter().filter(|x| **x == middle).count();
                let bent = 2 * equal <= sorted.len();
                let mut best = (Shape::Plain, normality(&sorted, Shape::Plain));
                let later: [&dyn Fn() -> Option<Shape>; 3] = [
                    &|| bent.then_some(Shape::Log),
                    &|| bent.then(|| power(values)).flatten(),
                    &|| Some(Shape::Quantile),
                ];
                for shape in later {
                    // None can be so much closer; a power takes long to be found.
                    if best.1 + CLOSER > 1.0 + ROUNDING {
                        break;
                    }
                    let next = shape().map(|shape| (shape, normality(&sorted, shape)));
                    best = next.filter(|n| n.1 > best.1 + CLOSER).unwrap_or(best);
                }
                best.0
            }
        }
    }

    #[inline]
    pub(super) fn apply(self, x: f64) -> f64 {
        match self {
            Shape::Plain | Shape::Quantile => x,
            Shape::Log => x.signum() * x.abs().ln_1p(),
            Shape::Power { lambda, unit } => yeo_johnson(x / unit, lambda).clamp(-BOUND, BOUND),
        }
    }

    /// Whether bytes from a table hold what `apply` relies on.
    pub(super) fn is_sound(self) -> bool {
        match self {
            Shape::Power { lambda, unit } => lambda.is_finite() && unit.is_finite() && unit > 0.0,
            _ => true,
        }
    }

    /// `None`: as it is, or said by the quantiles.
    pub(super) fn words(self) -> Option<String> {
        match self {
            Shape::Plain | Shape::Quantile => None,
            Shape::Log => Some("logarithm".into()),
            Shape::Power { lambda, unit } => Some(format!(
                "Yeo-Johnson power {lambda:.2} of multiples of {}",
                significant(unit)
            )),
        }
    }
}

fn power(values: &[f64]) -> Option<Shape> {
    let unit = unit(values)?;
    let multiples: Vec<f64> = values.iter().map(|x| x / unit).collect();
    let lambda = likeliest(&multiples)?;
    Some(Shape::Power { lambda, unit })
}

/// The median size of the values that are not 0: the power bends what is far from 0 in units of 1, whatever the column's unit.
fn unit(values: &[f64]) -> Option<f64> {
    let mut sizes: Vec<f64> = values
        .iter()
        .map(|x| x.abs())
        .filter(|x| *x > 0.0)
        .collect();
    let middle = sizes.len() / 2;
    if sizes.is_empty() {
        return None;
    }
    let unit = *sizes.select_nth_unstable_by(middle, f64::total_cmp).1;
    (unit.is_normal() && (1.0 / unit).is_finite()).then_some(unit)
}

/// How close the values come to a normal distribution: the squared correlation with its quantiles (Shapiro and Francia 1972),
/// 1 for a normal distribution. `sorted` are evenly spaced quantiles.
fn normality(sorted: &[f64], shape: Shape) -> f64 {
    let count = sorted.len() as f64;
    let ranks = Ranks::of(sorted);
    let value = |x: f64| match shape {
        Shape::Quantile => ranks.score(x),
        other => other.apply(x),
    };
    let made: Vec<f64> = sorted.iter().map(|x| value(*x)).collect();
    let mean = made.iter().sum::<f64>() / count;
    let (mut both, mut own, mut normal) = (0.0, 0.0, 0.0);
    for (place, y) in made.iter().enumerate() {
        // Blom's plotting position.
        let z = quantiles::normal_quantile((place as f64 + 0.625) / (count + 0.25));
        both += (y - mean) * z;
        own += (y - mean).powi(2);
        normal += z * z;
    }
    let squared = both * both / (own * normal);
    if squared.is_finite() { squared } else { 0.0 }
}

fn significant(x: f64) -> String {
    let short = format!("{x:.2e}").parse::<f64>().unwrap_or(x);
    short.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn made(of: impl Fn(f64) -> f64) -> Vec<f64> {
        let mut random = Random::new(8);
        (0..3000).map(|_| of(random.normal())).collect()
    }

    #[test]
    fn each_column_has_the_simplest_shape_that_is_near_enough() {
        let auto = |values: &[f64]| Shape::fit(values, Transform::Auto);
        assert_eq!(auto(&made(|z| 100.0 + 9.0 * z)), Shape::Plain);
        assert_eq!(auto(&made(|z| (z + 5.0).exp())), Shape::Log);
        // Far below 1 a logarithm of 1 + x bends nothing.
        let right = auto(&made(|z| 1e-4 * (z + 4.0).powi(2)));
        assert!(
            matches!(right, Shape::Power { lambda, .. } if lambda < 0.9),
            "{right:?}"
        );
        let left = auto(&made(|z| -1e-4 * (z + 4.0).powi(2)));
        assert!(
            matches!(left, Shape::Power { lambda, .. } if lambda > 1.1),
            "{left:?}"
        );
        let two_hills = auto(&made(|z| z + 9.0 * z.signum()));
        assert_eq!(two_hills, Shape::Quantile);
        let mostly_zero = auto(&made(|z| if z < 1.0 { 0.0 } else { (4.0 * z).exp() }));
        assert!(!matches!(mostly_zero, Shape::Log | Shape::Power { .. }));
        assert_eq!(auto(&[4.0; 30]), Shape::Plain);
        assert_eq!(auto(&[]), Shape::Plain);
    }

    #[test]
    fn what_is_asked_for_is_done_where_it_can_be() {
        let values = made(|z| z.exp());
        for wanted in [Transform::Log, Transform::Power, Transform::Quantile] {
            assert_ne!(Shape::fit(&values, wanted), Shape::Plain);
        }
        assert_eq!(Shape::fit(&values, Transform::None), Shape::Plain);
        assert_eq!(Shape::fit(&[0.0; 9], Transform::Power), Shape::Plain);
    }

    #[test]
    fn shapes_keep_the_order_and_stay_finite() {
        let odd = [
            f64::MIN,
            -1e9,
            -1.0,
            -1e-300,
            0.0,
            1e-300,
            2.0,
            1e9,
            f64::MAX,
        ];
        for lambda in [-5.0, 0.0, 1e-9, 0.5, 2.0, 5.0] {
            for unit in [1e-300, 1e-3, 1.0, 1e300] {
                let shape = Shape::Power { lambda, unit };
                let made: Vec<f64> = odd.iter().map(|x| shape.apply(*x)).collect();
                assert!(made.iter().all(|y| y.is_finite()), "{made:?}");
                assert!(made.is_sorted(), "{lambda} {unit} {made:?}");
            }
        }
    }
}
