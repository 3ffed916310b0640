//! Curves and tables of how a model ranks rows and how far its probabilities can be believed.

use crate::error::{Error, Result, or_raise, required};
use crate::relation::score;
use crate::store::cache;
use crate::store::rights::Right;
use insight_engine::evaluate::{Bin, Ranked};
use pgrx::prelude::*;

/// The rows of each label against the rest.
fn curves(model: Option<&str>, relation: Option<&str>) -> Vec<(String, Ranked)> {
    let predictor = or_raise(
        required(model, "model").and_then(|model| cache::predictor(model, Right::Predict)),
    );
    or_raise(score::curves(&predictor, relation))
}

fn checked_bins(bins: Option<i32>) -> Result<usize> {
    match required(bins, "bins")? {
        bins @ 2..=1000 => Ok(bins as usize),
        _ => Err(Error::new("22023", "bins must be from 2 to 1000")),
    }
}

/// The receiver operating characteristic: of the positive class, or of each label against the rest.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_roc(
    model: Option<&str>,
    relation: default!(Option<&str>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(label, String),
        name!(threshold, f64),
        name!(true_positive_rate, f64),
        name!(false_positive_rate, f64),
    ),
> {
    let curves = curves(model, relation).into_iter();
    TableIterator::new(curves.flat_map(|(label, curve)| {
        let points = curve.roc().into_iter().map(move |p| {
            let (hit, raised) = (p.true_positive_rate, p.false_positive_rate);
            (label.clone(), p.threshold, hit, raised)
        });
        points.collect::<Vec<_>>()
    }))
}

/// Precision over recall: of the positive class, or of each label against the rest.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_precision_recall(
    model: Option<&str>,
    relation: default!(Option<&str>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(label, String),
        name!(threshold, f64),
        name!(precision, f64),
        name!(recall, f64),
    ),
> {
    let curves = curves(model, relation).into_iter();
    TableIterator::new(curves.flat_map(|(label, curve)| {
        let points = curve
            .precision_recall()
            .into_iter()
            .map(move |p| (label.clone(), p.threshold, p.precision, p.recall));
        points.collect::<Vec<_>>()
    }))
}

/// Lift and cumulative gains: rows by falling probability in bins of about equally many.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_lift(
    model: Option<&str>,
    relation: default!(Option<&str>, "NULL"),
    bins: default!(Option<i32>, "10"),
) -> TableIterator<
    'static,
    (
        name!(label, String),
        name!(bin, i32),
        name!(rows, i64),
        name!(positives, i64),
        name!(share, f64),
        name!(lift, Option<f64>),
        name!(cumulative_gain, Option<f64>),
        name!(cumulative_lift, Option<f64>),
        name!(threshold, f64),
    ),
> {
    let bins = or_raise(checked_bins(bins));
    let mut out = Vec::new();
    for (label, curve) in curves(model, relation) {
        let bins = curve.bins(bins);
        let rows: u64 = bins.iter().map(|b| b.rows).sum();
        let positives: u64 = bins.iter().map(|b| b.positives).sum();
        let base = positives as f64 / rows as f64;
        // Without rows of the label there is nothing to gain.
        let defined = |value: f64| (positives > 0).then_some(value);
        let (mut above, mut found) = (0, 0);
        for bin in bins {
            above += bin.rows;
            found += bin.positives;
            let gain = found as f64 / positives as f64;
            out.push((
                label.clone(),
                bin.bin as i32,
                bin.rows as i64,
                bin.positives as i64,
                bin.share(),
                defined(bin.share() / base),
                defined(gain),
                defined(gain / (above as f64 / rows as f64)),
                bin.lowest,
            ));
        }
    }
    TableIterator::new(out)
}

/// Reliability: how often what was given a probability came true, in bins of about equally many rows by rising probability.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_calibration(
    model: Option<&str>,
    relation: default!(Option<&str>, "NULL"),
    bins: default!(Option<i32>, "10"),
) -> TableIterator<
    'static,
    (
        name!(label, String),
        name!(bin, i32),
        name!(rows, i64),
        name!(mean_predicted, f64),
        name!(observed_share, f64),
        name!(low, f64),
        name!(high, f64),
    ),
> {
    let bins = or_raise(checked_bins(bins));
    let curves = curves(model, relation).into_iter();
    TableIterator::new(curves.flat_map(move |(label, curve)| {
        let row = move |b: &Bin| {
            let (low, high) = b.wilson();
            let number = (bins + 1 - b.bin) as i32;
            let rows = b.rows as i64;
            (label.clone(), number, rows, b.mean(), b.share(), low, high)
        };
        curve.bins(bins).iter().rev().map(row).collect::<Vec<_>>()
    }))
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_roc(text, text) IS 'the ROC curve of the positive class, or of each label against the rest';
COMMENT ON FUNCTION insight_precision_recall(text, text) IS
'precision over recall of the positive class, or of each label against the rest';
COMMENT ON FUNCTION insight_lift(text, text, integer) IS
'lift and cumulative gains: rows by falling probability in bins of about equally many';
COMMENT ON FUNCTION insight_calibration(text, text, integer) IS
'how often what was given a probability came true, in bins of about equally many rows, with 95% intervals';
"#,
    name = "comment_curves",
    requires = [
        insight_roc,
        insight_precision_recall,
        insight_lift,
        insight_calibration
    ]
);
