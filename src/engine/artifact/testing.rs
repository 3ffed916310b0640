//! A small model of every kind of part, for tests.

use super::{Artifact, Epoch, Provenance, Target, Task};
use crate::{
    conformal::Conformal,
    evaluate::{Baseline, HeldOut, Outcomes, Truth, evaluate},
    explain::Kept,
    frame::{Cell, Column, Frame, Kind},
    infer::testing::{Random, network, transformer},
    models::{Activation, Model, Network, Node, Output, Part, Trees},
    recipe::Recipe,
    settled::Settled,
};

/// Rows of customers: a number with gaps, a flag, few and many categories, a date.
pub fn frame(rows: usize) -> Frame {
    let mut random = Random(rows as u64);
    let columns = [
        ("age", "integer", Kind::Number),
        ("member", "boolean", Kind::Boolean),
        ("plan", "text", Kind::Category),
        ("city", "text", Kind::Category),
        ("since", "timestamp with time zone", Kind::Time),
    ];
    let mut columns = columns.map(|(name, type_name, kind)| Column::new(name, type_name, kind));
    for _ in 0..rows {
        let plan = ["basic", "plus", "\"pro\" ü"][random.below(3)];
        let city = format!("city {}", random.below(120));
        let cells = [
            Cell::Number(18.0 + random.below(600) as f64 / 10.0),
            Cell::Boolean(random.below(2) == 0),
            Cell::Text(plan),
            Cell::Text(&city),
            Cell::Time(random.below(800_000_000) as i64 * 1_000_000),
        ];
        for (column, cell) in columns.iter_mut().zip(cells) {
            let missing = random.below(9) == 0;
            column.push(if missing { Cell::Null } else { cell });
        }
    }
    Frame {
        columns: columns.into(),
    }
}

/// A model for [`frame`] with random weights.
pub fn model(task: Task, hidden: &[usize], activation: Activation) -> Artifact {
    let frame = frame(2_000);
    let rows: Vec<u32> = (0..2_000).collect();
    let recipe = Recipe::fit(&frame, &[0, 1, 2, 3, 4], &rows);
    model_of(recipe, task, hidden, activation)
}

