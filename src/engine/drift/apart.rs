//! Can rows be told from those the model was judged on? If so, the distribution of the rows has moved, whichever columns moved
//! together (the classifier two-sample test: Lopez-Paz and Oquab 2017).

use super::statistics::{Distribution, Placing, View, view};
use crate::distribution::two_sided;
use crate::evaluate::roc_auc;
use crate::forest::{Averaged, Cuts, Forest, Growth};
use crate::frame::{Column, Frame};
use crate::profile::bins::spread_places;

/// Rows of the table for each row of the sample: with more, what only new rows have would hardly count.
const TIMES: usize = 1;
const TREES: usize = 300;
/// Large leaves: where the table has the very rows of the sample, trees must not learn them by heart.
const LEAF: usize = 20;
/// Fewer rows of either side tell nothing.
const LEAST: usize = 50;
const SEED: u64 = 0x6472_6966;

/// How well a random forest tells the rows apart, judged on rows that its trees have not seen.
pub(super) struct Apart {
    /// From 0.5.
    pub auc: f64,
    /// Of an area as large by chance (Mann and Whitney 1947).
    pub p_value: f64,
    /// What each column adds to it, together 1; `None` where it is no more than chance.
    pub shares: Option<Vec<f64>>,
}

/// `sample` has the columns of the distributions in their order; those of `frame` are found by name.
pub(super) fn apart(
    sample: &Frame,
    hides: impl Fn(usize) -> bool,
    frame: &Frame,
    of: &[Distribution],
) -> Option<Apart> {
    if sample.rows() < LEAST || frame.rows() < LEAST {
        return None;
    }
    let kept: Vec<usize> = (0..sample.rows()).collect();
    let new = spread_places(frame.rows(), TIMES * sample.rows());
    let (mut inputs, mut owners) = (Vec::new(), Vec::new());
    for (at, (own, of)) in sample.columns.iter().zip(of).enumerate() {
        // What is not kept with the model, or not all of it, is not compared.
        let lost = hides(at) || own.nulls.count() == own.len() && of.before().known() > 0;
        let Some(theirs) = frame.column(&own.name).filter(|_| !lost) else {
            continue;
        };
        let mut input = encoded(own, &kept, of);
        input.extend(encoded(theirs, &new, of));
        inputs.push(input);
        owners.push(at);
    }
    if inputs.is_empty() {
        return None;
    }
    let binned = Cuts::of(&inputs).bin(&inputs);
    let is_new: Vec<bool> = (0..binned.rows).map(|row| row >= kept.len()).collect();
    let target = Averaged {
        outputs: 1,
        values: is_new.iter().map(|new| f32::from(u8::from(*new))).collect(),
    };
    let growth = Growth {
        trees: TREES,
        leaf: LEAF,
        tried: None,
        seed: SEED,
    };
    let forest = Forest::fit(&binned, &target, growth);
    let auc = roc_auc(&forest.out_of_bag(&binned), &is_new);
    let (a, b) = (kept.len() as f64, new.len() as f64);
    let z = (auc - 0.5) / ((a + b + 1.0) / (12.0 * a * b)).sqrt();
    let tail = two_sided(z, f64::INFINITY) / 2.0;
    let p_value = if z > 0.0 { tail } else { 1.0 - tail };
    let shares = (p_value < 0.05).then(|| {
        let rises = forest.rises(&binned, &target, &owners, of.len(), SEED);
        let all: f64 = rises.iter().map(|rise| rise.max(0.0)).sum();
        let share = |rise: &f64| if all > 0.0 { rise.max(0.0) / all } else { 0.0 };
        rises.iter().map(share).collect()
    });
    Some(Apart {
        // Where both sides have the same rows, a row without itself looks like one of the other side.
        auc: auc.max(0.5),
        p_value,
        shares,
    })
}

/// A column as numbers: levels by how frequent they were in training; what is missing lies below all.
fn encoded(column: &Column, rows: &[usize], of: &Distribution) -> Vec<f32> {
    let number = |row: &usize| match view(column.cell(*row), of.by_length()) {
        View::Number(x) => (x as f32).clamp(f32::MIN / 2.0, f32::MAX),
        _ => f32::MIN,
    };
    if of.are_numbers() {
        return rows.iter().map(number).collect();
    }
    let placing = Placing::new(of, column);
    let level = |row: &usize| {
        placing
            .cell(column, *row)
            .map_or(f32::MIN, |cell| cell as f32)
    };
    rows.iter().map(level).collect()
}
