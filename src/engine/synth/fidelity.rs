//! How true generated rows are to real ones, as SDMetrics measures it (docs.sdv.dev/sdmetrics).

mod columns;
mod privacy;

use crate::artifact::Task;
use crate::evaluate::evaluate;
use crate::fit::{self, FitError, Request, truth_of};
use crate::frame::{Cell, Column, Frame, Kind};
use crate::infer::Predictor;
use crate::params::Params;
use columns::numbers;
pub use columns::{Pair, Shape, pairs, shapes, trend};
pub(super) use columns::{common, ks_complement};
pub(crate) use columns::{is_number, text};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// One number that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    pub measure: String,
    /// The column, or two; none for the whole.
    pub columns: Vec<String>,
    pub value: f64,
}

/// What rows are compared with.
pub struct Compared<'a> {
    /// Those a model was trained on.
    pub real: &'a Frame,
    pub made: &'a Frame,
    /// Rows of the same kind that it has not seen.
    pub holdout: Option<&'a Frame>,
    /// The column that models are trained to predict, from real and from generated rows.
    pub target: Option<&'a str>,
    pub seed: u64,
}

/// Rows that models learn from in a comparison.
const LEARNED: usize = 20_000;

/// Everything that is measured.
///
/// # Errors
/// Frames without a common column, a target that cannot be learned.
pub fn measure(compared: &Compared<'_>) -> Result<Vec<Measure>, FitError> {
    let Compared {
        real,
        made,
        holdout,
        target,
        seed,
    } = *compared;
    if common(real, made).is_empty() {
        return Err(FitError::new(
            "22023",
            "the rows have no column in common that can be compared",
        )
        .hint("Columns are compared by name and type; keys and prose are not."));
    }
    let (shapes, pairs) = (shapes(real, made), pairs(real, made));
    let mut out = Vec::new();
    let mut add = |measure: &str, columns: &[&str], value: f64| {
        let columns = columns.iter().map(|c| (*c).to_owned()).collect();
        out.push(Measure {
            measure: measure.into(),
            columns,
            value,
        });
    };
    let mean = |sum: f64, count: usize| sum / count.max(1) as f64;
    let shape = mean(shapes.iter().map(|s| s.score).sum(), shapes.len());
    let pair = trend(&pairs);
    add(
        "quality",
        &[],
        pair.map_or(shape, |pair| (shape + pair) / 2.0),
    );
    add("column_shapes", &[], shape);
    if let Some(pair) = pair {
        add("column_pair_trends", &[], pair);
    }
    let coverage: Vec<(&str, &str, f64)> = common(real, made)
        .into_iter()
        .map(|(r, m)| coverage(r, m))
        .collect();
    add(
        "coverage",
        &[],
        mean(coverage.iter().map(|c| c.2).sum(), coverage.len()),
    );
    let auc = detection(real, made, seed)?;
    add("detection_roc_auc", &[], auc);
    add("detection_score", &[], 1.0 - (2.0 * auc.max(0.5) - 1.0));
    if let Some(target) = target {
        let judged = holdout.unwrap_or(real);
        for (name, frame) in [("efficacy_of_real", real), ("efficacy_of_synthetic", made)] {
            for (metric, value) in efficacy(frame, judged, target, seed)? {
                add(&format!("{name}_{metric}"), &[target], value);
            }
        }
    }
    let privacy = privacy::privacy(real, made, holdout, seed);
    add("distance_to_closest_record", &[], privacy.distance);
    let held = [
        ("distance_to_closest_holdout", privacy.distance_to_holdout),
        ("closer_to_training", privacy.closer),
        ("membership_roc_auc", privacy.membership),
    ];
    for (name, value) in held {
        if let Some(value) = value {
            add(name, &[], value);
        }
    }
    add("exact_copies", &[], privacy.copies);
    for s in &shapes {
        add(s.measure, &[&s.column], s.score);
    }
    for (column, name, value) in &coverage {
        add(name, &[column], *value);
    }
    for p in &pairs {
        add(p.measure, &[&p.columns.0, &p.columns.1], p.score);
    }
    Ok(out)
}

