//! Whose rows versions were trained on, as keyed fingerprints, and who must be left out from now on.

use super::catalog::{as_owner, check_owner, unknown_model};
use crate::error::{Error, Result};
use hmac::{Hmac, Mac};
use insight_engine::frame::{Cell, Frame};
use insight_engine::members::Members;
use pgrx::prelude::*;
use pgrx::{pg_sys, spi::SpiClient};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::collections::HashMap;

/// The name of the secret that is a salt of the catalog.
const SALT: &str = "salt";

/// What fingerprints are made with.
#[derive(Clone)]
pub struct Secret {
    /// Names it in the catalog.
    pub name: String,
    mac: Hmac<Sha256>,
}

impl Secret {
    fn new(name: &str, key: &[u8]) -> Result<Secret> {
        let mac = Hmac::new_from_slice(key).map_err(|e| Error::new("XX000", e.to_string()))?;
        Ok(Secret {
            name: name.into(),
            mac,
        })
    }

    /// The first 64 bits of HMAC-SHA-256 (RFC 2104) of a key as text.
    pub fn fingerprint(&self, key: &str) -> u64 {
        let mut mac = self.mac.clone();
        mac.update(key.as_bytes());
        let bytes = mac.finalize().into_bytes();
        let (first, _) = bytes.as_chunks::<8>();
        first.first().map_or(0, |word| u64::from_le_bytes(*word))
    }
}

/// Whether fingerprints of a secret are made with a key that a dump of the database does not hold.
pub fn is_key(secret: &str) -> bool {
    secret != SALT
}

/// A fingerprint that rows of a model are left out for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forgotten {
    pub secret: String,
    pub fingerprint: u64,
}

/// The secret that new fingerprints are made with: a salt in the catalog, which a dump holds.
pub fn secret() -> Result<Secret> {
    named(SALT)
}

/// The secret of a name.
fn named(name: &str) -> Result<Secret> {
    let salt = as_owner(|| {
        Spi::connect_mut(|client| {
            let read = "SELECT salt FROM insight.salt";
            let known: Option<Vec<u8>> = {
                // A standby answers, too.
                let rows = client.select(read, None, &[])?;
                if rows.is_empty() {
                    None
                } else {
                    rows.first().get_one()?
                }
            };
            if let Some(salt) = known {
                return Ok(salt);
            }
            // Two random UUIDs have 244 bits of PostgreSQL's strong generator.
            client.update(
                "INSERT INTO insight.salt (salt) VALUES (decode(replace(concat(gen_random_uuid(), gen_random_uuid()), '-', ''), 'hex')) \
                 ON CONFLICT DO NOTHING",
                None,
                &[],
            )?;
            let rows = client.update(read, None, &[])?;
            rows.first()
                .get_one::<Vec<u8>>()?
                .ok_or_else(|| Error::new("XX000", "the salt of fingerprints is gone"))
        })
    })?;
    Secret::new(name, &salt)
}

/// What a training saw: the secret and the set, as a worker hands them over.
pub struct Seen {
    pub secret: String,
    pub members: Members,
}

impl Seen {
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.secret.as_bytes().to_vec();
        out.push(0);
        out.extend(self.members.to_bytes());
        out
    }

    /// `None` where nothing was handed over.
    fn from_bytes(bytes: &[u8]) -> Option<Seen> {
        let end = bytes.iter().position(|byte| *byte == 0)?;
        Some(Seen {
            secret: String::from_utf8(bytes[..end].to_vec()).ok()?,
            members: Members::from_bytes(&bytes[end + 1..])?,
        })
    }
}

/// Leaves out the rows of forgotten keys and answers whose rows are left, and how many went. Rows without a key stay: they are
/// nobody's.
pub fn take(frame: &mut Frame, column: &str, forgotten: &[Forgotten]) -> Result<(Seen, usize)> {
    let secret = secret()?;
    let mut others: HashMap<&str, Secret> = HashMap::new();
    for own in forgotten {
        if !others.contains_key(own.secret.as_str()) {
            others.insert(&own.secret, named(&own.secret)?);
        }
    }
    let out = |text: &str| {
        forgotten.iter().any(|own| {
            let secret = others.get(own.secret.as_str());
            secret.is_some_and(|secret| secret.fingerprint(text) == own.fingerprint)
        })
    };
    let keys = frame
        .column(column)
        .ok_or_else(|| Error::new("XX000", "the key was not read"))?;
    // A key has many rows in a log.
    let mut known: HashMap<&str, bool> = HashMap::new();
    let mut kept = Vec::with_capacity(keys.len());
    for row in 0..keys.len() {
        kept.push(match keys.cell(row) {
            Cell::Text(text) => *known.entry(text).or_insert_with(|| !out(text)),
            _ => true,
        });
    }
    let own = known.iter().filter(|(_, kept)| **kept);
    let fingerprints = own.map(|(text, _)| secret.fingerprint(text)).collect();
    let left = kept.iter().filter(|kept| !**kept).count();
    frame.retain(|row| kept[row]);
    let seen = Seen {
        secret: secret.name,
        members: Members::of(fingerprints),
    };
    Ok((seen, left))
}

