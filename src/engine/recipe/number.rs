//! Numbers: median imputation with a missing flag, a logarithm for long tails, standardisation.

use crate::frame::Cell;
use serde::{Deserialize, Serialize};

/// A standardised value is kept within this many standard deviations: one odd value at serving must not explode.
const BOUND: f64 = 8.0;
/// A column this skewed is tried on a logarithmic scale.
const SKEWED: f64 = 2.0;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Number {
    median: f64,
    /// sign(x) · ln(1 + |x|) before standardising.
    logarithm: bool,
    mean: f64,
    /// 1 / standard deviation; 0 for a constant column.
    scale: f64,
    /// An extra input of 0 or 1 says whether the value was missing.
    flag: bool,
}

impl Number {
    /// Learns from the values present among `rows` training rows.
    pub(super) fn fit(mut values: Vec<f64>, rows: usize) -> Number {
        let flag = values.len() < rows;
        if values.is_empty() {
            return Number {
                median: 0.0,
                logarithm: false,
                mean: 0.0,
                scale: 0.0,
                flag,
            };
        }
        let middle = values.len() / 2;
        let median = *values.select_nth_unstable_by(middle, f64::total_cmp).1;
        let plain = skew(values.iter().copied());
        let logarithm = plain.abs() > SKEWED
            && skew(values.iter().map(|x| signed_log(*x))).abs() < plain.abs() / 2.0;
        // Missing values enter as the median, so they count in the mean and deviation.
        let filled = values
            .iter()
            .copied()
            .chain(std::iter::repeat_n(median, rows - values.len()));
        let prepared: Vec<f64> = filled
            .map(|x| if logarithm { signed_log(x) } else { x })
            .collect();
        let count = prepared.len() as f64;
        let mean = prepared.iter().sum::<f64>() / count;
        let deviation = (prepared.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
        let varies = deviation.is_finite() && deviation > 1e-12 * mean.abs().max(1e-300);
        let mean = if mean.is_finite() { mean } else { 0.0 };
        Number {
            median,
            logarithm,
            mean,
            scale: if varies { 1.0 / deviation } else { 0.0 },
            flag,
        }
    }

    pub(super) fn width(&self) -> usize {
        1 + usize::from(self.flag)
    }

    #[inline]
    pub(super) fn write(&self, cell: Cell<'_>, out: &mut [f32]) {
        let value = match cell {
            Cell::Number(x) | Cell::Duration(x) if x.is_finite() => Some(x),
            Cell::Time(x) => Some(x as f64),
            _ => None,
        };
        out[0] = self.standardise(value.unwrap_or(self.median));
        if self.flag {
            out[1] = if value.is_none() { 1.0 } else { 0.0 };
        }
    }

    #[inline]
    fn standardise(&self, value: f64) -> f32 {
        let value = if self.logarithm {
            signed_log(value)
        } else {
            value
        };
        ((value - self.mean) * self.scale).clamp(-BOUND, BOUND) as f32
    }
}

fn signed_log(x: f64) -> f64 {
    x.signum() * x.abs().ln_1p()
}

/// Third standardised moment; 0 for a constant.
fn skew(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    let (mut second, mut third) = (0.0, 0.0);
    for x in values {
        let d = x - mean;
        second += d * d;
        third += d * d * d;
    }
    let deviation = (second / count).sqrt();
    let skew = third / count / deviation.powi(3);
    if skew.is_finite() { skew } else { 0.0 }
}
