//! Scores of predicted values (regression).

use super::{
    Baseline, Evaluation, Gauge,
    bootstrap::{Name, Resampling, Scores, summarise},
    threads::{each, sort},
};

/// The median is looked for in one of so many groups of rows.
const GROUPS: usize = 2048;

pub(super) struct Values {
    /// Truths less their mean, which keeps the sums of squares exact.
    centred: Vec<f64>,
    /// Prediction less truth.
    errors: Vec<f64>,
    /// Size of the error by that of the truth; empty where a truth is 0.
    relative: Vec<f64>,
    /// Rows by rising size of the error, and which of [`GROUPS`] of about equally many of these each row is in.
    by_size: Vec<u32>,
    groups: Vec<u16>,
    /// All truths are the same.
    constant: bool,
    /// What the model has learned to make small, and that of each row.
    gauge: Option<(Gauge, Vec<f64>)>,
}

impl Gauge {
    pub(super) fn metric(self) -> &'static str {
        match self {
            Gauge::Absolute => "mae",
            Gauge::Pinball(_) => "mean_pinball_loss",
            Gauge::Poisson => "mean_poisson_deviance",
            Gauge::Tweedie(_) => "mean_tweedie_deviance",
        }
    }

    /// Of one row; NaN where a deviance is not defined.
    fn of(self, y: f64, predicted: f64) -> f64 {
        match self {
            Gauge::Absolute => (y - predicted).abs(),
            Gauge::Pinball(q) => f64::max(q * (y - predicted), (q - 1.0) * (y - predicted)),
            _ if y < 0.0 || predicted <= 0.0 => f64::NAN,
            Gauge::Poisson => {
                let log = if y > 0.0 {
                    y * (y / predicted).ln()
                } else {
                    0.0
                };
                2.0 * (log - y + predicted)
            }
            Gauge::Tweedie(p) => {
                let (a, b) = (1.0 - p, 2.0 - p);
                2.0 * (y.powf(b) / (a * b) - y * predicted.powf(a) / a + predicted.powf(b) / b)
            }
        }
    }
}

impl Values {
    pub fn new(
        truth: &[f64],
        predicted: impl Fn(usize) -> f64 + Sync + Send,
        gauge: Option<Gauge>,
    ) -> Values {
        let rows = truth.len();
        let mean = truth.iter().sum::<f64>() / rows as f64;
        let errors: Vec<f64> = each(rows, |i| predicted(i) - truth[i]);
        // The bits of what is not negative order like its size.
        let mut sizes: Vec<(u64, u32)> = each(rows, |i| (errors[i].abs().to_bits(), i as u32));
        sort(&mut sizes);
        let mut groups = vec![0; rows];
        for (rank, (_, row)) in sizes.iter().enumerate() {
            groups[*row as usize] = (rank * GROUPS / rows) as u16;
        }
        Values {
            gauge: gauge.map(|gauge| (gauge, each(rows, |i| gauge.of(truth[i], predicted(i))))),
            constant: truth.iter().all(|y| *y == truth[0]),
            centred: each(rows, |i| truth[i] - mean),
            relative: match truth.contains(&0.0) {
                true => Vec::new(),
                false => each(rows, |i| (errors[i] / truth[i]).abs()),
            },
            by_size: each(rows, |i| sizes[i].1),
            groups,
            errors,
        }
    }

    /// The median of the errors' sizes, halfway between the middle two of an even number.
    fn median(&self, weights: &[u8]) -> f64 {
        // Rows are read in their order, but for those of one group: by size they lie anywhere.
        let mut counts = [0u64; GROUPS];
        for (group, &w) in self.groups.iter().zip(weights) {
            counts[usize::from(*group)] += u64::from(w);
        }
        let rows: u64 = counts.iter().sum();
        // The ranks that `rank * GROUPS / rows` gives the same number.
        let start = |group: usize| (group * self.by_size.len()).div_ceil(GROUPS);
        let (mut below, mut lower) = (0, None);
        for (group, count) in counts.into_iter().enumerate() {
            if 2 * (below + count) < rows {
                below += count;
                continue;
            }
            for &row in &self.by_size[start(group)..start(group + 1)] {
                below += u64::from(weights[row as usize]);
                if 2 * below >= rows && below > 0 {
                    let size = self.errors[row as usize].abs();
                    let lower = *lower.get_or_insert(size);
                    if 2 * below > rows {
                        return lower + (size - lower) / 2.0;
                    }
                }
            }
        }
        f64::NAN
    }

    fn truths(&self, weights: &[u8]) -> Truths {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for (y, &w) in self.centred.iter().zip(weights).filter(|(_, w)| **w > 0) {
            let w = f64::from(w);
            low = low.min(*y);
            high = high.max(*y);
            n += w;
            sum += w * y;
            squares += w * y * y;
        }
        Truths {
            rows: n,
            same: low == high,
            squares: squares - sum * sum / n,
        }
    }