/// Whose rows must be left out of a model's training; none of a model that is not there.
pub fn forgotten(model: &str) -> Result<Vec<Forgotten>> {
    as_owner(|| {
        Spi::connect(|client| {
            let rows = client.select(
                "SELECT f.secret, f.fingerprint FROM insight.forgotten f JOIN insight.model m ON m.id = f.model WHERE m.name = $1",
                None,
                &[model.into()],
            )?;
            Ok(rows.filter_map(|row| read_forgotten(&row)).collect())
        })
    })
}

fn read_forgotten(row: &pgrx::spi::SpiHeapTupleData<'_>) -> Option<Forgotten> {
    Some(Forgotten {
        secret: row.get::<String>(1).ok()??,
        fingerprint: row.get::<i64>(2).ok()?? as u64,
    })
}

/// An error where a model has forgotten somebody and its training does not say who is who.
pub fn check_key(model: &str, keyed: bool, forgotten: &[Forgotten]) -> Result<()> {
    if keyed || forgotten.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        "22023",
        format!(
            "model \"{model}\" has forgotten keys, and the call does not say which column has them"
        ),
    )
    .detail("Rows of a forgotten key are left out of every later training of the model.")
    .hint("Name the column in the option key, or choose another model name."))
}

/// Notes what a new version saw, if it is known. Call it with the model's row locked.
///
/// # Errors
/// 40001 where somebody was forgotten while the version was trained.
pub fn store(
    client: &mut SpiClient<'_>,
    model: (i64, &str),
    version: i64,
    handed: &[u8],
) -> Result<()> {
    let seen = Seen::from_bytes(handed);
    let rows = client.update(
        "SELECT secret, fingerprint FROM insight.forgotten WHERE model = $1",
        None,
        &[model.0.into()],
    )?;
    let forgotten: Vec<Forgotten> = rows.filter_map(|row| read_forgotten(&row)).collect();
    check_key(model.1, seen.is_some(), &forgotten)?;
    let Some(seen) = seen else { return Ok(()) };
    let mut own = forgotten.iter().filter(|own| own.secret == seen.secret);
    // A filter takes others for members, too; of those it cannot be told.
    if seen.members.is_exact() && own.any(|own| seen.members.contains(own.fingerprint)) {
        return Err(Error::new(
            "40001",
            format!(
                "a key of model \"{}\" was forgotten while its new version was trained",
                model.1
            ),
        )
        .hint("Train it again."));
    }
    client.update(
        "INSERT INTO insight.fingerprint (version, secret, keys, members) VALUES ($1, $2, $3, $4)",
        None,
        &[
            version.into(),
            seen.secret.as_str().into(),
            (seen.members.count() as i64).into(),
            seen.members.to_bytes().into(),
        ],
    )?;
    Ok(())
}

/// Whether a version saw a key.
pub struct Contained {
    pub id: i64,
    pub version: i32,
    pub deployed: bool,
    /// `None`: it was trained without the option `key`, or imported.
    pub contained: Option<bool>,
    pub false_positive_rate: Option<f64>,
    /// Whether the fingerprints are made with a key that a dump does not hold.
    pub keyed: Option<bool>,
    /// Keys that the version saw.
    pub keys: Option<i64>,
    /// The versions and models that it was made from, as they are named in its record.
    pub made_from: Vec<String>,
}

