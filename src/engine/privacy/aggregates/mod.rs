//! Counts, sums, means and quantiles that hide each customer: differential privacy.
//!
//! Neighbours are tables that differ by all rows of one unit. Counts and sums are whole numbers with exact discrete Laplace noise
//! (Ghosh, Roughgarden and Sundararajan 2009; Canonne, Kamath and Steinke 2020): no rounding of floats tells anything. Quantiles
//! are chosen by permute-and-flip (McKenna and Sheldon 2020), by exact coins. Figures share epsilon evenly (basic composition).

mod params;
mod quantile;

use super::asked::error;
use super::groups::Groups;
use super::noise::{Noise, NoiseError};
use crate::frame::{Cell, Column, Frame, Kind, Values};
use crate::params::ParamError;
pub use params::AggregateParams;

/// Steps from the middle of the bounds to one of them, at most: sums are of whole steps.
const STEPS: f64 = 32_768.0;
/// Larger noise is beyond the generator.
const MOST_SCALE: f64 = 5e7;

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// The column; none for rows.
    pub column: Option<String>,
    /// The group's values, in the order of the option `by`.
    pub by: Vec<Option<String>>,
    /// Of a category: its value.
    pub category: Option<String>,
    pub statistic: String,
    pub value: f64,
    /// Where the figure without noise lies with at least 95%; none for quantiles.
    pub within: Option<(f64, f64)>,
    /// What the question cost; figures of one question, such as all groups' counts, share it.
    pub epsilon: f64,
}

/// What was found and spent.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregates {
    pub figures: Vec<Figure>,
    pub epsilon: f64,
    /// 0 where all groups and categories were known.
    pub delta: f64,
}

/// What a column is asked for.
enum Ask {
    Number { low: f64, high: f64, whole: bool },
    Category { known: Option<Vec<String>> },
}

/// What all questions share.
struct Terms {
    /// Of each question.
    epsilon: f64,
    /// Of each question with unknown categories or groups.
    delta: f64,
    rows_per_unit: f64,
}

impl AggregateParams {
    /// Whether each column can be asked for: `kind` tells what it holds.
    ///
    /// # Errors
    /// A number without bounds, bounds of another kind.
    pub fn check(&self, kind: &dyn Fn(&str) -> Option<Kind>) -> Result<(), ParamError> {
        for name in self.columns.iter() {
            let number = matches!(kind(name), Some(Kind::Number | Kind::Duration));
            match (number, self.bounds.contains_key(name)) {
                (true, true) | (false, false) => {}
                (true, false) => {
                    return Err(error(
                        "bounds",
                        format!("column \"{name}\" needs bounds"),
                        format!(
                            "Its smallest and largest value would tell of single rows. Give what is known without them: \
                             {{\"bounds\": {{\"{name}\": [0, 100]}}}}, or name other columns in \"columns\"."
                        ),
                    ));
                }
                (false, true) => {
                    return Err(error(
                        "bounds",
                        format!("column \"{name}\" has bounds and no numbers"),
                        "Values are counted of other columns: leave its bounds out.",
                    ));
                }
            }
        }
        Ok(())
    }

    fn ask(&self, column: &Column) -> Ask {
        match self.bounds.get(&column.name) {
            Some((low, high)) => Ask::Number {
                low: *low,
                high: *high,
                whole: ["smallint", "integer", "bigint"].contains(&column.type_name.as_str()),
            },
            None => Ask::Category {
                known: self.categories.get(&column.name).cloned(),
            },
        }
    }

    /// The groups that are known without the rows.
    fn known_groups(&self) -> Option<Vec<Vec<Option<String>>>> {
        match self.by.as_slice() {
            [] => Some(vec![Vec::new()]),
            [one] => {
                let known = self.categories.get(one)?;
                Some(
                    known
                        .iter()
                        .map(|value| vec![Some(value.clone())])
                        .collect(),
                )
            }
            _ => None,
        }
    }

    /// What the answer will cost: epsilon and delta.
    pub fn cost(&self) -> (f64, f64) {
        let delta = if self.unknown() > 0 { self.delta } else { 0.0 };
        (self.epsilon, delta)
    }

    /// Questions whose answers have a threshold.
    fn unknown(&self) -> usize {
        let open = |name: &&String| {
            !self.bounds.contains_key(*name) && !self.categories.contains_key(*name)
        };
        self.columns.iter().filter(open).count() + usize::from(self.known_groups().is_none())
    }

    fn questions(&self) -> usize {
        let of = |name: &String| match self.bounds.contains_key(name) {
            true => 2 + self.quantiles.len(),
            false => 1,
        };
        1 + self.columns.iter().map(of).sum::<usize>()
    }

