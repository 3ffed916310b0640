//! What each column of a row adds to the answer.
//!
//! Shapley values (Shapley 1953; Štrumbelj and Kononenko 2010; Lundberg and Lee 2017) of the game in which a set of columns is
//! worth the mean answer over the background rows once these columns take the row's values ("interventional"). They are found
//! along random orders of the columns: from a background row to the row, one column after another, each time back along
//! the reversed order, too (Mitchell et al. 2022), so that what two columns do together is split exactly. What the columns add
//! sums up to the answer less the mean over the background, whatever the number of orders. Where the answer is one number, trees and
//! networks need no orders: see [`super::pairs`].

use super::pairs::{NETWORK_ROWS, Pairs};
use crate::frame::Cell;
use crate::infer::{Predictor, Scratch};
use crate::random::Random;

/// What one column adds.
#[derive(Debug, Clone, PartialEq)]
pub struct Contribution {
    /// Which of the recipe's columns.
    pub column: usize,
    pub value: f64,
    /// Along random orders the standard error, from the difference of the two ways along an order; of what is carried over by slopes
    /// how far from that it lies on kept rows (root of the mean square). 0: exact.
    pub error: f64,
}

/// Why a row is answered as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The mean answer over the background.
    pub base: f64,
    pub prediction: f64,
    /// Of every column, in the recipe's order.
    pub contributions: Vec<Contribution>,
}

/// What is explained of a model's predictions: the number that they stand for, or the probability of a label.
pub fn answer(predictor: &Predictor, label: usize, predictions: &[f64]) -> f64 {
    let value = predictor.artifact().value(predictions);
    value
        .or(predictions.get(label).copied())
        .unwrap_or(f64::NAN)
}

/// Explains the answer to a row; of many labels the probability of `label`, or else of the one that is answered. The background are
/// the first `rows` of those kept with the model, [`MIXED`] at most of a blend, [`FEW`] where models have to be asked again and again; without any every
/// column adds nothing. `tick` is called after each.
pub fn explain(
    predictor: &Predictor,
    rows: usize,
    label: Option<usize>,
    cells: &[Cell<'_>],
    scratch: &mut Scratch,
    tick: &mut dyn FnMut(),
) -> Explanation {
    let columns = predictor.artifact().recipe.columns().len();
    let own: Vec<Cell<'_>> = (0..columns)
        .map(|i| cells.get(i).copied().unwrap_or(Cell::Null))
        .collect();
    let predictions = predictor.predict(&own, scratch);
    // Of many labels the one that is answered.
    let label = label.unwrap_or_else(|| predictor.class(predictions));
    let prediction = answer(predictor, label, predictions);
    let (mut pairs, mut apart) = (Pairs::of(predictor, &own), None);
    if pairs.as_ref().is_some_and(|own| !own.exact && !own.walks) {
        apart = how_far_apart(predictor, scratch, tick);
        // A model that is bent too far is asked.
        pairs = pairs.filter(|_| apart.is_some());
    }
    let rows = match &pairs {
        None => rows.min(FEW),
        Some(pairs) if pairs.walks => rows.min(FEW),
        Some(pairs) if pairs.bends && pairs.trees => rows.min(MIXED),
        Some(pairs) if pairs.bends => rows.min(NETWORK_ROWS),
        Some(_) => rows,
    };
    let rows = rows.min(predictor.background().rows());
    let sums = against(predictor, label, &own, (&mut pairs, rows), scratch, tick);
    let n = rows.max(1) as f64;
    let contributions = (0..columns).map(|column| Contribution {
        column,
        value: sums.values[column] / n,
        error: match apart {
            Some(apart) if rows > 0 => apart.get(column).copied().unwrap_or(0.0),
            _ => sums.squares[column].sqrt() / n,
        },
    });
    Explanation {
        base: if rows == 0 { prediction } else { sums.base / n },
        prediction,
        contributions: contributions.collect(),
    }
}

/// Adds up what is found between a row and the first `rows` of the background.
fn against(
    predictor: &Predictor,
    label: usize,
    own: &[Cell<'_>],
    (pairs, rows): (&mut Option<Pairs<'_>>, usize),
    scratch: &mut Scratch,
    tick: &mut dyn FnMut(),
) -> Sums {
    let mut sums = Sums::new(own.len());
    if let Some(pairs) = pairs.as_mut().filter(|pairs| pairs.bends) {
        pairs.bend(rows);
    }
    for row in 0..rows {
        let other: Vec<Cell<'_>> = cells_of(predictor, row);
        match pairs {
            Some(pairs) => pairs.add(row, &other, scratch, &mut sums),
            None => {
                let mut ask = |mixed: &[Cell<'_>]| {
                    answer(predictor, label, predictor.predict(mixed, scratch))
                };
                sums.base += ask(&other);
                walk(row, own, &other, &mut ask, 1.0, &mut sums);
            }
        }
        tick();
    }
    sums
}

/// How far what is found by slopes lies from what is found along random orders: by column the root of the mean square
/// over some of the rows that are kept, found once. `None` where it is too far.
fn how_far_apart<'p>(
    predictor: &'p Predictor,
    scratch: &mut Scratch,
    tick: &mut dyn FnMut(),
) -> Option<&'p [f64]> {
    let found = predictor.apart.get_or_init(|| {
        let kept = predictor.background().rows();
        let columns = predictor.artifact().recipe.columns().len();
        let rows = FEW.min(kept);
        let (mut squares, mut size) = (vec![0.0; columns], 0.0);
        for i in 0..JUDGED {
            // From the other end: the first are those compared with.
            let own = cells_of(predictor, kept.checked_sub(1 + i)?);
            let mut pairs = Pairs::of(predictor, &own);
            let bent = against(predictor, 0, &own, (&mut pairs, rows), scratch, tick);
            let walked = against(predictor, 0, &own, (&mut None, rows), scratch, tick);
            let n = rows.max(1) as f64;
            for (at, (bent, walked)) in bent.values.iter().zip(&walked.values).enumerate() {
                squares[at] += ((bent - walked) / n).powi(2) / JUDGED as f64;
                size += (walked / n).powi(2) / JUDGED as f64;
            }
        }
        let far = squares.iter().sum::<f64>();
        let near = far.sqrt() <= MOST_APART * size.sqrt();
        near.then(|| squares.iter().map(|square| square.sqrt()).collect())
    });
    found.as_deref()
}

fn cells_of(predictor: &Predictor, row: usize) -> Vec<Cell<'_>> {
    let columns = predictor.background().columns.iter();
    columns.map(|c| c.cell(row)).collect()
}

