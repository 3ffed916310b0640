//! One page that tells all there is to tell of a model, for screens of any light, for paper and for those who listen.

use super::chart::DrawingError;
use super::groups::groups;
use super::html::Page;
use super::people::{revealed, treated};
use super::picture::{Insight, Kind, Picture, Subject, Table, along, history, weights};
use super::words::{counted, grouped, seconds, short};
use crate::artifact::{Artifact, Task};
use crate::drift::{Of, Shift};
use crate::evaluate::Metric;
use crate::privacy::leak::Findings;
use crate::trained::Card;

/// What a catalog knows of a version.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub model: String,
    pub version: i32,
    pub deployed: bool,
    pub relation: String,
    pub created_at: String,
    pub created_by: String,
    /// When the page is written.
    pub written_at: String,
    /// The relation the scores and the drift are of, where one was given.
    pub on: Option<String>,
    /// What a leak test found, if there was one.
    pub leaks: Findings,
}

/// Lines of a table of drift.
const SHIFTS: usize = 12;

/// What scores mean.
const MEANINGS: [(&str, &str); 17] = [
    (
        "roc_auc",
        "how often a row that is ranks above one that is not; by chance 0.5",
    ),
    ("average_precision", "precision averaged over recall"),
    ("accuracy", "share of rows answered rightly"),
    (
        "balanced_accuracy",
        "the same, with every label counting alike",
    ),
    (
        "precision",
        "of those answered positive, the share that are",
    ),
    ("recall", "of those that are positive, the share found"),
    ("f1", "one number for precision and recall"),
    (
        "log_loss",
        "how surprised the model is by what is true; less is better",
    ),
    (
        "brier",
        "squared error of the probabilities; less is better",
    ),
    (
        "ece",
        "how far probabilities are from what comes true; less is better",
    ),
    ("mcc", "correlation of answers and truth; 0 is chance"),
    (
        "top_decile_lift",
        "how many times as frequent in the highest tenth",
    ),
    (
        "rmse",
        "error, in the target's unit, with large ones weighing more; less is better",
    ),
    ("mae", "mean error in the target's unit; less is better"),
    (
        "r2",
        "share of the differences between rows that is explained",
    ),
    ("mape", "mean error as a share of the value; less is better"),
    (
        "concordance_index",
        "how often the row expected sooner comes sooner; by chance 0.5",
    ),
];

impl Page {
    fn scores(&mut self, metrics: &[Metric], caption: &str, intervals: bool) {
        self.section("scores", "How good it is");
        let mut table = match intervals {
            true => Table::new([
                "score",
                "value",
                "95% interval",
                "without a model",
                "meaning",
            ]),
            false => Table::new(["score", "value", "best simple way", "meaning"]),
        };
        for own in metrics.iter().filter(|m| m.class.is_none()) {
            let meaning = MEANINGS.iter().find(|(name, _)| *name == own.metric);
            let mut row = vec![own.metric.clone(), short(own.value)];
            if intervals {
                row.push(format!("{} to {}", short(own.low), short(own.high)));
            }
            row.push(own.baseline.map_or(String::new(), short));
            row.push(meaning.map_or(String::new(), |(_, words)| (*words).to_owned()));
            table.rows.push(row);
        }
        self.table(caption, &table);
    }
}

/// The page of a model of rows. `drift` is measured on the relation that [`Facts::on`] names.
///
/// # Errors
/// [`DrawingError`]
pub fn of_table(
    facts: &Facts,
    lines: &[String],
    subject: &Subject<'_>,
    insight: &Insight,
    drift: Option<&[Shift]>,
) -> Result<String, DrawingError> {
    let predictor = subject.predictor;
    let artifact = predictor.artifact();
    let mut page = Page::new(facts, lines);
    let judged = match (subject.judged_on, artifact.provenance.evaluated_on.as_str()) {
        (Some(relation), _) => format!(
            "on the rows of {relation} whose {} is known",
            artifact.target.name
        ),
        (None, "test") => "on rows the model has not seen".into(),
        (None, "out_of_fold") => "on rows that were held out in turn".into(),
        (None, _) => "on the rows that stopped its training, which flatters".into(),
    };
    let rows = counted(subject.evaluation.rows as usize, "row");
    page.scores(
        &subject.evaluation.metrics,
        &format!("Scores {judged}: {rows}"),
        true,
    );
    let kinds = subject.kinds();
    let drawn = |wanted: fn(Kind) -> bool| -> Result<Vec<Picture>, DrawingError> {
        let kinds = kinds.iter().filter(|kind| wanted(**kind));
        let drawn: Result<Vec<_>, _> = kinds.map(|kind| subject.draw(*kind)).collect();
        Ok(drawn?.into_iter().flatten().collect())
    };
    let curves = drawn(|kind| kind != Kind::History)?;
    if !curves.is_empty() {
        page.pictures(&curves);
    }
    page.section("why", "What it goes by");
    let mut pictures: Vec<Picture> = weights(predictor, &insight.importance)?
        .into_iter()
        .collect();
    for (column, found) in &insight.along {
        pictures.extend(along(predictor, *column, found)?);
    }
    match pictures.is_empty() {
        true => page.say("The model keeps no rows to ask it about."),
        false => page.pictures(&pictures),
    }
    segments(&mut page, subject, insight);
    if let Some(fairness) = &artifact.provenance.fairness {
        treated(&mut page, fairness);
    }
    revealed(&mut page, &facts.leaks);
    quality(&mut page, subject);
    page.section("drift", "Whether rows have changed");
    match drift {
        Some(shifts) => drifted(&mut page, facts, artifact, shifts),
        None => page
            .say("Not measured for this page: give the report a relation of rows as they are now."),
    }
    let history = drawn(|kind| kind == Kind::History)?;
    page.section("origin", "Where it comes from");
    if !history.is_empty() {
        page.pictures(&history);
    }
    origin(&mut page, facts, artifact);
    Ok(page.end())
}

