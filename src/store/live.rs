//! Predictions that were kept, and how good they turned out to be.

use super::catalog::as_owner;
use super::log::sealed;
use crate::error::Result;
use pgrx::prelude::*;
use pgrx::{JsonB, pg_sys};
use serde_json::json;

/// "insl": the first key of the advisory lock on who stores scores; the second is the hash of the model and the length of periods.
const LOCK_CLASS: i32 = 0x696e_736c;

/// Microseconds from 1970 to 2000, where PostgreSQL's timestamps begin.
pub const EPOCH: i64 = 946_684_800_000_000;

/// A prediction that was kept; times in microseconds since 2000.
pub struct Kept {
    pub version: i32,
    pub period: i64,
    pub key: String,
    pub at: i64,
    pub outputs: Vec<f64>,
}

/// The kept predictions of a model since a moment, by version, period and key, the latest of a key first.
pub fn kept(model: i64, unit: &str, since: Option<&str>) -> Result<Vec<Kept>> {
    as_owner(|| {
        Spi::connect(|client| {
            let rows = client.select(
                "SELECT p.version, (extract(epoch FROM date_trunc($2, p.predicted_at, 'UTC') - timestamptz '2000-01-01 00:00+00') * 1000000)::bigint, \
                 p.key, (extract(epoch FROM p.predicted_at - timestamptz '2000-01-01 00:00+00') * 1000000)::bigint, \
                 COALESCE(p.outputs, ARRAY[p.prediction]), p.sealed FROM insight.prediction p \
                 WHERE p.model = $1 AND p.predicted_at >= COALESCE($3::timestamptz, '-infinity') \
                 AND (p.outputs IS NOT NULL OR p.prediction IS NOT NULL OR p.sealed IS NOT NULL) \
                 ORDER BY 1, 2, p.key COLLATE \"C\", p.predicted_at DESC",
                None,
                &[model.into(), unit.into(), since.map(str::to_owned).into()],
            )?;
            let (mut kept, mut in_order) = (Vec::with_capacity(rows.len()), true);
            for row in rows {
                pgrx::check_for_interrupts!();
                let version = row.get::<i32>(1)?.unwrap_or_default();
                let (key, outputs) = match row.get::<Vec<u8>>(6)? {
                    None => (row.get::<String>(3)?, row.get::<Vec<f64>>(5)?),
                    Some(sealed) => {
                        in_order = false;
                        let content = sealed::open((model, version), sealed)?;
                        let one = content.prediction.map(|prediction| vec![prediction]);
                        match content.outputs.or(one) {
                            None => continue,
                            outputs => (Some(content.key), outputs),
                        }
                    }
                };
                kept.push(Kept {
                    version,
                    period: row.get::<i64>(2)?.unwrap_or_default(),
                    key: key.unwrap_or_default(),
                    at: row.get::<i64>(4)?.unwrap_or_default(),
                    outputs: outputs.unwrap_or_default(),
                });
            }
            // The keys of encrypted rows are known only now.
            if !in_order {
                kept.sort_by(|a: &Kept, b: &Kept| {
                    (a.version, a.period, &a.key, b.at).cmp(&(b.version, b.period, &b.key, a.at))
                });
            }
            Ok(kept)
        })
    })
}

/// A live score.
#[derive(Debug, Clone)]
pub struct Score {
    pub version: i32,
    /// When it begins, in UTC: microseconds since 2000.
    pub period: i64,
    pub segment: Option<String>,
    pub rows: i64,
    /// `None`: too few rows for any.
    pub metric: Option<String>,
    pub value: Option<f64>,
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// The same of the version's own test rows.
    pub trained: Option<f64>,
    /// Of the metric that has one: it must not be worse.
    pub bound: Option<f64>,
    pub below: Option<bool>,
    pub note: Option<String>,
}

/// What scores are of.
pub struct Of<'a> {
    pub model: i64,
    pub name: &'a str,
    /// day, week, month
    pub unit: &'a str,
    /// The column of the segments.
    pub by: Option<&'a str>,
}

