//! Small real models of every kind, from a table of customers and a log of what they bought.

use crate::mutate::Choices;
use insight_engine::artifact::Artifact;
use insight_engine::clean::CleanParams;
use insight_engine::fit::{Request, fit};
use insight_engine::frame::{Cell, Column, Frame, Kind, TAG_END};
use insight_engine::params::Params;
use insight_engine::segment::{self, Clustering, Wanted};
use insight_engine::sequence::{self, Log, SequenceModel, TargetOf};
use insight_engine::synth::{self, Columns, Synthesizer};
use insight_engine::{artifact::Task, picture};
use serde_json::{Value, json};

const ROWS: usize = 120;

/// A column of every kind, and targets of every task.
pub fn customers(rows: usize) -> Frame {
    let columns = [
        ("age", "integer", Kind::Number),
        ("income", "numeric", Kind::Number),
        ("member", "boolean", Kind::Boolean),
        ("plan", "text", Kind::Category),
        ("note", "text", Kind::Category),
        ("fee", "text", Kind::Category),
        ("since", "timestamp", Kind::Time),
        ("visit", "interval", Kind::Duration),
        ("vector", "real[]", Kind::Vector),
        ("tags", "text[]", Kind::Tags),
        ("extra", "jsonb", Kind::Json),
        ("photo", "bytea", Kind::Image),
        ("churn", "boolean", Kind::Boolean),
        ("level", "text", Kind::Category),
        ("spend", "double precision", Kind::Number),
    ];
    let mut columns = columns.map(|(name, type_name, kind)| Column::new(name, type_name, kind));
    let mut choices = Choices(7);
    let words = [
        "late", "parcel", "broken", "very", "good", "support", "never", "again",
    ];
    for row in 0..rows {
        let age = 18.0 + choices.below(60) as f64;
        let plan = ["basic", "plus", "\"pro\" ü"][choices.below(3)];
        let note: Vec<&str> = (0..12).map(|_| words[choices.below(8)]).collect();
        let note = note.join(" ");
        let fee = format!("€ {}.{:03},50", choices.below(9), choices.below(999));
        let vector = [age as f32, choices.below(10) as f32, 0.5];
        let tags = format!("a{TAG_END}b{}{TAG_END}", choices.below(3));
        let extra = format!(
            "{{\"city\": \"c{}\", \"deep\": {{\"n\": {row}}}, \"list\": [1, null]}}",
            choices.below(4)
        );
        let photo = vec![choices.below(256) as u8; picture::BYTES];
        let churn = age > 50.0 || choices.below(5) == 0;
        let cells = [
            Cell::Number(age),
            Cell::Number(choices.below(90_000) as f64 / 7.0),
            Cell::Boolean(choices.below(2) == 0),
            Cell::Text(plan),
            Cell::Text(&note),
            Cell::Text(&fee),
            Cell::Time(choices.below(800_000_000) as i64 * 1_000_000),
            Cell::Duration(choices.below(9_000) as f64),
            Cell::Vector(&vector),
            Cell::Tags(&tags),
            Cell::Json(&extra),
            Cell::Image(&photo),
            Cell::Boolean(churn),
            Cell::Text(["low", "mid", "high"][choices.below(3)]),
            Cell::Number(age * 3.0 + choices.below(20) as f64),
        ];
        for (at, (column, cell)) in columns.iter_mut().zip(cells).enumerate() {
            let missing = at < 11 && choices.below(9) == 0;
            column.push(if missing { Cell::Null } else { cell });
        }
    }
    Frame {
        columns: columns.into(),
    }
}

fn request(target: &str, leave_out: &[&str], options: Value) -> Request {
    let mut frame = customers(ROWS);
    let targets = ["churn", "level", "spend"];
    frame.columns.retain(|c| {
        let name = c.name.as_str();
        name == target || !targets.contains(&name) && !leave_out.contains(&name)
    });
    let mut all =
        json!({"epochs": 1, "hidden": [4], "members": 1, "text_features": 8, "batch_size": 64});
    let own = options.as_object().cloned().unwrap_or_default();
    if own
        .get("algorithm")
        .is_some_and(|a| a != "dnn" && a != "mlp")
    {
        all = json!({});
    }
    let all = all.as_object_mut().map(|all| {
        all.extend(own);
        all.clone()
    });
    let params = Params::from_json(&all.unwrap_or_default()).expect("options that exist");
    Request::new(frame, target, params)
}

fn table(target: &str, leave_out: &[&str], options: Value) -> Artifact {
    fit(request(target, leave_out, options), &mut |_| true).expect("customers can be learned")
}

/// One model with a column of every kind, whose values are cleaned first.
pub fn every_kind() -> Artifact {
    let mut request = request("churn", &[], json!({"algorithm": "dnn"}));
    let clean = json!({"missing": "model", "outliers": "clip", "variants": true, "numbers": true, "dates": true,
        "text": {"trim": true, "case": "fold", "unicode": "nfkc"}});
    request.clean = CleanParams::from_json(&clean, "clean.").expect("options that exist");
    fit(request, &mut |_| true).expect("customers can be learned")
}

