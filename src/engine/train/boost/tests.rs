//! Trees learn what a line cannot, and alike with any number of threads.

use super::*;
use crate::artifact::Task as Kind;
use crate::models::{CategoryInput, Encoding, Inputs};
use crate::params::{Params, ValidParams};
use crate::recipe::Matrix;
use crate::train::Examples;
use serde_json::json;

/// Whether two numbers have the same sign, turned round for every other level of a category.
pub(in crate::train) fn data(rows: usize, seed: u64) -> (Matrix, Vec<f32>) {
    let mut random = Random::new(seed);
    let category = CategoryInput {
        levels: 40,
        encoding: Encoding::Embedding { dim: 4 },
    };
    let inputs = Inputs {
        numbers: 3,
        categories: vec![category],
        ..Inputs::default()
    };
    let numbers: Vec<f32> = (0..rows * 3).map(|_| random.normal() as f32).collect();
    let codes: Vec<u32> = (0..rows).map(|_| 1 + random.below(40) as u32).collect();
    let mut targets = Vec::new();
    for (x, code) in numbers.chunks_exact(3).zip(&codes) {
        // One in ten is wrong.
        let wrong = random.below(10) == 0;
        targets.push(f32::from((x[0] * x[1] > 0.0) ^ (code % 2 == 0) ^ wrong));
    }
    let matrix = Matrix {
        rows,
        numbers,
        codes,
        inputs,
        ..Matrix::default()
    };
    (matrix, targets)
}

fn params(kind: Kind) -> ValidParams {
    let options = json!({"algorithm": "gbdt"}).as_object().unwrap().clone();
    Params::from_json(&options)
        .unwrap()
        .check(kind, 4000)
        .unwrap()
}

pub(in crate::train) fn examples<'a>((matrix, targets): &'a (Matrix, Vec<f32>)) -> Examples<'a> {
    Examples {
        matrix,
        targets,
        weights: &[],
    }
}

fn trained(kind: Kind, output: Output, outputs: usize, threads: usize) -> Trained {
    // So many that they are parted in pieces.
    let (train, validation) = (data(20_000, 1), data(1000, 2));
    let params = params(kind);
    let task = Task {
        train: examples(&train),
        validation: Some(examples(&validation)),
        output,
        outputs,
        params: &params,
        extra: 0,
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    pool.install(|| boost(&task, &mut |_| true).unwrap())
}

fn unseen_loss(trained: &Trained, output: Output, outputs: usize) -> f64 {
    let unseen = data(2000, 3);
    let model = &trained.parts[0].model;
    let answers = crate::infer::answers(model, output, outputs, &unseen.0);
    let kind = match output {
        Output::Sigmoid => Kind::Binary,
        Output::Softmax => Kind::Multiclass,
        _ => Kind::Regression,
    };
    let objective = Objective::new(&params(kind), output, outputs);
    objective.mean(&answers, &examples(&unseen))
}

#[test]
fn trees_learn_interactions_of_numbers_and_categories() {
    // Knowing nothing costs ln 2, or 1/4 for the squared error; knowing the rule 0.325 and 0.09.
    let binary = trained(Kind::Binary, Output::Sigmoid, 1, 2);
    assert!(unseen_loss(&binary, Output::Sigmoid, 1) < 0.45);
    assert_eq!(binary.stopped_by, "early_stopping");
    let labels = trained(Kind::Multiclass, Output::Softmax, 2, 2);
    assert!(unseen_loss(&labels, Output::Softmax, 2) < 0.45);
    let values = trained(Kind::Regression, Output::Identity, 1, 2);
    assert!(unseen_loss(&values, Output::Identity, 1) < 0.16);
}

#[test]
fn threads_change_nothing() {
    let words = |threads| match &trained(Kind::Binary, Output::Sigmoid, 1, threads).parts[0].model {
        Model::Trees(trees) => trees.words.clone(),
        _ => panic!("no trees"),
    };
    assert_eq!(words(1), words(3));
}
