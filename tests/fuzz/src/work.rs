//! Everything that is done with a model, on rows like and unlike those it knows.

use insight_engine::artifact::Artifact;
use insight_engine::explain::{
    Goal, Ways, counterfactuals, dependence, explain, importance, rules,
};
use insight_engine::export::{self, Origin};
use insight_engine::frame::{Cell, Kind};
use insight_engine::infer::{Predictor, answer};
use insight_engine::picture;
use insight_engine::segment::Clustering;
use insight_engine::sequence::{self, Event, SequenceModel};
use insight_engine::synth::Synthesizer;
use insight_engine::trained::TrainedModel;

/// A column's ordinary value, a missing one, and one out of the way.
fn cells(kind: Kind, which: usize) -> Cell<'static> {
    static PIXELS: [u8; picture::BYTES] = [9; picture::BYTES];
    if which == 1 {
        return Cell::Null;
    }
    match (kind, which) {
        (Kind::Number, 0) => Cell::Number(41.0),
        (Kind::Number, _) => Cell::Number(-1e300),
        (Kind::Duration, 0) => Cell::Duration(60.0),
        (Kind::Duration, _) => Cell::Duration(f64::MAX),
        (Kind::Boolean, _) => Cell::Boolean(which == 0),
        (Kind::Category, 0) => Cell::Text("basic"),
        (Kind::Category, _) => Cell::Text("never seen 1.234,5 €"),
        (Kind::Time, 0) => Cell::Time(1 << 49),
        (Kind::Time, _) => Cell::Time(i64::MAX),
        (Kind::Vector, 0) => Cell::Vector(&[1.0, 2.0, 0.5]),
        (Kind::Vector, _) => Cell::Vector(&[]),
        (Kind::Tags, 0) => Cell::Tags("a\0b1\0"),
        (Kind::Tags, _) => Cell::Tags(""),
        (Kind::Json, 0) => Cell::Json("{\"city\": \"c1\", \"deep\": {\"n\": 3}}"),
        (Kind::Json, _) => Cell::Json("[[[]]]"),
        (Kind::Image, 0) => Cell::Image(&PIXELS),
        (Kind::Image, _) => Cell::Image(&[]),
    }
}

/// Bytes as a catalog might hold them.
pub fn with_bytes(bytes: &[u8]) {
    let Ok(model) = TrainedModel::from_bytes(bytes) else {
        return;
    };
    let card = model.card();
    let _ = serde_json::to_string(&card.summary);
    let _ = serde_json::to_string(card.metrics.as_ref());
    let _ = export::write(bytes, &Origin::default(), false);
    let _ = export::write_onnx(&model, &Origin::default());
    match model {
        TrainedModel::Table(own) => table(*own),
        TrainedModel::Synthesizer(own) => synthesizer(&own),
        TrainedModel::Sequence(own) => sequence(*own),
        TrainedModel::Clustering(own) => clustering(&own),
    }
}

fn table(artifact: Artifact) {
    let _ = artifact.recipe.describe();
    let _ = artifact.recipe.input_names();
    // Who predicts gives the model of sentences first, and says so where there is none.
    if artifact.recipe.text_model().is_some() {
        return;
    }
    let Ok(predictor) = Predictor::new(artifact) else {
        return;
    };
    let kinds: Vec<Kind> = predictor
        .artifact()
        .recipe
        .columns()
        .iter()
        .map(|c| c.kind)
        .collect();
    let mut scratch = predictor.scratch();
    for which in 0..3 {
        let row: Vec<Cell<'_>> = kinds.iter().map(|kind| cells(*kind, which)).collect();
        row_of(&predictor, &row);
        if which == 2 {
            let ways = Ways {
                costs: vec![Some(1.0); kinds.len()],
                changes: 2,
                ways: 2,
            };
            let mut left = 20;
            let mut go = || {
                left -= 1;
                left > 0
            };
            let _ = counterfactuals(
                &predictor,
                &row,
                Goal::Above(0.9),
                &ways,
                &mut scratch,
                &mut go,
            );
        }
    }
    let mut left = 12;
    let mut go = || {
        left -= 1;
        left > 0
    };
    let _ = importance(&predictor, &mut go);
    let _ = rules(&predictor, None, 2, &mut go);
    if !kinds.is_empty() {
        let _ = dependence(&predictor, 0, 0, &mut go);
    }
}

/// What is asked about one row.
pub fn row_of(predictor: &Predictor, row: &[Cell<'_>]) {
    let mut scratch = predictor.scratch();
    let predictions = predictor.predict(row, &mut scratch).to_vec();
    let _ = answer(predictor.artifact(), &predictions);
    let _ = predictor.class(&predictions);
    let _ = predictor.interval(&scratch, 0.9);
    let _ = predictor.novelty(row);
    let _ = explain(predictor, 8, None, row, &mut scratch, &mut || {});
}

fn synthesizer(own: &Synthesizer) {
    let _ = own.columns().count();
    if let Ok(mut rows) = own.rows(1, &[]) {
        let _ = rows.family(3, &mut || {});
    }
}

fn sequence(model: SequenceModel) {
    let Ok(predictor) = sequence::Predictor::new(model) else {
        return;
    };
    let encoder = &predictor.model().encoder;
    let (width, statics) = (encoder.width(), encoder.statics_width());
    let tables = encoder.categories.len();
    let mut state = predictor.state();
    predictor.begin(&mut state);
    for step in 0..3u32 {
        let event = Event {
            codes: &vec![step; tables],
            numbers: &vec![step as f32; width],
            statics: &vec![0.5; statics],
        };
        predictor.step(&mut state, event);
    }
    if predictor.model().encoder.target.has_classes() {
        let _ = predictor.top(&mut state, 3, |code| code == 2).count();
    } else {
        let _ = predictor.value(&mut state);
    }
}

fn clustering(own: &Clustering) {
    let _ = own.describe();
    let _ = own.components();
    let kinds: Vec<Kind> = own.columns().iter().map(|c| c.kind).collect();
    let mut scratch = own.scratch();
    for which in 0..3 {
        let row: Vec<Cell<'_>> = kinds.iter().map(|kind| cells(*kind, which)).collect();
        let number = own.assign(&row, &mut scratch);
        let _ = own.name(number);
        let _ = own.probabilities(&row, &mut scratch);
    }
}
