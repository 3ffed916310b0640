//! What each input of a network adds to its answer between two rows: DeepLIFT's rescale rule (Shrikumar et al. 2017, "Learning
//! important features through propagating activation differences"), which averaged over other rows comes near to Shapley values
//! (DeepSHAP: Lundberg and Lee 2017; Chen et al. 2022, "Explaining a series of models by propagating Shapley values").
//!
//! Each activation is replaced by the line between what it gives for the two rows; what is then linear is split exactly. One row is
//! told apart from many others at once.

use super::forward::{Row, bounded};
use crate::models::{Dense, Encoding, Network, Output};
use crate::recipe::{Matrix, Recipe};
use crate::train::cpu::vector::{View, activate, add_bias, product, vectorised};

/// Sums nearer to each other than this have the mean of the derivatives for a line: their difference has too few digits.
const NEAR: f32 = 1e-4;
/// How far apart the answers are taken that the slope of two near ones is found by.
const STEP: f32 = 0.01;

/// A layer of rows, `[rows][members][units]` each.
struct Level {
    sums: Vec<f32>,
    values: Vec<f32>,
    derivatives: Vec<f32>,
}

/// What became of rows in a network.
struct Passed {
    levels: Vec<Level>,
    /// `[rows][members]`.
    sums: Vec<f32>,
}

/// A network with the other rows, ready to be compared with.
pub(crate) struct Rescale {
    rows: usize,
    /// The first layer of all members side by side, `[width][members · units]`, and its bias.
    first: Dense,
    curves: Vec<Vec<f32>>,
    /// `[rows][width]`.
    entered: Vec<f32>,
    passed: Passed,
    /// The column of each of the first layer's inputs.
    players: Vec<usize>,
}

/// What was found between a row and others.
pub(crate) struct Between {
    /// The row's answer, and those of the others.
    pub(crate) to: f64,
    pub(crate) from: Vec<f64>,
    /// What each column adds, `[rows][columns]`.
    pub(crate) added: Vec<f64>,
}

impl Rescale {
    /// For a network with one output, whose shapes were checked, and the first `rows` of a matrix.
    pub(crate) fn new(network: &Network, recipe: &Recipe, matrix: &Matrix, rows: usize) -> Rescale {
        let curves = network.number_embeddings.iter();
        let mut own = Rescale {
            rows,
            first: side_by_side(network),
            curves: curves.map(|e| e.curve(&e.weights)).collect(),
            entered: Vec::new(),
            passed: Passed {
                levels: Vec::new(),
                sums: Vec::new(),
            },
            players: players(network, recipe),
        };
        let width = network.width();
        let mut entered = vec![0.0; rows * width];
        for (row, out) in entered.chunks_exact_mut(width.max(1)).enumerate() {
            enter(network, &own.curves, Row::of(matrix, row), out);
        }
        own.passed = own.pass(network, &entered, rows);
        own.entered = entered;
        own
    }

    /// The way of rows through a network; `entered` is `[rows][width]`.
    fn pass(&self, network: &Network, entered: &[f32], rows: usize) -> Passed {
        let members = network.members;
        let mut levels: Vec<Level> = Vec::new();
        for layer in &network.layers {
            let mut sums = vec![0.0; rows * members * layer.outputs];
            match levels.last() {
                None => {
                    let rows = View::new(entered, rows, self.first.inputs);
                    product(&mut sums, rows, weights_of(&self.first), false);
                    add_bias(&mut sums, &self.first.bias);
                }
                Some(before) => {
                    let rows = View::new(&before.values, rows * members, layer.inputs);
                    product(&mut sums, rows, weights_of(layer), false);
                    add_bias(&mut sums, &layer.bias);
                }
            }
            let mut values = sums.clone();
            let mut derivatives = vec![0.0; sums.len()];
            activate(network.activation, &mut values, &mut derivatives);
            levels.push(Level {
                sums,
                values,
                derivatives,
            });
        }
        let last = levels.last().map_or(entered, |level| &level.values);
        let units = network.heads.first().map_or(1, |head| head.inputs.max(1));
        let ends = last.chunks_exact(units).zip(network.heads.iter().cycle());
        let end = |(values, head): (&[f32], &Dense)| {
            let products = values.iter().zip(&head.weights).map(|(v, w)| v * w);
            products.sum::<f32>() + head.bias.first().copied().unwrap_or(0.0)
        };
        let sums = ends.map(end).collect();
        Passed { levels, sums }
    }

