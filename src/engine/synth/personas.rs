//! Typical customers: rows in the middle of groups, and what sets each group apart, in words and figures.

use super::gower::Points;
use super::schema::number;
use super::{Synthesizer, fidelity, medoids};
use crate::calendar::iso;
use crate::fit::{FitError, label_of};
use crate::frame::{Cell, Column, Frame, Kind, tags};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Rows that are made to be grouped.
const MADE: usize = 5000;
/// Groups that are looked for where their number is not given.
const USUAL: std::ops::RangeInclusive<usize> = 2..=8;
pub const MOST_PERSONAS: usize = 50;
/// A value sets a group apart from this difference of its shares on, a number from this delta on: a medium one (Romano and others
/// 2006), for groups in the middle differ a little from those on both sides.
const LEAST_SHARE: f64 = 0.2;
const LEAST_DELTA: f64 = 0.33;
/// What is told of a group, at most, and what names it.
const TOLD: usize = 5;
const NAMED: usize = 2;

/// A typical customer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Persona {
    pub name: String,
    /// Of all rows.
    pub share: f64,
    pub description: String,
    /// The row in the middle of the group, by column.
    pub typical: Map<String, Value>,
    /// What sets the group apart, by falling effect: for a number the `value` that is in the middle of the group and the
    /// `typical` one of all rows; else a `value`, its `share` in the group and its `share_of_all`. The `effect` is Cliff's delta
    /// (1993) between the group and the others; of a value, the difference of its shares. From -1 to 1.
    pub differs: Vec<Value>,
}

impl Synthesizer {
    /// Typical customers among rows that are made, or given; by falling share. Groups are medoids by Gower's distance.
    ///
    /// # Errors
    /// 22023 for too few rows, a number of groups that is too small or too large, no column to compare by.
    pub fn personas(
        &self,
        given: Option<Frame>,
        k: Option<usize>,
    ) -> Result<Vec<Persona>, FitError> {
        let frame = match given {
            Some(frame) => frame,
            None => self
                .rows(self.params.seed ^ 0x6a09_e667, &[])?
                .next(MADE, &mut || ())?,
        };
        // What follows from another column would count twice.
        let follows = |name: &str| {
            let mut known = self.columns();
            known.any(|(own, _, how)| own == name && how == "follows another column")
        };
        let columns = frame.columns.iter().filter(|c| !follows(&c.name));
        personas(
            &frame,
            &Frame {
                columns: columns.cloned().collect(),
            },
            k,
        )
    }
}

/// Typical rows of a frame, grouped by some of its columns.
fn personas(frame: &Frame, by: &Frame, k: Option<usize>) -> Result<Vec<Persona>, FitError> {
    let rows = frame.rows();
    let most = MOST_PERSONAS.min(rows.saturating_sub(1));
    if rows < 2 * USUAL.start() + 1 {
        return Err(
            FitError::new("22023", format!("{rows} rows are too few for personas"))
                .hint(format!("At least {} are needed.", 2 * USUAL.start() + 1)),
        );
    }
    if k.is_some_and(|k| !(*USUAL.start()..=most).contains(&k)) {
        return Err(FitError::new(
            "22023",
            format!("k must be an integer from {} to {most}", USUAL.start()),
        )
        .hint("Leave it out to have the number of groups found."));
    }
    let columns: Vec<&Column> = fidelity::common(by, by)
        .into_iter()
        .map(|(c, _)| c)
        .collect();
    if columns.is_empty() {
        return Err(
            FitError::new("22023", "there is no column to compare rows by").detail(
                "Keys, prose, vectors and columns that are always NULL say nothing of likeness.",
            ),
        );
    }
    let points = Points::of(&[by]);
    let Some(points) = points.first() else {
        return Ok(Vec::new());
    };
    let k = k.unwrap_or_else(|| medoids::count(points, rows, USUAL));
    let groups = medoids::clara(points, rows, k, 0);
    let mut sizes = vec![0usize; groups.medoids.len()];
    groups.of.iter().for_each(|group| sizes[*group] += 1);
    let judged: Vec<Judged<'_>> = columns.par_iter().map(|c| Judged::of(c)).collect();
    // Where rows are alike a medoid can be left without any.
    let mut order: Vec<usize> = (0..sizes.len()).filter(|g| sizes[*g] > 0).collect();
    order.sort_by_key(|group| (std::cmp::Reverse(sizes[*group]), groups.medoids[*group]));
    let mut names: Vec<String> = Vec::new();
    let each = order.into_iter().map(|group| {
        let inside: Vec<bool> = groups.of.iter().map(|own| *own == group).collect();
        let mut traits: Vec<Trait> = judged.iter().filter_map(|c| c.differs(&inside)).collect();
        traits.sort_by(|a, b| b.effect.abs().total_cmp(&a.effect.abs()));
        traits.truncate(TOLD);
        let name = name(&traits, &names);
        names.push(name.clone());
        let told: Vec<&str> = traits.iter().map(|t| t.told.as_str()).collect();
        Persona {
            name,
            share: sizes[group] as f64 / rows as f64,
            description: match told.is_empty() {
                true => "like most".into(),
                false => told.join(", "),
            },
            typical: row(frame, groups.medoids[group]),
            differs: traits.into_iter().map(|t| t.figures).collect(),
        }
    });
    Ok(each.collect())
}

