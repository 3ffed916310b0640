//! Attribute inference: who knows everything of a row but one column, and the label, asks the model with each value in its place and
//! takes the one under which what is true is likeliest (Fredrikson et al. 2015; Yeom et al. 2018).

use super::Finding;
use crate::distribution::{NORMAL_975, wilson};

/// Of each row: whether its value was guessed with a model that has seen it, with one that has not, and without any.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guesses {
    pub seen: Vec<bool>,
    pub unseen: Vec<bool>,
    pub without: Vec<bool>,
}

/// The likeliest value of each row: the greatest likelihood of the row's label under each value, times how frequent the value is.
/// `likelihoods` are `[value][row]`.
pub(crate) fn likeliest(likelihoods: &[Vec<f64>], shares: &[f64]) -> Vec<usize> {
    let rows = likelihoods.first().map_or(0, Vec::len);
    let best = |row: usize| {
        let worth = |value: &usize| likelihoods[*value][row] * shares[*value];
        let values = 0..likelihoods.len();
        values
            .max_by(|a, b| worth(a).total_cmp(&worth(b)))
            .unwrap_or(0)
    };
    (0..rows).map(best).collect()
}

/// How often the value was guessed.
pub(crate) fn attribute(column: &str, guesses: &Guesses) -> Vec<Finding> {
    let line = |metric: &str, value: f64, low: f64, high: f64| Finding {
        attack: format!("attribute:{column}"),
        metric: metric.into(),
        value: Some(value),
        low: Some(low),
        high: Some(high),
    };
    let rows = guesses.seen.len() as u64;
    if rows < 2 {
        return Vec::new();
    }
    let share = |metric: &str, right: &[bool]| {
        let hits = right.iter().filter(|right| **right).count() as u64;
        let (low, high) = wilson(hits, rows);
        line(metric, hits as f64 / rows as f64, low, high)
    };
    // The same rows: what one knows that the other does not.
    let both = guesses.seen.iter().zip(&guesses.unseen);
    let apart: Vec<f64> = both
        .map(|(seen, unseen)| f64::from(u8::from(*seen)) - f64::from(u8::from(*unseen)))
        .collect();
    let mean = apart.iter().sum::<f64>() / rows as f64;
    let squares = apart.iter().map(|d| (d - mean).powi(2)).sum::<f64>();
    let half = NORMAL_975 * (squares / (rows - 1) as f64 / rows as f64).sqrt();
    vec![
        share("accuracy_members", &guesses.seen),
        share("accuracy_non_members", &guesses.unseen),
        share("accuracy_without_model", &guesses.without),
        line("advantage", mean, mean - half, mean + half),
    ]
}
