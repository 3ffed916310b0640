//! The rows of one source as one row per customer, in SQL.

use super::discover::qualified;
use super::features::{DAY, Feature, LAST, SPENT, features};
use super::{Clv, Related};
use pgrx::spi::quote_identifier;

/// A row's age in days at the cut-off.
pub(super) const AGE: &str = "\"insight age\"";
/// The cut-off's name in the queries.
pub(super) const AS_OF: &str = "\"insight as_of\"";
/// The customer's.
pub(super) const KEY: &str = "\"insight key\"";
/// How the rows of a source find their customer.
pub(super) enum Rows {
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
    pub(super) fn several(&self) -> bool {
        matches!(self, Rows::Joined { unique: false, .. })
    }
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
    pub(super) fn subquery(&self, rows: &Rows, wanted: &[Feature], single: bool) -> String {
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
    pub(super) fn day_subquery(&self, rows: &Rows, clv: &Clv, wanted: &[Feature]) -> String {
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
