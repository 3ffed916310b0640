//! Whose rows versions were trained on, as keyed fingerprints, and who must be left out from now on.

use super::audit::{self, Entry};
use super::catalog::{as_owner, owned};
use super::keys;
use super::log::sealed;
use crate::error::{Error, Result};
use insight_engine::frame::{Cell, Column, Frame};
use insight_engine::members::Members;
use insight_engine::privacy::seal::{self, KEY};
use pgrx::prelude::*;
use pgrx::{pg_sys, spi::SpiClient, spi::SpiTupleTable};
use std::borrow::Cow;
use std::collections::HashMap;
use zeroize::Zeroizing;

/// What the secret is sealed for.
const PLACE: &str = "membership";
const READ: &str = "SELECT salt FROM insight.salt";

/// What fingerprints are made with: random, kept in the catalog, sealed where a key is configured.
pub struct Secret {
    key: Zeroizing<[u8; KEY]>,
    /// Whether a dump does not give it away.
    pub sealed: bool,
}

impl Secret {
    /// The first 64 bits of HMAC-SHA-256 (RFC 2104) of a key as text.
    pub fn fingerprint(&self, key: &str) -> u64 {
        let hash = seal::keyed_hash(&self.key, key.as_bytes());
        let (first, _) = hash.as_chunks::<8>();
        first.first().map_or(0, |word| u64::from_le_bytes(*word))
    }

    fn of(stored: Vec<u8>) -> Result<Secret> {
        let sealed = seal::sealed_with(&stored).is_some();
        let plain = Zeroizing::new(keys::open("the secret of fingerprints", PLACE, stored)?);
        let key = <[u8; KEY]>::try_from(plain.as_slice())
            .map_err(|_| Error::new("XX001", "the secret of fingerprints is damaged"))?;
        Ok(Secret {
            key: Zeroizing::new(key),
            sealed,
        })
    }
}

/// The secret, where there is one; a standby answers, too.
fn known() -> Result<Option<Secret>> {
    let stored = as_owner(|| {
        Spi::connect(|client| -> Result<_> {
            let rows = client.select(READ, None, &[])?;
            match rows.is_empty() {
                true => Ok(None),
                false => Ok(rows.first().get_one::<Vec<u8>>()?),
            }
        })
    })?;
    stored.map(Secret::of).transpose()
}

/// The secret, made where there is none.
fn secret() -> Result<Secret> {
    if let Some(secret) = known()? {
        return Ok(secret);
    }
    let stored = as_owner(|| {
        Spi::connect_mut(|client| -> Result<_> {
            // Two random UUIDs have 244 bits of PostgreSQL's strong generator.
            let made = client
                .update(
                    "SELECT decode(replace(concat(gen_random_uuid(), gen_random_uuid()), '-', ''), 'hex')",
                    None,
                    &[],
                )?
                .first()
                .get_one::<Vec<u8>>()?
                .map(Zeroizing::new)
                .unwrap_or_default();
            let sealed = keys::seal(PLACE, &made)?;
            client.update(
                "INSERT INTO insight.salt (salt) VALUES ($1) ON CONFLICT DO NOTHING",
                None,
                &[sealed.as_ref().into()],
            )?;
            Ok(client
                .update(READ, None, &[])?
                .first()
                .get_one::<Vec<u8>>()?)
        })
    })?;
    Secret::of(stored.unwrap_or_default())
}

/// Seals the secret with the newest key; answers whether there is one.
pub fn reseal() -> Result<bool> {
    let Some(secret) = known()? else {
        return Ok(false);
    };
    let sealed = keys::seal(PLACE, secret.key.as_slice()).map(Cow::into_owned)?;
    as_owner(|| {
        Spi::connect_mut(|client| {
            client.update("UPDATE insight.salt SET salt = $1", None, &[sealed.into()])?;
            Ok(true)
        })
    })
}

/// Leaves out the rows of forgotten keys and answers whose rows are left, and how many went. Rows without a key stay: they are
/// nobody's.
pub fn take(frame: &mut Frame, column: &str, forgotten: &[u64]) -> Result<(Members, usize)> {
    let secret = secret()?;
    let keys = keys_of(frame, column)?;
    // A key has many rows in a log.
    let mut known: HashMap<&str, (u64, bool)> = HashMap::new();
    let mut kept = Vec::with_capacity(keys.len());
    for row in 0..keys.len() {
        kept.push(match keys.cell(row) {
            Cell::Text(text) => {
                let own = known.entry(text).or_insert_with(|| {
                    let fingerprint = secret.fingerprint(text);
                    (fingerprint, !forgotten.contains(&fingerprint))
                });
                own.1
            }
            _ => true,
        });
    }
    let left = known.values().filter(|(_, kept)| *kept);
    let fingerprints = left.map(|(fingerprint, _)| *fingerprint).collect();
    let out = kept.iter().filter(|kept| !**kept).count();
    frame.retain(|row| kept[row]);
    Ok((Members::of(fingerprints), out))
}

