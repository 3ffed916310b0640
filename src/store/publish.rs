//! A new version: its rows in the catalog, whether it is deployed, and what the audit says of it.

use super::audit::{self, Entry};
use super::catalog::{as_owner, check_manages, point_to};
use super::deployments::{Champion, Promote, Verdict};
use super::{keys, membership, record};
use crate::error::{Error, Result};
use insight_engine::trained::Card;
use pgrx::prelude::*;
use pgrx::{JsonB, pg_sys, spi::SpiClient};

/// What a version is stored with beside its artifact.
pub struct Publication<'a> {
    pub model: &'a str,
    pub role: pg_sys::Oid,
    /// `None`: it comes from a file.
    pub job: Option<i64>,
    pub relation: &'a str,
    /// The relation with its schema, or the query: what to train on again.
    pub source: &'a str,
    pub options: &'a serde_json::Value,
    /// The column that is predicted, for models that do not know it themselves; may be empty.
    pub target: &'a str,
    pub deploy: bool,
    /// Why, for the history.
    pub reason: &'a str,
    /// Of a version that was trained again: when it is deployed, and beside which it was judged.
    pub promote: Option<Promote>,
    pub champion: Option<&'a Champion>,
    /// From the call to the finished model.
    pub seconds: f64,
    /// Whose rows it was trained on, as [`insight_engine::members::Members::to_bytes`]; nothing where that is not known.
    pub seen: &'a [u8],
}

/// The row `insight_train` answers.
#[derive(Debug, Clone)]
pub struct Published {
    pub version: i32,
    pub task: &'static str,
    pub algorithm: String,
    pub metric: Option<String>,
    pub score: Option<f64>,
    pub deployed: bool,
    /// Why a version that was trained again is deployed or not.
    pub verdict: Option<String>,
    pub rows: i64,
}

/// Stores a new version and, if asked, deploys it, in the current transaction.
pub fn publish(publication: &Publication<'_>, card: &Card<'_>, bytes: &[u8]) -> Result<Published> {
    as_owner(|| Spi::connect_mut(|client| publish_as_owner(client, publication, card, bytes)))
}