fn segments(page: &mut Page, subject: &Subject<'_>, insight: &Insight) {
    let artifact = subject.predictor.artifact();
    let groups = groups(subject.predictor, insight);
    let own = &artifact.provenance.segments;
    if groups.is_empty() && own.is_empty() {
        return;
    }
    page.section("segments", "Segments");
    if !groups.is_empty() {
        let binary = artifact.task == Task::Binary;
        let told = |x: f64| match binary {
            true => format!("{:.1}%", 100.0 * x),
            false => short(x),
        };
        let mut table = Table::new(["column", "value", "rows", "mean answer", "true mean"]);
        table.rows = groups
            .iter()
            .map(|g| {
                let share = format!("{:.0}%", 100.0 * g.share);
                vec![
                    g.column.clone(),
                    g.of.clone(),
                    share,
                    told(g.mean_answer),
                    told(g.mean_truth),
                ]
            })
            .collect();
        let rows = counted(subject.predictor.background().rows(), "held-out row");
        let of = match artifact.target.labels.get(1).filter(|_| binary) {
            Some(label) => {
                format!("Share of {label} by what matters most, of {rows} kept with the model")
            }
            None => format!(
                "{} by what matters most, of {rows} kept with the model",
                artifact.target.name
            ),
        };
        page.table(&of, &table);
    }
    if !own.is_empty() {
        let mut table = Table::new([
            "value",
            "training rows",
            "model",
            "loss of the shared model",
            "loss of its own",
        ]);
        table.rows = own
            .iter()
            .map(|s| {
                let model = if s.own { "its own" } else { "the shared one" };
                let loss = |l: Option<f64>| l.map_or(String::new(), |l| format!("{l:.4}"));
                vec![
                    s.value.clone(),
                    grouped(s.rows),
                    model.into(),
                    loss(s.loss_shared),
                    loss(s.loss_own),
                ]
            })
            .collect();
        page.table(
            "Values that were given models of their own where that helped",
            &table,
        );
    }
}

fn quality(page: &mut Page, subject: &Subject<'_>) {
    let artifact = subject.predictor.artifact();
    let provenance = &artifact.provenance;
    page.section("quality", "The data");
    let mut table = Table::new(["column", "type", "missing", "typical", "what was done"]);
    for (at, input) in artifact.recipe.columns().iter().enumerate() {
        let missing = artifact.statistics.missing_share(at);
        let done = provenance.cleaned.iter().filter(|c| c.column == input.name);
        let mut done: Vec<String> = done
            .map(|c| format!("{} ({})", c.what, counted(c.rows as usize, "row")))
            .collect();
        if let Some(leak) = provenance.leaks.iter().find(|l| l.column == input.name) {
            done.push(format!("look at it: {}", leak.reason));
        }
        table.rows.push(vec![
            input.name.clone(),
            input.type_name.clone(),
            missing.map_or(String::new(), |share| format!("{:.1}%", 100.0 * share)),
            subject.predictor.typical(at).unwrap_or_default().to_owned(),
            done.join("; "),
        ]);
    }
    page.table(
        "Columns the model takes, as they were in the training rows",
        &table,
    );
    if !provenance.excluded.is_empty() {
        let mut table = Table::new(["column", "why"]);
        table.rows = provenance
            .excluded
            .iter()
            .map(|(c, why)| vec![c.clone(), why.clone()])
            .collect();
        page.table("Columns that were left out", &table);
    }
    if provenance.null_target_rows > 0 {
        let rows = counted(provenance.null_target_rows as usize, "row");
        page.say(&format!(
            "{rows} without {} could not be learned from.",
            artifact.target.name
        ));
    }
}

