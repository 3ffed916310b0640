//! Columns of a log as a model knows them: vocabularies and scales.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

/// The values of a category column.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Vocabulary {
    pub name: String,
    /// By falling frequency. Code 0 is anything else and NULL; code c is `labels[c - 1]`.
    pub labels: Vec<String>,
    #[serde(skip)]
    codes: HashMap<String, u32>,
}

impl Vocabulary {
    /// The `most` most frequent of the counted texts.
    pub(super) fn new<'t>(
        name: &str,
        counts: impl Iterator<Item = (&'t str, usize)>,
        most: usize,
    ) -> Vocabulary {
        let mut counts: Vec<(&str, usize)> = counts.filter(|(_, count)| *count > 0).collect();
        counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        counts.truncate(most);
        let mut vocabulary = Vocabulary {
            name: name.into(),
            labels: counts.into_iter().map(|(text, _)| text.into()).collect(),
            codes: HashMap::new(),
        };
        vocabulary.index();
        vocabulary
    }

    /// Makes look-ups possible after reading.
    pub(super) fn index(&mut self) {
        let codes = self.labels.iter().zip(1..);
        self.codes = codes.map(|(label, code)| (label.clone(), code)).collect();
    }

    /// Codes there are, with that of unknown values.
    pub fn codes(&self) -> usize {
        self.labels.len() + 1
    }

    /// 0 for what is not known.
    pub fn code(&self, text: &str) -> u32 {
        self.codes.get(text).copied().unwrap_or(0)
    }

    /// `None` for code 0.
    pub fn label(&self, code: u32) -> Option<&str> {
        let at = (code as usize).checked_sub(1)?;
        self.labels.get(at).map(String::as_str)
    }
}

/// How a number becomes an input: x → z / √(1 + (z / 3)²) with z = (x - centre) / scale, which is z near 0 and never beyond ±3
/// (Holzmüller et al. 2024).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scale {
    pub name: String,
    /// The median, and half the distance of the quartiles or what is nearest to it.
    pub centre: f64,
    pub scale: f64,
    /// Whether a value was missing: then there is an input that says so.
    pub missing: bool,
    /// Mean and standard deviation, by which a number is learned as a target.
    pub mean: f64,
    pub deviation: f64,
}

impl Scale {
    pub(super) fn fit(name: &str, values: impl Iterator<Item = f64>) -> Scale {
        let (mut known, mut missing) = (Vec::new(), false);
        for value in values {
            if value.is_finite() {
                known.push(value);
            } else {
                missing = true;
            }
        }
        known.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| {
            let last = known.len().saturating_sub(1);
            let index = (share * last as f64).round() as usize;
            known.get(index).copied().unwrap_or(0.0)
        };
        let n = known.len().max(1) as f64;
        let mean = known.iter().sum::<f64>() / n;
        let squares = known.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>();
        let deviation = (squares / n).sqrt();
        let quartiles = (at(0.75) - at(0.25)) / 1.35;
        let or = |x: f64, other: f64| if x > 0.0 { x } else { other };
        Scale {
            name: name.into(),
            centre: at(0.5),
            scale: or(quartiles, or(deviation, 1.0)),
            missing,
            mean,
            deviation: or(deviation, 1.0),
        }
    }

    pub(super) fn is_sound(&self) -> bool {
        self.centre.is_finite()
            && self.mean.is_finite()
            && (self.scale > 0.0 && self.scale.is_finite())
            && (self.deviation > 0.0 && self.deviation.is_finite())
    }

    /// The input; 0 for what is missing.
    pub(super) fn input(&self, x: f64) -> f32 {
        if !x.is_finite() {
            return 0.0;
        }
        let z = (x - self.centre) / self.scale;
        let third = z / 3.0;
        // Beyond f32 the square would overflow, where z is ±3 already.
        if third.abs() > 1e9 {
            return 3.0 * z.signum() as f32;
        }
        (z / (1.0 + third * third).sqrt()) as f32
    }

    pub(super) fn write(&self, x: f64, out: &mut Vec<f32>) {
        out.push(self.input(x));
        if self.missing {
            out.push(f32::from(u8::from(!x.is_finite())));
        }
    }

    pub(super) fn width(&self) -> usize {
        1 + usize::from(self.missing)
    }

    /// As a target.
    pub(super) fn standardise(&self, x: f64) -> f32 {
        ((x - self.mean) / self.deviation) as f32
    }

    /// The way back.
    pub(super) fn restore(&self, y: f64) -> f64 {
        y * self.deviation + self.mean
    }
}
