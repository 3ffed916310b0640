//! Groups of people by what a sensitive column says of them.

use crate::frame::{Cell, Column, Kind, Values};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Values of fewer rows are one group, "(others)".
const FEWEST: usize = 50;
/// So are all values beyond so many.
const MOST_VALUES: usize = 20;
/// Numbers of at most so many different values are not cut into quarters.
const FEW_NUMBERS: usize = 10;

const OTHERS: &str = "(others)";
const NULL: &str = "NULL";

/// How the values of a column are grouped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Grouping {
    pub column: String,
    pub kind: Kind,
    by: By,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum By {
    /// As they are written, the most frequent first.
    Values(Vec<String>),
    /// Rising numbers at which the next group begins.
    Edges(Vec<f64>),
}

/// Rows by group.
#[derive(Debug, Clone, PartialEq)]
pub struct Groups {
    /// The column; several are joined by commas.
    pub feature: String,
    pub names: Vec<String>,
    /// The group of each row.
    pub of: Vec<u32>,
}

impl Grouping {
    /// Groups the values of some rows: numbers by `edges`, or in quarters where there are none and the values are many. `None` for
    /// a column whose values are neither numbers nor texts nor booleans.
    pub fn new(column: &Column, rows: &[u32], edges: &[f64]) -> Option<Grouping> {
        let known = || rows.iter().filter(|row| !column.nulls.get(**row as usize));
        let by = match &column.values {
            Values::Number(values) => {
                let mut sorted: Vec<f64> = known().map(|row| values[*row as usize]).collect();
                sorted.sort_unstable_by(f64::total_cmp);
                let mut distinct = sorted.clone();
                distinct.dedup();
                if !edges.is_empty() {
                    By::Edges(edges.to_vec())
                } else if distinct.len() <= FEW_NUMBERS {
                    By::Values(frequent(column, rows))
                } else {
                    let mut quarters: Vec<f64> =
                        (1..4).map(|q| sorted[q * sorted.len() / 4]).collect();
                    quarters.dedup();
                    quarters.retain(|edge| *edge > sorted[0]);
                    By::Edges(quarters)
                }
            }
            Values::Boolean(_) => By::Values(frequent(column, rows)),
            Values::Category { .. } if column.kind == Kind::Category => {
                By::Values(frequent(column, rows))
            }
            _ => return None,
        };
        Some(Grouping {
            column: column.name.clone(),
            kind: column.kind,
            by,
        })
    }

    /// The groups of some rows of the column, or of another one of its kind.
    pub fn of(&self, column: &Column, rows: &[u32]) -> Groups {
        let mut names = match &self.by {
            // A value that is called as a group of the others is told from it by quotes.
            By::Values(values) => (values.iter())
                .map(|value| match [OTHERS, NULL].contains(&value.as_str()) {
                    true => format!("\"{value}\""),
                    false => value.clone(),
                })
                .collect(),
            By::Edges(edges) => bands(edges),
        };
        let others = names.len() as u32;
        names.extend([OTHERS.into(), NULL.into()]);
        let places: HashMap<&str, u32> = match &self.by {
            By::Values(values) => values.iter().map(String::as_str).zip(0..).collect(),
            By::Edges(_) => HashMap::new(),
        };
        let group = |row: &u32| {
            let cell = column.cell(*row as usize);
            match (&self.by, cell, label(cell)) {
                (_, Cell::Null, _) => others + 1,
                (By::Edges(edges), Cell::Number(x) | Cell::Duration(x), _) => {
                    edges.partition_point(|edge| *edge <= x) as u32
                }
                (_, _, Some(text)) => places.get(text.as_str()).copied().unwrap_or(others),
                _ => others,
            }
        };
        let of = rows.iter().map(group).collect();
        Groups {
            feature: self.column.clone(),
            names,
            of,
        }
    }
}

impl Groups {
    /// How many rows each group has.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.names.len()];
        self.of
            .iter()
            .for_each(|group| counts[*group as usize] += 1);
        counts
    }
}

/// The groups that several columns make together; those of few rows are one.
pub fn together(all: &[Groups]) -> Groups {
    let rows = all.first().map_or(0, |groups| groups.of.len());
    let name = |row: usize| {
        let own = all.iter().map(|g| g.names[g.of[row] as usize].as_str());
        own.collect::<Vec<_>>().join(", ")
    };
    let mut counts: BTreeMap<Vec<u32>, (usize, usize)> = BTreeMap::new();
    let key = |row: usize| -> Vec<u32> { all.iter().map(|g| g.of[row]).collect() };
    for row in 0..rows {
        counts.entry(key(row)).or_insert((0, row)).0 += 1;
    }
    let mut names = Vec::new();
    let mut places = BTreeMap::new();
    for (key, (count, first)) in counts {
        if count >= FEWEST {
            places.insert(key, names.len() as u32);
            names.push(name(first));
        }
    }
    let others = names.len() as u32;
    names.push(OTHERS.into());
    let features: Vec<&str> = all.iter().map(|g| g.feature.as_str()).collect();
    Groups {
        feature: features.join(", "),
        names,
        of: (0..rows)
            .map(|row| places.get(&key(row)).copied().unwrap_or(others))
            .collect(),
    }
}

/// A value as it is written.
fn label(cell: Cell<'_>) -> Option<String> {
    match cell {
        Cell::Number(x) | Cell::Duration(x) => Some((x + 0.0).to_string()),
        Cell::Boolean(x) => Some(x.to_string()),
        Cell::Text(x) => Some(x.to_owned()),
        _ => None,
    }
}

/// Values of enough rows, the most frequent first.
fn frequent(column: &Column, rows: &[u32]) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows {
        if let Some(text) = label(column.cell(*row as usize)) {
            *counts.entry(text).or_default() += 1;
        }
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts.retain(|(_, count)| *count >= FEWEST);
    counts.truncate(MOST_VALUES);
    counts.into_iter().map(|(text, _)| text).collect()
}

/// Names of the groups between edges.
fn bands(edges: &[f64]) -> Vec<String> {
    let (Some(first), Some(last)) = (edges.first(), edges.last()) else {
        return vec!["any".into()];
    };
    let inner = edges.windows(2).map(|e| format!("[{},{})", e[0], e[1]));
    let mut names = vec![format!("< {first}")];
    names.extend(inner);
    names.push(format!(">= {last}"));
    names
}