fn drifted(page: &mut Page, facts: &Facts, artifact: &Artifact, shifts: &[Shift]) {
    let relation = facts.on.as_deref().unwrap_or_default();
    let inputs = artifact.recipe.columns();
    let mut table = Table::new(["column", "PSI", "p-value", "missing now", "unseen values"]);
    let share = |x: Option<f64>| x.map_or(String::new(), |x| format!("{:.1}%", 100.0 * x));
    let number = |x: Option<f64>| x.map_or(String::new(), short);
    let mut moved = Vec::new();
    for shift in shifts {
        let name = match shift.of {
            Of::Column(at) => inputs.get(at).map_or("", |i| i.name.as_str()),
            Of::Answers => "(the model's answers)",
            Of::Rows => "(whole rows)",
        };
        if matches!(shift.of, Of::Column(_)) && shift.psi.is_some_and(|psi| psi > 0.2) {
            moved.push(name);
        }
        if table.rows.len() < SHIFTS || !matches!(shift.of, Of::Column(_)) {
            let p = shift.p_value.map_or(String::new(), |p| {
                if p < 0.001 {
                    "< 0.001".into()
                } else {
                    short(p)
                }
            });
            table.rows.push(vec![
                name.to_owned(),
                number(shift.psi),
                p,
                share(shift.missing),
                share(shift.novel),
            ]);
        }
    }
    page.say(&match moved.is_empty() {
        true => {
            format!("No column of {relation} has moved far from the training rows (PSI above 0.2).")
        }
        false => format!(
            "Moved far from the training rows (PSI above 0.2): {}.",
            super::words::some(&moved)
        ),
    });
    page.table(
        &format!("{relation} beside the training rows, what moved most first"),
        &table,
    );
}

fn origin(page: &mut Page, facts: &Facts, artifact: &Artifact) {
    let p = &artifact.provenance;
    page.facts(&[
        ("Relation", facts.relation.clone()),
        ("Target", artifact.target.name.clone()),
        ("Task", artifact.task.name().into()),
        ("Algorithm", p.algorithm.clone()),
        (
            "Rows",
            format!(
                "{} ({} to train, {} to stop and choose, {} to test)",
                grouped(p.rows),
                grouped(p.train_rows),
                grouped(p.validation_rows),
                grouped(p.test_rows)
            ),
        ),
        ("Trained in", seconds(p.fit_seconds)),
        ("Ended by", p.stopped_by.clone()),
        ("Device", p.device_name.clone()),
        (
            "GPU given up",
            p.device_given_up.clone().unwrap_or_default(),
        ),
        ("Calibration", p.calibration.clone()),
        ("Seed", p.seed.to_string()),
        ("Fingerprint of the data", p.data_fingerprint.clone()),
        ("Made by", format!("insight {}", p.engine_version)),
    ]);
    let mut table = Table::new(["option", "value"]);
    let all = p.params.as_object().into_iter().flatten();
    table.rows = all
        .map(|(name, value)| vec![name.clone(), value.to_string()])
        .collect();
    page.folded("Every hyper-parameter in force", &table);
}

/// The page of a model of another kind.
///
/// # Errors
/// [`DrawingError`]
pub fn of_another(
    facts: &Facts,
    lines: &[String],
    card: &Card<'_>,
) -> Result<String, DrawingError> {
    let mut page = Page::new(facts, lines);
    page.scores(
        &card.metrics,
        "Scores as they were measured in training",
        false,
    );
    page.section("origin", "Where it comes from");
    if let Some(picture) = history(card.history)? {
        page.pictures(&[picture]);
    }
    let provenance = &card.summary["provenance"];
    let text = |key: &str| match &provenance[key] {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    page.facts(&[
        ("Relation", facts.relation.clone()),
        ("Target", card.target.to_owned()),
        ("Task", card.task.to_owned()),
        ("Algorithm", card.algorithm.to_owned()),
        ("Rows", grouped(card.rows)),
        (
            "Trained in",
            provenance["fit_seconds"]
                .as_f64()
                .map_or(String::new(), seconds),
        ),
        ("Ended by", text("stopped_by")),
        ("Device", card.device.to_owned()),
        ("Seed", text("seed")),
        ("Made by", format!("insight {}", text("engine_version"))),
    ]);
    Ok(page.end())
}