fn publish_as_owner(
    client: &mut SpiClient<'_>,
    publication: &Publication<'_>,
    card: &Card<'_>,
    bytes: &[u8],
) -> Result<Published> {
    let Publication { model, role, .. } = *publication;
    client.update(
        "INSERT INTO insight.model (name, owner) VALUES ($1, pg_get_userbyid($2)) ON CONFLICT (name) DO NOTHING",
        None,
        &[model.into(), role.into()],
    )?;
    let row = client
        .update(
            "SELECT id, owner::text, deployed FROM insight.model WHERE name = $1 FOR UPDATE",
            None,
            &[model.into()],
        )?
        .first();
    let (Some(id), Some(owner), deployed) = row.get_three::<i64, String, i32>()? else {
        return Err(Error::new(
            "40001",
            format!("model \"{model}\" was dropped while its new version was trained"),
        ));
    };
    check_manages((id, model, &owner), role)?;
    let headline = card.headline.as_ref();
    let target = match card.target {
        "" => publication.target,
        own => own,
    };
    let mut summary = card.summary.clone();
    summary["source"] = publication.source.into();
    // Known before the bytes are stored: they are sealed for this version alone.
    let version_id = client
        .update("SELECT nextval('insight.version_id_seq')", None, &[])?
        .first()
        .get_one::<i64>()?
        .ok_or_else(|| Error::new("XX000", "the version could not be numbered"))?;
    let stored = keys::seal(&record::place(version_id), bytes)?;
    let row = client
        .update(
            "INSERT INTO insight.version (id, model, version, job, task, algorithm, relation, target, metric, score, rows, \
                 seconds, device, options, summary, artifact, created_by) OVERRIDING SYSTEM VALUE \
             VALUES ($16, $1, 1 + COALESCE((SELECT max(version) FROM insight.version WHERE model = $1), 0), $2, $3, $4, $5, $6, \
                 $7, $8, $9, $10, $11, $12, $13, $14, pg_get_userbyid($15)) RETURNING version",
            None,
            &[
                id.into(),
                publication.job.into(),
                card.task.into(),
                card.algorithm.into(),
                publication.relation.into(),
                target.into(),
                headline.map(|m| m.metric.as_str()).into(),
                headline.map(|m| m.value).into(),
                (card.rows as i64).into(),
                publication.seconds.into(),
                card.device.into(),
                JsonB(publication.options.clone()).into(),
                JsonB(summary).into(),
                stored.as_ref().into(),
                role.into(),
                version_id.into(),
            ],
        )?
        .first();
    let Some(version) = row.get_one::<i32>()? else {
        return Err(Error::new("XX000", "the version could not be stored"));
    };
    if publication.job.is_some() {
        membership::store(client, (id, model), version_id, publication.seen)?;
    }
    store_epochs(client, version_id, card)?;
    store_trials(client, version_id, card)?;
    store_metrics(client, version_id, card)?;
    let verdict = match publication.promote {
        None => Verdict {
            deploy: publication.deploy,
            ..Verdict::of(publication.reason)
        },
        Some(promote) => {
            let challenge = &card.summary["provenance"]["challenge"];
            let challenge = serde_json::from_value(challenge.clone()).unwrap_or_default();
            Verdict::of_retrained(version, promote, publication.champion, deployed, challenge)
        }
    };
    if verdict.deploy {
        point_to(client, id, version, role, &verdict)?;
    }
    audit::write(&Entry {
        model: Some(model),
        version: Some(version),
        job: publication.job,
        relation: Some(match publication.source {
            "" => publication.relation,
            source => source,
        }),
        columns: Some(columns(&card.summary)),
        rows: Some(card.rows as i64),
        detail: serde_json::json!({"target": target, "options": publication.options}),
        role: Some(role),
        action: match publication.job {
            Some(_) => "train",
            None => "import",
        },
    })?;
    Ok(Published {
        version,
        task: card.task,
        algorithm: card.algorithm.to_owned(),
        metric: headline.map(|m| m.metric.clone()),
        score: headline.map(|m| m.value),
        deployed: verdict.deploy,
        verdict: verdict.notice,
        rows: card.rows as i64,
    })
}

/// The names of a model's columns.
fn columns(summary: &serde_json::Value) -> Vec<String> {
    let features = summary["features"].as_array().into_iter().flatten();
    let names = features.filter_map(|feature| feature["name"].as_str());
    names.map(str::to_owned).collect()
}

fn store_epochs(client: &mut SpiClient<'_>, version: i64, card: &Card<'_>) -> Result<()> {
    let history = serde_json::to_value(card.history).unwrap_or_default();
    client.update(
        "INSERT INTO insight.epoch SELECT $1, e.* FROM jsonb_to_recordset($2) AS e (epoch integer, train_loss float8, \
         validation_loss float8, learning_rate float8, rows_per_second float8, seconds float8)",
        None,
        &[version.into(), JsonB(history).into()],
    )?;
    Ok(())
}

fn store_trials(client: &mut SpiClient<'_>, version: i64, card: &Card<'_>) -> Result<()> {
    if card.trials.is_empty() {
        return Ok(());
    }
    let trials = serde_json::to_value(card.trials).unwrap_or_default();
    client.update(
        "INSERT INTO insight.trial (version, trial, status, options, loss, epochs, seconds, best) \
         SELECT $1, t.* FROM jsonb_to_recordset($2) AS t (trial integer, status text, options jsonb, loss float8, \
         epochs integer, seconds float8, best boolean)",
        None,
        &[version.into(), JsonB(trials).into()],
    )?;
    Ok(())
}

fn store_metrics(client: &mut SpiClient<'_>, version: i64, card: &Card<'_>) -> Result<()> {
    let metrics = serde_json::to_value(&*card.metrics).unwrap_or_default();
    client.update(
        "INSERT INTO insight.metric SELECT $1, m.ordinality, m.metric, m.class, m.value, m.low, m.high, m.baseline \
         FROM ROWS FROM (jsonb_to_recordset($2) AS (metric text, class text, value float8, low float8, high float8, \
         baseline float8)) WITH ORDINALITY AS m",
        None,
        &[version.into(), JsonB(metrics).into()],
    )?;
    Ok(())
}
