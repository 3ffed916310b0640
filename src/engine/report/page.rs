//! One page of HTML that tells all there is to tell of a model: no script, nothing that is fetched, for screens of any light, for
//! paper and for those who listen.

use super::chart::{DrawingError, STYLE};
use super::groups::groups;
use super::picture::{Insight, Kind, Picture, Subject, Table, along, history, weights};
use super::words::{counted, escaped, grouped, seconds, short};
use crate::artifact::{Artifact, Task};
use crate::drift::{Of, Shift};
use crate::evaluate::Metric;
use crate::trained::Card;
use std::fmt::Write;

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
}

/// Lines of a table of drift.
const SHIFTS: usize = 12;

const LAYOUT: &str = "*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,sans-serif}\
main{max-width:1040px;margin:0 auto;padding:24px}h1{font-size:1.9rem;margin:.2em 0}h2{font-size:1.35rem;margin:2em 0 .5em;\
border-bottom:1px solid var(--grid);padding-bottom:.2em}h3{font-size:1.05rem;margin:.2em 0}.soft{color:var(--soft)}\
.lead{font-size:1.08rem}.pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(440px,100%),1fr));gap:24px}\
figure{margin:0;break-inside:avoid}figure svg{width:100%;height:auto}figcaption{color:var(--soft);font-size:.95rem}\
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.95rem}caption{text-align:left;color:var(--soft);padding:.3em 0}\
th,td{text-align:left;padding:.3em .7em .3em 0;border-bottom:1px solid var(--grid);vertical-align:top;overflow-wrap:break-word}\
thead th{color:var(--soft);font-weight:600}dt{color:var(--soft)}dd{margin:0 0 .5em;overflow-wrap:anywhere}summary{cursor:pointer;color:var(--soft)}\
dl{columns:2 300px}dl div{break-inside:avoid}a:focus-visible,summary:focus-visible,.scroll:focus-visible{outline:2px solid var(--s1)}\
@media print{main{max-width:none;padding:0}body{font-size:11pt}h2{break-after:avoid}.pictures{grid-template-columns:1fr 1fr}tr{break-inside:avoid}\
.scroll{overflow:visible}}";

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

struct Page {
    html: String,
}

impl Page {
    fn section(&mut self, id: &str, title: &str) {
        let _ = write!(
            self.html,
            "</section><section aria-labelledby=\"{id}\"><h2 id=\"{id}\">{}</h2>",
            escaped(title)
        );
    }

    fn say(&mut self, words: &str) {
        let _ = write!(self.html, "<p dir=\"auto\">{}</p>", escaped(words));
    }

    fn table(&mut self, caption: &str, table: &Table) {
        // A region that scrolls can be reached by keyboard and says what it is.
        let _ = write!(
            self.html,
            "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{0}\"><table><caption>{0}</caption><thead><tr>",
            escaped(caption)
        );
        for name in &table.head {
            let _ = write!(self.html, "<th scope=\"col\">{}</th>", escaped(name));
        }
        self.html.push_str("</tr></thead><tbody>");
        for row in &table.rows {
            self.html.push_str("<tr>");
            for (at, text) in row.iter().enumerate() {
                let text = escaped(text);
                let _ = match at {
                    0 => write!(self.html, "<th scope=\"row\" dir=\"auto\">{text}</th>"),
                    _ => write!(self.html, "<td dir=\"auto\">{text}</td>"),
                };
            }
            self.html.push_str("</tr>");
        }
        self.html.push_str("</tbody></table></div>");
    }

    fn pictures(&mut self, pictures: &[Picture]) {
        self.html.push_str("<div class=\"pictures\">");
        for own in pictures {
            let title = escaped(&own.title);
            let _ = write!(
                self.html,
                "<figure><h3 dir=\"auto\">{title}</h3>{}<figcaption dir=\"auto\">{}</figcaption><details><summary>The numbers of: {title}</summary>",
                own.inner(),
                escaped(&own.says)
            );
            self.table(&own.title, &own.table);
            self.html.push_str("</details></figure>");
        }
        self.html.push_str("</div>");
    }

    fn facts(&mut self, facts: &[(&str, String)]) {
        self.html.push_str("<dl>");
        for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
            let _ = write!(
                self.html,
                "<div><dt>{name}</dt><dd dir=\"auto\">{}</dd></div>",
                escaped(value)
            );
        }
        self.html.push_str("</dl>");
    }

    fn new(facts: &Facts, lines: &[String]) -> Page {
        let title = escaped(&facts.model);
        let mut page = Page {
            html: format!(
                "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';style-src 'unsafe-inline'\"><meta name=\"color-scheme\" content=\"light dark\">\
<title>Model {title}</title><style>{STYLE}{LAYOUT}</style></head><body><main><header><h1 dir=\"auto\">Model {title}</h1>"
            ),
        };
        let state = if facts.deployed { ", deployed" } else { "" };
        let _ = write!(
            page.html,
            "<p class=\"soft\" dir=\"auto\">Version {}{state}, trained {} by {}; written {}.</p></header><section aria-labelledby=\"summary\"><h2 id=\"summary\">In short</h2>",
            facts.version,
            escaped(&facts.created_at),
            escaped(&facts.created_by),
            escaped(&facts.written_at)
        );
        for line in lines {
            let _ = write!(
                page.html,
                "<p class=\"lead\" dir=\"auto\">{}</p>",
                escaped(line)
            );
        }
        page
    }

    fn end(mut self) -> String {
        self.html.push_str("</section></main></body></html>\n");
        self.html
    }

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
        ("Calibration", p.calibration.clone()),
        ("Seed", p.seed.to_string()),
        ("Fingerprint of the data", p.data_fingerprint.clone()),
        ("Made by", format!("insight {}", p.engine_version)),
    ]);
    page.html
        .push_str("<details><summary>Every hyper-parameter in force</summary>");
    if let Some(all) = p.params.as_object() {
        let mut table = Table::new(["option", "value"]);
        table.rows = all
            .iter()
            .map(|(name, value)| vec![name.clone(), value.to_string()])
            .collect();
        page.table("Hyper-parameters", &table);
    }
    page.html.push_str("</details>");
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
