//! How large boosted trees should be where rows are few: rows that were held out tell.

use super::boost;
use crate::infer::answers;
use crate::train::{Step, Task, TrainError, Trained};
use std::time::Instant;

/// Larger trees must have a smaller loss by so many standard errors of the difference: few rows tell little, and small trees
/// learn less of their noise.
const CLEARLY: f64 = 1.0;

/// Trees of the leaves that are asked for. Where larger ones may do better (a rule of several inputs none of which tells
/// anything alone needs them), both are grown, and the validation rows choose.
pub(in crate::train) fn chosen(
    task: &Task<'_>,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Trained, TrainError> {
    let larger = task.params.boosting.or_max_leaf_nodes;
    let (Some(leaves), Some(validation)) = (larger, &task.validation) else {
        return boost(task, report);
    };
    let started = Instant::now();
    let whole = task.params.max_seconds;
    let mut params = task.params.clone();
    params.max_seconds = whole.map(|s| s / 2.0);
    let small = boost(&task.with(&params), report)?;
    params.boosting.max_leaf_nodes = leaves;
    let gone = started.elapsed().as_secs_f64();
    params.max_seconds = whole.map(|s| (s - gone).max(s / 20.0));
    let large = match boost(&task.with(&params), report) {
        // There is a model already.
        Err(TrainError::Diverged { .. }) => return Ok(small),
        large => large?,
    };
    let objective = task.objective().steep();
    let losses = |trained: &Trained| -> Vec<f64> {
        let [part] = &trained.parts[..] else {
            return Vec::new();
        };
        let answers = answers(&part.model, task.output, task.outputs, validation.matrix);
        objective.each(&answers, validation.targets).collect()
    };
    let gains: Vec<f64> = losses(&small)
        .into_iter()
        .zip(losses(&large))
        .map(|(small, large)| small - large)
        .collect();
    let rows = gains.len() as f64;
    let mean = gains.iter().sum::<f64>() / rows;
    let squares = gains.iter().map(|g| (g - mean).powi(2)).sum::<f64>();
    let error = (squares / (rows - 1.0) / rows).sqrt();
    Ok(if mean > CLEARLY * error { large } else { small })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{data, examples};
    use crate::artifact::Task as Kind;
    use crate::models::{Inputs, Model, Output};
    use crate::params::{Params, ValidParams};
    use crate::random::Random;
    use crate::recipe::Matrix;
    use crate::train::{Examples, Objective, Task, Trained};
    use serde_json::json;

    fn trained(
        train: &(Matrix, Vec<f32>),
        validation: &(Matrix, Vec<f32>),
        options: serde_json::Value,
    ) -> (Trained, ValidParams) {
        let params = Params::from_json(options.as_object().unwrap()).unwrap();
        let params = params.check(Kind::Binary, train.0.rows).unwrap();
        let task = Task {
            train: examples(train),
            validation: Some(examples(validation)),
            output: Output::Sigmoid,
            outputs: 1,
            params: &params,
            extra: 0,
        };
        (super::chosen(&task, &mut |_| true).unwrap(), params)
    }

    fn loss(trained: &Trained, params: &ValidParams, unseen: &(Matrix, Vec<f32>)) -> f64 {
        let model = &trained.parts[0].model;
        let answers = crate::infer::answers(model, Output::Sigmoid, 1, &unseen.0);
        let part = Examples {
            matrix: &unseen.0,
            targets: &unseen.1,
            weights: &[],
        };
        Objective::new(params, Output::Sigmoid, 1).mean(&answers, &part)
    }

    /// Leaves of the largest tree.
    fn leaves(trained: &Trained) -> usize {
        let Model::Trees(trees) = &trained.parts[0].model else {
            panic!("no trees");
        };
        let ends = trees.roots.iter().skip(1).map(|r| *r as usize);
        let ends = ends.chain([trees.nodes]);
        let nodes = trees
            .roots
            .iter()
            .zip(ends)
            .map(|(r, end)| end - *r as usize);
        nodes.max().unwrap().div_ceil(2)
    }

    /// Whether an odd number of six columns is positive, among two that tell nothing.
    fn parity(rows: usize, seed: u64) -> (Matrix, Vec<f32>) {
        let mut random = Random::new(seed);
        let inputs = Inputs {
            numbers: 8,
            ..Inputs::default()
        };
        let numbers: Vec<f32> = (0..rows * 8).map(|_| random.below(2) as f32).collect();
        let mut targets = Vec::new();
        for x in numbers.chunks_exact(8) {
            let odd = x[..6].iter().sum::<f32>() % 2.0 == 1.0;
            targets.push(f32::from(odd));
        }
        let matrix = Matrix {
            rows,
            numbers,
            inputs,
            ..Matrix::default()
        };
        (matrix, targets)
    }

    #[test]
    fn few_rows_teach_a_rule_that_no_input_tells_of_alone() {
        // Six columns are more than 8 leaves tell apart.
        let (train, validation) = (parity(3_000, 1), parity(750, 2));
        let unseen = parity(4_000, 3);
        let of = |options| {
            let (found, params) = trained(&train, &validation, options);
            loss(&found, &params, &unseen)
        };
        let small = of(json!({"algorithm": "gbdt", "max_leaf_nodes": 8}));
        let found = of(json!({"algorithm": "gbdt"}));
        assert!(small > 0.68 && found < 0.62, "{small} {found}");
    }

    #[test]
    fn noise_keeps_trees_small() {
        // What is to be learned is a sum, and every third label is wrong.
        let sums = |rows, seed| {
            let (matrix, _) = data(rows, seed);
            let mut random = Random::new(seed + 100);
            let targets = matrix
                .numbers
                .chunks_exact(3)
                .map(|x| f32::from((x[0] + x[1] > 0.0) ^ (random.below(3) == 0)));
            let targets = targets.collect();
            (matrix, targets)
        };
        let mut large = 0;
        for seed in 0..6 {
            let (train, validation) = (sums(1_000, 3 * seed), sums(250, 3 * seed + 1));
            let (found, _) = trained(&train, &validation, json!({"algorithm": "gbdt"}));
            large += usize::from(leaves(&found) > 8);
        }
        assert!(large <= 2, "{large} of 6");
    }
}
