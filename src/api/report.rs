//! Models for people: in sentences, as a page, in pictures.

use crate::error::{or_raise, required};
use crate::relation::report;
use pgrx::prelude::*;

/// The model in plain sentences, one a line.
#[pg_extern(stable, parallel_safe)]
fn insight_summary(model: Option<&str>) -> String {
    let lines = required(model, "model").and_then(report::summary);
    or_raise(lines).join("\n")
}

/// A page of HTML about a model.
#[pg_extern]
fn insight_report(model: Option<&str>, relation: default!(Option<&str>, "NULL")) -> String {
    let name = required(model, "model");
    or_raise(name.and_then(|name| report::page(name, relation)))
}

/// A picture of a model as an SVG document.
#[pg_extern]
fn insight_plot(
    model: Option<&str>,
    kind: Option<&str>,
    feature: default!(Option<&str>, "NULL"),
    relation: default!(Option<&str>, "NULL"),
) -> String {
    let both = required(model, "model").and_then(|m| Ok((m, required(kind, "kind")?)));
    or_raise(both.and_then(|(model, kind)| report::plot(model, kind, feature, relation)))
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_summary(text) IS
'a model in a dozen plain sentences: what it tells, how well, what matters, what was left out';
COMMENT ON FUNCTION insight_report(text, text) IS
'a model as one page of HTML to read, print and mail: scores, curves, what it goes by, segments, data, origin; with a relation also drift';
COMMENT ON FUNCTION insight_plot(text, text, text, text) IS
'a picture of a model as an SVG document: roc, precision_recall, gains, lift, calibration, confusion, profit, predicted, residuals, qini, survival, importance, dependence, history';
"#,
    name = "report",
    requires = [insight_summary, insight_report, insight_plot]
);
