//! Two columns as one category: a level for each pair of values that is not rare.

use super::category::{self, Category, RARE};
use super::options::{CategoryEncoding, Preparation};
use super::target_mean::Means;
use crate::evaluate::Truth;
use crate::frame::{Cell, Column, Kind};
use crate::models::{CategoryInput, Encoding};
use serde::{Deserialize, Serialize};

/// Levels told apart in each of the columns, the most frequent ones.
const LEVELS: usize = 63;
/// Bins of a number, of equally many training rows.
const BINS: usize = 8;
/// Pairs that are named.
const LISTED: usize = 100;

/// One of the columns as codes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Side {
    Category(Category),
    /// Ascending upper bounds of all bins but the last; code 0 is missing.
    Bins(Vec<f64>),
}

/// A pair of columns as inputs of the network: one-hot where the pairs are few, else the target's mean by pair, or a learned
/// vector where there is no target of few classes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Cross {
    /// Positions among the recipe's columns.
    pub(super) left: usize,
    pub(super) right: usize,
    sides: [Side; 2],
    /// The pair's code by the sides' codes, row-major `[left levels + 1][right levels + 1]`; 0: rare or unseen.
    codes: Vec<u32>,
    levels: usize,
    encoding: CategoryEncoding,
    means: Option<Means>,
}

impl Side {
    fn fit(column: &Column, rows: &[u32]) -> Side {
        match column.kind {
            Kind::Number | Kind::Duration => Side::Bins(cuts(super::present_numbers(column, rows))),
            _ => Side::Category(Category::fit_most(
                column,
                rows,
                CategoryEncoding::Auto,
                LEVELS,
            )),
        }
    }

    pub(super) fn levels(&self) -> usize {
        match self {
            Side::Category(category) => category.levels(),
            Side::Bins(cuts) => cuts.len() + 1,
        }
    }

    /// From 0 to `levels()`.
    #[inline]
    fn code(&self, cell: Cell<'_>) -> usize {
        match self {
            Side::Category(category) => category.code(cell) as usize,
            Side::Bins(cuts) => match cell {
                Cell::Number(x) | Cell::Duration(x) if x.is_finite() => {
                    1 + cuts.partition_point(|cut| *cut < x)
                }
                _ => 0,
            },
        }
    }

    fn name(&self, code: usize) -> String {
        match self {
            Side::Category(category) => match code.checked_sub(1) {
                None => "any other".into(),
                Some(place) => category
                    .names()
                    .get(place)
                    .map_or("missing".into(), String::clone),
            },
            Side::Bins(cuts) => match (code, cuts.get(code.wrapping_sub(1))) {
                (0, _) => "missing".into(),
                (_, Some(cut)) => format!("up to {cut}"),
                (_, None) => cuts
                    .last()
                    .map_or("any".into(), |cut| format!("above {cut}")),
            },
        }
    }

    fn is_sound(&self) -> bool {
        match self {
            Side::Category(_) => true,
            Side::Bins(cuts) => cuts.iter().all(|cut| cut.is_finite()) && cuts.is_sorted(),
        }
    }
}

impl Cross {
    /// Learns from the training rows; `columns` are the recipe's, in its order. `None` where no pair is frequent.
    pub(super) fn fit(
        (left, right): (usize, usize),
        columns: &[&Column],
        rows: &[u32],
        truth: Option<&Truth>,
        how: &Preparation,
    ) -> Option<Cross> {
        let columns = [*columns.get(left)?, *columns.get(right)?];
        let sides = columns.map(|column| Side::fit(column, rows));
        let width = sides[1].levels() + 1;
        let place = |row: u32| {
            let code = |side: usize| sides[side].code(columns[side].cell(row as usize));
            code(0) * width + code(1)
        };
        let mut counts = vec![0usize; (sides[0].levels() + 1) * width];
        rows.iter().for_each(|row| counts[place(*row)] += 1);
        let mut levels = 0;
        let mut code = |count: &usize| {
            let frequent = *count >= RARE;
            levels += usize::from(frequent);
            if frequent { levels as u32 } else { 0 }
        };
        let codes: Vec<u32> = counts.iter().map(&mut code).collect();
        if levels == 0 {
            return None;
        }
        let vectors = matches!(how.category_encoding, CategoryEncoding::Embedding);
        let wanted =
            !vectors && category::encoding(how.category_encoding, levels) != Encoding::OneHot;
        let of_rows: Vec<u32> = rows.iter().map(|row| codes[place(*row)]).collect();
        let means = truth
            .filter(|_| wanted)
            .and_then(|truth| Means::fit(&of_rows, levels, truth));
        Some(Cross {
            left,
            right,
            sides,
            codes,
            levels,
            encoding: how.category_encoding,
            means,
        })
    }