/// A short name that no other has.
fn name(traits: &[Trait], taken: &[String]) -> String {
    let words: Vec<&str> = traits.iter().map(|t| t.name.as_str()).collect();
    for count in NAMED.min(words.len()).max(1)..=words.len() {
        let name = words[..count].join(", ");
        if !taken.contains(&name) {
            return name;
        }
    }
    let plain = match words.is_empty() {
        true => "typical".to_owned(),
        false => words.join(", "),
    };
    let mut names = (1..).map(|n| match n {
        1 => plain.clone(),
        n => format!("{plain} ({n})"),
    });
    names.find(|name| !taken.contains(name)).unwrap_or_default()
}

/// What sets a group apart in a column.
struct Trait {
    effect: f64,
    name: String,
    told: String,
    figures: Value,
}

/// A column, ready to be compared between groups.
struct Judged<'a> {
    column: &'a Column,
    values: Side,
}

enum Side {
    /// Rows that have a value, by rising value, with their ranks from 1 (equal values share one), and the median.
    Number { order: Vec<(usize, f64, f64)> },
    /// Rows of each value.
    Value(BTreeMap<String, Vec<usize>>),
}

impl<'a> Judged<'a> {
    fn of(column: &'a Column) -> Judged<'a> {
        let rows = 0..column.len();
        if !fidelity::is_number(column.kind) {
            let mut values: BTreeMap<String, Vec<usize>> = BTreeMap::new();
            rows.filter(|row| !column.nulls.get(*row)).for_each(|row| {
                let value = fidelity::text(column.cell(row));
                values.entry(value).or_default().push(row);
            });
            let values = Side::Value(values);
            return Judged { column, values };
        }
        let mut known: Vec<(usize, f64)> = rows
            .filter_map(|row| Some((row, number(column.cell(row))?)))
            .collect();
        known.sort_by(|a, b| a.1.total_cmp(&b.1));
        let mut order = Vec::with_capacity(known.len());
        let mut start = 0;
        for same in known.chunk_by(|a, b| a.1 == b.1) {
            let rank = start as f64 + (same.len() as f64 + 1.0) / 2.0;
            order.extend(same.iter().map(|(row, x)| (*row, *x, rank)));
            start += same.len();
        }
        Judged {
            column,
            values: Side::Number { order },
        }
    }

    /// What sets the rows of a group apart, if anything does: the more marked of values and gaps.
    fn differs(&self, inside: &[bool]) -> Option<Trait> {
        let own = match &self.values {
            Side::Number { order } => self.number(order, inside),
            Side::Value(values) => self.value(values, inside),
        };
        let nulls = &self.column.nulls;
        let size = inside.iter().filter(|i| **i).count();
        let missing = (0..inside.len()).filter(|row| nulls.get(*row));
        let missing = Shares::of(missing, inside, size);
        let name = &self.column.name;
        let gap = (missing.effect() >= LEAST_SHARE).then(|| Trait {
            effect: missing.effect(),
            name: format!("unknown {name}"),
            told: format!("{name} unknown ({})", missing.told()),
            figures: missing.figures(name, Value::Null),
        });
        match (own, gap) {
            (Some(own), Some(gap)) if own.effect.abs() >= gap.effect => Some(own),
            (own, None) => own,
            (_, gap) => gap,
        }
    }

    fn number(&self, order: &[(usize, f64, f64)], inside: &[bool]) -> Option<Trait> {
        let own: Vec<&(usize, f64, f64)> = order.iter().filter(|(row, ..)| inside[*row]).collect();
        let (count, others) = (own.len() as f64, (order.len() - own.len()) as f64);
        if count == 0.0 || others == 0.0 {
            return None;
        }
        let ranks: f64 = own.iter().map(|(.., rank)| rank).sum();
        // The share of pairs in which the group's row is greater less that in which it is smaller.
        let effect = 2.0 * (ranks - count * (count + 1.0) / 2.0) / (count * others) - 1.0;
        if effect.abs() < LEAST_DELTA {
            return None;
        }
        let (value, typical) = (own[own.len() / 2].1, order[order.len() / 2].1);
        let column = self.column;
        let name = &column.name;
        let word = match (column.kind == Kind::Time, effect > 0.0) {
            (true, true) => "late",
            (true, false) => "early",
            (false, true) => "high",
            (false, false) => "low",
        };
        Some(Trait {
            effect,
            name: format!("{word} {name}"),
            told: format!(
                "{name} {} (typical {})",
                figure(column, value),
                figure(column, typical)
            ),
            figures: json!({
                "column": name,
                "value": of_number(column, value),
                "typical": of_number(column, typical),
                "effect": effect,
            }),
        })
    }

    fn value(&self, values: &BTreeMap<String, Vec<usize>>, inside: &[bool]) -> Option<Trait> {
        let size = inside.iter().filter(|i| **i).count();
        let each = values.iter().map(|(value, rows)| {
            let shares = Shares::of(rows.iter().copied(), inside, size);
            (value, shares)
        });
        let (value, shares) = each.max_by(|a, b| a.1.effect().total_cmp(&b.1.effect()))?;
        if shares.effect() < LEAST_SHARE {
            return None;
        }
        let column = self.column;
        let name = &column.name;
        let row = *values[value].first()?;
        let shown = match column.cell(row) {
            Cell::Tags(packed) => tags(packed).collect::<Vec<_>>().join(" and "),
            Cell::Json(text) => text.to_owned(),
            cell => label_of(cell),
        };
        Some(Trait {
            effect: shares.effect(),
            name: match column.cell(row) {
                Cell::Boolean(true) => name.clone(),
                Cell::Boolean(false) => format!("no {name}"),
                _ => format!("{name} {shown}"),
            },
            told: format!("{name} {shown} ({})", shares.told()),
            figures: shares.figures(name, json_of(column, row)),
        })
    }
}

/// How often something is met in a group, among the others, and among all.
struct Shares {
    inside: f64,
    outside: f64,
    all: f64,
}

impl Shares {
    /// Of rows that have it; `size` rows are inside.
    fn of(rows: impl Iterator<Item = usize>, inside: &[bool], size: usize) -> Shares {
        let (mut own, mut count) = (0, 0);
        for row in rows {
            own += usize::from(inside[row]);
            count += 1;
        }
        let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
        Shares {
            inside: share(own, size),
            // There may be no others, and then nothing is set apart.
            outside: match inside.len() - size {
                0 => share(own, size),
                others => share(count - own, others),
            },
            all: share(count, inside.len()),
        }
    }

