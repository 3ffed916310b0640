//! The table that scores are written to: made where there is none, and only ever written where it is one of ours.

use super::{Moment, not_unique};
use crate::error::{Error, Result};
use crate::relation::names::quoted_name;
use crate::relation::sources::trust;
use crate::store::log::Version;
use insight_engine::infer::Answer;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;
use pgrx::{pg_sys, spi};

/// "inss": the first key of the advisory lock on who makes a table; the second is the hash of its name.
const LOCK_CLASS: i32 = 0x696e_7373;

/// What a table of scores has beside the key: name, type, comment.
const COLUMNS: [(&str, &str, &str); 7] = [
    (
        "prediction",
        "double precision",
        "what insight_predict answers: the probability of the positive class (binary), or the value; NULL where a label has no single number",
    ),
    (
        "label",
        "text",
        "the label that is predicted (classification)",
    ),
    (
        "probability",
        "double precision",
        "the probability of that label (classification)",
    ),
    ("model", "text", "the model that predicted"),
    ("version", "integer", "the version of the model"),
    (
        "scored_at",
        "timestamp with time zone",
        "when the row was scored",
    ),
    (
        "changed_at",
        "timestamp with time zone",
        "when the row that was scored was last changed, by the column of the option since; NULL without",
    ),
];

pub struct Table {
    /// With its schema, quoted.
    pub name: String,
    key_type: String,
    /// Equality of keys, as `OPERATOR(schema.=)`.
    equals: String,
    /// By this call: it has no rows to look for.
    made: bool,
}

pub struct Row<'a> {
    pub key: &'a str,
    pub answer: Answer,
    /// Microseconds since 1970.
    pub changed_at: Option<i64>,
}

impl Table {
    /// The table of that name, locked against other writers, not against readers; made where there is none.
    pub fn open(into: &str, model: &str, key_type: pg_sys::Oid) -> Result<Table> {
        let quoted = quoted_name(into)?;
        let equals = equality(key_type)?;
        let key_type = one_text("SELECT pg_catalog.format_type($1, -1)", &[key_type.into()])?
            .unwrap_or_default();
        // Two that make the same table: the second waits for the first.
        Spi::connect_mut(|client| {
            client
                .update(
                    "SELECT pg_catalog.pg_advisory_xact_lock($1, pg_catalog.hashtext($2))",
                    None,
                    &[LOCK_CLASS.into(), quoted.as_str().into()],
                )
                .map(|_| ())
        })?;
        let found = find(&quoted)?;
        let made = found.is_none();
        if made {
            create(&quoted, &key_type, model)?;
        }
        let Some((oid, name)) = found.map_or_else(|| find(&quoted), |found| Ok(Some(found)))?
        else {
            return Err(Error::new("42P01", format!("table {quoted} was dropped")));
        };
        if !made {
            check_owner(oid, &name)?;
            run(&format!("LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE"))?;
            // While the lock was waited for the table may have become another, or got triggers.
            if find(&name)?.is_none_or(|(now, _)| now != oid) {
                return Err(Error::new("55000", format!("table {name} was replaced"))
                    .hint("Call insight_score again."));
            }
            check_owner(oid, &name)?;
            check_columns(oid, &name, &key_type)?;
        }
        Ok(Table {
            name,
            key_type,
            equals,
            made,
        })
    }

    /// An error where the table has scores of another model.
    pub fn check_model(&self, model: &str) -> Result<()> {
        let other = Spi::connect_mut(|client| -> Result<Option<String>> {
            let sql = format!(
                "SELECT model FROM {} WHERE model OPERATOR(pg_catalog.<>) $1 LIMIT 1",
                self.name
            );
            let row = client.update(sql.as_str(), None, &[model.into()])?.first();
            Ok(match row.is_empty() {
                true => None,
                false => row.get_one::<String>()?,
            })
        })?;
        match other {
            None => Ok(()),
            Some(other) => Err(Error::new(
                "42809",
                format!("table {} holds scores of model \"{other}\"", self.name),
            )
            .hint("Name another table, or drop that one.")),
        }
    }

