//! Numbers: median imputation with a missing flag, a shape closer to normal, one scale for all columns.

use super::options::{Scaling, Standardise, Transform};
use super::quantiles::{self, Ranks};
use super::shape::Shape;
use crate::frame::Cell;
use serde::{Deserialize, Serialize};

/// A standardised value is kept within this many standard deviations: one odd value at serving must not explode.
pub(super) const BOUND: f64 = 8.0;
/// A value that is not standardised is kept within what the network takes.
pub(super) const PLAIN_BOUND: f64 = 1e12;
/// Where the standard deviation is this many times what the middle half of the rows suggests, a few far values make it, and
/// the other rows would be squeezed together.
const HEAVY: f64 = 3.0;
/// The interquartile range of a normal distribution in standard deviations.
const NORMAL_RANGE: f64 = 1.349;

/// What centre and scale are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Method {
    #[default]
    Standard,
    Robust,
    Minmax,
    Quantile,
    None,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Number {
    pub(super) median: f64,
    /// Before standardising.
    pub(super) shape: Shape,
    /// What becomes 0.
    pub(super) mean: f64,
    /// 1 / what becomes 1; 0 for a constant column.
    pub(super) scale: f64,
    /// An extra input of 0 or 1 says whether the value was missing.
    pub(super) flag: bool,
    #[serde(default)]
    pub(super) method: Method,
    /// Of method quantile, ascending.
    #[serde(default, skip_serializing_if = "Ranks::is_empty")]
    pub(super) quantiles: Ranks,
}

impl Number {
    /// Learns from the values present among `rows` training rows.
    pub(super) fn fit(mut values: Vec<f64>, rows: usize, how: Scaling) -> Number {
        let mut number = Number {
            median: 0.0,
            shape: Shape::Plain,
            mean: 0.0,
            scale: 0.0,
            flag: values.len() < rows,
            method: Method::Standard,
            quantiles: Ranks::default(),
        };
        if values.is_empty() {
            return number;
        }
        let transform = match (how.transform, how.standardise) {
            (wanted, Standardise::Auto) => wanted,
            // Who asks for one scale gets that, unless a shape is asked for too.
            (Transform::Auto, _) => Transform::None,
            (wanted, _) => wanted,
        };
        number.shape = Shape::fit(&values, transform);
        let middle = values.len() / 2;
        number.median = *values.select_nth_unstable_by(middle, f64::total_cmp).1;
        // Missing values enter as the median, so they count in the mean and deviation.
        let filled = values
            .iter()
            .copied()
            .chain(std::iter::repeat_n(number.median, rows - values.len()));
        let shape = number.shape;
        let prepared: Vec<f64> = filled.map(|x| shape.apply(x)).collect();
        number.learn(
            prepared,
            match shape {
                Shape::Quantile => Standardise::Quantile,
                _ => how.standardise,
            },
        );
        number
    }

