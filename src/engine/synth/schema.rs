//! What is learned of each column of a table that is to be imitated.

use super::Columns;
use super::invent::{Invention, invent};
use super::mixture::{self, Mode};
use crate::calendar;
use crate::frame::{Cell, Column, Frame, Kind};
use crate::random::Random;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// A number with at most so many different values is one of a list.
pub(super) const FEW_NUMBERS: usize = 12;
/// A value that so large a share of the rows has stands for itself beside the modes (0 in amounts, say).
const SPIKE: f64 = 0.05;
const MOST_SPIKES: usize = 8;
/// Of more different values than this the rarer ones are one, drawn by how often they occur.
pub(super) const MOST_LEVELS: usize = 1000;
/// More than so many, the rarest, are not kept.
const MOST_KEPT: usize = 200_000;
/// A dependence between two columns is believed where each value of the first stands in so many rows, on average.
const ROWS_PER_VALUE: usize = 3;
/// Steps of times that are looked for, in microseconds: day, hour, minute, second, millisecond.
pub(super) const TIME_STEPS: [i64; 5] =
    [86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000, 1_000];

/// One value of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Level {
    Null(()),
    Boolean(bool),
    Number(f64),
    Text(String),
    /// Microseconds since 2000.
    Time {
        time: i64,
    },
}

impl Level {
    pub(super) fn of(cell: Cell<'_>) -> Option<Level> {
        Some(match cell {
            Cell::Null => Level::Null(()),
            Cell::Boolean(x) => Level::Boolean(x),
            Cell::Number(x) | Cell::Duration(x) => Level::Number(x + 0.0),
            Cell::Text(x) | Cell::Tags(x) | Cell::Json(x) => Level::Text(x.to_owned()),
            Cell::Time(x) => Level::Time { time: x },
            Cell::Vector(_) | Cell::Image(_) => return None,
        })
    }

    pub(super) fn cell(&self, kind: Kind) -> Cell<'_> {
        match self {
            Level::Null(()) => Cell::Null,
            Level::Boolean(x) => Cell::Boolean(*x),
            Level::Number(x) if kind == Kind::Duration => Cell::Duration(*x),
            Level::Number(x) => Cell::Number(*x),
            Level::Text(x) if kind == Kind::Tags => Cell::Tags(x),
            Level::Text(x) if kind == Kind::Json => Cell::Json(x),
            Level::Text(x) => Cell::Text(x),
            Level::Time { time } => Cell::Time(*time),
        }
    }

    /// As the user would write it.
    pub(super) fn label(&self) -> String {
        match self {
            Level::Null(()) => "NULL".into(),
            Level::Boolean(x) => x.to_string(),
            Level::Number(x) => format!("{x}"),
            Level::Text(x) => x.clone(),
            Level::Time { time } => {
                const DAY: i64 = 86_400_000_000;
                let (year, month, day) = calendar::date(time.div_euclid(DAY));
                let date = format!("{year:04}-{month:02}-{day:02}");
                match time.rem_euclid(DAY) / 1_000_000 {
                    0 => date,
                    s => format!("{date} {:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60),
                }
            }
        }
    }

    /// Whether a JSON value, `text` as text, means this.
    pub(super) fn is(&self, value: &serde_json::Value, text: &str) -> bool {
        match self {
            Level::Number(x) => value.as_f64().or_else(|| text.parse().ok()) == Some(*x),
            _ => self.label() == text,
        }
    }

    /// What tells values apart.
    pub(super) fn key(&self) -> Vec<u8> {
        match self {
            Level::Null(()) => vec![0],
            Level::Boolean(x) => vec![1, u8::from(*x)],
            Level::Number(x) => [&[2][..], &x.to_bits().to_le_bytes()].concat(),
            Level::Text(x) => [&[3][..], x.as_bytes()].concat(),
            Level::Time { time } => [&[4][..], &time.to_le_bytes()].concat(),
        }
    }
}

