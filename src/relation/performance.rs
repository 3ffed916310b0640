//! How good predictions that were kept turned out to be, once it is known what was true.

use super::resolve;
use super::scores::{Narrowed, exactly, key_of, moment, narrow};
use super::{read, score};
use crate::error::{Error, Result, required};
use crate::job::{options, spec};
use crate::messages::notice;
use crate::settings;
use crate::store::live::{self, EPOCH, Kept, Of, Score};
use crate::store::rights::Right;
use crate::store::{cache, log};
use insight_engine::artifact::{Artifact, Target};
use insight_engine::evaluate::{Outcomes, Truth, evaluate, smaller_is_better};
use insight_engine::explain::told;
use insight_engine::fit::known_truth_of;
use insight_engine::frame::Frame;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// Fewer labels than that say nothing, unless the caller wants them to.
const FEWEST: u64 = 50;

const OPTIONS: [&str; 8] = [
    "bound", "by", "key", "metric", "min_rows", "period", "since", "time",
];

/// The scores of a model's kept predictions by period, version and segment.
pub fn performance(model: Option<&str>, truth: Option<&str>, given: &Value) -> Result<Vec<Score>> {
    let reference = required(model, "model")?;
    let truth = required(truth, "truth")?;
    let Value::Object(given) = given else {
        return Err(Error::new("22023", "options must be a JSON object"));
    };
    spec::check_keys(given, &[&OPTIONS], " of insight_performance")?;
    let unit = options::text(given, "period")?.unwrap_or_else(|| "week".into());
    if !["day", "week", "month"].contains(&unit.as_str()) {
        return Err(options::wrong_type("period", "day, week or month"));
    }
    let fewest = match given.get("min_rows") {
        None | Some(Value::Null) => FEWEST,
        Some(value) => (value.as_u64())
            .filter(|n| (1..=1_000_000).contains(n))
            .ok_or_else(|| options::wrong_type("min_rows", "an integer from 1 to 1000000"))?,
    };
    let by = options::text(given, "by")?;
    // One look for all: what is deployed may change meanwhile.
    // Who was given which score is for who manages the model.
    let id = cache::version(reference, Right::Manage)?;
    let version = log::version(id)?;
    let setting = log::setting(&version.model)?;
    let key = options::text(given, "key")?.or_else(|| setting.as_ref()?.key.clone());
    let metric = options::text(given, "metric")?.or_else(|| setting.as_ref()?.metric.clone());
    let bound = match given.get("bound") {
        None | Some(Value::Null) => setting.as_ref().and_then(|s| s.bound),
        Some(value) => Some(
            value
                .as_f64()
                .ok_or_else(|| options::wrong_type("bound", "a number"))?,
        ),
    };
    let deployed = cache::predictor_of(reference, id)?;
    let target = &deployed.artifact().target;
    if let Some(metric) = &metric {
        check_metric(deployed.artifact(), metric)?;
    }

    let mut source = resolve::resolve(truth)?;
    let key = key_of(key.as_deref(), &source)?;
    let time = options::text(given, "time")?
        .map(|name| moment(&source, "time", &name).map(|time| time.sql))
        .transpose()?;
    let mut wanted = vec![source.require(&target.name)?.name.clone()];
    for other in target.companion.iter().chain(&by) {
        let name = source.require(other)?.name.clone();
        if !wanted.contains(&name) {
            wanted.push(name);
        }
    }
    let narrowed = narrow(&mut source, &key, time.as_deref(), None);
    wanted.extend(narrowed.names().map(str::to_owned));
    let names: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let frame = exactly(|| {
        read::read(&source, &names, settings::max_memory(), &mut |_| {
            pgrx::check_for_interrupts!();
        })
    })?;
    let keys = Keys::new(&frame, narrowed, target, &key)?;

    let since = options::text(given, "since")?;
    let kept = live::kept(version.model_id, &unit, since.as_deref())?;
    let all = kept.len();
    let mut scores = Vec::new();
    let mut failure = None;
    for (number, kept) in by_version(kept) {
        let predictor = cache::predictor(&format!("{}@{number}", version.model), Right::Manage)?;
        let artifact = predictor.artifact();
        let same = artifact.target.name == target.name
            && artifact.target.companion == target.companion
            && artifact.task == deployed.artifact().task;
        if !same {
            notice(format!(
                "version {number} of model \"{}\" predicts another target: its {} predictions are left out",
                version.model,
                kept.len()
            ));
            continue;
        }
        // What one version cannot be measured by is no reason to measure none.
        let labelled = match Labelled::new(artifact, &keys) {
            Ok(labelled) => labelled,
            Err(error) => {
                let (name, why) = (&version.model, &error.message);
                notice(format!(
                    "version {number} of model \"{name}\" is left out: {why}"
                ));
                failure.get_or_insert(error);
                continue;
            }
        };
        for ((period, segment), group) in labelled.groups(kept, by.as_deref(), predictor.width()) {
            scores.extend(judge(
                artifact,
                &labelled,
                &Asked {
                    version: number,
                    period,
                    segment,
                    fewest,
                    metric: metric.as_deref(),
                    bound,
                },
                &group,
                predictor.width(),
            ));
        }
    }
    if let Some(error) = failure.filter(|_| scores.is_empty()) {
        return Err(error);
    }
    if scores.is_empty() {
        notice(format!(
            "none of the {all} predictions that were kept of model \"{}\" has a label in {}",
            version.model,
            source.label()
        ));
    }
    scores
        .sort_by(|a, b| (a.period, &a.segment, a.version).cmp(&(b.period, &b.segment, b.version)));
    let of = Of {
        model: version.model_id,
        name: &version.model,
        unit: &unit,
        by: by.as_deref(),
    };
    live::store(&of, &scores)?;
    log::prune()?;
    Ok(scores)
}