fn log() -> Frame {
    let mut columns = vec![
        Column::new("customer", "text", Kind::Category),
        Column::new("at", "timestamp", Kind::Time),
        Column::new("item", "text", Kind::Category),
        Column::new("amount", "numeric", Kind::Number),
    ];
    let mut choices = Choices(3);
    for customer in 0..40 {
        for step in 0..8 {
            let cells = [
                &format!("c{customer}"),
                "",
                ["tea", "milk", "bread", "jam"][(customer + step + choices.below(2)) % 4],
            ];
            columns[0].push(Cell::Text(cells[0]));
            columns[1].push(Cell::Time(
                (customer * 1000 + step * 86_400) as i64 * 1_000_000,
            ));
            columns[2].push(Cell::Text(cells[2]));
            columns[3].push(Cell::Number(choices.below(50) as f64));
        }
    }
    Frame { columns }
}

fn sequence(target: TargetOf, options: Value) -> SequenceModel {
    let frame = log();
    let log = Log::new(&frame, "customer", &["at".into()]).expect("a log");
    let options = options.as_object().cloned().unwrap_or_default();
    let params = sequence::Params::from_json(&options).expect("options that exist");
    sequence::fit(&log, &target, &[], &params, &mut |_| true).expect("a log can be learned")
}

fn synthesizer(options: Value) -> Synthesizer {
    let mut frame = customers(ROWS);
    let kept = ["age", "member", "plan", "since", "churn"];
    frame.columns.retain(|c| kept.contains(&c.name.as_str()));
    let options = options.as_object().cloned().unwrap_or_default();
    let params = synth::Params::from_json(&options, ROWS).expect("options that exist");
    Synthesizer::fit(&frame, &Columns::default(), params, &mut |_| true)
        .expect("customers can be imitated")
}

fn segments(options: Value) -> Clustering {
    let mut frame = customers(ROWS);
    let kept = ["age", "income", "plan", "since", "churn"];
    frame.columns.retain(|c| kept.contains(&c.name.as_str()));
    let options = options.as_object().cloned().unwrap_or_default();
    let params = segment::Params::from_json(&options).expect("options that exist");
    let wanted = Wanted {
        target: Some("churn".into()),
        ..Wanted::default()
    };
    Clustering::fit(&frame, &wanted, params, None, &mut |_| true).expect("segments can be found")
}

/// Stored models by name.
pub fn all() -> Vec<(&'static str, Vec<u8>)> {
    // Few columns: a corpus of small files.
    let heavy = ["photo", "vector", "note", "extra", "tags", "visit", "fee"];
    let few = &heavy[..];
    let mut found = vec![
        ("every_kind", every_kind().to_bytes()),
        ("dnn", table("churn", few, json!({"algorithm": "dnn"})).to_bytes()),
        ("words", table("churn", &heavy[..2], json!({"algorithm": "mlp"})).to_bytes()),
        ("classes", table("level", few, json!({"algorithm": "mlp"})).to_bytes()),
        ("value", table("spend", few, json!({"algorithm": "linear"})).to_bytes()),
        ("trees", table("churn", few, json!({"algorithm": "gbdt"})).to_bytes()),
        ("forest", table("spend", few, json!({"algorithm": "random_forest", "trees": 3})).to_bytes()),
        (
            "transformer",
            table("churn", few, json!({"algorithm": "transformer", "n_blocks": 1, "d_token": 8, "attention_heads": 1, "epochs": 1})).to_bytes(),
        ),
        ("gan", synthesizer(json!({"algorithm": "gan", "epochs": 1, "generator_layers": [4], "critic_layers": [4], "noise_size": 4, "batch_size": 20, "pac": 1})).to_bytes()),
        ("tvae", synthesizer(json!({"algorithm": "tvae", "epochs": 1, "generator_layers": [4], "critic_layers": [4], "noise_size": 4})).to_bytes()),
        ("kmeans", segments(json!({"algorithm": "kmeans", "k": 2})).to_bytes()),
        ("gmm", segments(json!({"algorithm": "gmm", "k": 2})).to_bytes()),
        ("hdbscan", segments(json!({"algorithm": "hdbscan", "min_rows": 5})).to_bytes()),
    ];
    let item = || TargetOf::Next {
        column: "item".into(),
        category: true,
    };
    let small = |algorithm: &str| json!({"algorithm": algorithm, "hidden": [4], "embedding_dim": 4, "epochs": 1});
    let mut attention = small("transformer");
    attention["attention_heads"] = json!(1);
    attention["hidden"] = json!([8]);
    found.extend([
        ("lstm", sequence(item(), small("lstm")).to_bytes()),
        ("gru_gap", sequence(TargetOf::Gap, small("gru")).to_bytes()),
        ("attention", sequence(item(), attention).to_bytes()),
        (
            "count",
            sequence(TargetOf::Count { horizon: 86_400.0 }, small("lstm")).to_bytes(),
        ),
    ]);
    let mut ordinal = request("level", few, json!({"algorithm": "mlp"}));
    ordinal.task = Some(Task::Ordinal);
    ordinal.of_task.order = ["low", "mid", "high"].map(String::from).into();
    let mut parts = request("churn", few, json!({"algorithm": "linear"}));
    parts.partition = Some("plan".into());
    parts.include = vec!["plan".into()];
    for (name, request) in [("ordinal", ordinal), ("partition", parts)] {
        let model = fit(request, &mut |_| true).expect("customers can be learned");
        found.push((name, model.to_bytes()));
    }
    found
}