    /// R², 1 - residual / total sum of squares. NaN for fewer than two rows, and where only the rows drawn are all the
    /// same; of a constant truth 1 if it is met, else 0.
    fn r2(&self, truths: &Truths, residual: f64) -> f64 {
        if truths.rows < 2.0 {
            return f64::NAN;
        }
        if truths.same {
            return match (self.constant, residual == 0.0) {
                (false, _) => f64::NAN,
                (true, met) => f64::from(u8::from(met)),
            };
        }
        1.0 - residual / truths.squares
    }
}

/// The truths of the rows that were drawn.
struct Truths {
    rows: f64,
    /// All are the same.
    same: bool,
    /// Of their distances from their mean.
    squares: f64,
}

impl Scores for Values {
    fn rows(&self) -> usize {
        self.errors.len()
    }
    fn visits(&self) -> usize {
        4 * self.errors.len()
    }
    fn names(&self) -> Vec<Name> {
        let own = self.gauge.as_ref().map(|(gauge, _)| gauge.metric());
        [
            "loss",
            "rmse",
            "mae",
            "median_absolute_error",
            "mape",
            "r2",
            "explained_variance",
            "mse",
        ]
        .into_iter()
        .chain(own.filter(|name| *name != "mae"))
        .map(|n| (n, None))
        .collect()
    }
    fn score(&self, weights: &[u8]) -> Vec<f64> {
        let (mut n, mut squares, mut sizes, mut sum) = (0.0, 0.0, 0.0, 0.0);
        for (e, &w) in self.errors.iter().zip(weights) {
            let w = f64::from(w);
            n += w;
            squares += w * e * e;
            sizes += w * e.abs();
            sum += w * e;
        }
        let mse = squares / n;
        let truths = self.truths(weights);
        let relative = self.relative.iter().zip(weights);
        let relative: f64 = relative.map(|(r, w)| f64::from(*w) * r).sum();
        let mape = match self.relative.is_empty() {
            true => f64::NAN,
            false => relative / n,
        };
        // The same without what the errors have in common.
        let varying = (squares - sum * sum / n).max(0.0);
        let own = self.gauge.as_ref().map(|(_, each)| {
            let all = each.iter().zip(weights).filter(|(_, w)| **w > 0);
            all.map(|(e, w)| e * f64::from(*w)).sum::<f64>() / n
        });
        let mut scores = vec![
            own.unwrap_or(mse),
            mse.sqrt(),
            sizes / n,
            self.median(weights),
            mape,
            self.r2(&truths, squares),
            self.r2(&truths, varying),
            mse,
        ];
        scores.extend(own);
        scores.truncate(self.names().len());
        scores
    }
}

/// The rows with a usable truth and prediction, as truths and predictions.
pub(super) fn usable(truth: &[f64], predicted: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let rows = truth.iter().copied().zip(predicted.iter().copied());
    rows.filter(|(t, p)| t.is_finite() && p.is_finite()).unzip()
}

pub(super) fn evaluate(
    truth: &[f64],
    predicted: &[f64],
    draws: Resampling<'_>,
    out: &mut Evaluation,
) {
    let (truth, predicted) = usable(truth, predicted);
    out.rows = truth.len() as u64;
    if truth.is_empty() {
        return;
    }
    let (guess, gauge) = match out.baseline {
        Baseline::Mean(mean) => (mean, None),
        Baseline::Value { value, gauge } => (value, Some(gauge)),
        _ => (f64::NAN, None),
    };
    let baseline = guess
        .is_finite()
        .then(|| Values::new(&truth, |_| guess, gauge));
    let baseline = baseline.as_ref().map(|b| b as &dyn Scores);
    let scores = Values::new(&truth, |i| predicted[i], gauge);
    out.metrics = summarise(&scores, baseline, &[], draws);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_median_counts_rows_as_often_as_they_are_drawn() {
        let mut random = Random::new(5);
        for rows in [1, 2, 7, GROUPS, 3 * GROUPS + 1] {
            // Some are of the same size.
            let errors: Vec<f64> = (0..rows)
                .map(|_| random.below(900) as f64 - 450.0)
                .collect();
            let values = Values::new(&vec![0.0; rows], |row| errors[row], None);
            for _ in 0..5 {
                let mut weights: Vec<u8> = (0..rows).map(|_| random.below(3) as u8).collect();
                weights[0] = 1;
                let drawn = errors.iter().zip(&weights);
                let mut drawn: Vec<f64> = drawn
                    .flat_map(|(error, w)| vec![error.abs(); usize::from(*w)])
                    .collect();
                drawn.sort_by(f64::total_cmp);
                let middle = [drawn.len() - 1, drawn.len()].map(|at| drawn[at / 2]);
                assert_eq!(values.median(&weights), (middle[0] + middle[1]) / 2.0);
            }
        }
    }
}
