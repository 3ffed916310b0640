//! Scores of predicted values (regression).

use super::{
    Baseline, Evaluation,
    bootstrap::{Name, Scores, summarise},
};

struct Values {
    /// Truths less their mean, which keeps the sums of squares exact.
    centred: Vec<f64>,
    /// Prediction less truth.
    errors: Vec<f64>,
    /// All truths are the same.
    constant: bool,
}

impl Values {
    fn new(truth: &[f64], predicted: impl Fn(usize) -> f64) -> Values {
        let mean = truth.iter().sum::<f64>() / truth.len() as f64;
        let errors = truth.iter().enumerate();
        Values {
            constant: truth.iter().all(|y| *y == truth[0]),
            centred: truth.iter().map(|y| y - mean).collect(),
            errors: errors.map(|(i, y)| predicted(i) - y).collect(),
        }
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
        2 * self.errors.len()
    }
    fn names(&self) -> Vec<Name> {
        ["loss", "rmse", "mae", "r2", "mse"]
            .map(|n| (n, None))
            .to_vec()
    }
    fn score(&self, weights: &[u8]) -> Vec<f64> {
        let (mut n, mut squares, mut sizes) = (0.0, 0.0, 0.0);
        for (e, &w) in self.errors.iter().zip(weights) {
            let w = f64::from(w);
            n += w;
            squares += w * e * e;
            sizes += w * e.abs();
        }
        let mse = squares / n;
        vec![mse, mse.sqrt(), sizes / n, self.r2(weights, squares), mse]
    }
}

pub(super) fn evaluate(truth: &[f64], predicted: &[f64], seed: u64, out: &mut Evaluation) {
    let rows = truth.iter().zip(predicted);
    let (truth, predicted): (Vec<f64>, Vec<f64>) =
        rows.filter(|(t, p)| t.is_finite() && p.is_finite()).unzip();
    out.rows = truth.len() as u64;
    if truth.is_empty() {
        return;
    }
    let baseline = match &out.baseline {
        Baseline::Mean(mean) if mean.is_finite() => Some(Values::new(&truth, |_| *mean)),
        _ => None,
    };
    let baseline = baseline.as_ref().map(|b| b as &dyn Scores);
    let scores = Values::new(&truth, |i| predicted[i]);
    out.metrics = summarise(&scores, baseline, &[], seed);
}
