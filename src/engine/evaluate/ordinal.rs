//! Scores of labels in an order: how far off an answer is counts.

use super::{
    Baseline, Evaluation,
    bootstrap::{Name, Resampling, Scores, summarise},
};
use crate::{artifact::Task, infer::decide};

/// The headline.
pub(super) const KAPPA: &str = "quadratic_weighted_kappa";

struct Ordinal {
    actual: Vec<u32>,
    answered: Vec<u32>,
}

impl Scores for Ordinal {
    fn rows(&self) -> usize {
        self.actual.len()
    }
    fn visits(&self) -> usize {
        self.actual.len()
    }
    fn names(&self) -> Vec<Name> {
        vec![(KAPPA, None), ("mae", None)]
    }
    /// Cohen's kappa with quadratic weights (Cohen 1968; `cohen_kappa_score(weights="quadratic")`), and the mean distance in
    /// labels.
    fn score(&self, weights: &[u8]) -> Vec<f64> {
        let (mut n, mut sizes, mut squares) = (0.0, 0.0, 0.0);
        // Chance has the mean of all squared distances, which follows from the moments of both.
        let mut moments = [[0.0; 2]; 2];
        for (i, &w) in weights.iter().enumerate() {
            let (a, b) = (f64::from(self.actual[i]), f64::from(self.answered[i]));
            let w = f64::from(w);
            n += w;
            sizes += w * (a - b).abs();
            squares += w * (a - b).powi(2);
            for (moments, x) in moments.iter_mut().zip([a, b]) {
                moments[0] += w * x;
                moments[1] += w * x * x;
            }
        }
        let [[a, aa], [b, bb]] = moments;
        let chance = aa + bb - 2.0 * a * b / n;
        let kappa = if chance > 1e-9 * n {
            1.0 - squares / chance
        } else {
            f64::NAN
        };
        vec![kappa, sizes / n]
    }
}

/// Adds to the scores of classes.
pub(super) fn evaluate(
    labels: usize,
    truth: &[u32],
    predictions: &[f64],
    draws: Resampling<'_>,
    out: &mut Evaluation,
) {
    let rows = truth.iter().zip(predictions.chunks_exact(labels.max(1)));
    let rows = rows.filter(|(t, p)| (**t as usize) < labels && p.iter().all(|p| p.is_finite()));
    let (actual, answered): (Vec<u32>, Vec<u32>) = rows
        .map(|(t, p)| (*t, decide(Task::Ordinal, 0.5, p) as u32))
        .unzip();
    if actual.is_empty() {
        return;
    }
    let guess = match &out.baseline {
        Baseline::Shares(shares) if shares.len() == labels => {
            Some(decide(Task::Ordinal, 0.5, shares) as u32)
        }
        _ => None,
    };
    let baseline = guess.map(|guess| Ordinal {
        answered: vec![guess; actual.len()],
        actual: actual.clone(),
    });
    let scores = Ordinal { actual, answered };
    let baseline = baseline.as_ref().map(|b| b as &dyn Scores);
    let own = summarise(&scores, baseline, &[], draws);
    out.metrics.splice(0..0, own);
}
