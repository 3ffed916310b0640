//! Models of their own for the values of a column.

use super::tests::request;
use super::*;
use crate::frame::{Cell, Column, Frame, Kind};
use crate::infer::Predictor;
use crate::random::Random;
use serde_json::json;

/// In the north x raises what the south lowers by it; in the east, of few rows, it does nothing.
fn regions(rows: usize) -> Frame {
    let mut random = Random::new(21);
    let mut region = Column::new("region", "text", Kind::Category);
    let mut x = Column::new("x", "real", Kind::Number);
    let mut y = Column::new("y", "real", Kind::Number);
    for row in 0..rows {
        let value = random.normal();
        let (name, slope) = match row % 20 {
            0 => ("east", 0.0),
            n if n % 2 == 0 => ("north", 3.0),
            _ => ("south", -3.0),
        };
        region.push(match row % 40 {
            7 => Cell::Null,
            _ => Cell::Text(name),
        });
        x.push(Cell::Number(value));
        y.push(Cell::Number(slope * value + 0.1 * random.normal()));
    }
    Frame {
        columns: vec![region, x, y],
    }
}

fn fitted(options: serde_json::Value) -> Artifact {
    let mut request = request(regions(2000), "y", options);
    request.partition = Some("region".into());
    fit(request, &mut |_| true).unwrap()
}

#[test]
fn values_with_rows_enough_have_models_of_their_own() {
    // A line by itself cannot go up and down.
    let artifact = fitted(json!({"algorithm": "linear"}));
    let partition = artifact.partition.as_ref().unwrap();
    let own: Vec<&str> = partition
        .segments
        .iter()
        .map(|s| s.value.as_str())
        .collect();
    assert_eq!(own, ["north", "south"]);
    let notes = &artifact.provenance.segments;
    assert_eq!(notes.len(), 3);
    let east = notes.iter().find(|n| n.value == "east").unwrap();
    assert!(!east.own && east.loss_own.is_none() && east.rows < 200);
    let north = notes.iter().find(|n| n.value == "north").unwrap();
    assert!(north.loss_own.unwrap() < 0.1 * north.loss_shared.unwrap());
    let r2 = artifact
        .evaluation
        .metrics
        .iter()
        .find(|m| m.metric == "r2")
        .unwrap();
    assert!(r2.value > 0.85, "{}", r2.value);
    // The same by bytes, row by row and as a frame; what is unknown goes to the shared model.
    let again = Artifact::from_bytes(&artifact.to_bytes()).unwrap();
    let predictor = Predictor::new(again).unwrap();
    let frame = regions(200);
    let rows: Vec<u32> = (0..200).collect();
    let all = predictor.predict_frame(&frame, &rows, 2);
    let mut scratch = predictor.scratch();
    for (row, batch) in all.iter().enumerate() {
        let cells = [frame.columns[0].cell(row), frame.columns[1].cell(row)];
        assert_eq!(predictor.predict(&cells, &mut scratch)[0], *batch);
    }
    let mut at =
        |region: Cell<'_>| predictor.predict(&[region, Cell::Number(1.0)], &mut scratch)[0];
    assert!(at(Cell::Text("north")) > 2.5 && at(Cell::Text("south")) < -2.5);
    assert!(at(Cell::Null).abs() < 1.0 && at(Cell::Text("west")).abs() < 1.0);
}

#[test]
fn a_shared_model_that_does_as_well_stays_alone() {
    let mut frame = regions(2000);
    // Nothing tells the regions apart.
    let mut random = Random::new(5);
    let mut y = Column::new("y", "real", Kind::Number);
    (0..2000).for_each(|_| y.push(Cell::Number(random.normal())));
    frame.columns[2] = y;
    let mut request = request(frame, "y", json!({"algorithm": "gbdt"}));
    request.partition = Some("region".into());
    let artifact = fit(request, &mut |_| true).unwrap();
    for note in &artifact.provenance.segments {
        let better = |own: f64| own < 0.999 * note.loss_shared.unwrap();
        assert_eq!(note.own, note.loss_own.is_some_and(better));
    }
}

#[test]
fn partitions_that_cannot_be_are_refused() {
    let refused = |partition: &str, options| {
        let mut request = request(regions(2000), "y", options);
        request.partition = Some(partition.into());
        fit(request, &mut |_| true).unwrap_err()
    };
    assert!(refused("y", json!({})).message.contains("is the target"));
    assert!(
        refused("x", json!({"algorithm": "linear"}))
            .message
            .contains("more than the 1000 segments")
    );
    let error = refused("region", json!({"validation_size": 0}));
    assert!(error.message.contains("needs validation rows"));
}

#[test]
fn crafted_segments_are_refused() {
    let artifact = fitted(json!({"algorithm": "linear"}));
    let broken = |change: &dyn Fn(&mut crate::artifact::Partition)| {
        let mut artifact = artifact.clone();
        change(artifact.partition.as_mut().unwrap());
        Artifact::from_bytes(&artifact.to_bytes()).is_err()
    };
    assert!(broken(&|p| p.column = "nobody".into()));
    assert!(broken(&|p| p.segments.reverse()));
    assert!(broken(&|p| p.segments[0].parts.clear()));
    assert!(broken(&|p| p.segments[0].parts[0].share = 2.0));
    assert!(!broken(&|_| {}));
}
