//! Explanations as people ask for them: labels, features, goals and options by name.

use crate::error::{Error, Result};
use crate::job::options;
use insight_engine::artifact::Task;
use insight_engine::explain::{Explanation, Goal, Ways, told};
use insight_engine::frame::Cell;
use insight_engine::infer::Predictor;
use serde_json::{Map, Value};

/// Looks at interrupts; what goes on for long asks whether to go on.
pub fn go() -> bool {
    pgrx::check_for_interrupts!();
    true
}

/// What is told of a column of the row.
pub struct Line {
    pub feature: String,
    pub value: Option<String>,
    pub contribution: f64,
    pub typical: Option<String>,
    pub error: f64,
}

/// The place of a label that the user names; `None` where none is named.
pub fn place(predictor: &Predictor, label: Option<&str>) -> Result<Option<usize>> {
    let artifact = predictor.artifact();
    let labels = &artifact.target.labels;
    let Some(label) = label else {
        if artifact.value(&vec![0.0; predictor.width()]).is_none()
            && artifact.task == Task::Multilabel
        {
            return Err(
                Error::new("22023", "a row can have several of the model's labels").hint(format!(
                    "Name one: label => '{}'.",
                    labels.first().map_or("", String::as_str)
                )),
            );
        }
        return Ok(None);
    };
    if predictor.width() == 1 {
        return Err(Error::new(
            "22023",
            "the model answers one number, not one for each label",
        )
        .hint("Leave label out."));
    }
    let found = labels.iter().position(|own| own == label);
    found.map(Some).ok_or_else(|| {
        Error::new("22023", format!("the model has no label \"{label}\""))
            .hint(format!("Its labels are: {}.", labels.join(", ")))
    })
}

/// The columns that add most, and one line for all others.
pub fn lines(
    predictor: &Predictor,
    cells: &[Cell<'_>],
    found: &Explanation,
    top: usize,
) -> Vec<Line> {
    let inputs = predictor.artifact().recipe.columns();
    let mut order: Vec<_> = found.contributions.iter().collect();
    order.sort_by(|a, b| {
        b.value
            .abs()
            .total_cmp(&a.value.abs())
            .then(a.column.cmp(&b.column))
    });
    let (first, rest) = order.split_at(top.min(order.len()));
    let mut lines: Vec<Line> = first
        .iter()
        .map(|own| Line {
            feature: inputs[own.column].name.clone(),
            value: cells.get(own.column).and_then(|cell| told(*cell)),
            contribution: own.value,
            typical: predictor.typical(own.column).map(str::to_owned),
            error: own.error,
        })
        .collect();
    if !rest.is_empty() {
        lines.push(Line {
            feature: format!("({} others)", rest.len()),
            value: None,
            contribution: rest.iter().map(|own| own.value).sum(),
            typical: None,
            error: rest
                .iter()
                .map(|own| own.error * own.error)
                .sum::<f64>()
                .sqrt(),
        });
    }
    lines
}

/// Which of a model's columns is named.
pub fn column(predictor: &Predictor, feature: &str) -> Result<usize> {
    let inputs = predictor.artifact().recipe.columns();
    let found = inputs.iter().position(|input| input.name == feature);
    found.ok_or_else(|| {
        let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
        Error::new("42703", format!("the model has no feature \"{feature}\""))
            .hint(format!("Its features are: {}.", names.join(", ")))
    })
}

/// # Errors
/// 55000 for a model that keeps no rows it was judged on.
pub fn has_rows(predictor: &Predictor) -> Result<()> {
    if predictor.background().rows() > 0 {
        return Ok(());
    }
    let error = Error::new("55000", "the model keeps no rows to compare with");
    if predictor.artifact().provenance.privacy.is_some() {
        return Err(error
            .detail("It was trained under differential privacy and keeps nothing of its rows.")
            .hint("Train a model without the option \"privacy\", if who uses it may see rows."));
    }
    Err(
        error
            .detail("It was imported without them, trained by an earlier build, or no row was held out.")
            .hint("Export it with keep_rows => true, or train it again: SELECT * FROM insight_retrain('model')."),
    )
}

/// What is to be reached: a label, or a bound such as `< 0.2`.
pub fn goal(predictor: &Predictor, text: &str) -> Result<Goal> {
    let artifact = predictor.artifact();
    let labels = &artifact.target.labels;
    let bound = |rest: &str| {
        let bound = rest.trim_start_matches('=').trim().parse::<f64>().ok();
        bound.filter(|bound| bound.is_finite())
    };
    let number = text.trim();
    let (below, above) = (number.strip_prefix('<'), number.strip_prefix('>'));
    let found = match (below.and_then(bound), above.and_then(bound)) {
        (Some(bound), _) => Some(Goal::Below(bound)),
        (_, Some(bound)) => Some(Goal::Above(bound)),
        _ => None,
    };
    if let Some(found) = found {
        return match artifact.value(&vec![0.0; predictor.width()]) {
            Some(_) => Ok(found),
            None => Err(
                Error::new("22023", "the model answers a label, not a number")
                    .hint(format!("The goal is one of: {}.", labels.join(", "))),
            ),
        };
    }
    let decides = matches!(
        artifact.task,
        Task::Binary | Task::Multiclass | Task::Ordinal
    );
    let place = labels.iter().position(|label| label == text);
    place.filter(|_| decides).map(Goal::Label).ok_or_else(|| {
        let hint = match decides {
            true => format!(
                "The goal is a label ({}) or a bound such as '< 0.2'.",
                labels.join(", ")
            ),
            false => "The goal is a bound such as '< 100' or '> 100'.".into(),
        };
        Error::new(
            "22023",
            format!("the goal \"{text}\" cannot be reached for"),
        )
        .hint(hint)
    })
}

/// How it may be reached.
pub fn ways(predictor: &Predictor, options: &Map<String, Value>) -> Result<Ways> {
    const KEYS: [&str; 4] = ["actionable", "alternatives", "costs", "max_changes"];
    if let Some(key) = options.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(Error::new("22023", format!("unknown option \"{key}\""))
            .hint(format!("Options are: {}.", KEYS.join(", "))));
    }
    let count = predictor.artifact().recipe.columns().len();
    let mut costs = vec![Some(1.0); count];
    let actionable = options::names(options, "actionable")?;
    if options.contains_key("actionable") {
        costs = vec![None; count];
        for name in &actionable {
            costs[column(predictor, name)?] = Some(1.0);
        }
    }
    if let Some(given) = options.get("costs") {
        let wrong = || options::wrong_type("costs", "an object of features and numbers above 0");
        for (name, cost) in given.as_object().ok_or_else(wrong)? {
            let at = column(predictor, name)?;
            let cost = cost.as_f64().filter(|cost| *cost > 0.0).ok_or_else(wrong)?;
            costs[at] = costs[at].map(|_| cost);
        }
    }
    let whole = |name: &str, default: u64, most: u64| match options.get(name) {
        None => Ok(default as usize),
        Some(given) => {
            let given = given.as_u64().filter(|n| (1..=most).contains(n));
            let wrong = || options::wrong_type(name, &format!("an integer from 1 to {most}"));
            given.map(|n| n as usize).ok_or_else(wrong)
        }
    };
    Ok(Ways {
        costs,
        changes: whole("max_changes", 2, 5)?,
        ways: whole("alternatives", 3, 50)?,
    })
}
