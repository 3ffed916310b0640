//! Kept predictions that are encrypted.

use super::Line;
use crate::error::{Error, Result};
use crate::store::cache::{self, Stamp};
use crate::store::catalog::{self, as_owner};
use crate::store::rights::{self, Right};
use crate::store::{keys, membership, record};
use insight_engine::infer::Answer;
use insight_engine::privacy::seal::Ring;
use pgrx::pg_sys;
use pgrx::prelude::*;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cell::Cell;

/// What of a prediction is encrypted.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Content {
    pub key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prediction: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Vec<f64>>,
}

/// The place that predictions of a version (model, version) are sealed for.
fn place((model, version): (i64, i32)) -> String {
    format!("prediction {model} {version}")
}

fn seal_content(ring: &Ring, of: (i64, i32), content: &Content) -> Result<Vec<u8>> {
    let plain = serde_json::to_vec(content).map_err(|e| Error::new("XX000", e.to_string()))?;
    ring.seal(&place(of), &plain)
        .map_err(|e| Error::new("58000", "nothing can be encrypted").detail(e.to_string()))
}

/// A prediction of a version (model, version) as it is stored.
pub fn seal(ring: &Ring, of: (i64, i32), line: &Line<'_>) -> Result<Vec<u8>> {
    let Answer {
        prediction,
        label,
        probability,
        ..
    } = &line.answer;
    let content = Content {
        key: line.key.to_owned(),
        prediction: *prediction,
        label: label.as_ref().map(|label| label.to_string()),
        probability: *probability,
        outputs: line.outputs.clone(),
    };
    seal_content(ring, of, &content)
}

/// What a stored prediction holds.
pub fn open(of: (i64, i32), sealed: Vec<u8>) -> Result<Content> {
    let plain = keys::open("the kept prediction", &place(of), sealed)?;
    serde_json::from_slice(&plain).map_err(|e| {
        Error::new("XX001", "the kept prediction cannot be read").detail(e.to_string())
    })
}

thread_local! {
    /// The model that this statement has looked for, and whether the caller manages it.
    static MANAGED: Cell<Option<(Stamp, i64, bool)>> = const { Cell::new(None) };
}

/// Whether the caller may read the kept predictions of a model.
pub fn may_read(model: i64) -> Result<bool> {
    let stamp = cache::now();
    if let Some((at, of, may)) = MANAGED.get()
        && at == stamp
        && of == model
    {
        return Ok(may);
    }
    // SAFETY: a plain read of this process's identity.
    let role = unsafe { pg_sys::GetUserId() };
    let may = as_owner(|| {
        Spi::connect(|client| -> Result<bool> {
            let row = client
                .select(
                    "SELECT owner::text FROM insight.model WHERE id = $1",
                    None,
                    &[model.into()],
                )?
                .first();
            match row.is_empty() {
                true => Ok(false),
                false => {
                    let owner = row.get_one::<String>()?.unwrap_or_default();
                    Ok(rights::strongest(model, &owner, role) == Some(Right::Manage))
                }
            }
        })
    })?;
    MANAGED.set(Some((stamp, model, may)));
    Ok(may)
}

/// Encrypts all that is stored with the newest key: at most so many versions, and the kept predictions once no version is left.
/// Answers how many versions and predictions were encrypted, how many versions are left, and the key's version.
///
/// # Errors
/// 42501 for a role that is no member of the extension's owner, 22023 for fewer than one, 55000 without a key.
pub fn rotate(most: Option<i32>, role: pg_sys::Oid) -> Result<(i64, i64, i64, i32)> {
    let owner = catalog::role_name(catalog::owner());
    if !rights::is_member(role, &owner) {
        return Err(Error::new(
            "42501",
            "must be owner of the extension insight to rotate its key",
        )
        .hint(format!("The owner is \"{owner}\".")));
    }
    if most.is_some_and(|most| most < 1) {
        return Err(Error::new("22023", "most must be 1 or more"));
    }
    let Some(ring) = keys::ring()? else {
        return Err(Error::new("55000", "there is no key to encrypt with").hint(
            "Have a superuser set insight.key_file or insight.key_command, in postgresql.conf or by ALTER DATABASE.",
        ));
    };
    let newest = ring.newest() as i32;
    membership::reseal()?;
    as_owner(|| {
        Spi::connect_mut(|client| {
            let mut count =
                |query: &str, arguments: &[pgrx::datum::DatumWithOid<'_>]| -> Result<i64> {
                    let row = client.update(query, None, arguments)?.first();
                    Ok(row.get_one::<i64>()?.unwrap_or_default())
                };
            let versions = count(
                "WITH due AS (SELECT id FROM insight.version WHERE insight.key_version(substring(artifact FOR 64)) IS DISTINCT FROM $1 \
                   ORDER BY id LIMIT $2), \
                 done AS (UPDATE insight.version v SET artifact = insight.resealed_artifact(v.id, v.artifact) FROM due WHERE v.id = due.id RETURNING 1) \
                 SELECT count(*) FROM done",
                &[newest.into(), most.into()],
            )?;
            let left = count(
                "SELECT count(*) FROM insight.version WHERE insight.key_version(substring(artifact FOR 64)) IS DISTINCT FROM $1",
                &[newest.into()],
            )?;
            let predictions = match left {
                0 => count(
                    "WITH done AS (UPDATE insight.prediction p SET key = '', prediction = NULL, label = NULL, probability = NULL, outputs = NULL, \
                       sealed = insight.resealed_prediction(p.model, p.version, p.key, p.prediction, p.label, p.probability, p.outputs, p.sealed) \
                       WHERE insight.key_version(substring(p.sealed FOR 64)) IS DISTINCT FROM $1 RETURNING 1) SELECT count(*) FROM done",
                    &[newest.into()],
                )?,
                _ => 0,
            };
            Ok((versions, predictions, left, newest))
        })
    })
}

/// A version's bytes under the newest key.
pub fn reseal_artifact(id: i64, stored: Vec<u8>) -> Result<Vec<u8>> {
    let place = record::place(id);
    let plain = keys::open("the model", &place, stored)?;
    keys::seal(&place, &plain).map(Cow::into_owned)
}

/// A kept prediction under the newest key: of its plain columns, or as it was sealed before.
pub fn reseal(of: (i64, i32), plain: Content, sealed: Option<Vec<u8>>) -> Result<Vec<u8>> {
    let content = match sealed {
        Some(sealed) => open(of, sealed)?,
        None => plain,
    };
    match keys::ring()? {
        Some(ring) => seal_content(&ring, of, &content),
        None => Err(Error::new("55000", "there is no key to encrypt with")),
    }
}
