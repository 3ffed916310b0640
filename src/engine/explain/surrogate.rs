//! A small tree that answers as nearly as it can what a model answers.

use crate::frame::{Cell, Column, Kind};
use crate::synth::{is_number, number, text};
use std::collections::BTreeMap;

/// A leaf has at least so many rows, and this share of them.
const LEAST: usize = 10;
const LEAST_SHARE: f64 = 0.03;
/// A question that explains less than this share of the variance of all rows is not asked.
const WORTH: f64 = 0.005;

/// A day, an hour, a minute and a second, in microseconds.
pub(super) const UNITS: [f64; 4] = [86_400e6, 3_600e6, 60e6, 1e6];

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

/// Rows to learn from.
pub(super) struct Lesson<'a> {
    pub columns: &'a [Column],
    /// Row-major `[rows][width]`.
    pub answers: &'a [f64],
    pub width: usize,
    /// The same, less their means, so that no digits are lost in sums.
    centred: Vec<f64>,
}

/// Sums of centred answers of some rows.
#[derive(Clone)]
struct Sums {
    rows: f64,
    sums: Vec<f64>,
}

impl Sums {
    fn none(width: usize) -> Sums {
        Sums {
            rows: 0.0,
            sums: vec![0.0; width],
        }
    }

    fn add(&mut self, answers: &[f64]) {
        self.rows += 1.0;
        for (sum, x) in self.sums.iter_mut().zip(answers) {
            *sum += x;
        }
    }

    /// By how much the sum of squared distances from the mean falls when `self`, with `others` if any, and the rest of `all` have
    /// means of their own; `None` where one side has fewer than `least` rows.
    fn gain(&self, others: Option<&Sums>, all: &Sums, least: f64) -> Option<f64> {
        let inside = self.rows + others.map_or(0.0, |o| o.rows);
        let outside = all.rows - inside;
        if inside < least || outside < least {
            return None;
        }
        let mut gain = 0.0;
        for (at, (own, whole)) in self.sums.iter().zip(&all.sums).enumerate() {
            let own = own + others.map_or(0.0, |o| o.sums[at]);
            let rest = whole - own;
            gain += own * own / inside + rest * rest / outside - whole * whole / all.rows;
        }
        Some(gain)
    }
}