/// Keeps scores for the view insight.performance in place of former ones of the same versions, periods and segments, and tells who
/// listens to insight_performance of those that have become worse than their bound. Scores of all rows are the same whatever the
/// segments are by. Does nothing on a standby and in a read-only transaction.
pub fn store(of: &Of<'_>, scores: &[Score]) -> Result<()> {
    // SAFETY: plain reads of this process's state.
    if unsafe { pg_sys::XactReadOnly || pg_sys::RecoveryInProgress() } {
        return Ok(());
    }
    as_owner(|| {
        Spi::connect_mut(|client| {
            // Two that measure the same would both tell of it.
            client.update(
                "SELECT pg_advisory_xact_lock($1, hashtext($2 || ' ' || $3))",
                None,
                &[
                    LOCK_CLASS.into(),
                    of.model.to_string().into(),
                    of.unit.into(),
                ],
            )?;
            let by = |score: &Score| match score.segment {
                Some(_) => of.by.unwrap_or_default(),
                None => "",
            };
            let measured: Vec<_> = scores
                .iter()
                .map(|score| json!({"version": score.version, "period": score.period}))
                .collect();
            let rows: Vec<_> = scores
                .iter()
                .filter(|score| score.metric.is_some() && score.value.is_some())
                .map(|score| {
                    json!({
                        "version": score.version, "period": score.period, "by": by(score), "segment": score.segment.as_deref().unwrap_or_default(),
                        "metric": score.metric, "rows": score.rows, "value": score.value, "low": score.low, "high": score.high,
                        "trained": score.trained, "bound": score.bound, "below": score.below,
                    })
                })
                .collect();
            let told = client.update(
                "WITH fresh AS (SELECT s.*, timestamptz '2000-01-01 00:00+00' + s.period * interval '1 microsecond' AS start FROM jsonb_to_recordset($4) \
                   AS s (version integer, period bigint, by text, segment text, metric text, rows bigint, value float8, low float8, high float8, \
                   trained float8, bound float8, below boolean)), \
                 worse AS (SELECT f.* FROM fresh f WHERE f.below AND NOT EXISTS (SELECT FROM insight.live_score l WHERE l.model = $1 \
                   AND l.version = f.version AND l.unit = $2 AND l.period = f.start AND l.by = f.by AND l.segment = f.segment \
                   AND l.metric = f.metric AND l.below)), \
                 measured AS (SELECT DISTINCT m.version, timestamptz '2000-01-01 00:00+00' + m.period * interval '1 microsecond' AS start \
                   FROM jsonb_to_recordset($6) AS m (version integer, period bigint)), \
                 gone AS (DELETE FROM insight.live_score l USING measured m WHERE l.model = $1 AND l.unit = $2 AND l.by IN ('', $3) \
                   AND l.version = m.version AND l.period = m.start AND NOT EXISTS (SELECT FROM fresh f WHERE f.version = l.version \
                   AND f.start = l.period AND f.by = l.by AND f.segment = l.segment AND f.metric = l.metric)), \
                 stored AS (INSERT INTO insight.live_score AS l (model, version, unit, period, by, segment, metric, rows, value, low, high, \
                     trained, bound, below) \
                   SELECT $1, f.version, $2, f.start, f.by, f.segment, f.metric, f.rows, f.value, f.low, f.high, f.trained, f.bound, f.below FROM fresh f \
                   ON CONFLICT (model, version, unit, period, by, segment, metric) DO UPDATE SET rows = excluded.rows, \
                   value = excluded.value, low = excluded.low, high = excluded.high, trained = excluded.trained, bound = excluded.bound, \
                   below = excluded.below, measured_at = clock_timestamp()) \
                 SELECT jsonb_build_object('model', left($5, 200), 'version', w.version, 'period', w.start, 'unit', $2, \
                   'by', NULLIF(w.by, ''), 'segment', NULLIF(left(w.segment, 200), ''), 'metric', w.metric, 'value', w.value, 'bound', w.bound, \
                   'rows', w.rows)::text FROM worse w",
                None,
                &[
                    of.model.into(),
                    of.unit.into(),
                    of.by.unwrap_or_default().into(),
                    JsonB(rows.into()).into(),
                    of.name.into(),
                    JsonB(measured.into()).into(),
                ],
            )?;
            let told: Vec<String> = told
                .filter_map(|row| row.get::<String>(1).ok().flatten())
                .collect();
            for payload in told {
                client.update(
                    "SELECT pg_notify('insight_performance', $1)",
                    None,
                    &[payload.into()],
                )?;
            }
            Ok(())
        })
    })
}
