//! A small tree that answers as nearly as it can what a model answers.

use crate::frame::{Cell, Column};
use crate::segment::words::figure;
use crate::synth::{is_number, number, text};
use std::collections::BTreeMap;

/// A leaf has at least so many rows, and this share of them.
const LEAST: usize = 10;
const LEAST_SHARE: f64 = 0.03;
/// A question that explains less than this share of the variance of all rows is not asked.
const WORTH: f64 = 0.005;

/// What is asked of a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Question {
    /// A number or a time below a bound; `missing` says whether rows without one count as below.
    Below {
        bound: f64,
        missing: bool,
    },
    /// A value, written as [`text`] does.
    Is(String),
    Missing,
}

impl Question {
    fn holds(&self, cell: Cell<'_>) -> bool {
        match self {
            Question::Below { bound, missing } => number(cell).map_or(*missing, |x| x < *bound),
            Question::Is(value) => cell != Cell::Null && text(cell) == *value,
            Question::Missing => cell == Cell::Null,
        }
    }
}

/// A node, its children behind it.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Leaf {
        /// Mean answers.
        answers: Vec<f64>,
        rows: Vec<usize>,
    },
    Asks {
        column: usize,
        question: Question,
        yes: usize,
        no: usize,
    },
}

/// A regression tree (CART, Breiman and others 1984) of one or several answers.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub nodes: Vec<Node>,
}

/// Rows to learn from: columns, and answers row-major `[rows][width]`.
pub(super) struct Lesson<'a> {
    pub columns: &'a [Column],
    pub answers: &'a [f64],
    pub width: usize,
}

/// Sums of answers of some rows.
#[derive(Clone)]
struct Sums {
    rows: f64,
    sums: Vec<f64>,
    squares: f64,
}

impl Sums {
    fn none(width: usize) -> Sums {
        Sums {
            rows: 0.0,
            sums: vec![0.0; width],
            squares: 0.0,
        }
    }

    fn add(&mut self, answers: &[f64], sign: f64) {
        self.rows += sign;
        for (sum, x) in self.sums.iter_mut().zip(answers) {
            *sum += sign * x;
            self.squares += sign * x * x;
        }
    }

    /// Sum of squared distances from the mean.
    fn spread(&self) -> f64 {
        let of_mean: f64 = self.sums.iter().map(|s| s * s).sum();
        (self.squares - of_mean / self.rows.max(1.0)).max(0.0)
    }
}

impl Lesson<'_> {
    fn of(&self, row: usize) -> &[f64] {
        &self.answers[row * self.width..(row + 1) * self.width]
    }

    fn sums(&self, rows: &[usize]) -> Sums {
        let mut sums = Sums::none(self.width);
        rows.iter().for_each(|row| sums.add(self.of(*row), 1.0));
        sums
    }

    /// The best question for some rows and what it explains; at least `least` rows are on either side.
    fn ask(&self, rows: &[usize], least: usize) -> Option<(f64, usize, Question)> {
        let all = self.sums(rows);
        let mut best: Option<(f64, usize, Question)> = None;
        let mut offer = |gain: f64, column: usize, question: &dyn Fn() -> Question| {
            if best.as_ref().is_none_or(|(most, ..)| gain > *most + 1e-12) {
                best = Some((gain, column, question()));
            }
        };
        let gain = |inside: &Sums| {
            let mut outside = all.clone();
            outside.rows -= inside.rows;
            outside.squares -= inside.squares;
            let each = outside.sums.iter_mut().zip(&inside.sums);
            each.for_each(|(out, own)| *out -= own);
            let enough = inside.rows >= least as f64 && outside.rows >= least as f64;
            enough.then(|| all.spread() - inside.spread() - outside.spread())
        };
        for (at, column) in self.columns.iter().enumerate() {
            let (known, missing): (Vec<usize>, Vec<usize>) =
                rows.iter().partition(|row| !column.nulls.get(**row));
            let without = self.sums(&missing);
            if let Some(gain) = gain(&without) {
                offer(gain, at, &|| Question::Missing);
            }
            if is_number(column.kind) {
                let mut order: Vec<(f64, usize)> = known
                    .iter()
                    .filter_map(|row| Some((number(column.cell(*row))?, *row)))
                    .collect();
                order.sort_by(|a, b| a.0.total_cmp(&b.0));
                let mut below = Sums::none(self.width);
                for pair in order.windows(2) {
                    below.add(self.of(pair[0].1), 1.0);
                    if pair[0].0 == pair[1].0 {
                        continue;
                    }
                    let bound = || between(pair[0].0, pair[1].0);
                    if let Some(gain) = gain(&below) {
                        let missing = false;
                        offer(gain, at, &|| Question::Below {
                            bound: bound(),
                            missing,
                        });
                    }
                    if !missing.is_empty() {
                        let mut with = below.clone();
                        missing.iter().for_each(|row| with.add(self.of(*row), 1.0));
                        if let Some(gain) = gain(&with) {
                            let missing = true;
                            offer(gain, at, &|| Question::Below {
                                bound: bound(),
                                missing,
                            });
                        }
                    }
                }
                continue;
            }
            let mut values: BTreeMap<String, Sums> = BTreeMap::new();
            for row in known {
                let value = text(column.cell(row));
                let own = values
                    .entry(value)
                    .or_insert_with(|| Sums::none(self.width));
                own.add(self.of(row), 1.0);
            }
            for (value, sums) in &values {
                if let Some(gain) = gain(sums) {
                    offer(gain, at, &|| Question::Is(value.clone()));
                }
            }
        }
        best
    }
}