    /// Compares a row with the first `rows` of the others; of an answer `share` is counted. `columns` are those of the recipe.
    pub(crate) fn between(
        &self,
        network: &Network,
        (output, share): (Output, f64),
        row: Row<'_>,
        (rows, columns): (usize, usize),
    ) -> Between {
        let rows = rows.min(self.rows);
        let (width, members) = (network.width(), network.members);
        let mut entered = vec![0.0; width];
        enter(network, &self.curves, row, &mut entered);
        let own = self.pass(network, &entered, 1);
        let share = share / members.max(1) as f64;
        let answer = |sum: f32| {
            let mut answer = [0.0];
            output.add(&[sum], share, &mut answer);
            answer[0]
        };
        // What the answer changes by with each sum of a head.
        let lines: Vec<f32> = (0..rows * members)
            .map(|at| {
                let (to, from) = (own.sums[at % members], self.passed.sums[at]);
                let apart = to - from;
                if apart.abs() > NEAR {
                    return ((answer(to) - answer(from)) / f64::from(apart)) as f32;
                }
                let middle = (to + from) / 2.0;
                ((answer(middle + STEP) - answer(middle - STEP)) / (2.0 * f64::from(STEP))) as f32
            })
            .collect();
        let mut factors = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            let weights = &network.heads[at % members].weights;
            factors.extend(weights.iter().map(|w| line * w));
        }
        // From the last layer back to what entered.
        for (at, layer) in network.layers.iter().enumerate().rev() {
            let (to, from) = (&own.levels[at], &self.passed.levels[at]);
            bend(&mut factors, to, from);
            if at > 0 {
                let mut before = vec![0.0; rows * members * layer.inputs];
                let own = View::new(&factors, rows * members, layer.outputs);
                product(&mut before, own, weights_of(layer).transposed(), false);
                factors = before;
            }
        }
        let slopes = match network.layers.is_empty() {
            true => factors,
            false => {
                let mut slopes = vec![0.0; rows * width];
                let back = View::new(&factors, rows, self.first.outputs);
                product(
                    &mut slopes,
                    back,
                    weights_of(&self.first).transposed(),
                    false,
                );
                slopes
            }
        };
        let mut added = vec![0.0; rows * columns];
        let each = slopes
            .chunks_exact(width)
            .zip(self.entered.chunks_exact(width));
        for ((slopes, other), added) in each.zip(added.chunks_exact_mut(columns)) {
            let inputs = slopes.iter().zip(entered.iter().zip(other));
            for ((slope, (to, from)), player) in inputs.zip(&self.players) {
                added[*player] += f64::from(slope * (to - from));
            }
        }
        let answers = |sums: &[f32]| sums.iter().map(|sum| answer(*sum)).sum::<f64>();
        Between {
            to: answers(&own.sums),
            from: self
                .passed
                .sums
                .chunks_exact(members)
                .take(rows)
                .map(answers)
                .collect(),
            added,
        }
    }
}

fn weights_of(layer: &Dense) -> View<'_> {
    View::new(&layer.weights, layer.inputs, layer.outputs)
}