/// The share of categories that are generated, or of the range that generated numbers span (SDMetrics' CategoryCoverage and
/// RangeCoverage).
fn coverage<'c>(real: &'c Column, made: &Column) -> (&'c str, &'static str, f64) {
    if is_number(real.kind) {
        let bounds = |column: &Column| {
            let values = numbers(column);
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            (
                low,
                values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            )
        };
        let ((low, high), (from, to)) = (bounds(real), bounds(made));
        let range = high - low;
        let lost = if range > 0.0 {
            ((from - low) / range).max(0.0) + ((high - to) / range).max(0.0)
        } else {
            0.0
        };
        let value = if from.is_finite() {
            (1.0 - lost).max(0.0)
        } else {
            0.0
        };
        return (&real.name, "range_coverage", value);
    }
    let values = |column: &Column| -> std::collections::HashSet<String> {
        (0..column.len())
            .filter(|row| !column.nulls.get(*row))
            .map(|row| text(column.cell(row)))
            .collect()
    };
    let (real_values, made) = (values(real), values(made));
    let found = real_values.iter().filter(|v| made.contains(*v)).count();
    (
        &real.name,
        "category_coverage",
        found as f64 / real_values.len().max(1) as f64,
    )
}

/// Some rows of some columns of a frame.
fn rows_of(frame: &Frame, names: &[&str], rows: usize) -> Frame {
    let columns = names
        .iter()
        .filter_map(|name| frame.column(name))
        .map(|column| {
            let mut own = Column::new(column.name.as_str(), column.type_name.as_str(), column.kind);
            (0..rows.min(column.len())).for_each(|row| own.push(column.cell(row)));
            own
        });
    Frame {
        columns: columns.collect(),
    }
}

fn params(seed: u64) -> Result<Params, FitError> {
    let options = json!({"algorithm": "gbdt", "seed": seed & 0xffff_ffff});
    let empty = serde_json::Map::new();
    Ok(Params::from_json(options.as_object().unwrap_or(&empty))?)
}

/// How well boosted trees tell generated rows from real ones: the area under the ROC curve on rows they have not seen.
fn detection(real: &Frame, made: &Frame, seed: u64) -> Result<f64, FitError> {
    let names: Vec<&str> = common(real, made)
        .iter()
        .map(|(c, _)| c.name.as_str())
        .collect();
    let count = real.rows().min(made.rows()).min(LEARNED);
    let mut frame = rows_of(real, &names, count);
    let mut flag = Column::new("is synthetic", "boolean", Kind::Boolean);
    (0..2 * count).for_each(|row| flag.push(Cell::Boolean(row >= count)));
    for column in &mut frame.columns {
        if let Some(other) = made.column(&column.name) {
            (0..count).for_each(|row| column.push(other.cell(row)));
        }
    }
    frame.columns.push(flag);
    let mut request = Request::new(frame, "is synthetic", params(seed)?);
    request.include = names.into_iter().map(str::to_owned).collect();
    let artifact = fit::fit(request, &mut |_| true)?;
    let found = artifact
        .evaluation
        .metrics
        .iter()
        .find(|m| m.metric == "roc_auc" && m.class.is_none());
    Ok(found.map_or(0.5, |m| m.value))
}

/// Scores of a model of `frame` on rows that it has not seen (train on synthetic, test on real).
fn efficacy(
    frame: &Frame,
    judged: &Frame,
    target: &str,
    seed: u64,
) -> Result<Vec<(&'static str, f64)>, FitError> {
    let mut names: Vec<&str> = common(judged, frame)
        .iter()
        .map(|(c, _)| c.name.as_str())
        .collect();
    if !names.contains(&target) {
        names.push(target);
    }
    let mut request = Request::new(rows_of(frame, &names, usize::MAX), target, params(seed)?);
    request.include = names
        .iter()
        .filter(|n| **n != target)
        .map(|n| (*n).to_owned())
        .collect();
    let artifact = fit::fit(request, &mut |_| true)?;
    let (task, baseline) = (artifact.task, artifact.evaluation.baseline.clone());
    let (labels, of_target) = (artifact.target.labels.clone(), artifact.target.clone());
    let (rows, truth) = truth_of(task, &of_target, judged)?;
    let broken = |e: crate::artifact::ArtifactError| FitError::new("XX000", e.to_string());
    let predictor = Predictor::new(artifact).map_err(broken)?;
    let predictions = predictor.predict_frame(judged, &rows, rayon::current_num_threads());
    let found = evaluate(task, &labels, &truth, &predictions, 0.5, &baseline, seed);
    let wanted: &[&'static str] = match task {
        Task::Regression => &["rmse", "r2"],
        _ => &["accuracy", "f1", "roc_auc"],
    };
    let score = |name: &&'static str| {
        let metric = found
            .metrics
            .iter()
            .find(|m| m.metric == **name && m.class.is_none())?;
        Some((*name, metric.value))
    };
    Ok(wanted.iter().filter_map(score).collect())
}