    /// The figures of a frame with the columns of [`AggregateParams::named`], grouping columns as text. `look` is called now and
    /// then: it may raise.
    ///
    /// # Errors
    /// The operating system gives no randomness, or noise is larger than can be drawn.
    pub fn answer(
        &self,
        frame: &Frame,
        noise: &mut Noise,
        look: &mut dyn FnMut(),
    ) -> Result<Aggregates, NoiseError> {
        let terms = Terms {
            epsilon: self.epsilon / self.questions() as f64,
            delta: self.delta / self.unknown().max(1) as f64,
            rows_per_unit: self.rows_per_unit as f64,
        };
        let rows = self.bounded(frame, noise, look);
        let mut figures = Vec::new();
        let groups = self.groups(frame, &rows, &terms, noise, look, &mut figures)?;
        for name in &self.columns {
            let Some(column) = frame.column(name) else {
                continue;
            };
            for (by, rows) in &groups {
                look();
                let mut told = match self.ask(column) {
                    Ask::Number { low, high, whole } => {
                        self.number(column, (low, high), whole, rows, &terms, noise)?
                    }
                    Ask::Category { known } => {
                        category(column, known.as_deref(), rows, &terms, noise)?
                    }
                };
                told.iter_mut().for_each(|figure| figure.by.clone_from(by));
                figures.append(&mut told);
            }
        }
        let (epsilon, delta) = self.cost();
        Ok(Aggregates {
            figures,
            epsilon,
            delta,
        })
    }

    /// At most so many rows of each unit, chosen at random; none of those whose unit is not known.
    fn bounded(&self, frame: &Frame, noise: &mut Noise, look: &mut dyn FnMut()) -> Vec<u32> {
        let Some(unit) = self.unit.as_ref().and_then(|unit| frame.column(unit)) else {
            return (0..frame.rows() as u32).collect();
        };
        let (rows, ends) = Groups::by(&[unit], frame.rows(), look).members();
        let mut kept = Vec::with_capacity(rows.len());
        let mut start = 0;
        for end in ends {
            let mut own = rows[start..end].to_vec();
            if !unit.nulls.get(own[0] as usize) {
                noise.choose(&mut own, self.rows_per_unit);
                kept.append(&mut own);
            }
            start = end;
        }
        kept.sort_unstable();
        kept
    }

    /// The groups and their rows; how many rows each has is told here.
    #[allow(clippy::type_complexity)]
    fn groups(
        &self,
        frame: &Frame,
        rows: &[u32],
        terms: &Terms,
        noise: &mut Noise,
        look: &mut dyn FnMut(),
        figures: &mut Vec<Figure>,
    ) -> Result<Vec<(Vec<Option<String>>, Vec<u32>)>, NoiseError> {
        let columns: Vec<&Column> = self
            .by
            .iter()
            .filter_map(|name| frame.column(name))
            .collect();
        let all = Groups::by(&columns, frame.rows(), look);
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); all.count.max(1)];
        for row in rows {
            members[all.of[*row as usize] as usize].push(*row);
        }
        let label = |row: u32| -> Vec<Option<String>> {
            columns.iter().map(|c| text(c.cell(row as usize))).collect()
        };
        let mut groups: Vec<(Vec<Option<String>>, Vec<u32>)> = match self.known_groups() {
            Some(known) => {
                let find = |wanted: &Vec<Option<String>>| {
                    members
                        .iter()
                        .find(|own| own.first().is_some_and(|row| label(*row) == *wanted))
                        .cloned()
                        .unwrap_or_default()
                };
                known
                    .into_iter()
                    .map(|wanted| {
                        let own = find(&wanted);
                        (wanted, own)
                    })
                    .collect()
            }
            None => {
                let present = members.into_iter().filter(|own| !own.is_empty());
                present.map(|own| (label(own[0]), own)).collect()
            }
        };
        // The order of the rows must not tell.
        groups.sort();
        let least = match self.known_groups() {
            Some(_) => f64::NEG_INFINITY,
            None => terms.threshold(),
        };
        let mut told = Vec::with_capacity(groups.len());
        for (by, own) in groups {
            let count = terms.count(own.len(), noise)?;
            if count < least {
                continue;
            }
            let mut figure = terms.counted(None, "rows", count);
            figure.by.clone_from(&by);
            figures.push(figure);
            told.push((by, own));
        }
        Ok(told)
    }

    fn number(
        &self,
        column: &Column,
        (low, high): (f64, f64),
        whole: bool,
        rows: &[u32],
        terms: &Terms,
        noise: &mut Noise,
    ) -> Result<Vec<Figure>, NoiseError> {
        let Values::Number(numbers) = &column.values else {
            return Ok(Vec::new());
        };
        let present = rows.iter().filter(|row| !column.nulls.get(**row as usize));
        let mut values: Vec<f64> = present
            .map(|row| numbers[*row as usize].clamp(low, high))
            .collect();
        let count = terms.count(values.len(), noise)?;
        // Sums count from the middle: their noise then grows with half the width alone.
        let middle = low + (high - low) / 2.0;
        let steps = STEPS
            .min((MOST_SCALE * terms.epsilon / terms.rows_per_unit).floor())
            .max(1.0);
        let step = (high - low) / 2.0 / steps;
        // The noise hides so many steps, whatever rounding does to the middle of bounds that are close together.
        let whole_steps = |x: &f64| ((x - middle) / step).round().clamp(-steps, steps) as i64;
        let sum: i64 = values.iter().map(whole_steps).sum();
        let scale = steps * terms.rows_per_unit / terms.epsilon;
        let sum = sum.saturating_add(noise.discrete_laplace(scale)?) as f64 * step;
        // Both noises at once: each stays within with 97.5%.
        let (of_sum, of_count) = (reach(scale, 0.025) * step, reach(terms.scale(), 0.025));
        let name = Some(column.name.clone());
        let mut figures = vec![terms.counted(name.clone(), "count", count)];
        let total = middle * count + sum;
        let apart = of_sum + middle.abs() * of_count;
        figures.push(Figure {
            within: Some((total - apart, total + apart)),
            ..terms.figure(name.clone(), "sum", total)
        });
        let mean = (middle + sum / count.max(1.0)).clamp(low, high);
        let apart = (of_sum + (mean - middle).abs() * of_count) / (count - of_count).max(1.0);
        figures.push(Figure {
            within: Some(((mean - apart).max(low), (mean + apart).min(high))),
            // Made of the two before.
            epsilon: 0.0,
            ..terms.figure(name.clone(), "mean", mean)
        });
        values.sort_by(f64::total_cmp);
        let candidates = quantile::candidates(low, high, whole);
        for thousandths in &self.quantiles {
            let question = quantile::Question {
                thousandths: *thousandths,
                epsilon: terms.epsilon,
                rows_per_unit: self.rows_per_unit,
            };
            let value = question.choose(&values, &candidates, noise);
            let statistic = format!("q{}", f64::from(*thousandths) / 10.0);
            figures.push(terms.figure(name.clone(), &statistic, value));
        }
        Ok(figures)
    }
}