    /// An error where keys of other texts are equal: 1.0 and 1.00.
    pub fn check_keys<'k>(
        &self,
        keys: impl Iterator<Item = &'k str>,
        key: &str,
        key_type: pg_sys::Oid,
    ) -> Result<()> {
        // SAFETY: a syscache look-up.
        let own_texts = matches!(
            unsafe { pg_sys::getBaseType(key_type) },
            pg_sys::INT2OID
                | pg_sys::INT4OID
                | pg_sys::INT8OID
                | pg_sys::OIDOID
                | pg_sys::TEXTOID
                | pg_sys::VARCHAROID
                | pg_sys::UUIDOID
                | pg_sys::DATEOID
                | pg_sys::TIMESTAMPOID
                | pg_sys::TIMESTAMPTZOID
        );
        if own_texts {
            return Ok(());
        }
        let keys: Vec<&str> = keys.collect();
        // By the type's own operator class, as its unique index does.
        let sql = format!(
            "SELECT pg_catalog.min(k), pg_catalog.max(k) FROM pg_catalog.unnest($1::pg_catalog.text[]) AS keys (k) \
             GROUP BY k::{} HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 1 LIMIT 1",
            self.key_type
        );
        let twice = Spi::connect_mut(|client| -> Result<_> {
            let row = client.update(sql.as_str(), None, &[keys.into()])?.first();
            Ok(match row.is_empty() {
                true => None,
                false => {
                    let (a, b) = row.get_two::<String, String>()?;
                    a.zip(b)
                }
            })
        })?;
        match twice {
            None => Ok(()),
            Some((a, b)) => {
                let detail =
                    format!("Two rows have the keys \"{a}\" and \"{b}\", which are equal.");
                Err(not_unique(key, detail))
            }
        }
    }

    /// The condition that a row of `base` has no score, or an old one: it was changed since, by the expression `time`, or was
    /// scored by another version than the one named.
    pub fn lacks(&self, key: &str, time: Option<&Moment>, version: Option<&Version>) -> String {
        let key = spi::quote_identifier(key);
        let changed = time.map_or(String::new(), |Moment { sql: time, is_day }| {
            // Another time, be it earlier: who changes a row may have taken the time long before the end of the transaction.
            let same = format!(
                " AND (scored.changed_at OPERATOR(pg_catalog.=) {time} OR {time} IS NULL)"
            );
            match is_day {
                // A row may change again on the same day, wherever on earth that day is not over.
                true => format!(
                    "{same} AND (scored.scored_at OPERATOR(pg_catalog.>=) ({time} OPERATOR(pg_catalog.+) '2 days'::pg_catalog.interval) OR {time} IS NULL)"
                ),
                false => same,
            }
        });
        // A model that was dropped and trained again counts its versions from 1: it is younger than its namesake's scores.
        let stale = version.map_or(String::new(), |version| {
            format!(
                " AND scored.version OPERATOR(pg_catalog.=) {} AND scored.scored_at OPERATOR(pg_catalog.>=) {}::pg_catalog.timestamptz",
                version.version,
                spi::quote_literal(&version.created_at)
            )
        });
        format!(
            "NOT EXISTS (SELECT FROM {} AS scored WHERE scored.key {} base.{key}{changed}{stale})",
            self.name, self.equals
        )
    }

    /// Writes scores of rows; answers how many were there and how many are new.
    pub fn write(
        &self,
        rows: &[Row<'_>],
        version: &Version,
        at: TimestampWithTimeZone,
    ) -> Result<(i64, i64)> {
        let keys: Vec<&str> = rows.iter().map(|row| row.key).collect();
        let predictions: Vec<Option<f64>> = rows.iter().map(|row| row.answer.prediction).collect();
        let labels: Vec<Option<&str>> =
            rows.iter().map(|row| row.answer.label.as_deref()).collect();
        let probabilities: Vec<Option<f64>> =
            rows.iter().map(|row| row.answer.probability).collect();
        let changed: Vec<Option<i64>> = rows.iter().map(|row| row.changed_at).collect();
        let fresh = format!(
            "(SELECT k::{} AS key, p AS prediction, l AS label, q AS probability, \
             'epoch'::pg_catalog.timestamptz OPERATOR(pg_catalog.+) (c::pg_catalog.float8 OPERATOR(pg_catalog.*) '1 microsecond'::pg_catalog.interval) AS changed_at \
             FROM unnest($1::pg_catalog.text[], $2::pg_catalog.float8[], $3::pg_catalog.text[], $4::pg_catalog.float8[], $5::pg_catalog.int8[]) \
             AS rows (k, p, l, q, c)) AS fresh",
            self.key_type
        );
        let update = format!(
            "UPDATE {} AS scored SET prediction = fresh.prediction, label = fresh.label, probability = fresh.probability, \
             model = $6, version = $7, scored_at = $8, changed_at = fresh.changed_at FROM {fresh} WHERE scored.key {} fresh.key",
            self.name, self.equals
        );
        let missing = match self.made {
            true => String::new(),
            false => format!(
                " WHERE NOT EXISTS (SELECT FROM {} AS scored WHERE scored.key {} fresh.key)",
                self.name, self.equals
            ),
        };
        let insert = format!(
            "INSERT INTO {name} (key, prediction, label, probability, model, version, scored_at, changed_at) \
             SELECT fresh.key, fresh.prediction, fresh.label, fresh.probability, $6, $7, $8, fresh.changed_at FROM {fresh}{missing}",
            name = self.name,
        );
        let arguments = [
            keys.into(),
            predictions.into(),
            labels.into(),
            probabilities.into(),
            changed.into(),
            version.model.as_str().into(),
            version.version.into(),
            at.into(),
        ];
        Spi::connect_mut(|client| {
            let updated = match self.made {
                true => 0,
                false => client.update(update.as_str(), None, &arguments)?.len() as i64,
            };
            if updated == rows.len() as i64 {
                return Ok((updated, 0));
            }
            let inserted = client.update(insert.as_str(), None, &arguments)?.len() as i64;
            Ok((updated, inserted))
        })
    }

    /// Deletes the rows that this run has not scored.
    pub fn delete_others(&self, at: TimestampWithTimeZone) -> Result<i64> {
        let sql = format!(
            "DELETE FROM {} WHERE scored_at OPERATOR(pg_catalog.<>) $1",
            self.name
        );
        Spi::connect_mut(|client| Ok(client.update(sql.as_str(), None, &[at.into()])?.len() as i64))
    }
}

