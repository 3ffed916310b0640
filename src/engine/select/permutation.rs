//! Permutation importance: how much worse a random forest answers held-out rows when a column's values are permuted among them
//! (Breiman 2001; Fisher, Rudin and Dominici 2019).

use super::{Design, Judgement, Sample};
use crate::forest::{Averaged, Cuts, Forest, Growth};
use crate::random::Random;
use rayon::prelude::*;

const TREES: usize = 100;
const LEAF: usize = 5;
/// Times each column is permuted.
const REPEATS: usize = 10;
/// Validation rows looked at.
const ROWS: usize = 3_000;
/// The mean rise must be so many standard deviations of the repeats: noise reaches that in about one of 100 columns.
const SURE: f64 = 3.0;

/// Keeps the columns without which the error surely rises. Needs validation rows.
pub fn permutation(sample: &Sample<'_>) -> Vec<Judgement> {
    let mut design = Design::of(sample);
    let cuts = Cuts::of(&design.train);
    let target = Averaged::of(&design.truth, sample.classes);
    let growth = Growth {
        trees: TREES,
        leaf: LEAF,
        tried: None,
        seed: sample.seed,
    };
    let forest = Forest::fit(&cuts.bin(&design.train), &target, growth);
    design.train.clear();
    let binned = cuts.bin(&design.validation);
    let held_out = Averaged::of(&design.held_out, sample.classes);
    let rows = binned.rows.min(ROWS);
    let owners = &design.owners;
    let before = forest.error(rows, &held_out, |input, row| binned.inputs[input][row]);
    let rise = |owner: usize, repeat: u64| {
        let mut order: Vec<u32> = (0..rows as u32).collect();
        Random::new(sample.seed ^ (owner as u64) << 8 ^ repeat).shuffle(&mut order);
        let after = forest.error(rows, &held_out, |input, row| {
            let from = if owners[input] == owner {
                order[row] as usize
            } else {
                row
            };
            binned.inputs[input][from]
        });
        after - before
    };
    (0..sample.columns.len())
        .into_par_iter()
        .map(|owner| {
            let rises: Vec<f64> = (0..REPEATS as u64).map(|repeat| rise(owner, repeat)).collect();
            let count = REPEATS as f64;
            let mean = rises.iter().sum::<f64>() / count;
            let spread = rises.iter().map(|rise| (rise - mean).powi(2)).sum::<f64>() / (count - 1.0);
            let spread = spread.sqrt();
            Judgement {
                score: mean,
                keep: mean > SURE * spread && mean > 0.0,
                reason: format!(
                    "the squared error of a random forest, {before:.4}, changes by {mean:.5} \u{b1} {spread:.5} when the \
                     column is permuted"
                ),
            }
        })
        .collect()
}
