use super::*;
use crate::artifact::Task as Kind;
use crate::params::Params;
use crate::recipe::Matrix;
use crate::train::boost::tests::{data, examples};
use serde_json::json;

/// Whether the first two numbers' sum is above 0: a forest that looks at few features at a time finds no parity.
fn rule((matrix, _): (Matrix, Vec<f32>)) -> (Matrix, Vec<f32>) {
    let rows = matrix.numbers.chunks_exact(3);
    let targets = rows.map(|x| f32::from(x[0] + x[1] > 0.0)).collect();
    (matrix, targets)
}

fn grown(kind: Kind, output: Output, outputs: usize, weights: &[f32], threads: usize) -> Trained {
    let train = match weights {
        [] => rule(data(3000, 1)),
        _ => data(3000, 1),
    };
    let options = json!({"algorithm": "random_forest", "trees": 60});
    let params = Params::from_json(options.as_object().unwrap()).unwrap();
    let params = params.check(kind, 3000).unwrap();
    let task = Task {
        train: crate::train::Examples {
            weights,
            ..examples(&train)
        },
        validation: None,
        output,
        outputs,
        params: &params,
        extra: 0,
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    let pool = pool.build().unwrap();
    pool.install(|| forest(&task, &mut |_| true).unwrap())
}

fn unseen(trained: &Trained, output: Output, outputs: usize) -> (f64, Vec<f64>) {
    let unseen = rule(data(1000, 3));
    let all = answers(&trained.parts[0].model, output, outputs, &unseen.0);
    let kind = match output {
        Output::Sigmoid => Kind::Binary,
        Output::Softmax => Kind::Multiclass,
        Output::Identity | Output::Exp => Kind::Regression,
    };
    let params = Params::default().check(kind, 1000).unwrap();
    let objective = crate::train::Objective::new(&params, output, outputs);
    (objective.mean(&all, &examples(&unseen)), all)
}

#[test]
fn forests_learn_for_every_task() {
    // Knowing nothing costs ln 2, or 1/4 for the squared error.
    let binary = grown(Kind::Binary, Output::Sigmoid, 1, &[], 2);
    let (loss, all) = unseen(&binary, Output::Sigmoid, 1);
    assert!(loss < 0.6, "{loss}");
    assert!(all.iter().all(|p| (0.0..=1.0).contains(p)));
    let labels = grown(Kind::Multiclass, Output::Softmax, 2, &[], 2);
    let (loss, all) = unseen(&labels, Output::Softmax, 2);
    assert!(loss < 0.6, "{loss}");
    let sums = all.chunks_exact(2).map(|pair| pair[0] + pair[1]);
    assert!(sums.into_iter().all(|sum| (sum - 1.0).abs() < 1e-4));
    let values = grown(Kind::Regression, Output::Identity, 1, &[], 2);
    let (loss, _) = unseen(&values, Output::Identity, 1);
    assert!(loss < 0.2, "{loss}");
}

#[test]
fn rows_of_weight_count_more_and_threads_change_nothing() {
    let targets = data(3000, 1).1;
    let weights: Vec<f32> = targets.iter().map(|y| 1.0 + 9.0 * y).collect();
    let mean = |weights: &[f32]| {
        let forest = grown(Kind::Binary, Output::Sigmoid, 1, weights, 2);
        let all = unseen(&forest, Output::Sigmoid, 1).1;
        all.iter().sum::<f64>() / all.len() as f64
    };
    assert!(mean(&[]) < 0.6 && mean(&weights) > 0.75);
    let words = |threads| {
        let forest = grown(Kind::Multiclass, Output::Softmax, 2, &[], threads);
        match &forest.parts[0].model {
            Model::Trees(trees) => trees.words.clone(),
            _ => panic!("no trees"),
        }
    };
    assert_eq!(words(1), words(3));
}
