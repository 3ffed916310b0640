//! What would have to be different for another answer.
//!
//! Changes of few columns, to values that were seen, that reach a goal at the least cost (Wachter, Mittelstadt and Russell 2018; the
//! search is a beam over sets of columns, as the actions of Ustun, Spangher and Liu 2019 are few). The model is asked, nothing is
//! said of what causes what.

use super::sample::told;
use super::shapley::answer;
use crate::frame::{Cell, Kind};
use crate::infer::{Predictor, Scratch};
use crate::recipe::Input;

/// Sets of changes that are followed at once.
const BEAM: usize = 24;
/// Values that are tried of a column.
const VALUES: usize = 24;
/// Halvings on the way back to the value that was.
const HALVINGS: usize = 12;

/// What is to be reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// The answer is this label, by its place.
    Label(usize),
    /// The number that is answered is below or above.
    Below(f64),
    Above(f64),
}

/// How a goal may be reached.
#[derive(Debug, Clone, PartialEq)]
pub struct Ways {
    /// What a change of each column costs, in the recipe's order: of a number, from its tenth to its ninetieth percentile; `None`: it cannot be changed.
    pub costs: Vec<Option<f64>>,
    /// Columns that are changed together, at most.
    pub changes: usize,
    /// Ways that are wanted.
    pub ways: usize,
}

/// A column that changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub column: usize,
    pub from: Option<String>,
    pub to: String,
}

/// A way to the goal.
#[derive(Debug, Clone, PartialEq)]
pub struct Counterfactual {
    pub changes: Vec<Change>,
    pub cost: f64,
    /// What is answered then: the number, or the probability of the label of the goal.
    pub prediction: f64,
}

/// A set of changes: column and value, by rising column.
#[derive(Clone)]
struct Set<'a> {
    cells: Vec<(usize, Cell<'a>)>,
    cost: f64,
    prediction: f64,
    /// How far it is from the goal; 0: reached.
    short: f64,
}

struct Search<'a> {
    predictor: &'a Predictor,
    own: Vec<Cell<'a>>,
    goal: Goal,
    ways: &'a Ways,
    /// Of each number, its tenth to its ninetieth percentile.
    spans: Vec<f64>,
}

/// The cheapest ways to a goal, each by other columns; none where no way was found, or the goal is reached as it is. `go` says whether
/// to go on.
pub fn counterfactuals<'a>(
    predictor: &'a Predictor,
    cells: &[Cell<'a>],
    goal: Goal,
    ways: &'a Ways,
    scratch: &mut Scratch,
    go: &mut dyn FnMut() -> bool,
) -> Option<Vec<Counterfactual>> {
    let inputs = predictor.artifact().recipe.columns();
    let own = (0..inputs.len()).map(|i| cells.get(i).copied().unwrap_or(Cell::Null));
    let values: Vec<Vec<Cell<'a>>> = (0..inputs.len())
        .map(|column| match ways.costs.get(column) {
            Some(Some(_)) => values(predictor, column),
            _ => Vec::new(),
        })
        .collect();
    let search = Search {
        predictor,
        own: own.collect(),
        goal,
        ways,
        spans: (0..inputs.len())
            .map(|column| span(predictor, column))
            .collect(),
    };
    let start = search.asked(Vec::new(), scratch);
    if start.short == 0.0 {
        return Some(Vec::new());
    }
    let mut found: Vec<Set<'a>> = Vec::new();
    let mut beam = vec![start];
    for _ in 0..ways.changes {
        let mut next: Vec<Set<'a>> = Vec::new();
        for set in &beam {
            for (column, values) in values.iter().enumerate() {
                if set.cells.iter().any(|(changed, _)| *changed == column) {
                    continue;
                }
                let mut best: Option<Set<'a>> = None;
                for value in values.iter().filter(|value| **value != search.own[column]) {
                    let mut cells = set.cells.clone();
                    cells.push((column, *value));
                    let asked = search.asked(cells, scratch);
                    let better = best
                        .as_ref()
                        .is_none_or(|b| (asked.short, asked.cost) < (b.short, b.cost));
                    if better {
                        best = Some(asked);
                    }
                }
                if !go() {
                    return None;
                }
                let Some(mut best) = best.filter(|best| best.short < set.short) else {
                    continue;
                };
                best.cells.sort_by_key(|(column, _)| *column);
                if best.short == 0.0 {
                    found.push(search.least(best, inputs, scratch));
                } else {
                    next.push(best);
                }
            }
        }
        next.sort_by(|a, b| a.short.total_cmp(&b.short).then(a.cost.total_cmp(&b.cost)));
        next.dedup_by(|a, b| columns(a).eq(columns(b)));
        next.truncate(BEAM);
        beam = next;
    }
    found.sort_by(|a, b| {
        let by_cost = a.cost.total_cmp(&b.cost);
        by_cost
            .then(a.cells.len().cmp(&b.cells.len()))
            .then(columns(a).cmp(columns(b)))
    });
    let mut out: Vec<Set<'a>> = Vec::new();
    for set in found {
        // A way that changes all that another one does, and more, is none.
        let more = |other: &Set<'a>| columns(other).all(|own| columns(&set).any(|c| c == own));
        if out.len() < ways.ways && !out.iter().any(more) {
            out.push(set);
        }
    }
    Some(out.into_iter().map(|set| search.tell(set)).collect())
}