impl Tree {
    /// Learns from some rows, at most `depth` questions one after the other.
    pub fn learn(lesson: &Lesson<'_>, rows: Vec<usize>, depth: usize) -> Tree {
        let least = LEAST.max((LEAST_SHARE * rows.len() as f64).ceil() as usize);
        let worth = WORTH * lesson.sums(&rows).spread();
        let mut tree = Tree { nodes: Vec::new() };
        tree.grow(lesson, rows, depth, least, worth);
        tree
    }

    fn grow(
        &mut self,
        lesson: &Lesson<'_>,
        rows: Vec<usize>,
        depth: usize,
        least: usize,
        worth: f64,
    ) -> usize {
        let at = self.nodes.len();
        let asked = match depth {
            0 => None,
            _ => lesson.ask(&rows, least),
        };
        let asked = asked.filter(|(gain, ..)| *gain > worth && *gain > 1e-12);
        let sums = lesson.sums(&rows);
        let answers = sums.sums.iter().map(|s| s / sums.rows.max(1.0)).collect();
        let Some((_, column, question)) = asked else {
            self.nodes.push(Node::Leaf { answers, rows });
            return at;
        };
        let holds = |row: &usize| question.holds(lesson.columns[column].cell(*row));
        let (inside, outside): (Vec<usize>, Vec<usize>) = rows.into_iter().partition(holds);
        self.nodes.push(Node::Leaf {
            answers,
            rows: Vec::new(),
        });
        let yes = self.grow(lesson, inside, depth - 1, least, worth);
        let no = self.grow(lesson, outside, depth - 1, least, worth);
        self.nodes[at] = Node::Asks {
            column,
            question,
            yes,
            no,
        };
        at
    }

    /// What it answers for a row.
    pub fn answer(&self, columns: &[Column], row: usize) -> &[f64] {
        let mut at = 0;
        loop {
            match &self.nodes[at] {
                Node::Leaf { answers, .. } => return answers,
                Node::Asks {
                    column,
                    question,
                    yes,
                    no,
                } => {
                    at = if question.holds(columns[*column].cell(row)) {
                        *yes
                    } else {
                        *no
                    }
                }
            }
        }
    }

    /// Each leaf with the questions that lead to it and whether they hold.
    pub fn paths(&self) -> Vec<(Vec<(usize, &Question, bool)>, &[f64], &[usize])> {
        let mut found = Vec::new();
        let mut open = vec![(0, Vec::new())];
        while let Some((at, path)) = open.pop() {
            match &self.nodes[at] {
                Node::Leaf { answers, rows } => found.push((path, &answers[..], &rows[..])),
                Node::Asks {
                    column,
                    question,
                    yes,
                    no,
                } => {
                    for (next, holds) in [(*no, false), (*yes, true)] {
                        let mut path = path.clone();
                        path.push((*column, question, holds));
                        open.push((next, path));
                    }
                }
            }
        }
        found
    }
}

/// The number of fewest digits above `low` and not above `high`.
fn between(low: f64, high: f64) -> f64 {
    let middle = low + (high - low) / 2.0;
    let mut step = 10f64.powi((high - low).log10().floor() as i32 + 1);
    for _ in 0..4 {
        let near = (middle / step).round() * step;
        // Without what binary fractions leave behind.
        let near = format!("{near:.12e}").parse().unwrap_or(near);
        if low < near && near <= high {
            return near;
        }
        step /= 10.0;
    }
    high
}

