//! The SQL that sources stand for.
//!
//! Three shapes, from short to general. One cut-off for all: a source's rows are summed up by their own key, and the result is
//! joined to the relation. A cut-off of each row, and a key that is unique: the rows are joined to the relation first. Else the
//! relation becomes a list of keys and cut-offs, each once.

use super::discover::{self, Standing, qualified};
use super::features::{DAY, Feature, LAST, SPENT, features};
use super::{AsOf, Clv, Related, Sources};
use crate::error::Result;
use crate::relation::decode::Decoder;
use crate::relation::resolve::{Source, SourceColumn};
use insight_engine::frame::Kind;
use pgrx::spi::{quote_identifier, quote_literal};

/// A row's age in days at the cut-off.
pub(super) const AGE: &str = "\"insight age\"";
/// The cut-off's name in the queries.
const AS_OF: &str = "\"insight as_of\"";
/// The customer's.
const KEY: &str = "\"insight key\"";
/// A column of this name in a row or relation says when to look, whatever the specification says.
const OVERRIDE: &str = "as_of";

/// How the rows of a source find their customer.
enum Rows {
    /// By their own key, before one cut-off for all; where `among` is a query of keys, those alone.
    Alone {
        as_of: String,
        among: Option<String>,
    },
    /// Joined to customers `b` of what stands after FROM, each key once if `unique`.
    Joined { customers: String, unique: bool },
}

impl Rows {
    fn as_of(&self) -> String {
        match self {
            Rows::Alone { as_of, .. } => as_of.clone(),
            Rows::Joined { .. } => format!("b.{AS_OF}"),
        }
    }

    /// Whether a customer has several cut-offs.
    fn several(&self) -> bool {
        matches!(self, Rows::Joined { unique: false, .. })
    }
}

/// The SQL before, and what stands for the relation `t` and its key in it.
struct Base {
    with: String,
    columns: String,
    from: String,
    key: String,
}

pub(super) fn days(interval: &str) -> String {
    // As float8 throughout: extract() would compute in numeric.
    format!("date_part('epoch', {interval}) / 86400")
}

/// That a time lies before the cut-off, and not at infinity.
fn before(alias: &str, time: Option<&String>, as_of: &str) -> Option<String> {
    let time = format!("{alias}.{}", quote_identifier(time?));
    Some(format!("{time} < {as_of} AND {time} > '-infinity'"))
}

impl Related {
    pub(super) fn timed(&self) -> bool {
        self.time.is_some() || self.parent.as_ref().is_some_and(|p| p.time.is_some())
    }

    /// `FROM` and `WHERE` of the rows `s` before a cut-off, whoever's they are.
    pub(super) fn rows_before(&self, as_of: &str) -> String {
        self.rows(&Rows::Alone {
            as_of: as_of.into(),
            among: None,
        })
    }

    /// `FROM` and `WHERE` of the rows `s`.
    fn rows(&self, rows: &Rows) -> String {
        let as_of = rows.as_of();
        let own = qualified(&self.schema, &self.table);
        let key = quote_identifier(&self.key);
        let mut conditions: Vec<String> = Vec::new();
        let from = match (rows, &self.parent) {
            (Rows::Alone { .. }, None) => format!("{own} s"),
            (Rows::Joined { customers, .. }, None) => {
                format!("{customers} b JOIN {own} s ON s.{key} = b.{KEY}")
            }
            (rows, Some(parent)) => {
                conditions.extend(before("p", parent.time.as_ref(), &as_of));
                let middle = qualified(&parent.schema, &parent.table);
                let middle = match rows {
                    Rows::Alone { .. } => format!("{middle} p"),
                    Rows::Joined { customers, .. } => format!(
                        "{customers} b JOIN {middle} p ON p.{} = b.{KEY}",
                        quote_identifier(&parent.key)
                    ),
                };
                let referred = quote_identifier(&parent.referred);
                format!("{middle} JOIN {own} s ON s.{key} = p.{referred}")
            }
        };
        conditions.extend(before("s", self.time.as_ref(), &as_of));
        if let Rows::Alone {
            among: Some(keys), ..
        } = rows
        {
            conditions.push(format!("{} IN ({keys})", self.own_key()));
        }
        if conditions.is_empty() {
            return from;
        }
        format!("{from} WHERE {}", conditions.join(" AND "))
    }

    /// The column of `s`, or of its parent `p`, that says which customer a row belongs to.
    fn own_key(&self) -> String {
        match &self.parent {
            None => format!("s.{}", quote_identifier(&self.key)),
            Some(parent) => format!("p.{}", quote_identifier(&parent.key)),
        }
    }

