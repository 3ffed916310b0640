//! How answers follow a column.

use super::shapley::answer;
use crate::frame::{Cell, Kind};
use crate::infer::Predictor;

/// Places of a number at which answers are asked for.
const PLACES: usize = 20;
/// Rows with the smallest and with the greatest numbers beyond the first and the last place, of at least 16 times as many.
const EDGE: usize = 4;
/// Values of a category, the most frequent ones.
const LEVELS: usize = 30;

/// The answer where a column has one value.
#[derive(Debug, Clone, PartialEq)]
pub struct Dependence {
    /// As it is told, of a number that number.
    pub value: String,
    pub number: Option<f64>,
    /// The mean answer over the rows kept with the model if all of them had the value: partial dependence (Friedman 2001).
    pub partial: f64,
    /// The middle half of these answers (of individual conditional expectation, Goldstein et al. 2015): the 25th and the 75th percentile.
    pub low: f64,
    pub high: f64,
    /// Accumulated local effects (Apley and Zhu 2020), of numbers and times: what rows nearby say; with mean 0 over the rows.
    pub accumulated: Option<f64>,
    /// The share of the rows at or near this value.
    pub share: f64,
}

/// What is asked at one place.
struct Place<'a> {
    cell: Cell<'a>,
    label: String,
    number: Option<f64>,
    rows: usize,
}

/// The answers along `column`, one of the recipe's, for `label` where there are several. Values rise; categories come by falling frequency. `go` says whether to go on.
pub fn dependence(
    predictor: &Predictor,
    column: usize,
    label: usize,
    go: &mut dyn FnMut() -> bool,
) -> Option<Vec<Dependence>> {
    let inputs = predictor.artifact().recipe.columns();
    let frame = predictor.background();
    let kind = inputs.get(column).map(|i| i.kind);
    let mut cells: Vec<Cell<'_>> = Vec::new();
    if let Some(own) = frame.columns.get(column) {
        cells.extend(
            (0..frame.rows())
                .map(|row| own.cell(row))
                .filter(|c| *c != Cell::Null),
        );
    }
    let numeric = matches!(kind, Some(Kind::Number | Kind::Duration | Kind::Time));
    let places = if numeric {
        along(&mut cells)
    } else {
        levels(&cells)
    };
    let mut scratch = predictor.scratch();
    let mut ask = |row: usize, cell: Cell<'_>| {
        let mut asked: Vec<Cell<'_>> = frame.columns.iter().map(|c| c.cell(row)).collect();
        asked[column] = cell;
        answer(predictor, label, predictor.predict(&asked, &mut scratch))
    };
    let mut out: Vec<Dependence> = Vec::with_capacity(places.len());
    for place in &places {
        let mut answers: Vec<f64> = (0..frame.rows()).map(|row| ask(row, place.cell)).collect();
        answers.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| answers[(share * (answers.len() - 1) as f64).round() as usize];
        out.push(Dependence {
            value: place.label.clone(),
            number: place.number,
            partial: answers.iter().sum::<f64>() / answers.len() as f64,
            low: at(0.25),
            high: at(0.75),
            accumulated: None,
            share: place.rows as f64 / frame.rows() as f64,
        });
        if !go() {
            return None;
        }
    }
    if numeric {
        let (mut sum, mut mean, mut known) = (0.0, 0.0, 0.0);
        let mut effects = vec![0.0];
        for pair in places.windows(2) {
            let (from, to) = (place_of(pair[0].cell), place_of(pair[1].cell));
            let (mut moved, mut near) = (0.0, 0.0);
            for row in 0..frame.rows() {
                let own = place_of(frame.columns[column].cell(row));
                // Rows beyond the places are near the first or the last.
                let (first, last) = (effects.len() == 1, effects.len() + 1 == places.len());
                if (own > from || first) && (own <= to || last) && !own.is_nan() {
                    moved += ask(row, pair[1].cell) - ask(row, pair[0].cell);
                    near += 1.0;
                }
            }
            let step = moved / f64::max(near, 1.0);
            mean += near * (sum + step / 2.0);
            known += near;
            sum += step;
            effects.push(sum);
            if !go() {
                return None;
            }
        }
        let mean = mean / f64::max(known, 1.0);
        for (own, effect) in out.iter_mut().zip(effects) {
            own.accumulated = Some(effect - mean);
        }
    }
    Some(out)
}

fn place_of(cell: Cell<'_>) -> f64 {
    match cell {
        Cell::Number(x) | Cell::Duration(x) => x,
        Cell::Time(at) => at as f64,
        _ => f64::NAN,
    }
}

/// Places of which each has about as many rows between it and the next.
fn along<'a>(cells: &mut [Cell<'a>]) -> Vec<Place<'a>> {
    cells.sort_unstable_by(|a, b| place_of(*a).total_cmp(&place_of(*b)));
    // The farthest few would tell of single rows.
    let aside = EDGE.min(cells.len() / 16);
    let last = (cells.len() - aside).saturating_sub(1 + aside);
    let mut places: Vec<Place<'a>> = Vec::new();
    let mut begin = 0;
    for at in 0..PLACES {
        let Some(cell) = cells.get(aside + at * last / (PLACES - 1)) else {
            break;
        };
        let end = cells.partition_point(|c| place_of(*c) <= place_of(*cell));
        match places.last() {
            Some(place) if place.cell == *cell => {}
            _ => {
                places.push(Place {
                    cell: *cell,
                    label: super::sample::told(*cell).unwrap_or_default(),
                    number: Some(place_of(*cell)).filter(|_| !matches!(cell, Cell::Time(_))),
                    rows: end - begin,
                });
                begin = end;
            }
        }
    }
    if let Some(place) = places.last_mut() {
        place.rows += cells.len() - begin;
    }
    places
}

/// The most frequent values.
fn levels<'a>(cells: &[Cell<'a>]) -> Vec<Place<'a>> {
    let mut places: Vec<Place<'a>> = Vec::new();
    for cell in cells {
        let Some(label) = super::sample::told(*cell) else {
            continue;
        };
        match places.iter_mut().find(|p| p.label == label) {
            Some(place) => place.rows += 1,
            None => places.push(Place {
                cell: *cell,
                label,
                number: None,
                rows: 1,
            }),
        }
    }
    places.sort_by(|a, b| b.rows.cmp(&a.rows).then(a.label.cmp(&b.label)));
    places.truncate(LEVELS);
    places
}
