//! The SQL that sources stand for.
//!
//! Three shapes, from short to general. One cut-off for all: a source's rows are summed up by their own key, and the result is
//! joined to the relation. A cut-off of each row, and a key that is unique: the rows are joined to the relation first. Else the
//! relation becomes a list of keys and cut-offs, each once.

use super::discover::{self, Standing};
use super::features::Feature;
use super::rows::{AS_OF, KEY, Rows};
use super::{AsOf, Sources};
use crate::error::Result;
use crate::relation::decode::Decoder;
use crate::relation::resolve::{Source, SourceColumn};
use insight_engine::frame::Kind;
use pgrx::spi::{quote_identifier, quote_literal};

/// A column of this name in a row or relation says when to look, whatever the specification says.
const OVERRIDE: &str = "as_of";

/// The SQL before, and what stands for the relation `t` and its key in it.
struct Base {
    with: String,
    columns: String,
    from: String,
    key: String,
}

impl Sources {
    /// The relation's columns, then the wanted features: all, or those named.
    pub fn query(&self, base: &Source, wanted: Option<&[&str]>) -> Result<String> {
        let names = base.columns.iter().map(|c| quote_identifier(&c.name));
        let columns: Vec<String> = names.map(|name| format!("t.{name}")).collect();
        let columns = columns.join(", ");
        let key = format!("t.{}", quote_identifier(&self.key));
        let from = aliased(&base.from);
        let (as_of, same) = self.cut_off_of(base);
        let Standing {
            table,
            unique,
            part,
            exact,
        } = discover::standing(self, base)?;
        let alone = same && exact;
        if table && (alone || unique) {
            let rows = if alone {
                Rows::Alone {
                    among: part.then(|| format!("SELECT {key} FROM {from}")),
                    as_of,
                }
            } else {
                Rows::Joined {
                    customers: format!(
                        "(SELECT {key} AS {KEY}, {as_of} AS {AS_OF} FROM {from} OFFSET 0)"
                    ),
                    unique,
                }
            };
            let base = Base {
                with: String::new(),
                columns,
                from,
                key,
            };
            return self.assemble(&base, &rows, wanted, true);
        }
        let (moment, rows, customer) = if alone {
            let among = Some(format!("SELECT {KEY} FROM base"));
            (String::new(), Rows::Alone { as_of, among }, "")
        } else {
            let rows = Rows::Joined {
                customers: "customer".into(),
                unique: false,
            };
            let customer = ",\n  customer AS MATERIALIZED (SELECT DISTINCT \"insight key\", \"insight as_of\" FROM base)";
            (format!(", {as_of} AS {AS_OF}"), rows, customer)
        };
        let base = Base {
            with: format!(
                "WITH base AS MATERIALIZED (\n    SELECT {columns}, {key} AS {KEY}{moment} FROM {from}\n  ){customer}\n"
            ),
            columns,
            from: "base t".into(),
            key: format!("t.{KEY}"),
        };
        self.assemble(&base, &rows, wanted, true)
    }

    /// The wanted features alone, for one customer: `$1` is the key, `$2` what the row's column of the cut-off says and `$3` what
    /// its column `as_of` says, or NULL. The type must be a name that `format_type` gives.
    pub fn row_query(&self, key_type: &str, wanted: &[&str]) -> Result<String> {
        let as_of = self.cut_off(Some("$2"), Some("$3"));
        let base = Base {
            with: format!(
                "WITH base AS MATERIALIZED (\n    SELECT $1::{key_type} AS {KEY}, {as_of} AS {AS_OF}\n  )\n"
            ),
            columns: String::new(),
            from: "base t".into(),
            key: format!("t.{KEY}"),
        };
        let rows = Rows::Joined {
            customers: "base".into(),
            unique: true,
        };
        // The plan is kept: it must not lean on an index that may be dropped.
        self.assemble(&base, &rows, Some(wanted), false)
    }

    /// The latest cut-off of the relation, as a query of one text.
    pub(super) fn latest_cut_off(&self, base: &Source) -> String {
        match self.cut_off_of(base) {
            (as_of, true) => format!("SELECT ({as_of})::pg_catalog.text"),
            (as_of, false) => format!(
                "SELECT pg_catalog.max({as_of})::pg_catalog.text FROM {}",
                aliased(&base.from)
            ),
        }
    }

