//! Tails of Student's t distribution (with infinite degrees of freedom the normal one), of chi-square and of Kolmogorov's.

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

/// The 95% score interval of a share (Wilson 1927, "Probable inference, the law of succession, and statistical inference").
pub(crate) fn wilson(hits: u64, rows: u64) -> (f64, f64) {
    let (n, p) = (rows as f64, hits as f64 / rows as f64);
    let squared = NORMAL_975 * NORMAL_975;
    let middle = (p + squared / (2.0 * n)) / (1.0 + squared / n);
    let half =
        NORMAL_975 / (1.0 + squared / n) * (p * (1.0 - p) / n + squared / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

/// The exact 95% interval of a share (Clopper and Pearson 1934), which holds where hits are few; hits need not be whole.
pub(crate) fn clopper_pearson(hits: f64, rows: f64) -> (f64, f64) {
    // The share at which a beta variable lies below with probability `p`.
    let beta = |p: f64, a: f64, b: f64| {
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..60 {
            let middle = (low + high) / 2.0;
            match incomplete_beta(a, b, middle) < p {
                true => low = middle,
                false => high = middle,
            }
        }
        (low + high) / 2.0
    };
    let low = match hits > 0.0 {
        true => beta(0.025, hits, rows - hits + 1.0),
        false => 0.0,
    };
    let high = match hits < rows {
        true => beta(0.975, hits + 1.0, rows - hits),
        false => 1.0,
    };
    (low, high)
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

/// The probability that a chi-square with so many degrees of freedom is as large as `x`; 1 without any.
pub(crate) fn chi_squared_tail(x: f64, freedom: f64) -> f64 {
    if x <= 0.0 || freedom <= 0.0 {
        return 1.0;
    }
    let (a, x) = (freedom / 2.0, x / 2.0);
    let front = (a * x.ln() - x - lgamma(a)).exp();
    if x < a + 1.0 {
        // The series of the lower incomplete gamma function (Abramowitz and Stegun 6.5.29).
        let (mut term, mut sum) = (1.0 / a, 1.0 / a);
        for k in 1..2000 {
            term *= x / (a + f64::from(k));
            sum += term;
            if term < sum * 1e-15 {
                break;
            }
        }
        return (1.0 - front * sum).clamp(0.0, 1.0);
    }
    // The continued fraction of the upper one (6.5.31), as Lentz evaluates it.
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (1e300, 1.0 / b);
    let mut fraction = d;
    for k in 1..2000 {
        let k = f64::from(k);
        let numerator = -k * (k - a);
        b += 2.0;
        d = 1.0 / (numerator * d + b);
        c = b + numerator / c;
        let change = c * d;
        fraction *= change;
        if (change - 1.0).abs() < 1e-14 {
            break;
        }
    }
    (front * fraction).clamp(0.0, 1.0)
}

/// The probability that a variable with Kolmogorov's distribution is as large as `x`.
pub(crate) fn kolmogorov_tail(x: f64) -> f64 {
    // Below, it is 1 to ten digits, and the series would need many terms.
    if x < 0.3 {
        return 1.0;
    }
    let term = |k: i32| {
        let sign = if k % 2 == 1 { 2.0 } else { -2.0 };
        sign * (-2.0 * f64::from(k * k) * x * x).exp()
    };
    (1..100).map(term).sum::<f64>().clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures are scipy's `chi2.sf` and `kstwobign.sf`.
    #[test]
    fn tails_of_chi_square_and_kolmogorov_are_those_of_scipy() {
        for (x, freedom, p) in [
            (3.841_458_820_694_124, 1.0, 0.05),
            (10.0, 5.0, 0.075_235_246_146_512_17),
            (150.0, 99.0, 0.000_720_445_395_716_928_2),
            (0.1, 3.0, 0.991_837_423_731_876_4),
        ] {
            let found = chi_squared_tail(x, freedom);
            assert!((found - p).abs() < 1e-10, "{x} {freedom}: {found}");
        }
        for (x, p) in [
            (0.5, 0.963_945_243_664_875_9),
            (1.0, 0.269_999_671_677_355_3),
            (1.358_098_636_722_6, 0.05),
        ] {
            let found = kolmogorov_tail(x);
            assert!((found - p).abs() < 1e-6, "{x}: {found}");
        }
    }

    /// The figures are statsmodels' `proportion_confint`.
    #[test]
    fn intervals_of_shares_are_those_of_statsmodels() {
        for (hits, rows, low, high) in [
            (0, 50, 0.0, 0.071_121_736),
            (1, 50, 0.000_506_229, 0.106_470_376),
            (25, 50, 0.355_272_903, 0.644_727_097),
        ] {
            let found = clopper_pearson(f64::from(hits), f64::from(rows));
            assert!((found.0 - low).abs() < 1e-6, "{found:?}");
            assert!((found.1 - high).abs() < 1e-6, "{found:?}");
        }
        let (low, high) = wilson(10, 50);
        assert!((low - 0.112_439_5).abs() < 1e-5 && (high - 0.330_367).abs() < 1e-5);
    }

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