/// What the questions of one column say of it, in words: bounds are joined, values listed. `rare` says that rare values are kept as
/// missing ones.
pub(super) fn words(column: &Column, asked: &[(&Question, bool)], rare: bool) -> String {
    let name = &column.name;
    let unknown = if rare { "unknown or rare" } else { "unknown" };
    let (mut low, mut high): (Option<f64>, Option<f64>) = (None, None);
    // Whether a row without a value is still among them.
    let mut missing = true;
    let (mut is, mut not) = (None, Vec::new());
    for (question, holds) in asked {
        match (question, holds) {
            (
                Question::Below {
                    bound,
                    missing: own,
                },
                true,
            ) => {
                high = Some(high.map_or(*bound, |b| b.min(*bound)));
                missing &= *own;
            }
            (
                Question::Below {
                    bound,
                    missing: own,
                },
                false,
            ) => {
                low = Some(low.map_or(*bound, |b| b.max(*bound)));
                missing &= !*own;
            }
            (Question::Is(value), true) => {
                is = Some(value);
                missing = false;
            }
            (Question::Is(value), false) => not.push(shown(column, value)),
            (Question::Missing, true) => return format!("{name} {unknown}"),
            (Question::Missing, false) => missing = false,
        }
    }
    let bound = |x: f64| figure_exact(column, x);
    let said = match (low, high, is) {
        (Some(low), Some(high), _) => {
            format!("{name} from {} to below {}", bound(low), bound(high))
        }
        (Some(low), None, _) => format!("{name} >= {}", bound(low)),
        (None, Some(high), _) => format!("{name} < {}", bound(high)),
        (None, None, Some(value)) => format!("{name} = {}", shown(column, value)),
        (None, None, None) if not.is_empty() => format!("{name} known"),
        (None, None, None) => format!("{name} not {}", not.join(" or ")),
    };
    let has_missing = column.nulls.count() > 0;
    match missing && has_missing && not.is_empty() {
        true => format!("{said} or {unknown}"),
        false => said,
    }
}

/// A bound in full: a rule must be true as it is read.
fn figure_exact(column: &Column, x: f64) -> String {
    match column.kind {
        crate::frame::Kind::Number => format!("{x}"),
        _ => figure(column, x),
    }
}

/// A value as people write it.
fn shown(column: &Column, value: &str) -> String {
    match column.kind {
        crate::frame::Kind::Tags => crate::frame::tags(value).collect::<Vec<_>>().join(" and "),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Kind;

    #[test]
    fn bounds_have_few_digits_and_stand_between() {
        for (low, high, expected) in [
            (5.0, 6.0, 6.0),
            (12.3, 48.9, 30.0),
            (0.1234, 0.1239, 0.1236),
            (-3.0, 2.0, 0.0),
            (999.0, 1001.0, 1000.0),
        ] {
            let found = between(low, high);
            assert!(low < found && found <= high, "{low} {high} {found}");
            assert!((found - expected).abs() <= (high - low) / 2.0, "{found}");
            assert!(format!("{found}").len() <= 7, "{found}");
        }
    }

    #[test]
    fn questions_about_one_column_are_said_once() {
        let mut tenure = Column::new("tenure", "integer", Kind::Number);
        [Cell::Number(1.0), Cell::Null]
            .into_iter()
            .for_each(|c| tenure.push(c));
        let below = |bound, missing| Question::Below { bound, missing };
        let told = |asked: &[(&Question, bool)]| words(&tenure, asked, false);
        assert_eq!(told(&[(&below(6.0, false), true)]), "tenure < 6");
        assert_eq!(told(&[(&below(6.0, true), true)]), "tenure < 6 or unknown");
        let (six, three) = (below(6.0, false), below(3.0, false));
        assert_eq!(
            told(&[(&six, true), (&three, false)]),
            "tenure from 3 to below 6"
        );
        assert_eq!(told(&[(&six, false)]), "tenure >= 6 or unknown");
        assert_eq!(told(&[(&Question::Missing, true)]), "tenure unknown");
        assert_eq!(told(&[(&Question::Missing, false)]), "tenure known");
        let mut plan = Column::new("plan", "text", Kind::Category);
        plan.push(Cell::Text("pro"));
        let (a, b) = (Question::Is("pro".into()), Question::Is("team".into()));
        assert_eq!(
            words(&plan, &[(&a, false), (&b, false)], false),
            "plan not pro or team"
        );
        assert_eq!(words(&plan, &[(&a, true)], false), "plan = pro");
    }
}