/// Multiplies `[rows][members][units]` by the slope of the line between what the activation gives one row and the others.
fn bend(factors: &mut [f32], to: &Level, from: &Level) {
    #[inline(always)]
    fn work(factors: &mut [f32], to: &Level, from: &Level) {
        let count = to.sums.len().max(1);
        let rows = from.sums.chunks_exact(count);
        let rows = rows.zip(from.values.chunks_exact(count));
        let rows = rows.zip(from.derivatives.chunks_exact(count));
        for (factors, ((sums, values), derivatives)) in factors.chunks_exact_mut(count).zip(rows) {
            for i in 0..count {
                let apart = to.sums[i] - sums[i];
                let far = apart.abs() > NEAR;
                let line = (to.values[i] - values[i]) / if far { apart } else { 1.0 };
                let near = (to.derivatives[i] + derivatives[i]) / 2.0;
                factors[i] *= if far { line } else { near };
            }
        }
    }
    let all: *mut [f32] = factors;
    // SAFETY: only one of the two closures runs, so there is one user of the slice.
    vectorised(
        || work(unsafe { &mut *all }, to, from),
        || work(unsafe { &mut *all }, to, from),
    );
}

/// The first layer of all members, their factors multiplied into the weights.
fn side_by_side(network: &Network) -> Dense {
    let Some(first) = network.layers.first() else {
        return network.heads[0].clone();
    };
    let (units, members) = (first.outputs, network.members);
    let mut weights = Vec::with_capacity(first.weights.len() * members);
    for (i, row) in first.weights.chunks_exact(units.max(1)).enumerate() {
        for member in 0..members {
            let factor = network.factors.get(member * first.inputs + i);
            let factor = factor.copied().unwrap_or(1.0);
            weights.extend(row.iter().map(|w| factor * w));
        }
    }
    Dense {
        inputs: first.inputs,
        outputs: units * members,
        weights,
        bias: first.bias.repeat(members),
    }
}

/// What enters the first layer, as [`Network`] orders it.
fn enter(network: &Network, curves: &[Vec<f32>], row: Row<'_>, out: &mut [f32]) {
    let inputs = &network.inputs;
    out.fill(0.0);
    for (x, v) in out.iter_mut().zip(&row.numbers[..inputs.numbers]) {
        *x = bounded(*v);
    }
    let (mut hot, mut at) = (inputs.numbers, inputs.numbers + inputs.one_hot());
    let mut tables = network.embeddings.iter();
    for (category, code) in inputs.categories.iter().zip(row.codes) {
        // A code beyond the levels counts as 0.
        let code = if *code as usize > category.levels {
            0
        } else {
            *code as usize
        };
        match category.encoding {
            Encoding::OneHot => {
                if code > 0 {
                    out[hot + code - 1] = 1.0;
                }
                hot += category.levels;
            }
            Encoding::Embedding { dim } => {
                if let Some(table) = tables.next() {
                    out[at..at + dim].copy_from_slice(&table[code * dim..(code + 1) * dim]);
                }
                at += dim;
            }
        }
    }
    let mut start = row.tokens_before;
    for ((bag, table), end) in inputs.bags.iter().zip(&network.bags).zip(row.token_ends) {
        let tokens = &row.tokens[start - row.tokens_before..end - row.tokens_before];
        start = *end;
        let share = 1.0 / tokens.len().max(1) as f32;
        for token in tokens {
            let vector = table.chunks_exact(bag.dim).nth(*token as usize);
            for (out, v) in out[at..at + bag.dim]
                .iter_mut()
                .zip(vector.unwrap_or_default())
            {
                *out += share * v;
            }
        }
        at += bag.dim;
    }
    for (embedding, curve) in network.number_embeddings.iter().zip(curves) {
        let x = out[embedding.input];
        embedding.value(curve, x, &mut out[at..at + embedding.dim]);
        at += embedding.dim;
    }
}

