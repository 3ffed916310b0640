//! The SQL that sources stand for.

use super::{AsOf, Field, Related, Role, Sources};
use crate::relation::decode::Decoder;
use crate::relation::resolve::{Source, SourceColumn};
use insight_engine::frame::Kind;
use pgrx::spi::{quote_identifier, quote_literal};

/// The cut-off's name in the queries.
const AS_OF: &str = "\"insight as_of\"";
/// A row's age in days at the cut-off.
const AGE: &str = "\"insight age\"";
/// The customer's.
const KEY: &str = "\"insight key\"";
/// A column of this name in a row or relation says when to look, whatever the specification says.
const OVERRIDE: &str = "as_of";
/// Identifiers hold at most so many bytes.
const LONGEST: usize = 63;

/// A column that is computed from a source.
pub(super) struct Feature {
    pub name: String,
    /// An aggregate over rows `r`; or a plain column of a one-to-one source.
    expression: String,
    /// What a customer without any row has.
    otherwise: &'static str,
}

/// The features of one source, in order.
pub(super) fn features(related: &Related) -> Vec<Feature> {
    let mut list = Vec::new();
    let mut add = |parts: &[&str], expression: String, otherwise: &'static str| {
        let mut name = vec![related.name.as_str()];
        name.extend(parts);
        list.push(Feature {
            name: shorten(name.join(".")),
            expression,
            otherwise,
        });
    };
    if related.one_to_one {
        for field in &related.fields {
            let column = format!("s.{}", quote_identifier(&field.name));
            add(&[&field.name], field.known(&column), "NULL");
        }
        return list;
    }
    add(&["count"], "count(*)".into(), "0");
    let timed = related.timed();
    if timed {
        add(&["days_since_last"], format!("min({AGE})"), "NULL");
        add(&["days_since_first"], format!("max({AGE})"), "NULL");
        let gap = format!("(max({AGE}) - min({AGE})) / nullif(count(*) - 1, 0)");
        add(&["mean_gap_days"], gap, "NULL");
        for days in &related.windows {
            let within = format!("count(*) FILTER (WHERE {AGE} <= {days})");
            add(&[&format!("count_{days}d")], within, "0");
            // Of the last two windows of this length, the share of the later.
            let share = format!(
                "count(*) FILTER (WHERE {AGE} <= {days})::float8 / nullif(count(*) FILTER (WHERE {AGE} <= {}), 0)",
                2 * days
            );
            add(&[&format!("recent_share_{days}d")], share, "NULL");
        }
    }
    for field in &related.fields {
        field_features(field, related, timed, &mut add);
    }
    list
}

