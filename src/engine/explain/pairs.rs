//! Explanations of a row against single others, where an answer is one number made of the answers of parts.
//!
//! Of trees what each column adds to the sums is exact, and is carried over to probabilities, of the parts and then calibrated, by
//! the slope of the line from the other row's to the row's (as shap's `TreeExplainer` does with `model_output="probability"`, and
//! DeepLIFT's rescale rule, Shrikumar et al. 2017); so are networks, layer by layer ([`crate::infer::rescale`]). Other parts are
//! walked.

use super::shapley::{Sums, slope, walk};
use crate::artifact::Task;
use crate::calibrate::Calibration;
use crate::frame::Cell;
use crate::infer::rescale::Between;
use crate::infer::{Predictor, Row, Scratch};
use crate::models::{Model, Output, Part};
use crate::recipe::Features;

/// Trees are followed so deep at most.
const MOST_COLUMNS: usize = 1000;
/// Rows that networks are compared with at most.
pub(super) const NETWORK_ROWS: usize = super::BACKGROUND;

pub(super) struct Pairs<'a> {
    predictor: &'a Predictor,
    own: &'a [Cell<'a>],
    features: Features,
    /// The column of each number, then of each category.
    players: Vec<usize>,
    /// What was found of the parts that are networks.
    networks: Vec<Between>,
    /// Whether some parts have to be walked.
    pub(super) walks: bool,
    /// Whether some parts are networks that need not be.
    pub(super) bends: bool,
    /// Whether some are trees.
    pub(super) trees: bool,
    /// Whether nothing is carried over by slopes: what is found are the Shapley values themselves.
    pub(super) exact: bool,
}

/// Whether a part's answer is the sum of what is found: of trees of a number, and of a forest's probabilities.
fn adds_up(part: &Part, output: Output) -> bool {
    match &part.model {
        Model::Trees(trees) => trees.plain || output == Output::Identity,
        Model::Network(_) | Model::Transformer(_) => false,
    }
}

impl<'a> Pairs<'a> {
    /// `None` where the model is not of this kind, or has nothing that is found faster so.
    pub(super) fn of(predictor: &'a Predictor, own: &'a [Cell<'a>]) -> Option<Pairs<'a>> {
        let artifact = predictor.artifact();
        let one = matches!(
            artifact.task,
            Task::Binary | Task::Regression | Task::Uplift
        );
        let trees = |part: &Part| matches!(part.model, Model::Trees(_));
        let network = |part: &Part| matches!(part.model, Model::Network(_));
        // Lines alone are asked quickly, and then need no bending.
        let deeper = |part: &Part| match &part.model {
            Model::Network(network) => !network.layers.is_empty(),
            _ => false,
        };
        let parts = &artifact.parts;
        // The other row may belong to another segment, and so be answered by other parts.
        let deep = own.len() > MOST_COLUMNS;
        if deep
            || !one
            || artifact.partition.is_some()
            || !parts.iter().any(|part| trees(part) || deeper(part))
            || !artifact.recipe.is_of_single_columns()
        {
            return None;
        }
        let mut features = artifact.recipe.scratch();
        artifact.recipe.apply(own, &mut features);
        let (mut players, categories) = artifact.recipe.owners();
        players.extend(categories);
        let walks = !parts.iter().all(|part| trees(part) || network(part));
        Some(Pairs {
            predictor,
            own,
            features,
            players,
            networks: Vec::new(),
            walks,
            // Where parts are walked the networks are walked with them.
            bends: !walks && parts.iter().any(network),
            trees: parts.iter().any(trees),
            exact: parts.iter().all(|part| adds_up(part, artifact.output().0))
                && artifact.settled.calibration == Calibration::None,
        })
    }

    /// Compares the networks with the first `rows` of the background.
    pub(super) fn bend(&mut self, rows: usize) {
        let artifact = self.predictor.artifact();
        let output = artifact.output().0;
        let sizes = (rows, self.own.len());
        let parts = artifact.parts.iter();
        self.networks = parts
            .zip(self.predictor.rescaled(NETWORK_ROWS))
            .filter_map(|(part, rescaled)| match (&part.model, rescaled) {
                (Model::Network(network), Some(rescaled)) => {
                    let row = Row::single(&self.features);
                    Some(rescaled.between(network, (output, part.share), row, sizes))
                }
                _ => None,
            })
            .collect();
    }

    /// Adds what is found between the row and one of the background.
    pub(super) fn add(
        &self,
        row: usize,
        other: &[Cell<'_>],
        scratch: &mut Scratch,
        sums: &mut Sums,
    ) {
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
        let mut all = Sums::new(columns);
        let (mut to, mut from) = (0.0, 0.0);
        let mut added = vec![0.0; columns];
        for part in &artifact.parts {
            let Model::Trees(trees) = &part.model else {
                continue;
            };
            added.fill(0.0);
            let features = &self.features;
            let own = (features.numbers.as_slice(), features.codes.as_slice());
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
        for network in &self.networks {
            to += network.to;
            from += network.from.get(row).copied().unwrap_or(network.to);
            let added = network.added.chunks_exact(columns.max(1)).nth(row);
            let both = all.values.iter_mut().zip(added.unwrap_or_default());
            both.for_each(|(sum, added)| *sum += added);
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