fn check_metric(artifact: &Artifact, metric: &str) -> Result<()> {
    let own = artifact.evaluation.metrics.iter();
    let known: Vec<&str> = own
        .filter(|m| m.class.is_none())
        .map(|m| m.metric.as_str())
        .collect();
    if known.contains(&metric) {
        return Ok(());
    }
    Err(
        Error::new("22023", format!("the model has no metric \"{metric}\""))
            .hint(resolve::did_you_mean(metric, &known)),
    )
}

fn by_version(kept: Vec<Kept>) -> BTreeMap<i32, Vec<Kept>> {
    let mut found: BTreeMap<i32, Vec<Kept>> = BTreeMap::new();
    for one in kept {
        found.entry(one.version).or_default().push(one);
    }
    found
}

/// The rows of the truth whose target is known, by their keys.
struct Keys<'a> {
    frame: &'a Frame,
    narrowed: Narrowed,
    rows: HashMap<&'a str, u32>,
}

impl<'a> Keys<'a> {
    fn new(frame: &'a Frame, narrowed: Narrowed, target: &Target, key: &str) -> Result<Keys<'a>> {
        let mut rows = HashMap::with_capacity(frame.rows());
        let keys = frame.column(&narrowed.key);
        let answers = [Some(&target.name), target.companion.as_ref()];
        let answers = answers.map(|name| name.and_then(|name| frame.column(name)));
        let is_known = |row: usize| answers.iter().flatten().all(|a| !a.nulls.get(row));
        for row in (0..frame.rows()).filter(|row| is_known(*row)) {
            let Some(text) = keys.and_then(|keys| score::text(keys, row)) else {
                continue;
            };
            if rows.insert(text, row as u32).is_some() {
                return Err(Error::new(
                    "23505",
                    format!("the key \"{key}\" of the truth is not unique"),
                )
                .detail(format!("Two rows have the key \"{text}\"."))
                .hint("Give one label for each key, in a SELECT."));
            }
        }
        Ok(Keys {
            frame,
            narrowed,
            rows,
        })
    }
}

/// The rows of the truth whose label a version knows.
struct Labelled<'a> {
    keys: &'a Keys<'a>,
    outcomes: Outcomes,
    /// The label of each row of the frame, where it is known.
    labels: Vec<Option<u32>>,
    /// Rows of labels that the version does not know.
    unknown: usize,
}

/// Of a period and segment: which label, and what was predicted.
type Group = Vec<(usize, Vec<f64>)>;

