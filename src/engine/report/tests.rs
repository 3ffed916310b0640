//! What is told of models.

use super::*;
use crate::explain::importance;
use crate::explain::tests::predictor;
use serde_json::json;

#[test]
fn numbers_are_written_as_people_do() {
    let wanted = ["1,234,567 rows", "1 row", "0.123", "10 minutes"];
    assert_eq!(summary::words(), wanted);
}

#[test]
fn a_model_is_told_in_a_dozen_sentences() {
    let predictor = predictor(json!({"algorithm": "gbdt"}));
    let importance = importance(&predictor, &mut || true).unwrap();
    let lines = of_table("risk", &predictor, &importance, &mut || true).unwrap();
    assert!((6..=13).contains(&lines.len()), "{lines:#?}");
    assert_eq!(
        lines[0],
        "risk tells how probable it is that churn is true, from 3 columns."
    );
    let all = lines.join("\n");
    for part in [
        "roc_auc is 0.",
        "of 100 rows",
        "What matters most: ",
        "more of it less",
    ] {
        assert!(all.contains(part), "{part}: {all}");
    }
    assert!(lines.iter().all(|line| line.ends_with('.')), "{all}");
    assert!(of_table("risk", &predictor, &importance, &mut || false).is_none());
}