/// How a column's values come about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum How {
    /// One of a list; NULL is a value. The network says which.
    Levels {
        values: Vec<Level>,
        /// How many rows have each.
        counts: Vec<u64>,
        /// Where values from here on are one to the network.
        rare: usize,
    },
    /// A number near one of the modes, or one that stands for itself, or NULL. The network says which, and where.
    Number {
        modes: Vec<Mode>,
        spikes: Vec<f64>,
        null: bool,
        low: f64,
        high: f64,
        /// Values are whole multiples of it; 0: any.
        step: f64,
    },
    /// Each value of another column (by its place in that column's list) has one.
    Follows {
        field: usize,
        values: Vec<Level>,
        by: Vec<u32>,
    },
    /// New for each row.
    Invented(Invention),
    /// Nothing is known about such values: NULL.
    Nothing,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) type_name: String,
    pub(super) kind: Kind,
    /// Share of rows that are NULL.
    pub(super) nulls: f64,
    pub(super) how: How,
}

impl Field {
    /// Whether it is one of a list to the network, and can be a condition.
    pub(super) fn is_discrete(&self) -> bool {
        matches!(self.how, How::Levels { .. })
    }

    /// How many alternatives the network tells apart; 0 where it says nothing.
    pub(super) fn width(&self) -> usize {
        match &self.how {
            How::Levels { values, rare, .. } => values.len().min(rare + 1),
            How::Number {
                modes,
                spikes,
                null,
                ..
            } => modes.len() + spikes.len() + usize::from(*null),
            _ => 0,
        }
    }

    /// Whether the network gives it a place near a mode, too.
    pub(super) fn has_place(&self) -> bool {
        matches!(&self.how, How::Number { modes, .. } if !modes.is_empty())
    }
}

/// A table's columns as the network sees them: of each row and field which alternative, and the place near its mode.
pub(super) struct Encoded {
    pub(super) rows: usize,
    /// By field; empty where the network says nothing.
    pub(super) codes: Vec<Vec<u16>>,
    /// By field, from -1 to 1; empty without modes.
    pub(super) places: Vec<Vec<f32>>,
}

/// Learns the columns.
pub(super) fn fit(frame: &Frame, known: &Columns, random: &mut Random) -> (Vec<Field>, Encoded) {
    let rows = frame.rows();
    let mut levels: Vec<Option<Listed>> = Vec::new();
    let mut fields = Vec::new();
    for column in &frame.columns {
        let (how, listed) = learn(column, known, random);
        levels.push(listed);
        fields.push(Field {
            name: column.name.clone(),
            type_name: column.type_name.clone(),
            kind: column.kind,
            nulls: column.nulls.count() as f64 / rows.max(1) as f64,
            how,
        });
    }
    depend(&mut fields, &levels, rows, &known.amounts);
    let mut encoded = Encoded {
        rows,
        codes: Vec::new(),
        places: Vec::new(),
    };
    for ((field, column), listed) in fields.iter().zip(&frame.columns).zip(&levels) {
        let (codes, places) = match (&field.how, listed) {
            (How::Levels { rare, .. }, Some(listed)) => {
                let code = |c: &u32| (*c as usize).min(*rare) as u16;
                (listed.codes.iter().map(code).collect(), Vec::new())
            }
            (How::Number { .. }, _) => {
                let value = |row| number(column.cell(row));
                let code = |row| field.how.encode(value(row), &mut || random.uniform());
                (0..column.len()).map(code).unzip()
            }
            _ => (Vec::new(), Vec::new()),
        };
        encoded.codes.push(codes);
        encoded.places.push(places);
    }
    (fields, encoded)
}

/// A column's different values, most frequent first, and which one each row has.
pub(super) struct Listed {
    pub(super) values: Vec<Level>,
    pub(super) counts: Vec<u64>,
    pub(super) codes: Vec<u32>,
}

/// `None` for values that cannot be told apart, or more of them than `most`.
pub(super) fn list(column: &Column, most: usize) -> Option<Listed> {
    let mut places: HashMap<Vec<u8>, u32> = HashMap::new();
    let (mut values, mut counts, mut codes) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..column.len() {
        let level = Level::of(column.cell(row))?;
        let next = values.len() as u32;
        let code = *places.entry(level.key()).or_insert(next);
        if code == next {
            if values.len() > most {
                return None;
            }
            values.push(level);
            counts.push(0u64);
        }
        counts[code as usize] += 1;
        codes.push(code);
    }
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(counts[*at]));
    let mut place = vec![0u32; order.len()];
    order
        .iter()
        .zip(0..)
        .for_each(|(old, new)| place[*old] = new);
    codes.iter_mut().for_each(|c| *c = place[*c as usize]);
    Some(Listed {
        values: order.iter().map(|at| values[*at].clone()).collect(),
        counts: order.iter().map(|at| counts[*at]).collect(),
        codes,
    })
}

