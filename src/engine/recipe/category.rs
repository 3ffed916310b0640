//! Categories: one-hot for few levels, a learned vector for many, code 0 for what was not seen.

use super::options::CategoryEncoding;
use crate::frame::{Cell, Column};
use crate::lookup::Lookup;
use crate::models::Encoding;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

/// Up to this many levels become one input each.
pub(super) const ONE_HOT: usize = 16;
/// A level needs this many training rows for a vector of its own.
pub(super) const RARE: usize = 5;
/// The most frequent levels kept.
const MAX_LEVELS: usize = 10_000;
/// Where each has an input of its own.
const MAX_INPUTS: usize = 1_000;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub(super) struct Category {
    /// Code of a level is its position + 1.
    levels: Vec<String>,
    /// Missing values are a level of their own, the last.
    missing: bool,
    encoding: CategoryEncoding,
    codes: Lookup<Box<str>, u32>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    levels: Vec<String>,
    missing: bool,
    #[serde(default)]
    encoding: CategoryEncoding,
}

impl From<Stored> for Category {
    fn from(stored: Stored) -> Self {
        Category::new(stored.levels, stored.missing, stored.encoding)
    }
}

impl From<Category> for Stored {
    fn from(category: Category) -> Self {
        Stored {
            levels: category.levels,
            missing: category.missing,
            encoding: category.encoding,
        }
    }
}

impl Category {
    fn new(levels: Vec<String>, missing: bool, encoding: CategoryEncoding) -> Category {
        let codes = levels
            .iter()
            .zip(1..)
            .map(|(level, code)| (level.as_str().into(), code))
            .collect();
        Category {
            levels,
            missing,
            encoding,
            codes,
        }
    }

    /// Of levels that are known without a look at rows.
    pub(super) fn of_levels(
        mut levels: Vec<String>,
        missing: bool,
        encoding: CategoryEncoding,
    ) -> Category {
        levels.sort_unstable();
        levels.dedup();
        Category::new(levels, missing, encoding)
    }

    pub(super) fn fit(column: &Column, rows: &[u32], encoding: CategoryEncoding) -> Category {
        let most = match encoding {
            CategoryEncoding::OneHot => MAX_INPUTS,
            _ => MAX_LEVELS,
        };
        Category::fit_most(column, rows, encoding, most)
    }

    /// Keeps at most `most` levels where there are more than become one input each.
    pub(super) fn fit_most(
        column: &Column,
        rows: &[u32],
        encoding: CategoryEncoding,
        most: usize,
    ) -> Category {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        let mut missing = false;
        for &row in rows {
            match column.cell(row as usize) {
                Cell::Text(text) => *counts.entry(text).or_default() += 1,
                Cell::Boolean(value) => *counts.entry(boolean(value)).or_default() += 1,
                _ => missing = true,
            }
        }
        let mut levels: Vec<(&str, usize)> = counts.into_iter().collect();
        if levels.len() > ONE_HOT {
            levels.retain(|(_, count)| *count >= RARE);
            levels.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
            levels.truncate(most);
        }
        let mut levels: Vec<String> = levels
            .into_iter()
            .map(|(level, _)| level.to_owned())
            .collect();
        levels.sort_unstable();
        Category::new(levels, missing, encoding)
    }

    pub(super) fn levels(&self) -> usize {
        self.levels.len() + usize::from(self.missing)
    }

    pub(super) fn encoding(&self) -> Encoding {
        encoding(self.encoding, self.levels())
    }

    /// Names of the codes from 1.
    pub(super) fn names(&self) -> &[String] {
        &self.levels
    }

    pub(super) fn missing_is_a_level(&self) -> bool {
        self.missing
    }

    #[inline]
    pub(super) fn code(&self, cell: Cell<'_>) -> u32 {
        let text = match cell {
            Cell::Text(text) => text,
            Cell::Boolean(value) => boolean(value),
            _ if self.missing => return self.levels.len() as u32 + 1,
            _ => return 0,
        };
        self.codes.get(text).copied().unwrap_or(0)
    }
}

/// The width of a vector follows fastai's rule, min(600, 1.6 · levels^0.56), halved and capped at 16: the tables here are
/// smaller than those it was made for.
pub(super) fn encoding(wanted: CategoryEncoding, levels: usize) -> Encoding {
    let one_hot = match wanted {
        CategoryEncoding::OneHot => true,
        CategoryEncoding::Embedding => false,
        CategoryEncoding::Auto | CategoryEncoding::Target | CategoryEncoding::Hash => {
            levels <= ONE_HOT + 1
        }
    };
    if one_hot {
        return Encoding::OneHot;
    }
    Encoding::Embedding {
        dim: ((0.8 * (levels as f64).powf(0.56)).ceil() as usize).clamp(2, 16),
    }
}

fn boolean(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}