impl<'a> Lesson<'a> {
    pub fn new(columns: &'a [Column], answers: &'a [f64], width: usize) -> Lesson<'a> {
        let rows = answers.len() / width.max(1);
        let mean = |at: usize| {
            let own = answers.iter().skip(at).step_by(width.max(1));
            own.map(|x| x / rows.max(1) as f64).sum::<f64>()
        };
        let means: Vec<f64> = (0..width).map(mean).collect();
        let centred = answers.chunks_exact(width.max(1));
        Lesson {
            columns,
            answers,
            width,
            centred: centred
                .flat_map(|own| own.iter().zip(&means).map(|(x, mean)| x - mean))
                .collect(),
        }
    }

    fn centred(&self, row: usize) -> &[f64] {
        &self.centred[row * self.width..(row + 1) * self.width]
    }

    fn sums(&self, rows: &[usize]) -> Sums {
        let mut sums = Sums::none(self.width);
        rows.iter().for_each(|row| sums.add(self.centred(*row)));
        sums
    }

    /// Sum of squared distances of the answers from their mean.
    fn spread(&self, rows: &[usize]) -> f64 {
        let sums = self.sums(rows);
        let mean = |at: usize| sums.sums[at] / sums.rows.max(1.0);
        let each = rows
            .iter()
            .flat_map(|row| self.centred(*row).iter().enumerate());
        each.map(|(at, x)| (x - mean(at)).powi(2)).sum()
    }

    /// The spread that rounding may leave of equal answers.
    fn rounding(&self) -> f64 {
        let least = |x: &f64| (4.0 * f64::EPSILON * x).powi(2);
        self.answers.iter().map(least).sum()
    }

    fn answers(&self, rows: &[usize]) -> Vec<f64> {
        let mean = |at: usize| {
            let own = rows.iter().map(|row| self.answers[row * self.width + at]);
            own.map(|x| x / rows.len().max(1) as f64).sum()
        };
        (0..self.width).map(mean).collect()
    }

    /// The best question for some rows and what it explains; at least `least` rows are on either side. `None` where `go` says not
    /// to go on.
    fn ask(
        &self,
        rows: &[usize],
        least: f64,
        go: &mut dyn FnMut() -> bool,
    ) -> Option<Option<(f64, usize, Question)>> {
        let all = self.sums(rows);
        let mut best: Option<(f64, usize, Question)> = None;
        let mut offer = |gain: Option<f64>, column: usize, question: &dyn Fn() -> Question| {
            let Some(gain) = gain else { return };
            // Of questions that say the same the first.
            if best
                .as_ref()
                .is_none_or(|(most, ..)| gain > *most * (1.0 + 1e-9))
            {
                best = Some((gain, column, question()));
            }
        };
        for (at, column) in self.columns.iter().enumerate() {
            if !go() {
                return None;
            }
            let (known, missing): (Vec<usize>, Vec<usize>) =
                rows.iter().partition(|row| !column.nulls.get(**row));
            let without = self.sums(&missing);
            offer(without.gain(None, &all, least), at, &|| Question::Missing);
            if is_number(column.kind) {
                let mut order: Vec<(f64, usize)> = known
                    .iter()
                    .filter_map(|row| Some((number(column.cell(*row))?, *row)))
                    .collect();
                order.sort_by(|a, b| a.0.total_cmp(&b.0));
                let mut below = Sums::none(self.width);
                for pair in order.windows(2) {
                    below.add(self.centred(pair[0].1));
                    if pair[0].0 == pair[1].0 {
                        continue;
                    }
                    let question = |missing: bool| Question::Below {
                        bound: between(column.kind, pair[0].0, pair[1].0),
                        missing,
                    };
                    offer(below.gain(None, &all, least), at, &|| question(false));
                    if !missing.is_empty() {
                        let gain = below.gain(Some(&without), &all, least);
                        offer(gain, at, &|| question(true));
                    }
                }
                continue;
            }
            let mut values: BTreeMap<String, Sums> = BTreeMap::new();
            for row in known {
                let value = text(column.cell(row));
                let own = values.entry(value);
                own.or_insert_with(|| Sums::none(self.width))
                    .add(self.centred(row));
            }
            for (value, sums) in &values {
                offer(sums.gain(None, &all, least), at, &|| {
                    Question::Is(value.clone())
                });
            }
        }
        Some(best)
    }
}

/// When to stop.
struct Limits {
    least: f64,
    worth: f64,
}

impl Tree {
    /// Learns from some rows, at most `depth` questions one after the other. `go` says whether to go on.
    pub fn learn(
        lesson: &Lesson<'_>,
        rows: Vec<usize>,
        depth: usize,
        go: &mut dyn FnMut() -> bool,
    ) -> Option<Tree> {
        let limits = Limits {
            least: (LEAST as f64).max((LEAST_SHARE * rows.len() as f64).ceil()),
            // Less than what rounding makes of equal answers is nothing.
            worth: (WORTH * lesson.spread(&rows)).max(lesson.rounding()),
        };
        let mut tree = Tree { nodes: Vec::new() };
        tree.grow(lesson, rows, depth, &limits, go)?;
        Some(tree)
    }

