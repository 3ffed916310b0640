//! Scores of predicted values (regression).

use super::{
    Baseline, Evaluation, Gauge,
    bootstrap::{Name, Resampling, Scores, summarise},
};

pub(super) struct Values {
    /// Truths less their mean, which keeps the sums of squares exact.
    centred: Vec<f64>,
    /// Prediction less truth.
    errors: Vec<f64>,
    /// Size of the error by that of the truth; empty where a truth is 0.
    relative: Vec<f64>,
    /// Rows by rising size of the error.
    by_size: Vec<u32>,
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
    pub fn new(truth: &[f64], predicted: impl Fn(usize) -> f64, gauge: Option<Gauge>) -> Values {
        let mean = truth.iter().sum::<f64>() / truth.len() as f64;
        let errors: Vec<f64> = truth
            .iter()
            .enumerate()
            .map(|(i, y)| predicted(i) - y)
            .collect();
        let mut by_size: Vec<u32> = (0..errors.len() as u32).collect();
        by_size.sort_by(|a, b| {
            let size = |row: &u32| errors[*row as usize].abs();
            size(a).total_cmp(&size(b))
        });
        let relative = truth.iter().zip(&errors).map(|(y, e)| (e / y).abs());
        let gauged = |gauge: Gauge| {
            let rows = truth.iter().enumerate();
            let each = rows.map(|(i, y)| gauge.of(*y, predicted(i)));
            (gauge, each.collect())
        };
        Values {
            gauge: gauge.map(gauged),
            constant: truth.iter().all(|y| *y == truth[0]),
            centred: truth.iter().map(|y| y - mean).collect(),
            relative: match truth.contains(&0.0) {
                true => Vec::new(),
                false => relative.collect(),
            },
            by_size,
            errors,
        }
    }

    /// The median of the errors' sizes, halfway between the middle two of an even number.
    fn median(&self, weights: &[u8]) -> f64 {
        let rows: u64 = weights.iter().map(|w| u64::from(*w)).sum();
        let (mut below, mut lower) = (0, f64::NAN);
        for &row in &self.by_size {
            below += u64::from(weights[row as usize]);
            let size = self.errors[row as usize].abs();
            if lower.is_nan() && 2 * below >= rows && below > 0 {
                lower = size;
            }
            if 2 * below > rows {
                return lower + (size - lower) / 2.0;
            }
        }
        f64::NAN
    }

    /// R², 1 - residual / total sum of squares. NaN for fewer than two rows, and where only the rows drawn are all the
    /// same; of a constant truth 1 if it is met, else 0.
    fn r2(&self, weights: &[u8], residual: f64) -> f64 {
        let drawn = || {
            let counted = self.centred.iter().zip(weights).filter(|(_, w)| **w > 0);
            counted.map(|(y, w)| (*y, f64::from(*w)))
        };
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for (y, w) in drawn() {
            low = low.min(y);
            high = high.max(y);
            n += w;
            sum += w * y;
            squares += w * y * y;
        }
        if n < 2.0 {
            return f64::NAN;
        }
        if low == high {
            return match (self.constant, residual == 0.0) {
                (false, _) => f64::NAN,
                (true, met) => f64::from(u8::from(met)),
            };
        }
        1.0 - residual / (squares - sum * sum / n)
    }
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
            self.r2(weights, squares),
            self.r2(weights, varying),
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
