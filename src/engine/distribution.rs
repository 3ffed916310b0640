//! Student's t distribution; with infinite degrees of freedom the normal one.

use libm::{erfc, lgamma};

/// The 97.5% quantile of the normal distribution.
pub(crate) const NORMAL_975: f64 = 1.959963984540054;

/// The probability that a value lies as far from 0 as `t`, or farther.
pub(crate) fn two_sided(t: f64, freedom: f64) -> f64 {
    if freedom.is_infinite() {
        return erfc(t.abs() / std::f64::consts::SQRT_2);
    }
    incomplete_beta(freedom / 2.0, 0.5, freedom / (freedom + t * t))
}

/// How far from 0 values lie with probability `p`, or farther.
pub(crate) fn quantile(p: f64, freedom: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while two_sided(high, freedom) > p && high < 1e9 {
        high *= 2.0;
    }
    for _ in 0..80 {
        let middle = (low + high) / 2.0;
        if two_sided(middle, freedom) > p {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

/// The regularised incomplete beta function, by its continued fraction (Abramowitz and Stegun 26.5.8) as Lentz evaluates it.
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let front = lgamma(a + b) - lgamma(a) - lgamma(b) + a * x.ln() + b * (1.0 - x).ln();
    let away = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for m in 1..500 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            d = 1.0 / away(1.0 + term * d);
            c = away(1.0 + term / c);
            change = c * d;
            fraction *= change;
        }
        if (change - 1.0).abs() < 1e-14 {
            break;
        }
    }
    front.exp() * fraction / a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_and_quantiles_are_those_of_tables() {
        for (degrees, t) in [
            (1.0, 12.7062),
            (4.0, 2.7764),
            (11.0, 2.2010),
            (30.0, 2.0423),
        ] {
            assert!((quantile(0.05, degrees) - t).abs() < 1e-4);
            assert!((two_sided(t, degrees) - 0.05).abs() < 1e-5);
        }
        assert!((quantile(0.05, f64::INFINITY) - NORMAL_975).abs() < 1e-9);
        assert!((two_sided(3.0, f64::INFINITY) - 0.002_699_796_063).abs() < 1e-11);
    }
}
