//! The log of predictions: which models keep theirs, and the rows that are kept. Written as the extension's owner, in the
//! caller's transaction.

mod partitions;
pub mod sealed;

use super::audit::{self, Entry};
use super::catalog::{self, as_owner, role_name};
use super::keys;
use crate::error::{Error, Result};
use crate::job::options;
use crate::relation::resolve::did_you_mean;
use insight_engine::infer::Answer;
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::prelude::*;
use pgrx::{pg_sys, spi::OwnedPreparedStatement, spi::SpiClient, spi::SpiTupleTable};
use serde_json::{Map, Value};
use std::cell::RefCell;

pub use partitions::prune;

/// A version, as predictions name it.
pub struct Version {
    pub id: i64,
    pub model_id: i64,
    pub model: String,
    pub version: i32,
    /// As text that any session reads alike.
    pub created_at: String,
}

pub fn version(id: i64) -> Result<Version> {
    as_owner(|| {
        Spi::connect(|client| {
            let row = client
                .select(
                    "SELECT m.id, m.name, v.version, to_char(v.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00') \
                     FROM insight.version v JOIN insight.model m ON m.id = v.model WHERE v.id = $1",
                    None,
                    &[id.into()],
                )?
                .first();
            if row.is_empty() {
                return Err(Error::new("42704", "the version was dropped"));
            }
            Ok(Version {
                id,
                model_id: row.get::<i64>(1)?.unwrap_or_default(),
                model: row.get::<String>(2)?.unwrap_or_default(),
                version: row.get::<i32>(3)?.unwrap_or_default(),
                created_at: row.get::<String>(4)?.unwrap_or_default(),
            })
        })
    })
}

/// This moment, by the server's clock.
pub fn clock() -> Result<TimestampWithTimeZone> {
    // SAFETY: reads the clock.
    TimestampWithTimeZone::try_from(unsafe { pg_sys::GetCurrentTimestamp() })
        .map_err(|e| Error::new("22008", e.to_string()))
}

/// How a model's predictions are kept.
#[derive(Debug, Clone)]
pub struct Setting {
    pub on: bool,
    pub sample: f64,
    pub retention: Interval,
    /// The column of the truth that has the keys.
    pub key: Option<String>,
    /// Whose predictions are kept, beside those of members of the model's owner.
    pub roles: Vec<String>,
    pub metric: Option<String>,
    pub bound: Option<f64>,
}

const OPTIONS: [&str; 6] = ["bound", "key", "metric", "retention", "roles", "sample"];

/// Turns the log of a model on or off; what is not said stays as it is.
pub fn set(model: &str, on: bool, given: &Value, role: pg_sys::Oid) -> Result<Setting> {
    let Value::Object(given) = given else {
        return Err(Error::new("22023", "options must be a JSON object")
            .hint("For example '{\"sample\": 0.1, \"retention\": \"90 days\"}'."));
    };
    crate::job::spec::check_keys(given, &[&OPTIONS], " of insight_log")?;
    let sample = number(given, "sample")?;
    if sample.is_some_and(|sample| sample <= 0.0 || sample > 1.0) {
        return Err(options::wrong_type("sample", "a number above 0, at most 1"));
    }
    let bound = number(given, "bound")?;
    let roles = match given.contains_key("roles") {
        true => Some(options::names(given, "roles").map_err(|_| {
            options::wrong_type("roles", "an array of names of roles")
                .hint("For example {\"roles\": [\"app\"]}.")
        })?),
        false => None,
    };
    let (key, metric) = (
        options::text(given, "key")?,
        options::text(given, "metric")?,
    );
    let retention = options::text(given, "retention")?;
    let setting = as_owner(|| {
        Spi::connect_mut(|client| {
            let id = catalog::owned(client, model, role)?;
            if let Some(metric) = &metric {
                check_metric(client, id, metric)?;
            }
            let row = client
                .update(
                    "SELECT $1::interval > interval '1 hour'",
                    None,
                    &[retention.as_deref().unwrap_or("90 days").into()],
                )?
                .first();
            if row.get_one::<bool>()? != Some(true) {
                return Err(
                    options::wrong_type("retention", "an interval of more than an hour")
                        .hint("For example {\"retention\": \"90 days\"}."),
                );
            }
            let row = client.update(
                "INSERT INTO insight.log AS l (model, active, sample, retention, key, roles, metric, bound, role) \
                 VALUES ($1, $2, COALESCE($3, 1), COALESCE($4, '90 days')::interval, $5, COALESCE($6, '{}')::name[], $7, $8, pg_get_userbyid($9)) \
                 ON CONFLICT (model) DO UPDATE SET active = $2, sample = COALESCE($3, l.sample), \
                 retention = COALESCE($4::interval, l.retention), key = COALESCE($5, l.key), roles = COALESCE($6::name[], l.roles), \
                 metric = COALESCE($7, l.metric), bound = COALESCE($8, l.bound), role = pg_get_userbyid($9), \
                 changed_at = clock_timestamp() \
                 RETURNING l.active, l.sample, l.retention, l.key, l.roles::text[], l.metric, l.bound",
                None,
                &[
                    id.into(),
                    on.into(),
                    sample.into(),
                    retention.clone().into(),
                    key.clone().into(),
                    roles.clone().into(),
                    metric.clone().into(),
                    bound.into(),
                    role.into(),
                ],
            )?.first();
            Setting::of(&row)
        })
    })?;
    audit::write(&Entry {
        model: Some(model),
        detail: serde_json::json!({"on": on, "options": given}),
        role: Some(role),
        ..Entry::of("log")
    })?;
    if on {
        partitions::ensure()?;
    }
    prune()?;
    Ok(setting)
}

