//! What a table holds before anything is learned from it: a summary of each column, its relation with the target, and what to
//! do about it.

mod advice;
pub(crate) mod association;
pub(crate) mod bins;
pub mod construction;
pub mod crosses;
pub mod duplicates;
pub mod leakage;
pub mod selection;
mod summary;
pub mod unfit;
pub mod whole;

use crate::frame::{Cell, Column, Frame, Kind};
use crate::recipe::is_prose;
use association::{Permutations, mutual_information, stability_index};
use bins::{Bins, bins, spread};
use leakage::{Leak, Outcome};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
pub use summary::{Quantiles, Summary};
use unfit::{Unfit, unfit_among};
use whole::Whole;

/// Rows of the permutation test, evenly spread.
const TEST_ROWS: usize = 20_000;
/// Bins of numbers for mutual information and drift.
const BINS: usize = 16;
/// Classes told apart in the target.
const CLASSES: usize = 200;
/// A numeric target of more values than this is a number to be estimated.
const FEW_NUMBERS: usize = 10;

/// How a column goes with the target.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Association {
    /// Nats, from at most 20,000 rows in 16 bins.
    pub mutual_information: f64,
    /// Of independence, by 199 permutations: at least 0.005.
    pub p_value: f64,
}

/// Everything found out about one column.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ColumnProfile {
    pub name: String,
    pub type_name: String,
    pub kind: Kind,
    pub summary: Summary,
    /// Why it cannot be a feature.
    pub unfit: Option<Unfit>,
    /// Text of several words: its words become inputs.
    pub prose: bool,
    /// An earlier column with the same values in every row.
    pub duplicate_of: Option<String>,
    /// Population stability index between the earlier and the later half of the rows.
    pub drift: Option<f64>,
    pub association: Option<Association>,
    pub leak: Option<String>,
    pub advice: String,
}

/// Something found about the rows as a whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Finding {
    /// `duplicate rows`, `near-duplicate rows` or `class balance`.
    pub name: String,
    pub rows: usize,
    pub advice: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Profile {
    pub rows: usize,
    pub columns: Vec<ColumnProfile>,
    pub findings: Vec<Finding>,
}

/// Profiles a frame. `target` and `time` are positions of columns.
pub fn profile(frame: &Frame, target: Option<usize>, time: Option<usize>) -> Profile {
    judge(frame, None, target, time)
}

/// Profiles a table of which a frame holds a sample.
pub fn profile_of(
    sample: &Frame,
    whole: &Whole,
    target: Option<usize>,
    time: Option<usize>,
) -> Profile {
    judge(sample, Some(whole), target, time)
}

fn judge(
    frame: &Frame,
    whole: Option<&Whole>,
    target: Option<usize>,
    time: Option<usize>,
) -> Profile {
    let total = whole.map_or(frame.rows(), |whole| whole.rows);
    let rows: Vec<u32> = (0..frame.rows() as u32).collect();
    let place = target;
    let target = target.and_then(|t| frame.columns.get(t));
    let halves = time
        .and_then(|t| frame.columns.get(t))
        .map(|time| halves(time, &rows));
    let against = target.map(|target| Against::new(frame, target, &rows));
    let equal = duplicates::equal_columns(frame);
    let columns: Vec<ColumnProfile> = frame
        .columns
        .par_iter()
        .enumerate()
        .zip(&equal)
        .map(|((position, column), equal)| {
            let summary = match whole {
                None => summary::summarise(column),
                Some(whole) => whole.summary(position, column),
            };
            let unfit = unfit_among(column, &rows, total);
            let is_target = target.is_some_and(|t| t.name == column.name);
            let mut profile = ColumnProfile {
                name: column.name.clone(),
                type_name: column.type_name.clone(),
                kind: column.kind,
                unfit: match whole {
                    None => unfit,
                    Some(whole) => whole.unfit(position, unfit, &summary),
                },
                summary,
                prose: is_prose(column, &rows),
                duplicate_of: equal
                    .filter(|e| whole.is_none_or(|whole| whole.may_be_equal(position, *e)))
                    .map(|e| frame.columns[e].name.clone()),
                drift: halves.as_ref().map(|halves| drift(column, halves)),
                association: None,
                leak: None,
                advice: String::new(),
            };
            if let Some(against) = against.as_ref().filter(|_| !is_target) {
                profile.association = Some(against.association(column));
                let leak = against.leaks.iter().find(|l| l.column == column.name);
                profile.leak = leak.map(|l| l.reason.clone());
            }
            profile.advice = advice::of_column(&profile, is_target);
            profile
        })
        .collect();
    let mut findings = duplicates(frame, whole, &columns, &rows);
    findings.extend(place.and_then(|place| balance(frame, whole, &columns, place)));
    Profile {
        rows: total,
        columns,
        findings,
    }
}

/// The target as every column is held against it.
struct Against {
    rows: Vec<u32>,
    target: Bins,
    permutations: Permutations,
    leaks: Vec<Leak>,
}