    /// Dense inputs.
    pub(super) fn numbers(&self) -> usize {
        self.means.as_ref().map_or(0, |means| means.width)
    }

    /// Category codes.
    pub(super) fn codes(&self) -> usize {
        usize::from(self.means.is_none())
    }

    /// The category, where there is a code.
    pub(super) fn category(&self) -> Option<CategoryInput> {
        self.means.is_none().then(|| CategoryInput {
            levels: self.levels,
            encoding: category::encoding(self.encoding, self.levels),
        })
    }

    /// `numbers` and `codes` are this cross's own.
    #[inline]
    pub(super) fn write<'a>(
        &self,
        cell: impl Fn(usize) -> Cell<'a>,
        numbers: &mut [f32],
        codes: &mut [u32],
    ) {
        let [left, right] = &self.sides;
        let place =
            left.code(cell(self.left)) * (right.levels() + 1) + right.code(cell(self.right));
        let code = self.codes[place];
        match &self.means {
            Some(means) => numbers.copy_from_slice(means.of(code)),
            None => codes[0] = code,
        }
    }

    pub(super) fn sides(&self) -> [&Side; 2] {
        self.sides.each_ref()
    }

    /// The pair's code by the sides' codes, row-major.
    pub(super) fn codes_by_side(&self) -> &[u32] {
        &self.codes
    }

    pub(super) fn means(&self) -> Option<&Means> {
        self.means.as_ref()
    }

    /// Whether bytes from a table hold what `write` relies on.
    pub(super) fn is_sound(&self, columns: usize) -> bool {
        let [left, right] = &self.sides;
        let size = (left.levels() + 1).checked_mul(right.levels() + 1);
        self.left < columns
            && self.right < columns
            && self.sides.iter().all(Side::is_sound)
            && size == Some(self.codes.len())
            // A network with more one-hot inputs than pairs could ask for any amount of memory.
            && self.levels <= self.codes.len()
            && self.codes.iter().all(|code| *code as usize <= self.levels)
            && self.means.as_ref().is_none_or(|means| means.is_sound(self.levels))
    }

    /// What is done, in words.
    pub(super) fn words(&self) -> String {
        let how = match self.category().map(|c| c.encoding) {
            None => "the target's mean among the training rows of".into(),
            Some(Encoding::OneHot) => "an input for".to_owned(),
            Some(Encoding::Embedding { dim }) => format!("a learned vector of {dim} numbers for"),
        };
        let smoothed = match self.means {
            Some(_) => " (smoothed; for the training rows themselves from other rows)",
            None => "",
        };
        let binned = match self.sides.iter().any(|side| matches!(side, Side::Bins(_))) {
            true => ", numbers in bins of equally many rows",
            false => "",
        };
        format!(
            "{how} each of {} pairs of values in at least {RARE} training rows{binned}{smoothed}; all other pairs are one",
            self.levels
        )
    }

    pub(super) fn parameters(&self) -> serde_json::Value {
        let width = self.sides[1].levels() + 1;
        let frequent = self.codes.iter().enumerate().filter(|(_, code)| **code > 0);
        let name = |(place, _): (usize, &u32)| self.pair_name(place, width);
        serde_json::json!({
            "pairs": frequent.take(LISTED).map(name).collect::<Vec<_>>(),
            "pairs_in_all": self.levels,
        })
    }

    /// The pairs from code 1; none where there is no code.
    pub(super) fn level_names(&self) -> Vec<String> {
        let width = self.sides[1].levels() + 1;
        let Some(category) = self.category() else {
            return Vec::new();
        };
        let mut names = vec!["(rare)".to_owned(); category.levels];
        for (place, code) in self.codes.iter().enumerate() {
            let own = (*code as usize).checked_sub(1);
            if let Some(name) = own.and_then(|at| names.get_mut(at)) {
                *name = self.pair_name(place, width);
            }
        }
        names
    }

    fn pair_name(&self, place: usize, width: usize) -> String {
        let [left, right] = &self.sides;
        format!(
            "{} & {}",
            left.name(place / width),
            right.name(place % width)
        )
    }

    /// Inputs of the network.
    pub(super) fn inputs(&self) -> usize {
        match self.category().map(|c| c.encoding) {
            None => self.numbers(),
            Some(Encoding::OneHot) => self.levels,
            Some(Encoding::Embedding { dim }) => dim,
        }
    }
}

/// Ascending upper bounds of all bins but the last, halfway to the next value: sums of the same numbers in another order must
/// not change bins.
fn cuts(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let cut = |i: usize| {
        let value = values.get(i * values.len() / BINS)?;
        let next = values.get(values.partition_point(|x| x <= value))?;
        Some(value / 2.0 + next / 2.0)
    };
    let mut cuts: Vec<f64> = (1..BINS).filter_map(cut).collect();
    cuts.dedup();
    cuts
}