impl Setting {
    fn of(row: &SpiTupleTable<'_>) -> Result<Setting> {
        let retention = row.get::<Interval>(3)?;
        Ok(Setting {
            on: row.get::<bool>(1)?.unwrap_or_default(),
            sample: row.get::<f64>(2)?.unwrap_or(1.0),
            retention: retention.ok_or_else(|| Error::new("XX001", "the log has no retention"))?,
            key: row.get::<String>(4)?,
            roles: row.get::<Vec<String>>(5)?.unwrap_or_default(),
            metric: row.get::<String>(6)?,
            bound: row.get::<f64>(7)?,
        })
    }
}

/// An error where no version of the model has such a score.
fn check_metric(client: &SpiClient<'_>, model: i64, metric: &str) -> Result<()> {
    let rows = client.select(
        "SELECT DISTINCT s.metric FROM insight.metric s JOIN insight.version v ON v.id = s.version \
         WHERE v.model = $1 AND s.class IS NULL ORDER BY 1",
        None,
        &[model.into()],
    )?;
    let known: Vec<String> = rows
        .filter_map(|row| row.get::<String>(1).ok().flatten())
        .collect();
    if known.iter().any(|own| own == metric) {
        return Ok(());
    }
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    Err(
        Error::new("22023", format!("the model has no metric \"{metric}\""))
            .hint(did_you_mean(metric, &known)),
    )
}

fn number(given: &Map<String, Value>, key: &str) -> Result<Option<f64>> {
    match given.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_f64()
            .map(Some)
            .ok_or_else(|| options::wrong_type(key, "a number")),
    }
}

/// How a model's predictions are kept; `None` where nobody has said.
pub fn setting(model: &str) -> Result<Option<Setting>> {
    as_owner(|| {
        Spi::connect(|client| {
            let row = client
                .select(
                    "SELECT l.active, l.sample, l.retention, l.key, l.roles::text[], l.metric, l.bound \
                     FROM insight.log l JOIN insight.model m ON m.id = l.model WHERE m.name = $1",
                    None,
                    &[model.into()],
                )?
                .first();
            match row.is_empty() {
                true => Ok(None),
                false => Setting::of(&row).map(Some),
            }
        })
    })
}

/// Keeps predictions of one version by one role.
pub struct Keeper {
    model: i64,
    version: i32,
    sample: f64,
    role: String,
}

/// A prediction to be kept.
pub struct Line<'a> {
    pub key: &'a str,
    pub answer: Answer,
    pub outputs: Option<Vec<f64>>,
}

/// What keeps predictions of a version, where they are kept and may be written: not on a standby, nor in a transaction that is
/// read-only, nor those of roles that are not named.
pub fn keeper(version: &Version) -> Result<Option<Keeper>> {
    // SAFETY: plain reads of this process's state.
    let role = unsafe {
        if pg_sys::XactReadOnly || pg_sys::RecoveryInProgress() {
            return Ok(None);
        }
        pg_sys::GetUserId()
    };
    let sample = as_owner(|| {
        Spi::connect(|client| -> Result<Option<f64>> {
            let row = client
                .select(
                    "SELECT l.sample FROM insight.log l JOIN insight.model m ON m.id = l.model WHERE l.model = $1 AND l.active \
                     AND EXISTS (SELECT FROM pg_roles r WHERE (r.rolname = m.owner OR r.rolname = ANY (l.roles)) AND pg_has_role($2, r.oid, 'USAGE'))",
                    None,
                    &[version.model_id.into(), role.into()],
                )?
                .first();
            Ok(match row.is_empty() {
                true => None,
                false => row.get_one::<f64>()?,
            })
        })
    })?;
    let Some(sample) = sample else {
        return Ok(None);
    };
    partitions::ensure()?;
    Ok(Some(Keeper {
        model: version.model_id,
        version: version.version,
        sample,
        role: role_name(role),
    }))
}