fn learn(column: &Column, columns: &Columns, random: &mut Random) -> (How, Option<Listed>) {
    let known = column.len() - column.nulls.count();
    if known == 0 || matches!(column.kind, Kind::Vector | Kind::Image) {
        return (How::Nothing, None);
    }
    let number = matches!(column.kind, Kind::Number | Kind::Duration | Kind::Time);
    let foreign = columns.foreign.contains(&column.name);
    let unique = columns.unique.contains(&column.name);
    let most = if number && !foreign {
        FEW_NUMBERS
    } else {
        column.len()
    };
    let listed = list(column, most);
    let distinct = listed.as_ref().map(|l| l.values.len());
    let amount = columns.amounts.contains(&column.name);
    if !foreign
        && !amount
        && let Some(invention) = invent(column, distinct, unique)
    {
        return (How::Invented(invention), None);
    }
    match listed {
        // Documents and sets that hardly repeat are somebody's own.
        Some(listed)
            if matches!(column.kind, Kind::Json | Kind::Tags)
                && listed.values.len() * 2 > known =>
        {
            (How::Nothing, None)
        }
        Some(listed) => {
            let kept = listed.values.len().min(MOST_KEPT);
            let how = How::Levels {
                values: listed.values[..kept].to_vec(),
                counts: listed.counts[..kept].to_vec(),
                rare: MOST_LEVELS,
            };
            (how, Some(listed))
        }
        None if number => (number_field(column, random), None),
        None => (How::Nothing, None),
    }
}

/// The number a cell holds.
pub(crate) fn number(cell: Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Number(x) | Cell::Duration(x) => Some(x + 0.0),
        Cell::Time(x) => Some(x as f64),
        _ => None,
    }
}

pub(super) fn number_field(column: &Column, random: &mut Random) -> How {
    let values: Vec<f64> = (0..column.len())
        .filter_map(|row| number(column.cell(row)))
        .collect();
    let mut counts: HashMap<u64, usize> = HashMap::new();
    values
        .iter()
        .for_each(|x| *counts.entry(x.to_bits()).or_default() += 1);
    let often = |(_, count): &(&u64, &usize)| **count as f64 >= SPIKE * values.len() as f64;
    let mut spikes: Vec<(f64, usize)> = counts
        .iter()
        .filter(often)
        .map(|(bits, count)| (f64::from_bits(*bits), *count))
        .collect();
    spikes.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.total_cmp(&b.0)));
    spikes.truncate(MOST_SPIKES);
    let spikes: Vec<f64> = spikes.into_iter().map(|(value, _)| value).collect();
    let others: Vec<f64> = values
        .iter()
        .copied()
        .filter(|x| !spikes.contains(x))
        .collect();
    let bound = |of: fn(f64, f64) -> f64, start| values.iter().copied().fold(start, of);
    How::Number {
        modes: mixture::fit(&others, random),
        spikes,
        null: column.nulls.count() > 0,
        low: bound(f64::min, f64::INFINITY),
        high: bound(f64::max, f64::NEG_INFINITY),
        step: step(&values, column.kind),
    }
}

/// What all values are whole multiples of.
pub(super) fn step(values: &[f64], kind: Kind) -> f64 {
    if kind == Kind::Time {
        let whole = |step: &&i64| values.iter().all(|x| (*x as i64) % **step == 0);
        return TIME_STEPS
            .iter()
            .find(whole)
            .map_or(1.0, |step| *step as f64);
    }
    let whole = |digits: &i32| {
        let factor = 10f64.powi(*digits);
        let near = |x: f64| (x - x.round()).abs() <= 1e-9 * x.abs().max(1.0);
        values.iter().all(|x| near(x * factor))
    };
    (0..=6)
        .find(whole)
        .map_or(0.0, |digits| 10f64.powi(-digits))
}