/// A model of a recipe with random weights.
pub fn model_of(recipe: Recipe, task: Task, hidden: &[usize], activation: Activation) -> Artifact {
    let (labels, output, outputs): (&[&str], _, _) = match task {
        Task::Binary => (&["no", "yes"], Output::Sigmoid, 1),
        Task::Multiclass => (&["low", "mid", "high"], Output::Softmax, 3),
        Task::Regression => (&[], Output::Identity, 1),
        Task::Survival => (&[], Output::Sigmoid, 3),
        Task::Uplift => (&[], Output::Identity, 1),
        Task::Multilabel => (&["a", "b", "c"], Output::Sigmoid, 3),
        Task::Ordinal => (&["low", "mid", "high"], Output::Sigmoid, 2),
    };
    let labels: Vec<String> = labels.iter().map(|l| l.to_string()).collect();
    let random = &mut Random(11);
    let network = network(recipe.inputs(), hidden, outputs, activation, output, random);
    let shares = || vec![0.1; labels.len()];
    let (truth, baseline) = match task {
        Task::Regression => (Truth::Values(vec![0.1, 0.2]), Baseline::Mean(0.3)),
        Task::Multilabel => (
            Truth::Labels(vec![true, false, true, false, true, true]),
            Baseline::Rates(shares()),
        ),
        Task::Survival => (
            Truth::Survival {
                times: vec![1.0, 2.0],
                events: vec![true, false],
            },
            Baseline::Survival {
                ends: vec![1.0],
                hazards: vec![0.1],
                seen: Vec::new(),
            },
        ),
        Task::Uplift => (
            Truth::Uplift {
                outcomes: vec![1.0, 0.0],
                treated: vec![true, false],
            },
            Baseline::Effect(0.1),
        ),
        _ => (Truth::Classes(vec![0, 1]), Baseline::Shares(shares())),
    };
    let width = match task {
        Task::Binary | Task::Regression | Task::Uplift => 1,
        Task::Survival => outputs,
        _ => labels.len(),
    };
    let predictions = vec![1.0 / 3.0; 2 * width];
    Artifact {
        task,
        partition: None,
        evaluation: evaluate(task, &labels, &truth, &predictions, 0.5, &baseline, 1),
        settled: Settled {
            held_out: HeldOut::of(
                task,
                labels.len(),
                &Outcomes {
                    truth: truth.clone(),
                    predictions: predictions.clone(),
                },
                width,
                &[3, 8],
            ),
            conformal: Conformal::new(&truth, &predictions, width),
            ..Settled::default()
        },
        target: Target {
            name: "churn".into(),
            type_name: "text".into(),
            labels,
            mean: 0.1 + 0.2,
            scale: 1.0 / 3.0,
            ends: match task {
                Task::Survival => vec![1.0, 2.0, 4.0],
                _ => Vec::new(),
            },
            uplift: (task == Task::Uplift).then_some(super::Uplift {
                method: super::UpliftMethod::Transformed,
                treated: 0.5,
                treatment_auc: None,
                confounded: false,
            }),
            ..Target::default()
        },
        recipe,
        parts: vec![Part {
            share: 1.0,
            model: Model::Network(network),
        }],
        trials: Vec::new(),
        history: vec![Epoch {
            epoch: 1,
            train_loss: 0.1,
            validation_loss: None,
            learning_rate: 1e-3,
            rows_per_second: 1e5 / 3.0,
            seconds: 0.7,
        }],
        sources: None,
        provenance: Provenance {
            algorithm: "dnn".into(),
            params: serde_json::json!({ "hidden": hidden }),
            seed: u64::MAX,
            device: "cpu".into(),
            device_name: "a processor".into(),
            device_given_up: None,
            rows: 2_000,
            train_rows: 1_600,
            validation_rows: 200,
            test_rows: 200,
            null_target_rows: 0,
            best_epoch: 1,
            stopped_by: "epochs".into(),
            fit_seconds: 0.5,
            predict_seconds: 0.01,
            data_fingerprint: "00ff".into(),
            engine_version: "0.1.0".into(),
            evaluated_on: "test".into(),
            excluded: vec![("id".into(), "looks like an identifier".into())],
            leaks: Vec::new(),
            cleaned: Vec::new(),
            shared_rows: 0,
            selection: Vec::new(),
            construction: Vec::new(),
            segments: Vec::new(),
            augmentation: None,
            distillation: None,
            challenge: None,
            started_from: None,
            calibration: "none".into(),
            threshold: None,
            personal: Vec::new(),
            privacy: None,
            fairness: None,
            shards: Vec::new(),
        },
        coefficients: Vec::new(),
        kept: Kept::default(),
        statistics: crate::drift::Statistics::default(),
        seen: super::Seen::of(&[&[7, u64::MAX]], <[u64]>::to_vec),
    }
}

pub fn artifact() -> Artifact {
    model(Task::Binary, &[4], Activation::Silu)
}

/// The same with a transformer in place of the network.
pub fn attending() -> Artifact {
    let mut artifact = artifact();
    let mut own = transformer(&artifact.recipe.inputs(), (8, 2, 2), 1, &mut Random(3));
    own.output = Output::Sigmoid;
    artifact.parts[0].model = Model::Transformer(own);
    artifact
}

/// The network of a model that has one.
pub fn net(artifact: &mut Artifact) -> &mut Network {
    match &mut artifact.parts[0].model {
        Model::Network(network) => network,
        _ => panic!("no network"),
    }
}

/// Adds trees with a share to a model of one output per label.
pub fn add_trees(artifact: &mut Artifact, share: f64) {
    let inputs = artifact.recipe.inputs();
    let outputs = net(artifact).outputs();
    let (numbers, categories) = (inputs.numbers, inputs.categories.len());
    let mut trees = Trees::new(numbers, categories, vec![0.25; outputs]);
    let tree = |at: usize| {
        let number = Node::Number {
            feature: at % numbers,
            threshold: 0.1,
            left: 1,
            right: 2,
        };
        let category = Node::Category {
            feature: numbers + at % categories,
            codes: vec![0b110],
            left: 3,
            right: 4,
        };
        let leaf = |value: f32| Node::Leaf(value);
        (
            at % outputs,
            vec![number, category, leaf(0.5), leaf(-1.0), leaf(2.0)],
        )
    };
    trees.write((0..7).map(tree).collect());
    artifact.parts[0].share -= share;
    artifact.parts.push(Part {
        share,
        model: Model::Trees(trees),
    });
}
