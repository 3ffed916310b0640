//! A model in plain sentences, one a line.

use super::picture::Insight;
use super::words::{NAMED, counted, percent, seconds, short, some};
use crate::artifact::Task;
use crate::evaluate::Metric;
use crate::explain::Dependence;
use crate::infer::Predictor;
use crate::trained::Card;

/// A model of rows.
pub fn of_table(name: &str, predictor: &Predictor, insight: &Insight) -> Vec<String> {
    let importance = &insight.importance;
    let artifact = predictor.artifact();
    let (provenance, evaluation) = (&artifact.provenance, &artifact.evaluation);
    let (target, labels) = (&artifact.target.name, &artifact.target.labels);
    let columns = artifact.recipe.columns();
    let answers = match artifact.task {
        Task::Binary => format!("how probable it is that {target} is {}", labels[1]),
        Task::Multiclass | Task::Ordinal => {
            format!("which of {} labels {target} has", labels.len())
        }
        Task::Multilabel => format!("which of {} labels {target} holds", labels.len()),
        Task::Regression => format!("the value of {target}"),
        Task::Survival => format!("how long it takes until {target}"),
        Task::Uplift => format!("what a treatment changes in {target}"),
    };
    let mut lines = vec![
        format!(
            "{name} tells {answers}, from {}.",
            counted(columns.len(), "column")
        ),
        format!(
            "It is a model of kind {}, learned from {} in {}.",
            provenance.algorithm,
            counted(provenance.train_rows as usize, "row"),
            seconds(provenance.fit_seconds)
        ),
    ];
    let value = |metric: &str| {
        let found = evaluation.metrics.iter();
        let mut found = found.filter(|m| m.metric == metric && m.class.is_none());
        found.next()
    };
    if let Some(headline) = evaluation.headline() {
        lines.push(format!(
            "On {} {} its {} is {}.",
            counted(evaluation.rows as usize, "row"),
            match provenance.evaluated_on.as_str() {
                "test" => "it has not seen",
                "out_of_fold" => "that were held out in turn",
                _ => "that stopped its training, which flatters,",
            },
            headline.metric,
            with_interval(headline)
        ));
    }
    if let (Task::Binary, Some(precision), Some(recall)) =
        (artifact.task, value("precision"), value("recall"))
    {
        lines.push(format!(
            "From a probability of {} on it says {}: of 100 rows of which it does so, about {} are, and it finds about {} of 100 that are.",
            short(artifact.settled.threshold),
            labels[1],
            percent(precision.value),
            percent(recall.value)
        ));
    }
    if let Some(lift) = value("top_decile_lift") {
        lines.push(format!(
            "Among the tenth of the rows with the highest answers {} is {} times as frequent as among all.",
            labels.get(1).map_or("it", String::as_str),
            short(lift.value)
        ));
    }
    if let Some(ece) = value("ece") {
        lines.push(format!(
            "Its probabilities differ from what comes true by {} of 100 on average.",
            short(100.0 * ece.value)
        ));
    }
    if let (Task::Regression, Some(mae), Some(r2)) = (artifact.task, value("mae"), value("r2")) {
        lines.push(format!(
            "It is off by {} on average, and explains {} of 100 parts of the differences between rows.",
            short(mae.value),
            percent(r2.value.max(0.0))
        ));
    }
    let all: f64 = importance.iter().map(|own| own.importance.max(0.0)).sum();
    let named = importance.iter().filter(|own| own.low > 0.0).take(NAMED);
    let mut matter = Vec::new();
    for own in named {
        let share = 100.0 * own.importance / all.max(f64::MIN_POSITIVE);
        let along = insight.along.iter().find(|(at, _)| *at == own.column);
        let direction = match (artifact.task, along) {
            (Task::Binary | Task::Regression, Some((_, along))) => direction(along),
            _ => "",
        };
        matter.push(format!(
            "{} ({share:.0}%{direction})",
            columns[own.column].name
        ));
    }
    if matter.is_empty() {
        lines.push("No single column is clearly important on the rows kept with it.".into());
    } else {
        lines.push(format!("What matters most: {}.", matter.join(", ")));
    }
    let unneeded: Vec<&str> = importance
        .iter()
        .filter(|own| own.high <= 0.0 && own.with.is_empty())
        .map(|own| columns[own.column].name.as_str())
        .collect();
    if !unneeded.is_empty() {
        lines.push(format!("It could do without: {}.", some(&unneeded)));
    }
    if !provenance.excluded.is_empty() {
        let own = provenance.excluded.iter();
        let own: Vec<String> = own
            .map(|(column, why)| format!("{column} ({why})"))
            .collect();
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        lines.push(format!("Left out: {}.", some(&own)));
    }
    if !provenance.leaks.is_empty() {
        let own: Vec<&str> = provenance
            .leaks
            .iter()
            .map(|leak| leak.column.as_str())
            .collect();
        lines.push(format!(
            "Look at {}: such columns may only be known once {target} is, and then the scores are too good to be true.",
            some(&own)
        ));
    }
    if provenance.null_target_rows > 0 {
        lines.push(format!(
            "{} without {target} could not be learned from.",
            counted(provenance.null_target_rows as usize, "row")
        ));
    }
    lines
}

/// A model of another kind.
pub fn of_another(name: &str, card: &Card<'_>) -> Vec<String> {
    let (rows, target) = (counted(card.rows as usize, "row"), card.target);
    let what = match card.task {
        "generate" => "makes new rows like those it learned".to_owned(),
        "segment" => "tells segments of rows apart".to_owned(),
        "next_time" => "foretells when the next row of a key comes".to_owned(),
        "count" => "foretells how many rows of a key come within its horizon".to_owned(),
        task if task.starts_with("next") => format!("foretells the next {target} of a key"),
        _ => "foretells a label of each key".to_owned(),
    };
    let mut lines = vec![
        format!("{name} {what}."),
        format!(
            "It is a model of kind {}, learned from {rows}.",
            card.algorithm
        ),
    ];
    for metric in card.metrics.iter().filter(|m| m.class.is_none()).take(4) {
        let beside = metric.baseline.map_or(String::new(), |baseline| {
            format!(", where the best simple way comes to {}", short(baseline))
        });
        lines.push(format!(
            "Its {} is {}{beside}.",
            metric.metric,
            short(metric.value)
        ));
    }
    let notes = card.summary["provenance"]["notes"].as_array();
    let notes = notes.into_iter().flatten().filter_map(|note| note.as_str());
    lines.extend(notes.take(3).map(|note| format!("Note: {note}.")));
    lines
}

/// Whether answers rise or fall along a number.
fn direction(along: &[Dependence]) -> &'static str {
    let numbers: Vec<f64> = along
        .iter()
        .filter_map(|d| d.number.map(|_| d.partial))
        .collect();
    let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else {
        return "";
    };
    let spread = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max)
        - numbers.iter().copied().fold(f64::INFINITY, f64::min);
    match last - first {
        rise if rise > 0.7 * spread => ", more of it more",
        rise if -rise > 0.7 * spread => ", more of it less",
        _ => "",
    }
}

fn with_interval(metric: &Metric) -> String {
    let (low, high) = (short(metric.low), short(metric.high));
    let baseline = metric.baseline.map_or(String::new(), |baseline| {
        format!("; without a model it would be {}", short(baseline))
    });
    format!("{} (95%: {low} to {high}){baseline}", short(metric.value))
}
