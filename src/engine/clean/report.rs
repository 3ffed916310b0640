//! What was changed, counted per column and told in one line each.

use serde::{Deserialize, Serialize};

/// Stands for a column where whole rows are meant.
pub const ROWS: &str = "(rows)";
/// Examples kept of each change; a mapping of spellings is shown longer.
const EXAMPLES: usize = 3;
const MAPPINGS: usize = 50;
/// Characters of a text shown.
const SHOWN: usize = 40;

/// One thing that was done to a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The column's name, or [`ROWS`].
    pub column: String,
    /// As in "missing filled with 3", or "rows without a value left out".
    pub what: String,
    pub rows: u64,
    pub examples: Vec<String>,
}

/// Things that can be done to a value, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Normalised,
    Read,
    Unread,
    Merged,
    Clipped,
}

const DEEDS: usize = 5;

/// What was done to one value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Done(u8);

impl Done {
    pub(super) fn add(&mut self, deed: Deed) {
        self.0 |= 1 << deed as u8;
    }
    pub(super) fn has(self, deed: Deed) -> bool {
        self.0 >> deed as u8 & 1 == 1
    }
}

/// What was done to the values of one column.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    rows: [u64; DEEDS],
    examples: [Vec<String>; DEEDS],
}

impl Tally {
    pub(super) fn count(&mut self, done: Done, rows: u64) {
        for deed in 0..DEEDS {
            self.rows[deed] += u64::from(done.0 >> deed & 1) * rows;
        }
    }

    /// Keeps an example of the last thing done, if there are few yet.
    pub(super) fn example(&mut self, done: Done, before: &str, after: Option<String>) {
        let Some(deed) = (0..DEEDS).rev().find(|deed| done.0 >> deed & 1 == 1) else {
            return;
        };
        let most = if deed == Deed::Merged as usize {
            MAPPINGS
        } else {
            EXAMPLES
        };
        let kept = &mut self.examples[deed];
        if kept.len() < most {
            let example = match after {
                Some(after) if after == before => return,
                Some(after) => format!("{before} -> {after}"),
                None => before.to_owned(),
            };
            if !kept.contains(&example) {
                kept.push(example);
            }
        }
    }

    pub(super) fn change(&mut self, column: &str, deed: Deed, what: String) -> Option<Change> {
        let at = deed as usize;
        (self.rows[at] > 0).then(|| Change {
            column: column.to_owned(),
            what,
            rows: self.rows[at],
            examples: std::mem::take(&mut self.examples[at]),
        })
    }
}

/// A number to six digits, as messages show it.
pub(super) fn figure(x: f64) -> String {
    let digits = format!("{x:.5e}").parse().unwrap_or(x);
    format!("{}", if x.fract() == 0.0 { x } else { digits })
}

/// A text in quotes, cut where it is long.
pub(super) fn quote(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        None => format!("\"{text}\""),
        Some((end, _)) => format!("\"{}...\"", &text[..end]),
    }
}

/// One line per column.
pub fn describe(changes: &[Change]) -> Vec<String> {
    let mut lines: Vec<(&str, Vec<String>)> = Vec::new();
    for change in changes {
        let mut text = match change.what.strip_prefix("rows ") {
            Some(what) if change.rows == 1 => {
                format!("1 row {}", what.replace(" repeat ", " repeats "))
            }
            Some(what) => format!("{} rows {what}", change.rows),
            None if change.rows == 1 => format!("{} in 1 row", change.what),
            None => format!("{} in {} rows", change.what, change.rows),
        };
        let shown: Vec<&str> = change.examples.iter().take(5).map(String::as_str).collect();
        if !shown.is_empty() {
            let more = if change.examples.len() > shown.len() {
                ", ..."
            } else {
                ""
            };
            text += &format!(" ({}{more})", shown.join(", "));
        }
        match lines
            .iter_mut()
            .find(|(column, _)| *column == change.column)
        {
            Some((_, said)) => said.push(text),
            None => lines.push((&change.column, vec![text])),
        }
    }
    let line = |(column, said): (&str, Vec<String>)| {
        if column == ROWS {
            format!("cleaned: {}", said.join("; "))
        } else {
            format!("column \"{column}\" cleaned: {}", said.join("; "))
        }
    };
    lines.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_has_one_line() {
        let change = |column: &str, what: &str, rows, examples: &[&str]| Change {
            column: column.into(),
            what: what.into(),
            rows,
            examples: examples.iter().map(|e| (*e).to_owned()).collect(),
        };
        let lines = describe(&[
            change("a", "text normalised", 1, &["\" x\" -> \"x\""]),
            change(ROWS, "rows that repeat another left out", 7, &[]),
            change(ROWS, "rows that repeat another left out", 1, &[]),
            change("a", "missing filled with 3", 2, &[]),
        ]);
        assert_eq!(
            lines,
            [
                "column \"a\" cleaned: text normalised in 1 row (\" x\" -> \"x\"); missing filled with 3 in 2 rows",
                "cleaned: 7 rows that repeat another left out; 1 row that repeats another left out",
            ]
        );
    }

    #[test]
    fn numbers_are_shown_to_six_digits() {
        let shown = [1234567.0, 9.610169491525424, -0.000123456789].map(figure);
        assert_eq!(shown, ["1234567", "9.61017", "-0.000123457"]);
        assert!(figure(f64::NAN).contains("NaN"));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let quoted = quote(&"語".repeat(1 << 18));
        assert!(quoted.starts_with("\"語") && quoted.ends_with("...\"") && quoted.len() < 200);
    }
}
