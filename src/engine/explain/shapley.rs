//! What each column of a row adds to the answer.
//!
//! Shapley values (Shapley 1953; Štrumbelj and Kononenko 2010; Lundberg and Lee 2017) of the game in which a set of columns is
//! worth the mean answer over the background rows once these columns take the row's values ("interventional"). They are found
//! along random orders of the columns: from a background row to the row, one column after another, each time back along
//! the reversed order, too (Mitchell et al. 2022), so that what two columns do together is split exactly. What the columns add
//! sums up to the answer less the mean over the background, whatever the number of orders.

use crate::artifact::Task;
use crate::frame::Cell;
use crate::infer::{Predictor, Scratch};
use crate::models::{Model, Output, Part};
use crate::random::Random;

/// What one column adds.
#[derive(Debug, Clone, PartialEq)]
pub struct Contribution {
    /// Which of the recipe's columns.
    pub column: usize,
    pub value: f64,
    /// Standard error: from the difference of the two ways along an order; what it tends to 0 with is the number of background rows.
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
/// the first `rows` of those kept with the model, or [`FEW`] where networks have to be asked again and again; without any every
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
    let pairs = Pairs::of(predictor, &own);
    let few = pairs.as_ref().is_none_or(|pairs| pairs.walks);
    let rows = if few { rows.min(FEW) } else { rows };
    let rows = rows.min(predictor.background().rows());
    let mut sums = Sums {
        base: 0.0,
        values: vec![0.0; columns],
        squares: vec![0.0; columns],
    };
    for row in 0..rows {
        let other: Vec<Cell<'_>> = cells_of(predictor, row);
        match &pairs {
            Some(pairs) => pairs.add(row, &other, scratch, &mut sums),
            None => {
                let mut ask = |mixed: &[Cell<'_>]| {
                    answer(predictor, label, predictor.predict(mixed, scratch))
                };
                sums.base += ask(&other);
                walk(row, &own, &other, &mut ask, 1.0, &mut sums);
            }
        }
        tick();
    }
    let n = rows.max(1) as f64;
    let contributions = (0..columns).map(|column| Contribution {
        column,
        value: sums.values[column] / n,
        error: sums.squares[column].sqrt() / n,
    });
    Explanation {
        base: if rows == 0 { prediction } else { sums.base / n },
        prediction,
        contributions: contributions.collect(),
    }
}

fn cells_of(predictor: &Predictor, row: usize) -> Vec<Cell<'_>> {
    let columns = predictor.background().columns.iter();
    columns.map(|c| c.cell(row)).collect()
}

/// What the background rows add up to.
struct Sums {
    base: f64,
    values: Vec<f64>,
    squares: Vec<f64>,
}

/// Goes from one row to another along a random order of the columns and along the reversed one, and adds what each column adds
/// to the answer of `ask`, times `factor`.
fn walk(
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

/// Explanations of a row against single others, where an answer is one number made of the answers of parts: of trees what
/// each column adds to the sums is exact, and is carried over to probabilities, of the parts and then calibrated, by the slope of
/// the line from the other row's to the row's (as shap's `TreeExplainer` does with `model_output="probability"`, and DeepLIFT's
/// rescale rule, Shrikumar et al. 2017); other parts are walked.
struct Pairs<'a> {
    predictor: &'a Predictor,
    own: &'a [Cell<'a>],
    numbers: Vec<f32>,
    codes: Vec<u32>,
    /// The column of each number, then of each category.
    players: Vec<usize>,
    /// Whether some parts are no trees.
    walks: bool,
}

impl<'a> Pairs<'a> {
    /// `None` where the model is not of this kind.
    fn of(predictor: &'a Predictor, own: &'a [Cell<'a>]) -> Option<Pairs<'a>> {
        let artifact = predictor.artifact();
        let one = matches!(
            artifact.task,
            Task::Binary | Task::Regression | Task::Uplift
        );
        let trees = |part: &Part| matches!(part.model, Model::Trees(_));
        let parts = &artifact.parts;
        // The other row may belong to another segment, and so be answered by other parts.
        let deep = own.len() > MOST_COLUMNS;
        if deep
            || !one
            || artifact.partition.is_some()
            || !parts.iter().any(trees)
            || !artifact.recipe.is_of_single_columns()
        {
            return None;
        }
        let mut features = artifact.recipe.scratch();
        artifact.recipe.apply(own, &mut features);
        let (mut players, categories) = artifact.recipe.owners();
        players.extend(categories);
        Some(Pairs {
            predictor,
            own,
            numbers: features.numbers,
            codes: features.codes,
            players,
            walks: !parts.iter().all(trees),
        })
    }

    fn add(&self, row: usize, other: &[Cell<'_>], scratch: &mut Scratch, sums: &mut Sums) {
        let artifact = self.predictor.artifact();
        let output = artifact.output().0;
        let matrix = self.predictor.prepared();
        let of_row = {
            let (numbers, codes) = (matrix.inputs.numbers, matrix.inputs.categories.len());
            (
                &matrix.numbers[row * numbers..(row + 1) * numbers],
                &matrix.codes[row * codes..(row + 1) * codes],
            )
        };
        let columns = self.own.len();
        let mut all = Sums {
            base: 0.0,
            values: vec![0.0; columns],
            squares: vec![0.0; columns],
        };
        let (mut to, mut from) = (0.0, 0.0);
        let mut added = vec![0.0; columns];
        for part in &artifact.parts {
            let Model::Trees(trees) = &part.model else {
                continue;
            };
            added.fill(0.0);
            let own = (self.numbers.as_slice(), self.codes.as_slice());
            let (a, b) = trees.between(own, of_row, &self.players, &mut added);
            let as_answer = |sum: f64| {
                if trees.plain && output != Output::Identity {
                    return sum.clamp(0.0, 1.0);
                }
                let mut answer = [0.0];
                output.add(&[sum as f32], 1.0, &mut answer);
                answer[0]
            };
            let slope = slope(a, b, as_answer) * part.share;
            to += part.share * as_answer(a);
            from += part.share * as_answer(b);
            let both = all.values.iter_mut().zip(&added);
            both.for_each(|(sum, added)| *sum += slope * added);
        }
        if self.walks {
            let mut ask = |mixed: &[Cell<'_>]| self.predictor.without_trees(mixed, scratch)[0];
            to += ask(self.own);
            from += ask(other);
            walk(row, self.own, other, &mut ask, 1.0, &mut all);
        }
        let read = |answer: f64| {
            let mut read = [answer];
            artifact.read(&mut read);
            artifact.settled.calibration.apply(&mut read);
            read[0]
        };
        let factor = slope(to, from, read);
        sums.base += read(from);
        for column in 0..columns {
            sums.values[column] += factor * all.values[column];
            sums.squares[column] += factor * factor * all.squares[column];
        }
    }
}

/// The slope of the line through two places of a function.
fn slope(a: f64, b: f64, of: impl Fn(f64) -> f64) -> f64 {
    let apart = a - b;
    if apart.abs() > 1e-9 {
        return (of(a) - of(b)) / apart;
    }
    (of(a + 1e-6) - of(a - 1e-6)) / 2e-6
}

/// Rows that [`explain`] compares with by default, and where networks have to be asked.
pub const BACKGROUND: usize = 48;
const FEW: usize = 16;
/// Trees are followed so deep at most.
const MOST_COLUMNS: usize = 1000;