/// The first column as fingerprints.
fn fingerprints(rows: SpiTupleTable<'_>) -> Vec<u64> {
    let one = |row: pgrx::spi::SpiHeapTupleData<'_>| row.get::<i64>(1).ok()?;
    rows.filter_map(one).map(|print| print as u64).collect()
}

/// The fingerprint of each row's key.
///
/// # Errors
/// 22004 where a row has none.
pub fn hashes(frame: &Frame, column: &str) -> Result<Vec<u64>> {
    let secret = secret()?;
    let keys = keys_of(frame, column)?;
    let missing = keys.nulls.count();
    if missing > 0 {
        return Err(Error::new(
            "22004",
            format!("the key is NULL in {missing} rows, which belong to no shard"),
        )
        .hint("Leave them out with a query, or train without the option shards."));
    }
    let hash = |row| match keys.cell(row) {
        Cell::Text(text) => secret.fingerprint(text),
        _ => 0,
    };
    Ok((0..keys.len()).map(hash).collect())
}

fn keys_of<'a>(frame: &'a Frame, column: &str) -> Result<&'a Column> {
    let found = frame.column(column);
    found.ok_or_else(|| Error::new("XX000", "the key was not read"))
}

/// Whose rows must be left out of a model's training; none of a model that is not there.
pub fn forgotten(model: &str) -> Result<Vec<u64>> {
    as_owner(|| {
        Spi::connect(|client| {
            let rows = client.select(
                "SELECT f.fingerprint FROM insight.forgotten f JOIN insight.model m ON m.id = f.model WHERE m.name = $1",
                None,
                &[model.into()],
            )?;
            Ok(fingerprints(rows))
        })
    })
}