fn run(sql: &str) -> Result<()> {
    Spi::connect_mut(|client| {
        client.update(sql, None, &[])?;
        Ok(())
    })
}

fn one_text(sql: &str, arguments: &[pgrx::datum::DatumWithOid<'_>]) -> Result<Option<String>> {
    Spi::connect_mut(|client| {
        let row = client.update(sql, None, arguments)?.first();
        Ok(match row.is_empty() {
            true => None,
            false => row.get_one::<String>()?,
        })
    })
}

/// How keys of a type are compared: by the operator that its unique index goes by, wherever it lives.
fn equality(key_type: pg_sys::Oid) -> Result<String> {
    // SAFETY: a look-up; the entry lives as long as the process.
    let operator =
        unsafe { (*pg_sys::lookup_type_cache(key_type, pg_sys::TYPECACHE_EQ_OPR as i32)).eq_opr };
    let found = one_text(
        "SELECT pg_catalog.format('OPERATOR(%I.%s)', n.nspname, o.oprname) FROM pg_catalog.pg_operator o \
         JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) o.oprnamespace WHERE o.oid OPERATOR(pg_catalog.=) $1",
        &[operator.into()],
    )?;
    found.ok_or_else(|| {
        Error::new("42883", "keys of this type cannot be told apart")
            .hint("Cast the key to text in a SELECT.")
    })
}

/// The relation of a name, with its schema.
fn find(quoted: &str) -> Result<Option<(pg_sys::Oid, String)>> {
    Spi::connect_mut(|client| {
        let row = client
            .update(
                "SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname), c.relkind::pg_catalog.text \
                 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
                 WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1)",
                None,
                &[quoted.into()],
            )?
            .first();
        if row.is_empty() {
            return Ok(None);
        }
        let (oid, name, kind) = row.get_three::<pg_sys::Oid, String, String>()?;
        let name = name.unwrap_or_default();
        if !matches!(kind.as_deref(), Some("r" | "p")) {
            return Err(Error::new("42809", format!("{name} is not a table"))
                .hint("Name a new table, or one that insight_score has made."));
        }
        Ok(oid.map(|oid| (oid, name)))
    })
}

fn create(quoted: &str, key_type: &str, model: &str) -> Result<()> {
    let columns = COLUMNS.map(|(name, kind, _)| {
        let needed = match name {
            "model" | "version" | "scored_at" => " NOT NULL",
            _ => "",
        };
        let kind = match kind {
            "double precision" => "float8",
            "timestamp with time zone" => "timestamptz",
            "integer" => "int4",
            kind => kind,
        };
        format!("{name} pg_catalog.{kind}{needed}")
    });
    // With as much room as rows: what is updated stays on its page, and the next refresh takes the place of the last.
    run(&format!(
        "CREATE TABLE {quoted} (key {key_type} PRIMARY KEY, {}) WITH (fillfactor = 45)",
        columns.join(", ")
    ))?;
    let comment = format!("predictions of the model \"{model}\", written by insight_score");
    run(&format!(
        "COMMENT ON TABLE {quoted} IS {}",
        spi::quote_literal(comment)
    ))?;
    let key = ("key", "", "the key of the row that was scored");
    for (name, _, comment) in std::iter::once(&key).chain(&COLUMNS) {
        run(&format!(
            "COMMENT ON COLUMN {quoted}.{name} IS {}",
            spi::quote_literal(comment)
        ))?;
    }
    Ok(())
}