    fn effect(&self) -> f64 {
        self.inside - self.outside
    }

    fn told(&self) -> String {
        format!(
            "{:.0}% against {:.0}%",
            100.0 * self.inside,
            100.0 * self.all
        )
    }

    fn figures(&self, column: &str, value: Value) -> Value {
        json!({
            "column": column,
            "value": value,
            "share": self.inside,
            "share_of_all": self.all,
            "effect": self.effect(),
        })
    }
}

/// A row as JSON; images and vectors are left out.
fn row(frame: &Frame, row: usize) -> Map<String, Value> {
    let shown = frame
        .columns
        .iter()
        .filter(|c| !matches!(c.kind, Kind::Vector | Kind::Image));
    shown
        .map(|column| (column.name.clone(), json_of(column, row)))
        .collect()
}

fn json_of(column: &Column, row: usize) -> Value {
    match column.cell(row) {
        Cell::Null | Cell::Vector(_) | Cell::Image(_) => Value::Null,
        Cell::Boolean(x) => x.into(),
        Cell::Text(text) => text.into(),
        Cell::Json(text) => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        Cell::Tags(packed) => tags(packed).collect(),
        Cell::Number(x) | Cell::Duration(x) => of_number(column, x),
        Cell::Time(at) => of_number(column, at as f64),
    }
}

/// A value of a column of numbers or times as JSON.
fn of_number(column: &Column, x: f64) -> Value {
    match column.kind {
        Kind::Time => iso(x as i64).into(),
        Kind::Duration => format!("{x} seconds").into(),
        _ if x.fract() == 0.0 && x.abs() < 1e15 => (x as i64).into(),
        _ => x.into(),
    }
}

/// A value of a column of numbers or times, short.
fn figure(column: &Column, x: f64) -> String {
    match column.kind {
        Kind::Time => {
            let day = iso(x as i64);
            day.split(' ').next().unwrap_or_default().to_owned()
        }
        Kind::Duration => format!("{} seconds", short(x)),
        _ => short(x),
    }
}

/// Four digits, or all before the point.
fn short(x: f64) -> String {
    if x.fract() == 0.0 || x.abs() >= 1000.0 {
        return format!("{x:.0}");
    }
    let digits = (3 - x.abs().max(1e-12).log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{x:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
#[path = "personas_test.rs"]
mod tests;