/// An error where a model has forgotten somebody and its training does not say who is who.
pub fn check_key(model: &str, keyed: bool, forgotten: &[u64]) -> Result<()> {
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
    let seen = Members::from_bytes(handed);
    let rows = client.update(
        "SELECT fingerprint FROM insight.forgotten WHERE model = $1",
        None,
        &[model.0.into()],
    )?;
    let forgotten = fingerprints(rows);
    check_key(model.1, seen.is_some(), &forgotten)?;
    let Some(seen) = seen else { return Ok(()) };
    // A filter takes others for members, too; of those it cannot be told.
    if seen.is_exact() && forgotten.iter().any(|own| seen.contains(*own)) {
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
        "INSERT INTO insight.fingerprint (version, keys, members) VALUES ($1, $2, $3)",
        None,
        &[version.into(), (seen.count() as i64).into(), handed.into()],
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
    /// Of how many shards it is, and how many of these another version had already.
    pub shards: (i64, i64),
}

/// Every version of a model that the role manages, and whether it saw a key.
pub fn contains(model: &str, key: &str, role: pg_sys::Oid) -> Result<Vec<Contained>> {
    let rows = as_owner(|| {
        Spi::connect(|client| {
            let id = owned(client, model, role)?;
            let rows = client.select(
                "SELECT v.id, v.version, v.version IS NOT DISTINCT FROM m.deployed, f.keys, f.members, \
                 array_remove(ARRAY[v.summary #>> '{provenance,started_from}', v.summary #>> '{provenance,model}', \
                   v.options #>> '{augment,gan}'], NULL), \
                 coalesce(jsonb_array_length(v.summary #> '{provenance,shards}'), 0)::bigint, \
                 jsonb_array_length(jsonb_path_query_array(v.summary, '$.provenance.shards[*] ? (@.reused == true)'))::bigint \
                 FROM insight.version v JOIN insight.model m ON m.id = v.model LEFT JOIN insight.fingerprint f ON f.version = v.id \
                 WHERE v.model = $1 ORDER BY v.version",
                None,
                &[id.into()],
            )?;
            let mut found = Vec::new();
            for row in rows {
                let own = Contained {
                    id: row.get::<i64>(1)?.unwrap_or_default(),
                    version: row.get::<i32>(2)?.unwrap_or_default(),
                    deployed: row.get::<bool>(3)?.unwrap_or_default(),
                    contained: None,
                    false_positive_rate: None,
                    keyed: None,
                    keys: row.get::<i64>(4)?,
                    made_from: row.get::<Vec<String>>(6)?.unwrap_or_default(),
                    shards: (
                        row.get::<i64>(7)?.unwrap_or_default(),
                        row.get::<i64>(8)?.unwrap_or_default(),
                    ),
                };
                found.push((own, row.get::<Vec<u8>>(5)?));
            }
            Ok::<_, Error>(found)
        })
    })?;
    let secret = match rows.iter().any(|(_, members)| members.is_some()) {
        true => known()?,
        false => None,
    };
    let print = secret.as_ref().map(|secret| secret.fingerprint(key));
    let mut all = Vec::new();
    for (mut own, members) in rows {
        if let (Some(secret), Some(print), Some(bytes)) = (&secret, print, members) {
            let members = Members::from_bytes(&bytes).ok_or_else(|| {
                let version = own.version;
                Error::new(
                    "XX001",
                    format!("the fingerprints of model {model}@{version} cannot be read"),
                )
            })?;
            own.keyed = Some(secret.sealed);
            own.contained = Some(members.contains(print));
            own.false_positive_rate = Some(members.false_positive_rate());
        }
        all.push(own);
    }
    Ok(all)
}

/// Models that the role manages and whose versions know whom they saw, in the order in which they were made.
pub fn models(role: pg_sys::Oid) -> Result<Vec<String>> {
    as_owner(|| {
        Spi::connect(|client| {
            let rows = client.select(
                "SELECT m.name FROM insight.model m WHERE EXISTS (SELECT FROM insight.version v \
                 JOIN insight.fingerprint f ON f.version = v.id WHERE v.model = m.id) ORDER BY m.id",
                None,
                &[],
            )?;
            let all: Vec<String> = rows
                .filter_map(|row| row.get::<String>(1).ok().flatten())
                .collect();
            Ok(all
                .into_iter()
                .filter(|model| owned(client, model, role).is_ok())
                .collect())
        })
    })
}

/// Notes that rows of a key are left out of a model's training from now on.
pub fn forget(model: &str, key: &str, role: pg_sys::Oid) -> Result<()> {
    let fingerprint = secret()?.fingerprint(key) as i64;
    as_owner(|| {
        Spi::connect_mut(|client| {
            let id = owned(client, model, role)?;
            // Whoever stores a version of the model has its row locked.
            client.update(
                "SELECT FROM insight.model WHERE id = $1 FOR UPDATE",
                None,
                &[id.into()],
            )?;
            client.update(
                "INSERT INTO insight.forgotten (model, fingerprint, role) VALUES ($1, $2, pg_get_userbyid($3)) ON CONFLICT DO NOTHING",
                None,
                &[id.into(), fingerprint.into(), role.into()],
            )?;
            Ok::<_, Error>(())
        })
    })?;
    // Whom, the audit must not tell.
    audit::write(&Entry {
        model: Some(model),
        role: Some(role),
        ..Entry::of("forget")
    })
}

/// Deletes the kept predictions of a key; answers how many there were.
pub fn delete_predictions(model: &str, key: &str) -> Result<i64> {
    as_owner(|| {
        Spi::connect_mut(|client| {
            let plain = client.update(
                "DELETE FROM insight.prediction p USING insight.model m WHERE m.name = $1 AND p.model = m.id AND p.sealed IS NULL \
                 AND p.key = $2",
                None,
                &[model.into(), key.into()],
            )?;
            let mut count = plain.len() as i64;
            let rows = client.update(
                "SELECT p.model, p.version, p.sealed, p.tableoid, p.ctid::text FROM insight.prediction p JOIN insight.model m ON m.id = p.model \
                 WHERE m.name = $1 AND p.sealed IS NOT NULL",
                None,
                &[model.into()],
            )?;
            let mut gone = Vec::new();
            for row in rows {
                pgrx::check_for_interrupts!();
                let of = (
                    row.get::<i64>(1)?.unwrap_or_default(),
                    row.get::<i32>(2)?.unwrap_or_default(),
                );
                let content = sealed::open(of, row.get::<Vec<u8>>(3)?.unwrap_or_default())?;
                if content.key == key {
                    gone.push((row.get::<pg_sys::Oid>(4)?, row.get::<String>(5)?));
                }
            }
            for (table, place) in gone {
                let rows = client.update(
                    "DELETE FROM insight.prediction WHERE tableoid = $1 AND ctid = $2::tid",
                    None,
                    &[table.into(), place.into()],
                )?;
                count += rows.len() as i64;
            }
            Ok(count)
        })
    })
}