fn field_features(
    field: &Field,
    related: &Related,
    timed: bool,
    add: &mut impl FnMut(&[&str], String, &'static str),
) {
    let column = format!("r.{}", quote_identifier(&field.name));
    let name = field.name.as_str();
    match field.role {
        Role::Number => {
            for (what, function) in [
                ("sum", "sum"),
                ("mean", "avg"),
                ("min", "min"),
                ("max", "max"),
                ("stddev", "stddev_pop"),
            ] {
                let otherwise = if what == "sum" { "0" } else { "NULL" };
                add(&[name, what], format!("{function}({column})"), otherwise);
            }
            if timed {
                // Change a day: the slope of a straight line through the values.
                let slope = format!("regr_slope({column}, -{AGE})");
                add(&[name, "trend"], slope, "NULL");
                for days in &related.windows {
                    let sum = format!("sum({column}) FILTER (WHERE {AGE} <= {days})");
                    add(
                        &[name, &format!("sum_{days}d")],
                        format!("coalesce({sum}, 0)"),
                        "0",
                    );
                }
            }
        }
        Role::Boolean => add(&[name, "share"], format!("avg({column})::float8"), "NULL"),
        Role::Category => {
            add(
                &[name, "distinct"],
                format!("count(DISTINCT {column})"),
                "0",
            );
            if field.values.is_empty() {
                return;
            }
            let frequent = format!("mode() WITHIN GROUP (ORDER BY {column})");
            add(&[name, "most_frequent"], frequent, "NULL");
            for value in &field.values {
                let share = format!(
                    "count(*) FILTER (WHERE {column} = {})::float8 / nullif(count({column}), 0)",
                    quote_literal(value)
                );
                add(&[name, "share", value], share, "NULL");
            }
        }
        Role::Time => add(&[name, "days_since_last"], format!("min({column})"), "NULL"),
    }
}

impl Field {
    /// A time that lies at or after the cut-off was not known then; nor was one at infinity.
    fn known(&self, column: &str) -> String {
        if self.role != Role::Time {
            return column.to_owned();
        }
        format!("CASE WHEN isfinite({column}) AND {column} < b.{AS_OF} THEN {column} END")
    }

    /// The column as the aggregates take it, once per row.
    fn value(&self) -> String {
        let name = quote_identifier(&self.name);
        let value = match self.role {
            Role::Number => format!("s.{name}::float8"),
            Role::Boolean => format!("s.{name}::int"),
            Role::Category => format!("s.{name}::text"),
            Role::Time => days(&format!(
                "b.{AS_OF} - {}::timestamptz",
                self.known(&format!("s.{name}"))
            )),
        };
        format!("{value} AS {name}")
    }
}

fn days(interval: &str) -> String {
    // As float8 throughout: extract() would compute in numeric.
    format!("date_part('epoch', {interval}) / 86400")
}

/// A name that PostgreSQL would cut ends in a hash of what is cut off, so that it stays unique.
fn shorten(name: String) -> String {
    if name.len() <= LONGEST {
        return name;
    }
    let hash = name.bytes().fold(0x811c_9dc5u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let mut end = LONGEST - 9;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}~{hash:08x}", &name[..end])
}

impl Related {
    fn timed(&self) -> bool {
        self.time.is_some() || self.parent.as_ref().is_some_and(|p| p.time.is_some())
    }

    /// `FROM` and `WHERE`: the customers `b` with their rows `s` before the cut-off.
    fn rows(&self) -> String {
        let table = |schema: &str, table: &str| {
            format!("{}.{}", quote_identifier(schema), quote_identifier(table))
        };
        let before = |alias: &str, time: &Option<String>| {
            time.as_ref().map_or(String::new(), |time| {
                let time = format!("{alias}.{}", quote_identifier(time));
                format!(" AND {time} < b.{AS_OF} AND isfinite({time})")
            })
        };
        let key = quote_identifier(&self.key);
        let own = table(&self.schema, &self.table);
        match &self.parent {
            None => format!(
                "customer b JOIN {own} s ON s.{key} = b.{KEY}{}",
                before("s", &self.time)
            ),
            Some(parent) => format!(
                "customer b JOIN {} p ON p.{} = b.{KEY}{} JOIN {own} s ON s.{key} = p.{}{}",
                table(&parent.schema, &parent.table),
                quote_identifier(&parent.key),
                before("p", &parent.time),
                quote_identifier(&parent.referred),
                before("s", &self.time)
            ),
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

    /// One row per customer with the features.
    fn subquery(&self) -> String {
        let list: Vec<String> = features(self)
            .iter()
            .map(|f| format!("{} AS {}", f.expression, quote_identifier(&f.name)))
            .collect();
        let list = list.join(",\n      ");
        let rows = self.rows();
        if self.one_to_one {
            // A second row of a customer must not make a second customer: the latest stands.
            let latest = self
                .moment()
                .map_or(String::new(), |m| format!(", {m} DESC"));
            return format!(
                "SELECT DISTINCT ON (b.{KEY}, b.{AS_OF}) b.{KEY}, b.{AS_OF},\n      {list}\n    FROM {rows}\n    ORDER BY b.{KEY}, b.{AS_OF}{latest}"
            );
        }
        let age = self.moment().map_or("NULL::float8".into(), |moment| {
            days(&format!("b.{AS_OF} - {moment}::timestamptz"))
        });
        let mut values = vec![
            format!("b.{KEY}"),
            format!("b.{AS_OF}"),
            format!("{age} AS {AGE}"),
        ];
        values.extend(self.fields.iter().map(Field::value));
        // OFFSET 0 keeps the planner from computing each value anew in every aggregate.
        format!(
            "SELECT r.{KEY}, r.{AS_OF},\n      {list}\n    FROM (\n      SELECT {}\n      FROM {rows} OFFSET 0\n    ) r\n    GROUP BY 1, 2",
            values.join(", ")
        )
    }
}

impl Sources {
    /// The base relation's columns, then the features.
    pub fn query(&self, base: &Source) -> String {
        let columns: Vec<String> = base
            .columns
            .iter()
            .map(|c| format!("t.{}", quote_identifier(&c.name)))
            .collect();
        let key = quote_identifier(&self.key);
        let there = |name: Option<&str>| {
            let is_time = |c: &SourceColumn| {
                Decoder::for_type(c.type_oid).is_some_and(|d| d.kind == Kind::Time)
            };
            let column = name.filter(|name| base.column(name).is_some_and(is_time));
            column.map(|name| format!("t.{}", quote_identifier(name)))
        };
        let [own, given] = self.moments().map(there);
        let as_of = self.cut_off(own.as_deref(), given.as_deref());
        let base = format!(
            "base AS MATERIALIZED (\n    SELECT {}, t.{key} AS {KEY}, {as_of} AS {AS_OF} FROM {}\n  )",
            columns.join(", "),
            aliased(&base.from)
        );
        self.assemble(&base, &columns.join(", "))
    }

    /// The features alone, for one customer, all as text: `$1` is the key, `$2` what the row's column of the cut-off says and
    /// `$3` what its column `as_of` says, or NULL. The type must be a name that `format_type` gives.
    pub fn row_query(&self, key_type: &str) -> String {
        let as_of = self.cut_off(Some("$2"), Some("$3"));
        let base = format!(
            "base AS MATERIALIZED (\n    SELECT $1::{key_type} AS {KEY}, {as_of} AS {AS_OF}\n  )"
        );
        self.assemble(&base, "")
    }

    /// The columns of a row that may say when to look: the cut-off's own, and the one of that name that goes for all.
    pub fn moments(&self) -> [Option<&str>; 2] {
        match &self.as_of {
            AsOf::Column { name, .. } => [Some(name), Some(OVERRIDE)],
            _ => [None, Some(OVERRIDE)],
        }
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

    fn assemble(&self, base: &str, columns: &str) -> String {
        let mut list: Vec<String> = Vec::new();
        let mut joins = String::new();
        if !columns.is_empty() {
            list.push(columns.to_owned());
        }
        for (number, related) in self.related.iter().enumerate() {
            let alias = format!("f{number}");
            for feature in features(related) {
                let name = quote_identifier(&feature.name);
                list.push(match feature.otherwise {
                    "NULL" => format!("{alias}.{name}"),
                    otherwise => format!("coalesce({alias}.{name}, {otherwise}) AS {name}"),
                });
            }
            joins += &format!(
                "\n  LEFT JOIN (\n    {}\n  ) {alias} ON {alias}.{KEY} = t.{KEY} AND {alias}.{AS_OF} = t.{AS_OF}",
                related.subquery()
            );
        }
        format!(
            "WITH {base},\n  customer AS MATERIALIZED (SELECT DISTINCT {KEY}, {AS_OF} FROM base)\nSELECT {}\nFROM base t{joins}",
            list.join(",\n  ")
        )
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