    fn grow(
        &mut self,
        lesson: &Lesson<'_>,
        rows: Vec<usize>,
        depth: usize,
        limits: &Limits,
        go: &mut dyn FnMut() -> bool,
    ) -> Option<usize> {
        let at = self.nodes.len();
        let asked = match depth {
            0 => None,
            _ => lesson.ask(&rows, limits.least, go)?,
        };
        let answers = lesson.answers(&rows);
        let Some((_, column, question)) = asked.filter(|(gain, ..)| *gain > limits.worth) else {
            self.nodes.push(Node::Leaf { answers, rows });
            return Some(at);
        };
        let holds = |row: &usize| question.holds(lesson.columns[column].cell(*row));
        let (inside, outside): (Vec<usize>, Vec<usize>) = rows.into_iter().partition(holds);
        self.nodes.push(Node::Leaf {
            answers,
            rows: Vec::new(),
        });
        let yes = self.grow(lesson, inside, depth - 1, limits, go)?;
        let no = self.grow(lesson, outside, depth - 1, limits, go)?;
        self.nodes[at] = Node::Asks {
            column,
            question,
            yes,
            no,
        };
        Some(at)
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

/// The number of fewest digits above `low` and not above `high`; of times the beginning of a day, an hour, a minute or a second.
fn between(kind: Kind, low: f64, high: f64) -> f64 {
    let middle = low + (high - low) / 2.0;
    if kind == Kind::Time {
        let marks = UNITS.iter().flat_map(|unit| {
            [(middle / unit).round(), (high / unit).floor()].map(|count| count * unit)
        });
        let mut inside = marks.filter(|mark| low < *mark && *mark <= high);
        return inside.next().unwrap_or(high);
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::phrase::figure_exact;

    #[test]
    fn bounds_have_few_digits_and_stand_between() {
        for (low, high, expected) in [
            (5.0, 6.0, 6.0),
            (12.3, 48.9, 30.0),
            (0.1234, 0.1239, 0.1236),
            (-3.0, 2.0, 0.0),
            (999.0, 1001.0, 1000.0),
        ] {
            let found = between(Kind::Number, low, high);
            assert!(low < found && found <= high, "{low} {high} {found}");
            assert!((found - expected).abs() <= (high - low) / 2.0, "{found}");
            assert!(format!("{found}").len() <= 7, "{found}");
        }
    }

    #[test]
    fn bounds_of_times_are_true_as_they_are_read() {
        let hour = UNITS[1];
        let mut at = Column::new("at", "timestamptz", Kind::Time);
        at.push(Cell::Time(0));
        let told = |low: f64, high: f64| {
            let bound = between(Kind::Time, low, high);
            assert!(low < bound && bound <= high, "{low} {high} {bound}");
            figure_exact(&at, bound)
        };
        assert_eq!(told(5.0 * hour, 40.0 * hour), "2000-01-02");
        assert_eq!(told(5.2 * hour, 8.9 * hour), "2000-01-01 07:00:00");
        assert_eq!(told(2e6 + 1.0, 2e6 + 3.0), "2000-01-01 00:00:02.000003");
        assert_eq!(told(1.0, 3.0), "2000-01-01 00:00:00.000003");
    }

    /// Splits are found in answers of any size and far from zero; nothing is asked of equal ones.
    #[test]
    fn a_tree_is_the_same_in_any_unit() {
        let mut x = Column::new("x", "integer", Kind::Number);
        (0..100).for_each(|i| x.push(Cell::Number(f64::from(i))));
        let columns = [x];
        for (offset, unit) in [(0.0, 1.0), (1e9, 1.0), (0.0, 1e-9), (-1e12, 1e3)] {
            let answers: Vec<f64> = (0..100)
                .map(|i| offset + if i < 37 { 0.0 } else { 10.0 * unit })
                .collect();
            let lesson = Lesson::new(&columns, &answers, 1);
            let tree = Tree::learn(&lesson, (0..100).collect(), 3, &mut || true).unwrap();
            assert_eq!(tree.nodes.len(), 3, "{offset} {unit}");
            assert!(Tree::learn(&lesson, (0..100).collect(), 3, &mut || false).is_none());
        }
        let equal = vec![0.1; 100];
        let lesson = Lesson::new(&columns, &equal, 1);
        let tree = Tree::learn(&lesson, (0..100).collect(), 3, &mut || true).unwrap();
        assert_eq!(tree.nodes.len(), 1);
    }
}