    /// When a row happened.
    fn moment(&self) -> Option<String> {
        let own = self
            .time
            .as_ref()
            .map(|t| format!("s.{}", quote_identifier(t)));
        let parent = self.parent.as_ref().and_then(|p| p.time.as_ref());
        own.or_else(|| parent.map(|t| format!("p.{}", quote_identifier(t))))
    }

    /// One row per customer with the wanted features; `single`: there is at most one row per key in the table.
    fn subquery(&self, rows: &Rows, wanted: &[Feature], single: bool) -> String {
        let as_of = rows.as_of();
        let list = listed(wanted);
        let key = self.key_of(rows);
        let mut values = vec![format!("{key} AS {KEY}")];
        let (mut keys, mut groups) = (format!("r.{KEY}"), "1");
        if rows.several() {
            values.push(format!("b.{AS_OF}"));
            keys += &format!(", r.{AS_OF}");
            groups = "1, 2";
        }
        let moment = self.moment();
        if let Some(moment) = moment.as_ref().filter(|_| !self.one_to_one) {
            let age = days(&format!("{as_of} - {moment}::timestamptz"));
            values.push(format!("{age} AS {AGE}"));
        }
        for (position, field) in self.fields.iter().enumerate() {
            if wanted.iter().any(|f| f.field == Some(position)) {
                let value = match self.one_to_one {
                    true => field.known(&as_of),
                    false => field.value(&as_of),
                };
                values.push(format!("{value} AS {}", quote_identifier(&field.name)));
            }
        }
        let (values, from) = (values.join(", "), self.rows(rows));
        if self.one_to_one {
            // A second row of a customer must not make a second customer: the latest stands.
            let (distinct, order) = match single {
                true => (String::new(), String::new()),
                false => (
                    format!("DISTINCT ON ({groups}) "),
                    format!(
                        " ORDER BY {groups}{}",
                        moment.map_or(String::new(), |m| format!(", {m} DESC"))
                    ),
                ),
            };
            return format!(
                "SELECT {keys},\n      {list}\n    FROM (\n      SELECT {distinct}{values}\n      FROM {from}{order}\n    ) r"
            );
        }
        // OFFSET 0 keeps the planner from computing each value anew in every aggregate.
        format!(
            "SELECT {keys},\n      {list}\n    FROM (\n      SELECT {values}\n      FROM {from} OFFSET 0\n    ) r\n    GROUP BY {groups}"
        )
    }
}

fn listed(wanted: &[Feature]) -> String {
    let each = wanted
        .iter()
        .map(|f| format!("{} AS {}", f.expression, quote_identifier(&f.name)));
    each.collect::<Vec<String>>().join(",\n      ")
}

impl Related {
    fn key_of(&self, rows: &Rows) -> String {
        match rows {
            Rows::Alone { .. } => self.own_key(),
            Rows::Joined { .. } => format!("b.{KEY}"),
        }
    }

    /// One row per customer with features of the days with a purchase.
    fn day_subquery(&self, rows: &Rows, clv: &Clv, wanted: &[Feature]) -> String {
        let as_of = rows.as_of();
        let day = |time: &str| match clv.zoned {
            true => format!("({time} AT TIME ZONE 'UTC')::date"),
            false => format!("({time})::date"),
        };
        let mut values = vec![format!("{} AS {KEY}", self.key_of(rows))];
        let (mut keys, mut groups) = (format!("d.{KEY}"), "1");
        if rows.several() {
            values.push(format!("b.{AS_OF}"));
            keys += &format!(", d.{AS_OF}");
            groups = "1, 2";
        }
        let time = self.moment().unwrap_or_default();
        values.push(format!("{} AS {DAY}", day(&time)));
        // A cut-off at midnight leaves the day before as the last.
        let last = day(&format!("({as_of} - interval '1 microsecond')"));
        values.push(format!("{last} AS {LAST}"));
        let amount = clv.amount.as_ref().map_or("0".into(), |amount| {
            format!("coalesce(s.{}::float8, 0)", quote_identifier(amount))
        });
        values.push(format!("{amount} AS {SPENT}"));
        format!(
            "SELECT {keys},\n      {}\n    FROM (\n      SELECT {keys}, {DAY}, max({LAST}) AS {LAST}, sum({SPENT}) AS {SPENT}\n      \
             FROM (SELECT {} FROM {}) d GROUP BY {groups}, {DAY}\n    ) d\n    GROUP BY {groups}",
            listed(wanted),
            values.join(", "),
            self.rows(rows)
        )
    }
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

impl Related {
    /// The features that are named, in order; without names, all.
    pub(super) fn wanted(&self, names: Option<&[&str]>) -> Vec<Feature> {
        let mut list = features(self);
        if let Some(names) = names {
            list.retain(|feature| names.contains(&feature.name.as_str()));
        }
        list
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