fn category(
    column: &Column,
    known: Option<&[String]>,
    rows: &[u32],
    terms: &Terms,
    noise: &mut Noise,
) -> Result<Vec<Figure>, NoiseError> {
    let mut counts: std::collections::BTreeMap<String, usize> = Default::default();
    for value in known.unwrap_or_default() {
        counts.insert(value.clone(), 0);
    }
    for row in rows {
        if let Some(value) = text(column.cell(*row as usize)) {
            match counts.get_mut(&value) {
                Some(count) => *count += 1,
                None if known.is_none() => {
                    counts.insert(value, 1);
                }
                None => {}
            }
        }
    }
    let least = if known.is_some() {
        f64::NEG_INFINITY
    } else {
        terms.threshold()
    };
    let mut figures = Vec::new();
    for (value, count) in counts {
        let count = terms.count(count, noise)?;
        if count >= least {
            figures.push(Figure {
                category: Some(value),
                ..terms.counted(Some(column.name.clone()), "count", count)
            });
        }
    }
    Ok(figures)
}

impl Terms {
    /// Of the noise of counts.
    fn scale(&self) -> f64 {
        self.rows_per_unit / self.epsilon
    }

    fn count(&self, rows: usize, noise: &mut Noise) -> Result<f64, NoiseError> {
        Ok((rows as i64).saturating_add(noise.discrete_laplace(self.scale())?) as f64)
    }

    /// From here on a count is told of what is not known to exist: what a single unit makes appear is told with a probability of
    /// delta at most (Korolova and others 2009). A unit fills at most `rows_per_unit` cells, none with more rows.
    fn threshold(&self) -> f64 {
        self.rows_per_unit + self.scale() * (self.rows_per_unit / self.delta).ln()
    }

    fn figure(&self, column: Option<String>, statistic: &str, value: f64) -> Figure {
        Figure {
            column,
            by: Vec::new(),
            category: None,
            statistic: statistic.into(),
            value,
            within: None,
            epsilon: self.epsilon,
        }
    }

    /// A count that is not negative, which costs nothing to know.
    fn counted(&self, column: Option<String>, statistic: &str, count: f64) -> Figure {
        let apart = reach(self.scale(), 0.05);
        Figure {
            within: Some(((count - apart).max(0.0), (count + apart).max(0.0))),
            ..self.figure(column, statistic, count.max(0.0))
        }
    }
}

/// What discrete Laplace noise of a scale exceeds, in size, with this probability at most.
fn reach(scale: f64, probability: f64) -> f64 {
    (scale * (1.0 / probability).ln()).ceil()
}

fn text(cell: Cell<'_>) -> Option<String> {
    match cell {
        Cell::Text(text) => Some(text.to_owned()),
        Cell::Boolean(x) => Some(x.to_string()),
        Cell::Number(x) => Some(x.to_string()),
        Cell::Time(at) => Some(crate::calendar::iso(at)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
