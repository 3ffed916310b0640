//! Writes the first corpus of every target: stored models, files of models, options, texts, rows.
//!
//! `seeds FOLDER`

use insight_engine::export::{self, Origin};
use insight_fuzz::models;
use std::path::Path;

fn put(folder: &Path, target: &str, name: &str, bytes: &[u8]) {
    let folder = folder.join(target);
    let written =
        std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(folder.join(name), bytes));
    written.expect("the corpus can be written");
}

fn main() {
    let folder = std::env::args().nth(1).expect("the folder of the corpus");
    let folder = Path::new(&folder);
    for (name, bytes) in models::all() {
        put(folder, "artifact", name, &bytes);
        if let Ok(file) = export::write(&bytes, &Origin::default(), true) {
            put(folder, "import", name, &file);
        }
    }
    let options = [
        r#"{"algorithm": "dnn", "hidden": [64, 32], "activation": "silu", "dropout": 0.1, "optimizer": "adamw", "learning_rate": 0.001, "l2": 0.01}"#,
        r#"{"tune": {"trials": 5, "options": {"learning_rate": [1e-4, 0.1]}}, "class_weight": {"yes": 3}, "threshold": "profit", "profit": {"tp": 10, "fp": -1}}"#,
        r#"{"algorithm": "gan", "epochs": 10, "generator_layers": [32], "critic_layers": [32], "pac": 4, "noise_size": 8, "loss": "vanilla"}"#,
        r#"{"algorithm": "kmeans", "k": 4, "seed": 1}"#,
        r#"{"algorithm": "lstm", "hidden": [8], "window": 16, "negatives": 10, "split": "last", "gradient_clip": 1}"#,
        r#"{"missing": "constant", "constant_value": {"a": 1}, "outliers": "clip", "clip_quantile": 0.05, "text": {"trim": true}, "columns": ["a"]}"#,
    ];
    for (at, text) in options.iter().enumerate() {
        put(folder, "options", &format!("options{at}"), text.as_bytes());
    }
    let conditions = [
        "drift > 0.2 or new_rows > 10%",
        "new_rows >= 1000 and drift<=.5",
    ];
    for (at, text) in conditions.iter().enumerate() {
        put(
            folder,
            "condition",
            &format!("condition{at}"),
            text.as_bytes(),
        );
    }
    let texts = [
        "\u{1}2024-02-29\n29.02.2024\n02/29/2024 12:30\n2024-02-29T12:30:00+02:00",
        "\u{2}1,200.50\n1.200,50 €\n85%\n(3.2)\n12k\n-0\n$ 1 000",
        "\u{3}Berlin\nberlin \nBERLIN\nBerln\nn/a\n\u{fb01}ne",
        "\u{4}{\"a\": {\"b\": [1, 2]}, \"c\": \"2024-01-01\"}\n[]\nnull\n{\"a\": 1e400}",
        "\u{5}the parcel never came and nobody answered my letters\nvery good support, would buy again",
    ];
    for (at, text) in texts.iter().enumerate() {
        put(folder, "texts", &format!("texts{at}"), text.as_bytes());
    }
    for at in 0..4u8 {
        let row: Vec<u8> = (0..160)
            .map(|i: u8| i.wrapping_mul(37).wrapping_add(at))
            .collect();
        put(folder, "rows", &format!("rows{at}"), &row);
    }
}