    /// The columns of a row that may say when to look: the cut-off's own, and the one of that name that goes for all.
    pub fn moments(&self) -> [Option<&str>; 2] {
        match &self.as_of {
            AsOf::Column { name, .. } => [Some(name), Some(OVERRIDE)],
            _ => [None, Some(OVERRIDE)],
        }
    }

    /// Whether the moment of the statement is the cut-off, whatever a row says.
    pub fn looks_now(&self, base: &Source) -> bool {
        self.as_of == AsOf::Now && self.cut_off_of(base).1
    }

    /// The cut-off of a relation's rows `t`, and whether it is the same for all.
    fn cut_off_of(&self, base: &Source) -> (String, bool) {
        let there = |name: Option<&str>| {
            let is_time = |c: &SourceColumn| {
                Decoder::for_type(c.type_oid).is_some_and(|d| d.kind == Kind::Time)
            };
            let column = name.filter(|name| base.column(name).is_some_and(is_time));
            column.map(|name| format!("t.{}", quote_identifier(name)))
        };
        let [own, given] = self.moments().map(there);
        let same = own.is_none() && given.is_none();
        (self.cut_off(own.as_deref(), given.as_deref()), same)
    }

    /// The cut-off: what the own column says less the lag, else what the column `as_of` says, else the fixed time, else now.
    fn cut_off(&self, own: Option<&str>, given: Option<&str>) -> String {
        let mut parts = Vec::new();
        if let (AsOf::Column { lag, .. }, Some(own)) = (&self.as_of, own) {
            let less = lag.as_ref().map_or(String::new(), |lag| {
                format!(" - {}::interval", quote_literal(lag))
            });
            parts.push(format!("{}{less}", finite(own)));
        }
        parts.extend(given.map(finite));
        parts.push(match &self.as_of {
            AsOf::At(time) => format!("{}::timestamptz", quote_literal(time)),
            _ => "now()".into(),
        });
        match &parts[..] {
            [only] => only.clone(),
            several => format!("coalesce({})", several.join(", ")),
        }
    }

    /// `trust`: whether a unique index may be relied on.
    fn assemble(
        &self,
        base: &Base,
        rows: &Rows,
        wanted: Option<&[&str]>,
        trust: bool,
    ) -> Result<String> {
        let mut list: Vec<String> = Vec::new();
        let mut joins = String::new();
        if !base.columns.is_empty() {
            list.push(base.columns.clone());
        }
        let mut join = |subquery: String, alias: &str, features: &[Feature]| {
            for feature in features {
                let name = quote_identifier(&feature.name);
                list.push(match feature.otherwise {
                    "NULL" => format!("{alias}.{name}"),
                    otherwise => format!("coalesce({alias}.{name}, {otherwise}) AS {name}"),
                });
            }
            let mut on = format!("{alias}.{KEY} = {}", base.key);
            if rows.several() {
                on += &format!(" AND {alias}.{AS_OF} = t.{AS_OF}");
            }
            joins += &format!("\n  LEFT JOIN (\n    {subquery}\n  ) {alias} ON {on}");
        };
        for (number, related) in self.related.iter().enumerate() {
            let wanted = related.wanted(wanted).into_iter();
            let (days, features): (Vec<_>, Vec<_>) = wanted.partition(|f| f.of_days);
            if !features.is_empty() {
                let single = trust && related.one_to_one && discover::is_single(related)?;
                let subquery = related.subquery(rows, &features, single);
                join(subquery, &format!("f{number}"), &features);
            }
            if let Some(clv) = related.clv.as_ref().filter(|_| !days.is_empty()) {
                let subquery = related.day_subquery(rows, clv, &days);
                join(subquery, &format!("d{number}"), &days);
            }
        }
        Ok(format!(
            "{}SELECT {}\nFROM {}{joins}",
            base.with,
            list.join(",\n  "),
            base.from
        ))
    }
}

/// A time that is none where it lies at infinity.
fn finite(time: &str) -> String {
    format!("CASE WHEN isfinite({time}::timestamptz) THEN {time}::timestamptz END")
}

/// What stands after FROM, under the name `t`.
fn aliased(from: &str) -> String {
    match from.strip_suffix(" AS source") {
        Some(query) => format!("{query} AS t"),
        None => format!("{from} AS t"),
    }
}
