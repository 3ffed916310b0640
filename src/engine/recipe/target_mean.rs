//! Categories of many levels as the target's mean among their rows (Micci-Barreca 2001).

use super::category::Category;
use crate::evaluate::Truth;
use crate::frame::{Cell, Column};
use serde::{Deserialize, Serialize};

/// The mean of all rows counts as much as this many rows of a level.
const PRIOR_ROWS: f64 = 20.0;
/// A training row's mean is taken from the other parts of this many: its own target must not enter.
const FOLDS: usize = 5;
/// With more classes there would be more inputs than a learned vector has.
const MAX_CLASSES: usize = 16;

/// The target's mean by code.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Means {
    /// Inputs: one, or one for each of three or more classes.
    pub(super) width: usize,
    /// `[levels + 1][width]`, standardised; of code 0 its rows', or where it has none the mean of all rows.
    means: Vec<f32>,
    /// `[training rows][width]`, out of fold; not stored.
    #[serde(skip)]
    training: Vec<f32>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TargetMean {
    /// Knows the levels.
    pub(super) category: Category,
    pub(super) means: Means,
}

/// Sums of the target by level.
struct Sums {
    rows: Vec<f64>,
    sums: Vec<f64>,
}

impl TargetMean {
    /// `None` where the levels are few or the classes many.
    pub(super) fn fit(
        category: Category,
        column: &Column,
        rows: &[u32],
        truth: &Truth,
    ) -> Option<TargetMean> {
        if category.levels() <= super::category::ONE_HOT + 1 {
            return None;
        }
        let codes: Vec<u32> = rows
            .iter()
            .map(|&row| category.code(column.cell(row as usize)))
            .collect();
        let means = Means::fit(&codes, category.levels(), truth)?;
        Some(TargetMean { category, means })
    }

    pub(super) fn is_sound(&self) -> bool {
        self.means.is_sound(self.category.levels())
    }

    #[inline]
    pub(super) fn write(&self, cell: Cell<'_>, out: &mut [f32]) {
        out.copy_from_slice(self.means.of(self.category.code(cell)));
    }
}

impl Means {
    /// Learns from the codes (0 to `levels`) and the targets of the training rows. `None` where the classes are many.
    pub(super) fn fit(codes: &[u32], levels: usize, truth: &Truth) -> Option<Means> {
        let width = match truth {
            // Two classes: the mean of one says all.
            Truth::Classes(codes) => match codes.iter().max().map_or(1, |c| *c as usize + 1) {
                0..=2 => 1,
                classes => classes,
            },
            _ => 1,
        };
        if width > MAX_CLASSES {
            return None;
        }
        let target = |position: usize, output: usize| match truth {
            Truth::Values(values) => values[position],
            Truth::Classes(classes) if width == 1 => f64::from(classes[position]),
            Truth::Classes(classes) => f64::from(u8::from(classes[position] as usize == output)),
            _ => 0.0,
        };
        let fold = |position: usize| position.wrapping_mul(0x9e37_79b9) >> 8 & 0xffff;
        let levels = levels + 1;
        let sums = |keep: &dyn Fn(usize) -> bool| {
            let mut found = Sums {
                rows: vec![0.0; levels],
                sums: vec![0.0; levels * width],
            };
            for (position, &code) in codes.iter().enumerate().filter(|(p, _)| keep(*p)) {
                found.rows[code as usize] += 1.0;
                for output in 0..width {
                    found.sums[code as usize * width + output] += target(position, output);
                }
            }
            found
        };
        let mut training = vec![0f64; codes.len() * width];
        for part in 0..FOLDS {
            let means = sums(&|p| fold(p) % FOLDS != part).means(width);
            for position in (0..codes.len()).filter(|p| fold(*p) % FOLDS == part) {
                let of = codes[position] as usize * width;
                training[position * width..(position + 1) * width]
                    .copy_from_slice(&means[of..of + width]);
            }
        }
        let mut means = sums(&|_| true).means(width);
        for output in 0..width {
            let own = || training.iter().skip(output).step_by(width);
            let count = codes.len().max(1) as f64;
            let mean = own().sum::<f64>() / count;
            let deviation = (own().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
            let scale = if deviation > 1e-12 * mean.abs().max(1e-300) {
                1.0 / deviation
            } else {
                0.0
            };
            let standardise = |x: &mut f64| *x = ((*x - mean) * scale).clamp(-8.0, 8.0);
            for list in [&mut means, &mut training] {
                list.iter_mut()
                    .skip(output)
                    .step_by(width)
                    .for_each(standardise);
            }
        }
        let single = |list: Vec<f64>| list.into_iter().map(|x| x as f32).collect();
        Some(Means {
            width,
            means: single(means),
            training: single(training),
        })
    }

    /// Whether there is a mean for each of the codes up to `levels`.
    pub(super) fn is_sound(&self, levels: usize) -> bool {
        let size = (levels + 1).checked_mul(self.width);
        self.width > 0
            && self.width <= MAX_CLASSES
            && size == Some(self.means.len())
            && self.means.iter().all(|x| x.is_finite())
    }

    /// `[levels + 1][width]`.
    pub(super) fn table(&self) -> &[f32] {
        &self.means
    }

    #[inline]
    pub(super) fn of(&self, code: u32) -> &[f32] {
        let of = code as usize * self.width;
        &self.means[of..of + self.width]
    }

    /// The out-of-fold means of one of the rows this was fitted to.
    pub(super) fn of_training_row(&self, position: usize) -> Option<&[f32]> {
        self.training
            .get(position * self.width..(position + 1) * self.width)
    }
}

impl Sums {
    fn means(self, width: usize) -> Vec<f64> {
        let all = self.rows.iter().sum::<f64>().max(1.0);
        let prior: Vec<f64> = (0..width)
            .map(|output| self.sums.iter().skip(output).step_by(width).sum::<f64>() / all)
            .collect();
        let mut means = self.sums;
        for (level, sums) in means.chunks_exact_mut(width).enumerate() {
            for (sum, prior) in sums.iter_mut().zip(&prior) {
                *sum = (*sum + prior * PRIOR_ROWS) / (self.rows[level] + PRIOR_ROWS);
            }
        }
        means
    }
}
