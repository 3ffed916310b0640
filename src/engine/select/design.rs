//! Columns as plain numbers, whatever their kind: what linear models and trees can read.

use super::Sample;
use crate::evaluate::Truth;
use crate::profile::bins::spread_places;
use crate::recipe::{CategoryEncoding, Matrix, Preparation, Recipe};

/// Training and validation rows looked at, at most.
const ROWS: usize = 10_000;
const HELD_OUT: usize = 5_000;
/// Numbers in all: wide columns such as vectors are judged on fewer rows.
const NUMBERS: usize = 8_000_000;
/// Words kept of a free text.
const TERMS: usize = 64;
/// Levels that have an input of their own where the target's mean cannot stand for them.
const LEVELS: usize = 64;

/// Rows as inputs, column-major, with the target.
pub struct Design {
    pub train: Vec<Vec<f32>>,
    pub validation: Vec<Vec<f32>>,
    /// Whose each input is: a place in the sample's columns.
    pub owners: Vec<usize>,
    pub truth: Truth,
    pub held_out: Truth,
}

impl Design {
    /// Categories of many levels enter by the target's mean, of the training rows out of fold.
    pub fn of(sample: &Sample<'_>) -> Design {
        let how = Preparation {
            category_encoding: CategoryEncoding::Target,
            text_features: sample.how.text_features.min(TERMS),
            ..sample.how.clone()
        };
        let mut rows = ROWS;
        loop {
            let (train, truth) = some(sample.train, sample.truth, rows);
            let (validation, held_out) =
                some(sample.validation, sample.held_out, rows.min(HELD_OUT));
            let recipe = Recipe::fit_with(sample.frame, sample.columns, &train, Some(&truth), &how);
            let (numbers, codes) = recipe.owners();
            let width = recipe.inputs().width();
            if rows > 1000 && width * (train.len() + validation.len()) > NUMBERS {
                rows = (NUMBERS / width.max(1) / 2).clamp(1000, rows - 1);
                continue;
            }
            let known = recipe.transform_training(sample.frame, &train);
            let mut owners = numbers;
            for (owner, category) in codes.iter().zip(&known.inputs.categories) {
                owners.extend(std::iter::repeat_n(*owner, category.levels.min(LEVELS)));
            }
            return Design {
                train: inputs(&known),
                validation: inputs(&recipe.transform_in_parallel(sample.frame, &validation)),
                owners,
                truth,
                held_out,
            };
        }
    }
}

/// At most `most` of the rows, evenly spread, with their targets.
fn some(rows: &[u32], truth: &Truth, most: usize) -> (Vec<u32>, Truth) {
    let places = spread_places(rows.len(), most);
    let truth = match truth {
        Truth::Classes(codes) => Truth::Classes(places.iter().map(|p| codes[*p]).collect()),
        Truth::Values(values) => Truth::Values(places.iter().map(|p| values[*p]).collect()),
        other => other.clone(),
    };
    (places.iter().map(|p| rows[*p]).collect(), truth)
}

/// The numbers, then an input for each level of each category.
fn inputs(matrix: &Matrix) -> Vec<Vec<f32>> {
    let (width, categories) = (matrix.inputs.numbers, &matrix.inputs.categories);
    let number = |i: usize| {
        matrix
            .numbers
            .iter()
            .skip(i)
            .step_by(width)
            .copied()
            .collect()
    };
    let mut inputs: Vec<Vec<f32>> = (0..width).map(number).collect();
    for (i, category) in categories.iter().enumerate() {
        let codes = || matrix.codes.iter().skip(i).step_by(categories.len());
        for level in 1..=category.levels.min(LEVELS) as u32 {
            inputs.push(
                codes()
                    .map(|code| f32::from(u8::from(*code == level)))
                    .collect(),
            );
        }
    }
    inputs
}