/// What the background rows add up to.
pub(super) struct Sums {
    pub(super) base: f64,
    pub(super) values: Vec<f64>,
    pub(super) squares: Vec<f64>,
}

impl Sums {
    pub(super) fn new(columns: usize) -> Sums {
        Sums {
            base: 0.0,
            values: vec![0.0; columns],
            squares: vec![0.0; columns],
        }
    }
}

/// Goes from one row to another along a random order of the columns and along the reversed one, and adds what each column adds
/// to the answer of `ask`, times `factor`.
pub(super) fn walk(
    seed: usize,
    own: &[Cell<'_>],
    other: &[Cell<'_>],
    ask: &mut dyn FnMut(&[Cell<'_>]) -> f64,
    factor: f64,
    sums: &mut Sums,
) {
    let mut order: Vec<usize> = (0..own.len()).filter(|i| own[*i] != other[*i]).collect();
    Random::new(0x7368_6170 ^ seed as u64).shuffle(&mut order);
    let start = ask(other);
    let mut there = vec![0.0; own.len()];
    for back in [false, true] {
        let mut mixed = other.to_vec();
        let mut before = start;
        for at in 0..order.len() {
            let column = order[if back { order.len() - 1 - at } else { at }];
            mixed[column] = own[column];
            let after = ask(&mixed);
            let added = factor * (after - before);
            before = after;
            if back {
                sums.values[column] += (there[column] + added) / 2.0;
                let apart = (there[column] - added) / 2.0;
                sums.squares[column] += apart * apart;
            } else {
                there[column] = added;
            }
        }
    }
}

/// The slope of the line through two places of a function.
pub(super) fn slope(a: f64, b: f64, of: impl Fn(f64) -> f64) -> f64 {
    let apart = a - b;
    if apart.abs() > 1e-9 {
        return (of(a) - of(b)) / apart;
    }
    (of(a + 1e-6) - of(a - 1e-6)) / 2e-6
}

/// Rows that [`explain`] compares with by default, where trees and networks answer together, and where models have to be asked.
pub const BACKGROUND: usize = 48;
const MIXED: usize = 24;
const FEW: usize = 16;
/// Kept rows by which it is judged whether slopes will do, and how far apart, as a share of the contributions, that may lead.
const JUDGED: usize = 8;
const MOST_APART: f64 = 0.25;