impl<'a> Labelled<'a> {
    fn new(artifact: &Artifact, keys: &'a Keys<'a>) -> Result<Labelled<'a>> {
        let (rows, truth, unknown): (Vec<u32>, Truth, usize) =
            known_truth_of(artifact.task, &artifact.target, keys.frame)?;
        let mut labels = vec![None; keys.frame.rows()];
        for (label, row) in rows.iter().enumerate() {
            labels[*row as usize] = Some(label as u32);
        }
        Ok(Labelled {
            keys,
            outcomes: Outcomes {
                truth,
                predictions: Vec::new(),
            },
            labels,
            unknown,
        })
    }

    /// Of each period, the last prediction of each key before its label was known: of all, and of each segment.
    fn groups(
        &self,
        kept: Vec<Kept>,
        by: Option<&str>,
        width: usize,
    ) -> BTreeMap<(i64, Option<String>), Group> {
        let Keys {
            frame,
            narrowed,
            rows,
        } = self.keys;
        let times = narrowed.time.as_ref().and_then(|time| frame.column(time));
        let segments = by.and_then(|by| frame.column(by));
        let mut groups: BTreeMap<(i64, Option<String>), Group> = BTreeMap::new();
        let mut last: Option<(i64, usize)> = None;
        for one in kept {
            let Some(row) = rows.get(one.key.as_str()).map(|row| *row as usize) else {
                continue;
            };
            let Some(label) = self.labels[row].map(|label| label as usize) else {
                continue;
            };
            let known_at = times
                .and_then(|times| score::text(times, row))
                .and_then(|text| text.parse::<i64>().ok());
            let too_late = known_at.is_some_and(|known_at| one.at >= known_at - EPOCH);
            // The latest comes first.
            if too_late || last == Some((one.period, label)) || one.outputs.len() != width {
                continue;
            }
            last = Some((one.period, label));
            if let Some(segments) = segments {
                let segment = told(segments.cell(row)).unwrap_or_else(|| "NULL".into());
                let group = groups.entry((one.period, Some(segment))).or_default();
                group.push((label, one.outputs.clone()));
            }
            let group = groups.entry((one.period, None)).or_default();
            group.push((label, one.outputs));
        }
        groups
    }
}

struct Asked<'a> {
    version: i32,
    period: i64,
    segment: Option<String>,
    fewest: u64,
    metric: Option<&'a str>,
    bound: Option<f64>,
}

/// The scores of one group.
fn judge(
    artifact: &Artifact,
    labelled: &Labelled<'_>,
    asked: &Asked<'_>,
    group: &Group,
    width: usize,
) -> Vec<Score> {
    let trained = |metric: &str| {
        let own = artifact.evaluation.metrics.iter();
        own.filter(|m| m.class.is_none())
            .find(|m| m.metric == metric)
            .map(|m| m.value)
    };
    let headline = asked.metric.map(str::to_owned).or_else(|| {
        let headline = artifact.evaluation.headline();
        headline.map(|m| m.metric.clone())
    });
    let empty = Score {
        version: asked.version,
        period: asked.period,
        segment: asked.segment.clone(),
        rows: group.len() as i64,
        metric: None,
        value: None,
        low: None,
        high: None,
        trained: None,
        bound: None,
        below: None,
        note: (labelled.unknown > 0).then(|| {
            let unknown = labelled.unknown;
            format!("{unknown} rows of the truth have labels that this version does not know")
        }),
    };
    if (group.len() as u64) < asked.fewest {
        let note = format!(
            "{} labels, at least {} are needed",
            group.len(),
            asked.fewest
        );
        return vec![Score {
            note: Some(note),
            ..empty
        }];
    }
    let labels: Vec<usize> = group.iter().map(|(label, _)| *label).collect();
    let predictions: Vec<f64> = group
        .iter()
        .flat_map(|(_, outputs)| outputs)
        .copied()
        .collect();
    let truth = labelled
        .outcomes
        .truth_at(artifact.task, artifact.target.labels.len(), &labels);
    debug_assert_eq!(predictions.len(), labels.len() * width);
    let evaluation = evaluate(
        artifact.task,
        &artifact.target.labels,
        &truth,
        &predictions,
        artifact.settled.threshold,
        &artifact.evaluation.baseline,
        score::draws(artifact),
    );
    let overall = evaluation.metrics.into_iter().filter(|m| m.class.is_none());
    let mut scores: Vec<Score> = overall
        .map(|m| {
            let bound = asked.bound.filter(|_| Some(&m.metric) == headline.as_ref());
            let worse = |bound: f64| match smaller_is_better(&m.metric) {
                true => m.value > bound,
                false => m.value < bound,
            };
            Score {
                value: Some(m.value),
                low: Some(m.low),
                high: Some(m.high),
                trained: trained(&m.metric),
                bound,
                below: bound.map(worse),
                metric: Some(m.metric),
                ..empty.clone()
            }
        })
        .collect();
    if let Some(headline) = headline
        && !scores.iter().any(|s| s.metric.as_ref() == Some(&headline))
    {
        scores.push(Score {
            trained: trained(&headline),
            metric: Some(headline),
            note: Some("undefined on these rows".into()),
            ..empty
        });
    }
    scores
}