/// Every version of a model that the role owns, and whether it saw a key; the fingerprint of each secret is found once.
pub fn contains(model: &str, key: &str, role: pg_sys::Oid) -> Result<Vec<Contained>> {
    let rows = as_owner(|| {
        Spi::connect(|client| {
            let row = client
                .select(
                    "SELECT id, owner::text FROM insight.model WHERE name = $1",
                    None,
                    &[model.into()],
                )?
                .first();
            if row.is_empty() {
                return Err(unknown_model(client, model));
            }
            let (id, owner) = row.get_two::<i64, String>()?;
            check_owner(model, &owner.unwrap_or_default(), role)?;
            let rows = client.select(
                "SELECT v.id, v.version, v.version IS NOT DISTINCT FROM m.deployed, f.secret, f.keys, f.members, \
                 array_remove(ARRAY[v.summary #>> '{provenance,started_from}', v.summary #>> '{provenance,model}', \
                   v.options #>> '{augment,gan}'], NULL) \
                 FROM insight.version v JOIN insight.model m ON m.id = v.model LEFT JOIN insight.fingerprint f ON f.version = v.id \
                 WHERE v.model = $1 ORDER BY v.version",
                None,
                &[id.into()],
            )?;
            let mut found = Vec::new();
            for row in rows {
                let secret = row.get::<String>(4)?;
                let members = row.get::<Vec<u8>>(6)?;
                let own = Contained {
                    id: row.get::<i64>(1)?.unwrap_or_default(),
                    version: row.get::<i32>(2)?.unwrap_or_default(),
                    deployed: row.get::<bool>(3)?.unwrap_or_default(),
                    contained: None,
                    false_positive_rate: None,
                    keyed: None,
                    keys: row.get::<i64>(5)?,
                    made_from: row.get::<Vec<String>>(7)?.unwrap_or_default(),
                };
                found.push((own, secret, members));
            }
            Ok(found)
        })
    })?;
    let mut prints: HashMap<String, u64> = HashMap::new();
    let mut all = Vec::new();
    for (mut own, secret, members) in rows {
        if let (Some(secret), Some(bytes)) = (secret, members) {
            let members = Members::from_bytes(&bytes).ok_or_else(|| {
                let version = own.version;
                Error::new(
                    "XX001",
                    format!("the fingerprints of model {model}@{version} cannot be read"),
                )
            })?;
            let print = match prints.get(&secret) {
                Some(print) => *print,
                None => named(&secret)?.fingerprint(key),
            };
            own.keyed = Some(is_key(&secret));
            prints.insert(secret, print);
            own.contained = Some(members.contains(print));
            own.false_positive_rate = Some(members.false_positive_rate());
        }
        all.push(own);
    }
    Ok(all)
}

/// Models that the role may change and whose versions know whom they saw, in the order in which they were made.
pub fn models(role: pg_sys::Oid) -> Result<Vec<String>> {
    let all: Vec<(String, String)> = as_owner(|| {
        Spi::connect(|client| -> Result<_> {
            let rows = client.select(
                "SELECT m.name, m.owner::text FROM insight.model m WHERE EXISTS (SELECT FROM insight.version v \
                 JOIN insight.fingerprint f ON f.version = v.id WHERE v.model = m.id) ORDER BY m.id",
                None,
                &[],
            )?;
            let pair = |row: pgrx::spi::SpiHeapTupleData<'_>| {
                row.get::<String>(1).ok()?.zip(row.get::<String>(2).ok()?)
            };
            Ok(rows.filter_map(pair).collect())
        })
    })?;
    let own = all.into_iter();
    Ok(own
        .filter(|(model, owner)| check_owner(model, owner, role).is_ok())
        .map(|(model, _)| model)
        .collect())
}

/// Notes that rows of a key are left out of a model's training from now on.
pub fn forget(model: &str, key: &str, role: pg_sys::Oid) -> Result<()> {
    let secret = secret()?;
    let fingerprint = secret.fingerprint(key) as i64;
    as_owner(|| {
        Spi::connect_mut(|client| {
            client.update(
                "INSERT INTO insight.forgotten (model, secret, fingerprint, role) \
                 SELECT m.id, $2, $3, pg_get_userbyid($4) FROM insight.model m WHERE m.name = $1 ON CONFLICT DO NOTHING",
                None,
                &[model.into(), secret.name.as_str().into(), fingerprint.into(), role.into()],
            )?;
            Ok(())
        })
    })
}

/// Deletes the kept predictions of a key; answers how many there were.
pub fn delete_predictions(model: &str, key: &str) -> Result<i64> {
    as_owner(|| {
        Spi::connect_mut(|client| {
            let gone = client.update(
                "DELETE FROM insight.prediction p USING insight.model m WHERE m.name = $1 AND p.model = m.id AND p.key = $2",
                None,
                &[model.into(), key.into()],
            )?;
            Ok(gone.len() as i64)
        })
    })
}