impl Keeper {
    /// Whether the predictions of a key are in the sample: always, or never, so that a customer's history is whole.
    pub fn samples(&self, key: &str) -> bool {
        if self.sample >= 1.0 {
            return true;
        }
        // FNV-1a (Fowler, Noll, Vo), mixed as SplitMix64 does (Steele et al. 2014).
        let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let mixed = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) >> 11) as f64 / ((1_u64 << 53) as f64) < self.sample
    }

    /// A model's outputs where the answer does not say them all.
    pub fn outputs(&self, outputs: &[f64]) -> Option<Vec<f64>> {
        (outputs.len() > 1).then(|| outputs.to_vec())
    }

    /// Keeps predictions that were made at one moment.
    pub fn keep(&self, lines: &[Line<'_>], at: TimestampWithTimeZone) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        if let Some(ring) = keys::ring()? {
            let sealed = lines
                .iter()
                .map(|line| sealed::seal(&ring, (self.model, self.version), line))
                .collect::<Result<Vec<_>>>()?;
            return self.keep_sealed(&sealed, at);
        }
        let keys: Vec<&str> = lines.iter().map(|line| line.key).collect();
        let predictions: Vec<Option<f64>> =
            lines.iter().map(|line| line.answer.prediction).collect();
        let labels: Vec<Option<&str>> = lines
            .iter()
            .map(|line| line.answer.label.as_deref())
            .collect();
        let probabilities: Vec<Option<f64>> =
            lines.iter().map(|line| line.answer.probability).collect();
        let outputs: Vec<f64> = lines
            .iter()
            .flat_map(|line| line.outputs.as_deref().unwrap_or_default())
            .copied()
            .collect();
        let width = (outputs.len() / lines.len()) as i32;
        let plan = plan()?;
        as_owner(|| {
            Spi::connect_mut(|client| {
                PLAN.with_borrow(|plans| {
                    let Some(plan) = plans.as_ref().filter(|_| plan) else {
                        return Err(Error::new("XX000", "the log's plan is gone"));
                    };
                    client.update(
                        plan,
                        None,
                        &[
                            self.model.into(),
                            self.version.into(),
                            at.into(),
                            self.role.as_str().into(),
                            keys.into(),
                            predictions.into(),
                            labels.into(),
                            probabilities.into(),
                            outputs.into(),
                            width.into(),
                        ],
                    )?;
                    Ok(())
                })
            })
        })
    }
}

impl Keeper {
    fn keep_sealed(&self, sealed: &[Vec<u8>], at: TimestampWithTimeZone) -> Result<()> {
        let sealed: Vec<&[u8]> = sealed.iter().map(Vec::as_slice).collect();
        as_owner(|| {
            Spi::connect_mut(|client| {
                client.update(
                    "INSERT INTO insight.prediction (model, version, predicted_at, role, key, sealed) \
                     SELECT $1, $2, $3, $4, '', s FROM unnest($5) s",
                    None,
                    &[
                        self.model.into(),
                        self.version.into(),
                        at.into(),
                        self.role.as_str().into(),
                        sealed.into(),
                    ],
                )?;
                Ok(())
            })
        })
    }
}

thread_local! {
    /// Kept for the life of the process.
    static PLAN: RefCell<Option<OwnedPreparedStatement>> = const { RefCell::new(None) };
}

/// Makes the plan where there is none yet.
fn plan() -> Result<bool> {
    if PLAN.with_borrow(Option::is_some) {
        return Ok(true);
    }
    let prepared = as_owner(|| {
        Spi::connect(|client| -> Result<OwnedPreparedStatement> {
            use pg_sys::BuiltinOid::{
                FLOAT8ARRAYOID, INT4OID, INT8OID, TEXTARRAYOID, TEXTOID, TIMESTAMPTZOID,
            };
            let types = [
                INT8OID,
                INT4OID,
                TIMESTAMPTZOID,
                TEXTOID,
                TEXTARRAYOID,
                FLOAT8ARRAYOID,
                TEXTARRAYOID,
                FLOAT8ARRAYOID,
                FLOAT8ARRAYOID,
                INT4OID,
            ];
            Ok(client
                .prepare_mut(
                    "INSERT INTO insight.prediction (model, version, predicted_at, role, key, prediction, label, probability, outputs) \
                     SELECT $1, $2, $3, $4, r.key, r.prediction, r.label, r.probability, \
                     CASE WHEN $10 > 0 THEN $9[(r.n - 1) * $10 + 1 : r.n * $10] END \
                     FROM unnest($5, $6, $7, $8) WITH ORDINALITY AS r (key, prediction, label, probability, n)",
                    &types.map(pgrx::PgOid::BuiltIn),
                )?
                .keep())
        })
    })?;
    PLAN.with_borrow_mut(|slot| *slot = Some(prepared));
    Ok(true)
}