/// Who writes to a table runs its triggers and expressions: it must be the caller's own, and where its owner has fewer rights
/// than the caller nothing of it may be code.
fn check_owner(table: pg_sys::Oid, name: &str) -> Result<()> {
    let (owner, codes) = Spi::connect_mut(|client| -> Result<_> {
        let row = client
            .update(
                // Parts of a table have owners, triggers and expressions of their own.
                "SELECT c.relowner, c.relforcerowsecurity OR c.relkind OPERATOR(pg_catalog.<>) 'r' OR c.relispartition OR c.relhassubclass \
                   OR EXISTS (SELECT FROM pg_catalog.pg_trigger t \
                   WHERE t.tgrelid OPERATOR(pg_catalog.=) c.oid AND NOT t.tgisinternal) OR c.relhasrules \
                 FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) $1",
                None,
                &[table.into()],
            )?
            .first();
        Ok(row.get_two::<pg_sys::Oid, bool>()?)
    })?;
    let owner = owner.unwrap_or(pg_sys::InvalidOid);
    // SAFETY: membership look-ups of two role oids.
    let (mine, trusted) = unsafe {
        let me = pg_sys::GetUserId();
        (
            pg_sys::has_privs_of_role(me, owner),
            pg_sys::has_privs_of_role(owner, me),
        )
    };
    if !mine {
        return Err(
            Error::new("42501", format!("must be owner of table {name}"))
                .hint("Name a table of your own."),
        );
    }
    if trusted {
        return Ok(());
    }
    if codes.unwrap_or(true) {
        let role = crate::store::catalog::role_name(owner);
        return Err(Error::new(
            "42501",
            format!("writing to {name} could run code of \"{role}\" with your rights"),
        )
        .detail("It has triggers, rules, policies or parts.")
        .hint("Do it as that role."));
    }
    trust::check_rows(table)
}

/// A type's name without its schema, which stands before it where another type of that name comes first in the search path.
fn plain(kind: &str) -> &str {
    kind.strip_prefix("pg_catalog.").unwrap_or(kind)
}

/// An error where a table has not the columns of a table of scores with such a key.
fn check_columns(table: pg_sys::Oid, name: &str, key_type: &str) -> Result<()> {
    let foreign = |detail: String| {
        Error::new("42809", format!("table {name} is no table of scores"))
            .detail(detail)
            .hint("Name a new table, or one that insight_score has made for such keys.")
    };
    let found = Spi::connect_mut(|client| -> Result<Vec<(String, String)>> {
        let rows = client.update(
            "SELECT a.attname::pg_catalog.text, pg_catalog.format_type(a.atttypid, -1) FROM pg_catalog.pg_attribute a \
             WHERE a.attrelid OPERATOR(pg_catalog.=) $1 AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped",
            None,
            &[table.into()],
        )?;
        let mut found = Vec::new();
        for row in rows {
            found.extend(row.get::<String>(1)?.zip(row.get::<String>(2)?));
        }
        Ok(found)
    })?;
    let own = COLUMNS.iter().map(|(name, kind, _)| (*name, *kind));
    for (column, kind) in std::iter::once(("key", key_type)).chain(own) {
        match found.iter().find(|(name, _)| name == column) {
            None => return Err(foreign(format!("It has no column \"{column}\"."))),
            Some((_, found)) if plain(found) != plain(kind) => {
                return Err(foreign(format!(
                    "Its column \"{column}\" is {found}, not {kind}."
                )));
            }
            Some(_) => {}
        }
    }
    let unique = one_text(
        "SELECT 'yes' FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) i.indrelid \
         AND a.attnum OPERATOR(pg_catalog.=) i.indkey[0] WHERE i.indrelid OPERATOR(pg_catalog.=) $1 AND i.indisunique AND i.indisvalid \
         AND i.indnkeyatts OPERATOR(pg_catalog.=) 1 AND i.indpred IS NULL AND a.attname OPERATOR(pg_catalog.=) 'key'",
        &[table.into()],
    )?;
    match unique {
        Some(_) => Ok(()),
        None => Err(foreign("Its column \"key\" is not unique.".into())),
    }
}