/// The column of each of the first layer's inputs.
fn players(network: &Network, recipe: &Recipe) -> Vec<usize> {
    let (numbers, categories) = recipe.owners();
    let mut out = numbers.clone();
    let each = || network.inputs.categories.iter().zip(&categories);
    for (category, owner) in each() {
        if category.encoding == Encoding::OneHot {
            out.extend(std::iter::repeat_n(*owner, category.levels));
        }
    }
    for (category, owner) in each() {
        if let Encoding::Embedding { dim } = category.encoding {
            out.extend(std::iter::repeat_n(*owner, dim));
        }
    }
    for (bag, owner) in network.inputs.bags.iter().zip(recipe.bag_owners()) {
        out.extend(std::iter::repeat_n(owner, bag.dim));
    }
    for embedding in &network.number_embeddings {
        let owner = numbers.get(embedding.input).copied().unwrap_or(0);
        out.extend(std::iter::repeat_n(owner, embedding.dim));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::Task;
    use crate::artifact::testing::{frame, model};
    use crate::infer::testing::{Random, ensemble};
    use crate::models::Activation;

    /// A network of three members with number embeddings, and prepared rows.
    fn network(activation: Activation) -> (Network, Recipe, Matrix) {
        let recipe = model(Task::Binary, &[4], activation).recipe;
        let matrix = recipe.transform(&frame(40), &(0..40).collect::<Vec<_>>());
        let shape = (3, 2);
        let output = Output::Sigmoid;
        let random = &mut Random(9);
        let network = ensemble(
            recipe.inputs(),
            &[6, 5],
            1,
            activation,
            output,
            shape,
            random,
        );
        (network, recipe, matrix)
    }

    #[test]
    fn what_is_added_leads_from_one_answer_to_the_other() {
        for activation in [
            Activation::Relu,
            Activation::Silu,
            Activation::Tanh,
            Activation::Sigmoid,
        ] {
            let (network, recipe, matrix) = network(activation);
            let rescale = Rescale::new(&network, &recipe, &matrix, 8);
            for row in 8..40 {
                let of = (Output::Sigmoid, 0.7);
                let found = rescale.between(&network, of, Row::of(&matrix, row), (8, 5));
                for (from, added) in found.from.iter().zip(found.added.chunks_exact(5)) {
                    let sum: f64 = added.iter().sum();
                    assert!((from + sum - found.to).abs() < 2e-6, "{activation:?} {row}");
                }
            }
        }
    }

    #[test]
    fn without_hidden_layers_it_is_a_line() {
        let recipe = model(Task::Binary, &[4], Activation::Relu).recipe;
        let matrix = recipe.transform(&frame(9), &(0..9).collect::<Vec<_>>());
        let (relu, output, shape) = (Activation::Relu, Output::Identity, (1, 0));
        let random = &mut Random(9);
        let line = ensemble(recipe.inputs(), &[], 1, relu, output, shape, random);
        let rescale = Rescale::new(&line, &recipe, &matrix, 3);
        let found = rescale.between(&line, (output, 1.0), Row::of(&matrix, 7), (3, 5));
        for (from, added) in found.from.iter().zip(found.added.chunks_exact(5)) {
            let sum: f64 = added.iter().sum();
            assert!((from + sum - found.to).abs() < 1e-6);
        }
    }

    #[test]
    fn what_two_rows_have_alike_adds_nothing() {
        let (network, recipe, mut matrix) = network(Activation::Silu);
        // The second row is the first with another plan.
        let (numbers, codes) = (matrix.inputs.numbers, matrix.inputs.categories.len());
        matrix.numbers.copy_within(0..numbers, numbers);
        matrix.codes.copy_within(0..codes, codes);
        let (_, owners) = recipe.owners();
        let at = owners.iter().position(|owner| *owner == 2).unwrap();
        matrix.codes[codes + at] = (matrix.codes[at] + 1) % 3;
        let rescale = Rescale::new(&network, &recipe, &matrix, 1);
        let of = (Output::Sigmoid, 1.0);
        let found = rescale.between(&network, of, Row::of(&matrix, 1), (1, 5));
        for (column, added) in found.added.iter().enumerate() {
            assert_eq!(*added != 0.0, column == 2, "{:?}", found.added);
        }
    }
}
