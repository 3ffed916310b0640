//! Pictures of what a model goes by and how it learned.

use super::super::chart::{Axis, Bar, Plot, Scale, Stroke, bars};
use super::super::words::short;
use super::{DrawingError, Kind, Picture, Table, answer_name, shown_label};
use crate::artifact::{Epoch, Task};
use crate::explain::{Dependence, Importance};
use crate::infer::Predictor;

/// Columns that are shown.
const COLUMNS: usize = 15;
const LEVELS: usize = 12;

/// Importance of the columns.
///
/// # Errors
/// [`DrawingError`]
pub fn weights(
    predictor: &Predictor,
    importance: &[Importance],
) -> Result<Option<Picture>, DrawingError> {
    let columns = predictor.artifact().recipe.columns();
    let shown = &importance[..importance.len().min(COLUMNS)];
    let Some(first) = shown.first() else {
        return Ok(None);
    };
    let name = |own: &Importance| columns.get(own.column).map_or("", |c| c.name.as_str());
    let all: Vec<Bar> = shown
        .iter()
        .map(|own| Bar {
            name: name(own).to_owned(),
            value: own.importance,
            range: Some((own.low, own.high)),
        })
        .collect();
    let mut table = Table::new(["column", "importance", "95% interval", "says much the same"]);
    table.rows = importance
        .iter()
        .map(|own| {
            let with = own.with.iter().filter_map(|at| columns.get(*at));
            let with: Vec<&str> = with.map(|c| c.name.as_str()).collect();
            vec![
                name(own).to_owned(),
                short(own.importance),
                format!("{} to {}", short(own.low), short(own.high)),
                with.join(", "),
            ]
        })
        .collect();
    let ends = all
        .iter()
        .flat_map(|b| [0.0, b.value].into_iter().chain(b.range.map(|r| r.1)));
    let ends = ends.chain(all.iter().filter_map(|b| b.range.map(|r| r.0)));
    let axis = Axis::around(
        "growth of the loss when the column is shuffled",
        Scale::Number,
        ends,
    );
    let says = format!(
        "{} matters most: without it the loss on held-out rows grows by {}. Lines are 95% intervals.",
        name(first),
        short(first.importance)
    );
    Ok(Some(Picture {
        kind: Kind::Importance,
        title: "What the model goes by".into(),
        says,
        svg: bars(&all, &axis)?,
        table,
    }))
}

/// How answers follow a column.
///
/// # Errors
/// [`DrawingError`]
pub fn along(
    predictor: &Predictor,
    column: usize,
    found: &[Dependence],
) -> Result<Option<Picture>, DrawingError> {
    let artifact = predictor.artifact();
    let columns = artifact.recipe.columns();
    let name = columns.get(column).map_or("", |c| c.name.as_str());
    let (Some(lowest), Some(highest)) = (
        found.iter().min_by(|a, b| a.partial.total_cmp(&b.partial)),
        found.iter().max_by(|a, b| a.partial.total_cmp(&b.partial)),
    ) else {
        return Ok(None);
    };
    let answers = answer_name(predictor, shown_label(predictor));
    let share = matches!(
        artifact.task,
        Task::Binary | Task::Multiclass | Task::Multilabel | Task::Ordinal
    ) && artifact
        .value(&vec![0.0; predictor.width()])
        .is_none_or(|_| artifact.task == Task::Binary);
    let scale = if share { Scale::Share } else { Scale::Number };
    let told = |x: f64| match scale {
        Scale::Share => format!("{:.1}%", 100.0 * x),
        Scale::Number => short(x),
    };
    let heights = found.iter().flat_map(|d| [d.low, d.high, d.partial]);
    let line: Option<Vec<(f64, f64)>> = found
        .iter()
        .map(|d| d.number.map(|x| (x, d.partial)))
        .collect();
    let svg = match line {
        Some(points) if points.len() > 1 => {
            let mut plot = Plot::new(
                Axis::around(name, Scale::Number, points.iter().map(|p| p.0)),
                Axis::around(answers.clone(), scale, heights),
            );
            plot.band = found
                .iter()
                .filter_map(|d| Some((d.number?, d.low, d.high)))
                .collect();
            plot.line("", Stroke::Series(0), points).draw()?
        }
        _ => {
            let shown = &found[..found.len().min(LEVELS)];
            let all: Vec<Bar> = shown
                .iter()
                .map(|d| Bar {
                    name: d.value.clone(),
                    value: d.partial,
                    range: Some((d.low, d.high)),
                })
                .collect();
            let heights = shown.iter().flat_map(|d| [d.low, d.high, d.partial]);
            bars(
                &all,
                &Axis::around(answers.clone(), scale, heights.chain([0.0])),
            )?
        }
    };
    let mut table = Table::new([
        "value",
        "mean answer",
        "middle half of the answers",
        "rows nearby",
    ]);
    table.rows = found
        .iter()
        .map(|d| {
            vec![
                d.value.clone(),
                told(d.partial),
                format!("{} to {}", told(d.low), told(d.high)),
                format!("{:.1}%", 100.0 * d.share),
            ]
        })
        .collect();
    let says = format!(
        "If every row had the value {}, the {answers} would be {} on average; with {} it would be {}. The middle half of the answers is marked.",
        lowest.value,
        told(lowest.partial),
        highest.value,
        told(highest.partial)
    );
    Ok(Some(Picture {
        kind: Kind::Dependence,
        title: format!("Answers along {name}"),
        says,
        svg,
        table,
    }))
}

/// Losses by epoch.
///
/// # Errors
/// [`DrawingError`]
pub fn history(epochs: &[Epoch]) -> Result<Option<Picture>, DrawingError> {
    if epochs.len() < 2 {
        return Ok(None);
    }
    let train: Vec<(f64, f64)> = epochs
        .iter()
        .map(|e| (f64::from(e.epoch), e.train_loss))
        .collect();
    let held: Vec<(f64, f64)> = epochs
        .iter()
        .filter_map(|e| Some((f64::from(e.epoch), e.validation_loss?)))
        .collect();
    let best = held.iter().min_by(|a, b| a.1.total_cmp(&b.1)).copied();
    let mut table = Table::new(["epoch", "training loss", "validation loss"]);
    let step = epochs.len().div_ceil(20);
    table.rows = epochs
        .iter()
        .step_by(step)
        .map(|e| {
            vec![
                e.epoch.to_string(),
                format!("{:.4}", e.train_loss),
                e.validation_loss
                    .map_or(String::new(), |l| format!("{l:.4}")),
            ]
        })
        .collect();
    let losses = train.iter().chain(&held).map(|p| p.1);
    let mut plot = Plot::new(
        Axis::around("epoch", Scale::Number, train.iter().map(|p| p.0)),
        Axis::around("loss", Scale::Number, losses),
    );
    plot = plot.line("training rows", Stroke::Series(1), train);
    let says = match best {
        Some((epoch, loss)) => {
            plot = plot.line("validation rows", Stroke::Series(0), held);
            format!("The loss on validation rows was smallest in epoch {epoch}: {loss:.4}.")
        }
        None => "The loss on the training rows, epoch by epoch.".into(),
    };
    Ok(Some(Picture {
        kind: Kind::History,
        title: "Training".into(),
        says,
        svg: plot.draw()?,
        table,
    }))
}
