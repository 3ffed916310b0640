use super::*;
use crate::artifact::testing::{add_trees, artifact, attending, model, net};
use crate::artifact::{Artifact, ArtifactError, Task};
use crate::frame::Cell;
use crate::infer::Predictor;
use crate::models::{Activation, Model};
use crate::random::Random;
use crate::trained::TrainedModel;
use safetensors::SafeTensors;

fn origin() -> Origin {
    Origin {
        model: "churn".into(),
        version: 3,
        relation: "customers".into(),
        target: "churned".into(),
        options: serde_json::json!({"epochs": 5}),
        seconds: 1.5,
    }
}

fn back(file: &[u8]) -> Artifact {
    let imported = read(file).unwrap();
    assert_eq!(imported.origin.version, 3);
    match imported.model {
        TrainedModel::Table(artifact) => *artifact,
        _ => panic!("another kind"),
    }
}

/// One model of each task, with trees where they fit, and a transformer.
fn models() -> Vec<Artifact> {
    let mut all: Vec<Artifact> = Task::ALL
        .into_iter()
        .map(|task| model(task, &[4, 3], Activation::Relu))
        .collect();
    let mut mixed = artifact();
    add_trees(&mut mixed, 0.25);
    all.extend([mixed, attending()]);
    all
}

#[test]
fn a_file_brings_back_the_very_bytes() {
    for model in models() {
        let bytes = model.to_bytes();
        let file = write(&bytes, &origin(), true).unwrap();
        assert_eq!(read(&file).unwrap().bytes, bytes, "{:?}", model.task);
        assert_eq!(file, write(&bytes, &origin(), true).unwrap());
    }
}

#[test]
fn without_rows_predictions_stay_and_rows_go() {
    let before = artifact();
    assert!(!before.seen.is_unknown());
    let bytes = before.to_bytes();
    let after = back(&write(&bytes, &origin(), false).unwrap());
    assert!(after.seen.is_unknown());
    assert_eq!(after.kept, Default::default());
    let cells = [Cell::Number(40.0), Cell::Boolean(true), Cell::Text("basic")];
    let ask = |model: Artifact| {
        let predictor = Predictor::new(model).unwrap();
        predictor.predict(&cells, &mut predictor.scratch())[0].to_bits()
    };
    assert_eq!(ask(after), ask(before));
}

#[test]
fn weights_have_plain_names_and_the_shapes_of_pytorch() {
    let mut model = artifact();
    add_trees(&mut model, 0.25);
    let file = write(&model.to_bytes(), &origin(), false).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let layer = net(&mut model).layers[0].clone();
    let weight = tensors.tensor("parts.0.layers.0.weight").unwrap();
    assert_eq!(weight.shape(), [layer.outputs, layer.inputs]);
    let floats: Vec<f32> = weight
        .data()
        .chunks(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect();
    for input in 0..layer.inputs {
        for output in 0..layer.outputs {
            let want = layer.weights[input * layer.outputs + output];
            assert_eq!(floats[output * layer.inputs + input], want);
        }
    }
    let bias = tensors.tensor("parts.0.heads.0.bias").unwrap();
    assert_eq!(bias.shape(), [1]);
    let Model::Trees(trees) = &model.parts[1].model else {
        panic!("no trees");
    };
    let features = tensors.tensor("parts.1.nodes.feature").unwrap();
    assert_eq!(features.shape(), [trees.nodes]);
}

fn is_refused(file: &[u8]) -> bool {
    matches!(
        read(file),
        Err(ArtifactError::Damaged(_) | ArtifactError::TooNew { .. })
    )
}

#[test]
fn files_cut_short_or_changed_are_refused_without_a_panic() {
    let model = artifact();
    let file = write(&model.to_bytes(), &origin(), false).unwrap();
    for length in (0..file.len()).step_by(7) {
        assert!(is_refused(&file[..length]), "{length}");
    }
    assert!(is_refused(&[&file[..], &[0; 8]].concat()));
    let whole = read(&file).unwrap().bytes;
    let mut random = Random::new(5);
    for _ in 0..4_000 {
        let mut changed = file.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(changed.len());
            changed[at] ^= 1 << random.below(8);
        }
        // What is for people alone may be changed; the model never is.
        if let Ok(imported) = read(&changed) {
            assert_eq!(imported.bytes, whole);
        }
    }
}

/// The file with its metadata's entry changed.
fn changed(file: &[u8], change: impl Fn(&mut serde_json::Value)) -> Vec<u8> {
    let (_, metadata) = SafeTensors::read_metadata(file).unwrap();
    let entry = &metadata.metadata().as_ref().unwrap()["insight"];
    let mut entry: serde_json::Value = serde_json::from_str(entry).unwrap();
    change(&mut entry);
    let tensors = SafeTensors::deserialize(file).unwrap();
    let metadata = [("insight".to_owned(), entry.to_string())].into();
    safetensors::serialize(tensors.iter(), Some(metadata)).unwrap()
}

#[test]
fn crafted_files_are_refused() {
    let file = write(&artifact().to_bytes(), &origin(), false).unwrap();
    assert!(!is_refused(&changed(&file, |_| {})));
    let refused = |change: &dyn Fn(&mut serde_json::Value)| {
        assert!(is_refused(&changed(&file, change)));
    };
    refused(&|e| e["kind"] = "INSIGHTX".into());
    refused(&|e| e["kind"] = "I".into());
    refused(&|e| e["header"] = "{}".into());
    refused(&|e| e["checksum"] = "0".into());
    refused(&|e| e["tensors"] = serde_json::json!([]));
    refused(&|e| e["tensors"][0]["rows"] = 0.into());
    refused(&|e| e["tensors"][0]["rows"] = u64::MAX.into());
    refused(&|e| e["tensors"][0]["tensors"][0] = "nothing".into());
    // One tensor named again and again asks for no more memory than the file has.
    refused(&|e| {
        let own = e["tensors"][0].clone();
        e["tensors"] = vec![own; 100_000].into();
    });
    let newer = read(&changed(&file, |e| e["format"] = 2.into()));
    assert!(matches!(
        newer,
        Err(ArtifactError::TooNew { found: 2, known: 1 })
    ));
    let newer = read(&changed(&file, |e| e["container"] = 99.into()));
    assert!(matches!(
        newer,
        Err(ArtifactError::TooNew { found: 99, .. })
    ));
}

#[test]
fn onnx_names_what_it_cannot_express() {
    let table = |artifact: Artifact| TrainedModel::Table(Box::new(artifact));
    let refused = write_onnx(&table(artifact()), &origin()).unwrap_err();
    assert!(refused.what.contains("as a time"), "{refused:?}");
}

/// What would grow with the square of the labels is refused before anything is built.
#[test]
fn onnx_of_many_labels_in_an_order_is_refused() {
    let mut own = artifact();
    own.task = Task::Ordinal;
    own.target.labels = (0..1000).map(|i| i.to_string()).collect();
    let refused = write_onnx(&TrainedModel::Table(Box::new(own)), &origin()).unwrap_err();
    assert!(refused.what.contains("labels in an order"), "{refused:?}");
}