    fn learn(&mut self, mut prepared: Vec<f64>, standardise: Standardise) {
        let count = prepared.len() as f64;
        let mean = prepared.iter().sum::<f64>() / count;
        let deviation = (prepared.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
        let varies = deviation.is_finite() && deviation > 1e-12 * mean.abs().max(1e-300);
        let spread = if varies { deviation } else { 0.0 };
        let mean = if mean.is_finite() { mean } else { 0.0 };
        let mut at = |share: f64| {
            let position = ((count - 1.0) * share).round() as usize;
            *prepared.select_nth_unstable_by(position, f64::total_cmp).1
        };
        let (method, centre, spread) = match standardise {
            Standardise::None => (Method::None, 0.0, 1.0),
            Standardise::Standard => (Method::Standard, mean, spread),
            Standardise::Minmax => (Method::Minmax, at(0.0), at(1.0) - at(0.0)),
            Standardise::Quantile => (Method::Quantile, 0.0, spread),
            Standardise::Auto | Standardise::Robust => {
                let middle = at(0.5);
                let range = (at(0.75) - at(0.25)) / NORMAL_RANGE;
                let wanted = standardise == Standardise::Robust || spread > HEAVY * range;
                // Where half of the rows are equal there is no range to go by.
                if wanted && range > 0.0 {
                    (Method::Robust, middle, range)
                } else {
                    (Method::Standard, mean, spread)
                }
            }
        };
        if method == Method::Quantile {
            self.quantiles = Ranks::of(&quantiles::of(prepared));
        }
        let scale = 1.0 / spread;
        self.method = method;
        self.mean = centre;
        self.scale = if spread > 0.0 && scale.is_finite() {
            scale
        } else {
            0.0
        };
    }

    pub(super) fn width(&self) -> usize {
        1 + usize::from(self.flag)
    }

    /// Whether the input is the same for every row.
    pub(super) fn is_constant(&self) -> bool {
        self.scale == 0.0 && !self.flag
    }

    /// Whether bytes from a table hold what `write` relies on.
    pub(super) fn is_sound(&self) -> bool {
        let numbers = [self.median, self.mean, self.scale];
        numbers.iter().all(|x| x.is_finite())
            && self.shape.is_sound()
            && quantiles::are_sound(&self.quantiles)
    }

    #[inline]
    fn value(cell: Cell<'_>) -> Option<f64> {
        match cell {
            Cell::Number(x) | Cell::Duration(x) if x.is_finite() => Some(x),
            Cell::Time(x) => Some(x as f64),
            _ => None,
        }
    }

    /// [`Number::write`] of many rows, `width` inputs apart; ranks become normal all at once. `shares` is scratch space.
    pub(super) fn write_rows<'c>(
        &self,
        cells: impl Iterator<Item = Cell<'c>>,
        out: &mut [f32],
        width: usize,
        shares: &mut Vec<f64>,
    ) {
        if self.method != Method::Quantile {
            let rows = cells.zip(out.chunks_mut(width));
            return rows.for_each(|(cell, out)| self.write(cell, out));
        }
        shares.clear();
        shares.extend(cells.zip(out.chunks_mut(width)).map(|(cell, out)| {
            let value = Self::value(cell);
            if self.flag {
                out[1] = if value.is_none() { 1.0 } else { 0.0 };
            }
            self.quantiles
                .share(self.shape.apply(value.unwrap_or(self.median)))
        }));
        quantiles::normal_quantiles(shares);
        let rows = shares.iter().zip(out.chunks_mut(width));
        rows.for_each(|(score, out)| out[0] = *score as f32);
    }

    #[inline]
    pub(super) fn write(&self, cell: Cell<'_>, out: &mut [f32]) {
        let value = Self::value(cell);
        out[0] = self.standardise(value.unwrap_or(self.median));
        if self.flag {
            out[1] = if value.is_none() { 1.0 } else { 0.0 };
        }
    }

    #[inline]
    fn standardise(&self, value: f64) -> f32 {
        let value = self.shape.apply(value);
        match self.method {
            Method::Quantile => self.quantiles.score(value) as f32,
            Method::None => value.clamp(-PLAIN_BOUND, PLAIN_BOUND) as f32,
            _ => ((value - self.mean) * self.scale).clamp(-BOUND, BOUND) as f32,
        }
    }

    /// Centre and scale where (x - centre) · scale is all that is done; 0 and 1 for a constant column or a value taken as it is.
    #[inline]
    pub(super) fn line(&self) -> Option<(f64, f64)> {
        match (self.shape, self.method) {
            (Shape::Plain, Method::None) => Some((0.0, 1.0)),
            (Shape::Plain, method) if method != Method::Quantile => Some(match self.scale {
                0.0 => (0.0, 1.0),
                scale => (self.mean, scale),
            }),
            _ => None,
        }
    }

    /// What is done to the shape, in a word.
    pub(super) fn shape_name(&self) -> &'static str {
        match self.shape {
            Shape::Log => "log",
            Shape::Power { .. } => "power",
            Shape::Plain | Shape::Quantile => "quantile",
        }
    }

    /// What is done, in words.
    pub(super) fn words(&self) -> String {
        if self.scale == 0.0 && self.method != Method::None {
            return match self.flag {
                true => "constant: only whether it is missing tells something".into(),
                false => "constant: tells nothing".into(),
            };
        }
        let mut said: Vec<String> = Vec::new();
        if self.flag {
            said.push("missing values become the median and raise a flag".into());
        }
        said.extend(self.shape.words());
        let scaled = match self.method {
            Method::None => "taken as it is",
            Method::Standard => "mean 0 and standard deviation 1",
            Method::Robust => "median 0 and interquartile range 1.349",
            Method::Minmax => "scaled so that the training rows reach from 0 to 1",
            Method::Quantile => "brought to a normal distribution by quantiles",
        };
        said.push(scaled.into());
        if !matches!(self.method, Method::None | Method::Quantile) {
            said.push("kept within -8 to 8".into());
        }
        said.join(", ")
    }

    pub(super) fn parameters(&self) -> serde_json::Value {
        serde_json::json!({
            "method": self.method,
            "transform": self.shape,
            "median": self.median,
            "centre": self.mean,
            "spread": if self.scale == 0.0 { 0.0 } else { 1.0 / self.scale },
            "missing_flag": self.flag,
            "quantiles": self.quantiles.len(),
        })
    }
}