fn columns<'s>(set: &'s Set<'_>) -> impl Iterator<Item = usize> + use<'s> {
    set.cells.iter().map(|(column, _)| *column)
}

impl<'a> Search<'a> {
    fn asked(&self, cells: Vec<(usize, Cell<'a>)>, scratch: &mut Scratch) -> Set<'a> {
        let mut row = self.own.clone();
        for (column, cell) in &cells {
            row[*column] = *cell;
        }
        let predictions = self.predictor.predict(&row, scratch);
        let label = match self.goal {
            Goal::Label(label) => label,
            _ => 0,
        };
        let mut prediction = answer(self.predictor, label, predictions);
        let short = match self.goal {
            Goal::Label(label) => {
                // Of two labels one number is answered, the probability of the second.
                if predictions.len() == 1 && label == 0 {
                    prediction = 1.0 - prediction;
                }
                match self.predictor.class(predictions) == label {
                    true => 0.0,
                    false => (1.0 - prediction).max(1e-9),
                }
            }
            Goal::Below(bound) => (prediction - bound).max(0.0),
            Goal::Above(bound) => (bound - prediction).max(0.0),
        };
        let cost = cells
            .iter()
            .map(|(column, to)| self.cost(*column, *to))
            .sum();
        Set {
            cells,
            cost,
            prediction,
            short: if prediction.is_finite() {
                short
            } else {
                f64::INFINITY
            },
        }
    }

    fn cost(&self, column: usize, to: Cell<'_>) -> f64 {
        let each = self
            .ways
            .costs
            .get(column)
            .copied()
            .flatten()
            .unwrap_or(1.0);
        match (place(self.own[column]), place(to)) {
            (Some(from), Some(to)) => each * ((to - from).abs() / self.spans[column]),
            _ => each,
        }
    }

    /// Goes back towards the numbers that were, as far as the goal stays reached.
    fn least(&self, mut set: Set<'a>, inputs: &[Input], scratch: &mut Scratch) -> Set<'a> {
        for at in 0..set.cells.len() {
            let (column, cell) = set.cells[at];
            let (Some(from), Some(to)) = (place(self.own[column]), place(cell)) else {
                continue;
            };
            let (mut near, mut far) = (from, to);
            for _ in 0..HALVINGS {
                let middle = rounded((near + far) / 2.0, from, &inputs[column]);
                if middle == near || middle == far {
                    break;
                }
                let mut cells = set.cells.clone();
                cells[at].1 = as_cell(middle, inputs[column].kind);
                let asked = self.asked(cells, scratch);
                if asked.short == 0.0 {
                    far = middle;
                    set = asked;
                } else {
                    near = middle;
                }
            }
        }
        set
    }

    fn tell(&self, set: Set<'a>) -> Counterfactual {
        let change = |(column, to): &(usize, Cell<'a>)| Change {
            column: *column,
            from: told(self.own[*column]),
            to: told(*to).unwrap_or_default(),
        };
        Counterfactual {
            changes: set.cells.iter().map(change).collect(),
            cost: set.cost,
            prediction: set.prediction,
        }
    }
}

/// A number that people would write: whole where the column's are, else of four digits of the way.
fn rounded(x: f64, from: f64, input: &Input) -> f64 {
    let whole = matches!(input.type_name.as_str(), "integer" | "bigint" | "smallint");
    match input.kind {
        Kind::Time => x.round(),
        _ if whole => x.round(),
        _ => {
            let unit = 10f64.powf((x - from).abs().max(1e-12).log10().floor() - 3.0);
            (x / unit).round() * unit
        }
    }
}

fn place(cell: Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Number(x) | Cell::Duration(x) => Some(x),
        Cell::Time(at) => Some(at as f64),
        _ => None,
    }
}

fn as_cell<'a>(x: f64, kind: Kind) -> Cell<'a> {
    match kind {
        Kind::Time => Cell::Time(x as i64),
        Kind::Duration => Cell::Duration(x),
        _ => Cell::Number(x),
    }
}

/// Numbers of the kept rows, ascending.
fn places(predictor: &Predictor, column: usize) -> Vec<f64> {
    let own = predictor.background().columns.get(column);
    let cells = own
        .into_iter()
        .flat_map(|own| (0..own.len()).map(|row| own.cell(row)));
    let mut places: Vec<f64> = cells.filter_map(place).collect();
    places.sort_unstable_by(f64::total_cmp);
    places
}

/// From the tenth to the ninetieth percentile of the kept rows.
fn span(predictor: &Predictor, column: usize) -> f64 {
    let places = places(predictor, column);
    let at =
        |share: f64| places.get((share * places.len().saturating_sub(1) as f64).round() as usize);
    let (Some(low), Some(high)) = (at(0.1), at(0.9)) else {
        return 1.0;
    };
    let whole = places
        .last()
        .zip(places.first())
        .map_or(0.0, |(b, a)| b - a);
    [high - low, whole]
        .into_iter()
        .find(|s| *s > 0.0)
        .unwrap_or(1.0)
}

/// Values of the kept rows: numbers evenly over their ranks, of others the most frequent ones.
fn values(predictor: &Predictor, column: usize) -> Vec<Cell<'_>> {
    let Some(own) = predictor.background().columns.get(column) else {
        return Vec::new();
    };
    if let Kind::Number | Kind::Duration | Kind::Time = own.kind {
        let mut places = places(predictor, column);
        places.dedup();
        let most = VALUES.min(places.len());
        let at = |i: usize| places[i * (places.len() - 1) / (most - 1).max(1)];
        return (0..most).map(|i| as_cell(at(i), own.kind)).collect();
    }
    if !matches!(own.kind, Kind::Category | Kind::Boolean) {
        return Vec::new();
    }
    let mut counted: Vec<(Cell<'_>, usize)> = Vec::new();
    for cell in (0..own.len())
        .map(|row| own.cell(row))
        .filter(|c| *c != Cell::Null)
    {
        match counted.iter_mut().find(|(known, _)| *known == cell) {
            Some((_, count)) => *count += 1,
            None => counted.push((cell, 1)),
        }
    }
    counted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counted
        .into_iter()
        .take(VALUES)
        .map(|(cell, _)| cell)
        .collect()
}