impl Against {
    fn new(frame: &Frame, target: &Column, rows: &[u32]) -> Against {
        let known: Vec<u32> = rows
            .iter()
            .copied()
            .filter(|row| !target.nulls.get(*row as usize))
            .collect();
        let sample = spread(&known, TEST_ROWS);
        let number = matches!(target.kind, Kind::Number | Kind::Duration);
        let few = bins(target, &sample, CLASSES);
        let regression = number && few.count > FEW_NUMBERS + 1;
        let binned = if regression {
            bins(target, &sample, BINS)
        } else {
            few
        };
        let others: Vec<usize> = (0..frame.columns.len())
            .filter(|c| frame.columns[*c].name != target.name)
            .collect();
        let outcome = Outcome {
            target,
            regression,
            time: None,
        };
        Against {
            permutations: Permutations::new(&binned, 1),
            target: binned,
            leaks: leakage::find(frame, &others, &outcome, &known),
            rows: sample,
        }
    }

    fn association(&self, column: &Column) -> Association {
        let x = bins(column, &self.rows, BINS);
        let information = mutual_information(&x, &self.target);
        Association {
            mutual_information: information,
            p_value: self.permutations.p_value(&x, information),
        }
    }
}

/// The earlier and the later half of the rows.
fn halves(time: &Column, rows: &[u32]) -> [Vec<u32>; 2] {
    let mut known: Vec<(i64, u32)> = rows
        .iter()
        .filter_map(|&row| match time.cell(row as usize) {
            Cell::Time(at) => Some((at, row)),
            _ => None,
        })
        .collect();
    known.sort_unstable();
    let late = known.split_off(known.len() / 2);
    [known, late].map(|half| {
        let rows: Vec<u32> = half.into_iter().map(|(_, row)| row).collect();
        spread(&rows, TEST_ROWS)
    })
}

fn drift(column: &Column, halves: &[Vec<u32>; 2]) -> f64 {
    let rows = halves.concat();
    let binned = bins(column, &rows, 10);
    let (old, new) = binned.codes.split_at(halves[0].len());
    stability_index(old, new, binned.count)
}

fn duplicates(
    frame: &Frame,
    whole: Option<&Whole>,
    profiles: &[ColumnProfile],
    rows: &[u32],
) -> Vec<Finding> {
    // Rows that differ in nothing but an identifier are duplicates all the same.
    let compared: Vec<usize> = (0..profiles.len())
        .filter(|c| !matches!(profiles[*c].unfit, Some(Unfit::Identifier(_))))
        .collect();
    let exact = duplicates::repeated(&duplicates::row_hashes(frame, &compared, rows, false));
    let near = duplicates::repeated(&duplicates::row_hashes(frame, &compared, rows, true));
    let near = near.saturating_sub(exact);
    // How many rows of all repeat another cannot be told by a sample.
    let of_sample = |advice: String| match whole {
        Some(_) => format!(
            "{advice}; in a sample of {} rows, all may have more",
            rows.len()
        ),
        None => advice,
    };
    let exact = match whole.and_then(|whole| Some((whole.repeated?, whole.rows))) {
        Some((repeated, rows)) => {
            let advice = advice::of_duplicates(repeated, rows);
            let apart = whole.is_some_and(|whole| whole.tables > 1);
            let apart = if apart {
                "; rows of different partitions are not compared"
            } else {
                ""
            };
            (repeated, format!("{advice}{apart}"))
        }
        None => (exact, of_sample(advice::of_duplicates(exact, rows.len()))),
    };
    let near = (near, of_sample(advice::of_near_duplicates(near)));
    let finding = |name: &str, (rows, advice): (usize, String)| Finding {
        name: name.into(),
        rows,
        advice,
    };
    vec![
        finding("duplicate rows", exact),
        finding("near-duplicate rows", near),
    ]
}

/// The rarest class of the target, unless it has many values.
fn balance(
    frame: &Frame,
    whole: Option<&Whole>,
    profiles: &[ColumnProfile],
    place: usize,
) -> Option<Finding> {
    let (target, summary) = (frame.columns.get(place)?, &profiles.get(place)?.summary);
    if summary.distinct > CLASSES || summary.distinct < 2 {
        return None;
    }
    let number = matches!(target.kind, Kind::Number | Kind::Duration | Kind::Time);
    if number && summary.distinct > FEW_NUMBERS {
        return None;
    }
    let mut counts: std::collections::BTreeMap<String, usize> = Default::default();
    let mut count = |cell: Cell<'_>, rows: usize| {
        if cell != Cell::Null {
            *counts.entry(bins::show(cell)).or_default() += rows;
        }
    };
    match whole.and_then(|whole| whole.values(place)) {
        Some(values) => values.for_each(|(cell, rows)| count(cell, rows)),
        None => (0..target.len()).for_each(|row| count(target.cell(row), 1)),
    }
    let known: usize = counts.values().sum();
    let (label, rows) = counts.into_iter().min_by_key(|(_, count)| *count)?;
    let share = rows as f64 / known.max(1) as f64;
    Some(Finding {
        name: "class balance".into(),
        // Of all rows, where a sample was counted.
        rows: (share * (summary.rows - summary.nulls) as f64).round() as usize,
        advice: advice::of_balance(&label, rows, known),
    })
}

#[cfg(test)]
mod tests;
