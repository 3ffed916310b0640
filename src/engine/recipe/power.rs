//! The power transform of Yeo and Johnson (2000), "A New Family of Power Transformations to Improve Normality or Symmetry",
//! Biometrika 87.

/// Powers looked at: outside, a column is so far from normal that another power changes little.
const POWERS: (f64, f64) = (-5.0, 5.0);
/// Values by which the power is found, evenly spread over the training rows.
const VALUES: usize = 20_000;
/// The power is found to this much.
const EXACT: f64 = 1e-4;

/// ((1 + x)^λ − 1) / λ, for x below 0 −((1 − x)^(2−λ) − 1) / (2 − λ), and the logarithms that are their limits.
#[inline]
pub(super) fn yeo_johnson(x: f64, lambda: f64) -> f64 {
    bent(log(x), lambda)
}

/// Whether x is not below 0, and ln(1 + |x|).
#[inline]
fn log(x: f64) -> (bool, f64) {
    let positive = x >= 0.0;
    (positive, if positive { x.ln_1p() } else { (-x).ln_1p() })
}

#[inline]
fn bent((positive, log): (bool, f64), lambda: f64) -> f64 {
    let power = |lambda: f64| {
        if lambda.abs() < 1e-9 {
            log
        } else {
            (lambda * log).exp_m1() / lambda
        }
    };
    if positive {
        power(lambda)
    } else {
        -power(2.0 - lambda)
    }
}

/// The power of the greatest likelihood when what comes out is normal: −n/2 ln σ²(λ) + (λ − 1) Σ sign(x) ln(1 + |x|). `None`
/// for a constant.
pub(super) fn likeliest(values: &[f64]) -> Option<f64> {
    let step = values.len().div_ceil(VALUES).max(1);
    let values: Vec<f64> = values.iter().copied().step_by(step).collect();
    if values.iter().all(|x| *x == values[0]) {
        return None;
    }
    let count = values.len() as f64;
    // The logarithms are the same for every power.
    let logs: Vec<(bool, f64)> = values.iter().map(|x| log(*x)).collect();
    let sum: f64 = values
        .iter()
        .zip(&logs)
        .map(|(x, l)| x.signum() * l.1)
        .sum();
    let mut made = vec![0.0; values.len()];
    let mut likelihood = |lambda: f64| {
        let each = made.iter_mut().zip(&logs);
        each.for_each(|(y, log)| *y = bent(*log, lambda));
        let mean = made.iter().sum::<f64>() / count;
        let variance = made.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / count;
        let found = -count / 2.0 * variance.ln() + (lambda - 1.0) * sum;
        if variance > 0.0 && found.is_finite() {
            found
        } else {
            f64::NEG_INFINITY
        }
    };
    // Golden section (Kiefer 1953): the likelihood has one summit.
    let share = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = POWERS;
    let (mut left, mut right) = (high - share * (high - low), low + share * (high - low));
    let (mut at_left, mut at_right) = (likelihood(left), likelihood(right));
    while high - low > EXACT {
        if at_left >= at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - share * (high - low);
            at_left = likelihood(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + share * (high - low);
            at_right = likelihood(right);
        }
    }
    at_left
        .max(at_right)
        .is_finite()
        .then_some((low + high) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_powers_with_a_name_are_what_they_are_called() {
        for x in [-7.5, -1.0, -1e-9, 0.0, 0.3, 12.0] {
            assert!((yeo_johnson(x, 1.0) - x).abs() < 1e-12, "{x}");
        }
        assert!((yeo_johnson(3.0, 0.0) - 4f64.ln()).abs() < 1e-12);
        assert!((yeo_johnson(3.0, 0.5) - 2.0).abs() < 1e-12);
        assert!((yeo_johnson(-3.0, 2.0) + 4f64.ln()).abs() < 1e-12);
        assert!((yeo_johnson(3.0, 1e-8) - yeo_johnson(3.0, 0.0)).abs() < 1e-6);
    }

    #[test]
    fn the_power_that_made_the_values_is_found() {
        let mut random = Random::new(3);
        let normal: Vec<f64> = (0..8000).map(|_| random.normal()).collect();
        // ln(1 + x) is normal where x = exp(z) - 1, the square root of 1 + x where x = z² - 1.
        let log: Vec<f64> = normal.iter().map(|z| (z + 4.0).exp() - 1.0).collect();
        let root: Vec<f64> = normal.iter().map(|z| (z + 10.0).powi(2) - 1.0).collect();
        assert!(likeliest(&log).unwrap().abs() < 0.05);
        assert!((likeliest(&root).unwrap() - 0.5).abs() < 0.1);
        assert!((likeliest(&normal).unwrap() - 1.0).abs() < 0.05);
        let mirrored: Vec<f64> = log.iter().map(|x| -x).collect();
        assert!((likeliest(&mirrored).unwrap() - 2.0).abs() < 0.05);
    }

    #[test]
    fn constants_and_huge_values_are_harmless() {
        assert_eq!(likeliest(&[3.0; 20]), None);
        assert_eq!(likeliest(&[]), None);
        let huge = likeliest(&[-f64::MAX, 0.0, 1.0, f64::MAX]);
        assert!(huge.is_none_or(f64::is_finite));
    }
}
