//! The features of a source, as aggregates over its rows.

use super::rows::{AGE, days};
use super::{Clv, Field, Related, Role};
use insight_engine::recipe::Purchases;
use pgrx::spi::{quote_identifier, quote_literal};

/// Identifiers hold at most so many bytes.
const LONGEST: usize = 63;

/// A column that is computed from a source.
pub(super) struct Feature {
    pub name: String,
    /// An aggregate over rows `r`; or a plain column of a one-to-one source.
    pub expression: String,
    /// What a customer without any row has.
    pub otherwise: &'static str,
    /// The position of the source's column that it is made of.
    pub field: Option<usize>,
    /// It is made of days with a purchase `d`, not of rows.
    pub of_days: bool,
}

/// What follows the source's name, the aggregate, and what a customer without any row has.
type Part = (String, String, &'static str);

/// The features of one source, in order.
pub(super) fn features(related: &Related) -> Vec<Feature> {
    let mut list = Vec::new();
    let mut add = |parts: Vec<Part>, field: Option<usize>| {
        list.extend(
            parts
                .into_iter()
                .map(|(name, expression, otherwise)| Feature {
                    name: shorten(format!("{}.{name}", related.name)),
                    expression,
                    otherwise,
                    field,
                    of_days: false,
                }),
        );
    };
    if !related.one_to_one {
        add(of_rows(related), None);
    }
    for (position, field) in related.fields.iter().enumerate() {
        let column = format!("r.{}", quote_identifier(&field.name));
        let parts = if related.one_to_one {
            vec![(field.name.clone(), column, "NULL")]
        } else {
            of_field(field, related, &column)
        };
        add(parts, Some(position));
    }
    if let Some(clv) = &related.clv {
        list.extend(of_days(related, clv));
    }
    list
}

/// A purchase's day, the day before the cut-off, and what was spent that day.
pub(super) const DAY: &str = "\"insight day\"";
pub(super) const LAST: &str = "\"insight last\"";
pub(super) const SPENT: &str = "\"insight spent\"";

fn purchase_name(related: &Related, what: &str) -> String {
    shorten(format!("{}.clv.{what}", related.name))
}

/// What the models of purchases take: the columns of `insight_clv`.
fn of_days(related: &Related, clv: &Clv) -> Vec<Feature> {
    let mut parts = vec![
        ("repeat_purchases", "count(*) - 1".to_owned()),
        ("recency_days", format!("max({DAY}) - min({DAY})")),
        ("age_days", format!("max({LAST}) - min({DAY})")),
    ];
    if clv.amount.is_some() {
        // All days but the first.
        let later = format!("sum({SPENT}) - (array_agg({SPENT} ORDER BY {DAY}))[1]");
        parts.push((
            "repeat_amount",
            format!("({later}) / nullif(count(*) - 1, 0)"),
        ));
    }
    let feature = |(what, expression)| Feature {
        name: purchase_name(related, what),
        expression,
        otherwise: "NULL",
        field: None,
        of_days: true,
    };
    parts.into_iter().map(feature).collect()
}

/// The names of these, for the forecasts.
pub(super) fn purchases(related: &Related) -> Option<Purchases> {
    let clv = related.clv.as_ref()?;
    let name = |what: &str| purchase_name(related, what);
    Some(Purchases {
        name: format!("{}.clv", related.name),
        repeats: name("repeat_purchases"),
        recency: name("recency_days"),
        age: name("age_days"),
        amount: clv.amount.as_ref().map(|_| name("repeat_amount")),
        horizon: f64::from(clv.horizon_days),
    })
}

/// How many rows, and when.
fn of_rows(related: &Related) -> Vec<Part> {
    let mut parts: Vec<Part> = vec![("count".into(), "count(*)".into(), "0")];
    if !related.timed() {
        return parts;
    }
    parts.push(("days_since_last".into(), format!("min({AGE})"), "NULL"));
    parts.push(("days_since_first".into(), format!("max({AGE})"), "NULL"));
    let gap = format!("(max({AGE}) - min({AGE})) / nullif(count(*) - 1, 0)");
    parts.push(("mean_gap_days".into(), gap, "NULL"));
    for days in &related.windows {
        let within = |days: u32| format!("count(*) FILTER (WHERE {AGE} <= {days})");
        parts.push((format!("count_{days}d"), within(*days), "0"));
        // Of the last two windows of this length, the share of the later.
        let share = share(&within(*days), &within(2 * days));
        parts.push((format!("recent_share_{days}d"), share, "NULL"));
    }
    parts
}

fn of_field(field: &Field, related: &Related, column: &str) -> Vec<Part> {
    let name = field.name.as_str();
    let mut parts = Vec::new();
    let mut add = |what: &str, expression: String, otherwise: &'static str| {
        parts.push((format!("{name}.{what}"), expression, otherwise));
    };
    match field.role {
        Role::Number => {
            add("sum", format!("sum({column})"), "0");
            add("mean", format!("avg({column})"), "NULL");
            add("min", format!("min({column})"), "NULL");
            add("max", format!("max({column})"), "NULL");
            add("stddev", format!("stddev_pop({column})"), "NULL");
            if related.timed() {
                // Change a day: the slope of a straight line through the values.
                add("trend", format!("regr_slope({column}, -{AGE})"), "NULL");
                for days in &related.windows {
                    let sum = format!("coalesce(sum({column}) FILTER (WHERE {AGE} <= {days}), 0)");
                    add(&format!("sum_{days}d"), sum, "0");
                }
            }
        }
        Role::Boolean => {
            let so = format!("count(*) FILTER (WHERE {column})");
            add("share", share(&so, &format!("count({column})")), "NULL");
        }
        Role::Category if field.values.is_empty() => {
            add("distinct", format!("count(DISTINCT {column})"), "0");
        }
        Role::Category => {
            // Counts alone: DISTINCT and mode() would sort the rows of every customer.
            let known = format!("count({column})");
            let rows: Vec<String> = field
                .values
                .iter()
                .map(|value| {
                    format!(
                        "count(*) FILTER (WHERE {column} = {})",
                        quote_literal(value)
                    )
                })
                .collect();
            let there: Vec<String> = rows.iter().map(|n| format!("({n} > 0)::int")).collect();
            let distinct = format!(
                "{} + ({known} > {})::int",
                there.join(" + "),
                rows.join(" + ")
            );
            add("distinct", distinct, "0");
            let most: Vec<String> = rows
                .iter()
                .zip(&field.values)
                .map(|(n, value)| format!("WHEN {n} THEN {}", quote_literal(value)))
                .collect();
            let most = format!(
                "CASE nullif(greatest({}), 0) {} END",
                rows.join(", "),
                most.join(" ")
            );
            add("most_frequent", most, "NULL");
            for (value, rows) in field.values.iter().zip(&rows) {
                add(&format!("share.{value}"), share(rows, &known), "NULL");
            }
        }
        Role::Time => add("days_since_last", format!("min({column})"), "NULL"),
    }
    parts
}

fn share(some: &str, all: &str) -> String {
    format!("{some}::float8 / nullif({all}, 0)")
}

impl Field {
    /// A time that lies at or after the cut-off was not known then; nor was one at infinity.
    pub(super) fn known(&self, as_of: &str) -> String {
        let column = format!("s.{}", quote_identifier(&self.name));
        if self.role != Role::Time {
            return column;
        }
        format!("CASE WHEN {column} < {as_of} AND {column} > '-infinity' THEN {column} END")
    }

    /// The column as the aggregates take it, once per row.
    pub(super) fn value(&self, as_of: &str) -> String {
        let known = self.known(as_of);
        match self.role {
            Role::Number => format!("{known}::float8"),
            Role::Boolean => known,
            Role::Category => format!("{known}::text"),
            Role::Time => days(&format!("{as_of} - ({known})::timestamptz")),
        }
    }
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