/// Where a value lies near a mode, as in CTGAN.
fn place(mode: &Mode, x: f64) -> f64 {
    ((x - mode.mean) / (4.0 * mode.deviation)).clamp(-0.99, 0.99)
}

/// The index at which the running sum of shares passes `at` times their sum.
pub(super) fn draw(shares: &[f64], at: f64) -> usize {
    let mut left = at * shares.iter().sum::<f64>();
    for (i, share) in shares.iter().enumerate() {
        left -= share;
        if left < 0.0 {
            return i;
        }
    }
    shares.len().saturating_sub(1)
}

impl How {
    /// Which alternative a number is, or its lack, and where it lies near its mode; `uniform` draws one of the modes it may belong to.
    pub(super) fn encode(&self, x: Option<f64>, uniform: &mut dyn FnMut() -> f64) -> (u16, f32) {
        let How::Number { modes, spikes, .. } = self else {
            return (0, 0.0);
        };
        let Some(x) = x else {
            return ((modes.len() + spikes.len()) as u16, 0.0);
        };
        let far = |at: &usize| (spikes[*at] - x).abs();
        let near = (0..spikes.len()).min_by(|a, b| far(a).total_cmp(&far(b)));
        if let Some(at) = near.filter(|at| spikes[*at] == x || modes.is_empty()) {
            return ((modes.len() + at) as u16, 0.0);
        }
        let mut shares = vec![0.0; modes.len()];
        mixture::responsibilities(modes, x, &mut shares);
        let code = draw(&shares, uniform());
        (code as u16, place(&modes[code], x) as f32)
    }

    /// The value of an alternative the network chose, near its mode.
    pub(super) fn number_at(&self, code: usize, place: f64) -> Option<f64> {
        let How::Number {
            modes,
            spikes,
            low,
            high,
            step,
            ..
        } = self
        else {
            return None;
        };
        if let Some(mode) = modes.get(code) {
            let x = place * 4.0 * mode.deviation + mode.mean;
            let x = if *step > 0.0 { whole(x, *step) } else { x };
            return Some(x.clamp(*low, *high));
        }
        spikes.get(code - modes.len()).copied()
    }
}

/// The nearest multiple; of 0.01 and the like, the number that is written so.
pub(super) fn whole(x: f64, step: f64) -> f64 {
    if step >= 1.0 {
        (x / step).round() * step
    } else {
        let factor = (1.0 / step).round();
        (x * factor).round() / factor
    }
}

/// Finds columns of which each value has one value of another, so that the network need not learn it.
fn depend(fields: &mut [Field], levels: &[Option<Listed>], rows: usize, amounts: &[String]) {
    let mut order: Vec<usize> = (0..fields.len())
        .filter(|at| levels[*at].is_some() && !amounts.contains(&fields[*at].name))
        .collect();
    let size = |at: usize| levels[at].as_ref().map_or(0, |l| l.values.len());
    // Those with few values follow those with many; of equal ones the later follows the earlier.
    order.sort_by_key(|at| (size(*at), std::cmp::Reverse(*at)));
    // From the largest: a column that follows another is followed by none.
    for (i, &own) in order.iter().enumerate().rev() {
        if size(own) < 2 {
            continue;
        }
        for &other in &order[i + 1..] {
            let follows = matches!(fields[other].how, How::Follows { .. });
            if follows || size(other) * ROWS_PER_VALUE > rows || size(other) > MOST_LEVELS {
                continue;
            }
            let (Some(from), Some(to)) = (&levels[other], &levels[own]) else {
                continue;
            };
            if let Some(by) = function(from, to) {
                fields[own].how = How::Follows {
                    field: other,
                    values: to.values.clone(),
                    by,
                };
                break;
            }
        }
    }
}

/// The value of `to` for each of `from`, if each has one.
fn function(from: &Listed, to: &Listed) -> Option<Vec<u32>> {
    const NONE: u32 = u32::MAX;
    let mut by = vec![NONE; from.values.len()];
    for (a, b) in from.codes.iter().zip(&to.codes) {
        let own = &mut by[*a as usize];
        if *own == NONE {
            *own = *b;
        } else if own != b {
            return None;
        }
    }
    // A column with one row of each value tells nothing.
    let repeated = from.counts.iter().filter(|c| **c > 1).count();
    (repeated * 2 > from.values.len()).then_some(by)
}
