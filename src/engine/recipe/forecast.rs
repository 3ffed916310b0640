//! What a customer's purchases until the cut-off let expect: BG/NBD and gamma-gamma (see [`crate::value`]).

use super::Input;
use super::number::Number;
use super::options::Scaling;
use crate::frame::{Cell, Column};
use crate::value::{Behaviour, Models, Outlook};
use serde::{Deserialize, Serialize};

/// The columns of a frame that tell of a customer's purchases, by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Purchases {
    /// What the forecasts are named after.
    pub name: String,
    /// Days with a purchase after the first.
    pub repeats: String,
    /// Days from the first to the last purchase.
    pub recency: String,
    /// Days from the first purchase to the cut-off.
    pub age: String,
    /// Mean amount of a day of repeat purchases.
    pub amount: Option<String>,
    /// Days to look ahead.
    pub horizon: f64,
}

/// The longest horizon: a century.
const LONGEST: f64 = 36_525.0;

/// The forecasts of one source, as inputs of the network.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Forecast {
    name: String,
    /// Positions of the recipe's columns.
    repeats: usize,
    recency: usize,
    age: usize,
    amount: Option<usize>,
    horizon: f64,
    pub(super) models: Models,
    /// `alive` and `expected_purchases`; with amounts `expected_amount` and `expected_value`.
    numbers: Vec<Number>,
}

impl Forecast {
    /// Learns from the training rows; `columns` are the recipe's, in its order. The error says why there is none.
    pub(super) fn fit(
        purchases: &Purchases,
        inputs: &[Input],
        columns: &[&Column],
        rows: &[u32],
        how: Scaling,
    ) -> Result<Forecast, String> {
        let position = |name: &String| {
            let found = inputs.iter().position(|input| input.name == *name);
            found.ok_or_else(|| format!("needs the column \"{name}\", which is no feature"))
        };
        let mut forecast = Forecast {
            name: purchases.name.clone(),
            repeats: position(&purchases.repeats)?,
            recency: position(&purchases.recency)?,
            age: position(&purchases.age)?,
            amount: purchases.amount.as_ref().map(position).transpose()?,
            horizon: purchases.horizon,
            models: Models::NONE,
            numbers: Vec::new(),
        };
        let seen: Vec<Option<(Behaviour, Option<f64>)>> = rows
            .iter()
            .map(|&row| {
                forecast.seen(&|i| columns.get(i).map_or(Cell::Null, |c| c.cell(row as usize)))
            })
            .collect();
        let known: Vec<(Behaviour, Option<f64>)> = seen.iter().copied().flatten().collect();
        forecast.models = Models::learn(&known, purchases.amount.is_some())
            .ok_or("no customer bought on two different days, or no model fits")?;
        let outlooks: Vec<Option<Outlook>> = seen
            .iter()
            .map(|c| c.map(|(c, amount)| forecast.outlook(&c, amount)))
            .collect();
        forecast.numbers = (0..forecast.width())
            .map(|which| {
                let values = outlooks.iter().filter_map(|o| figure(o.as_ref(), which));
                Number::fit(values.collect(), rows.len(), how)
            })
            .collect();
        Ok(forecast)
    }

    /// Forecasts of a row.
    fn width(&self) -> usize {
        if self.amount.is_some() { 4 } else { 2 }
    }

    /// A customer's purchases and mean amount; `None` where they are not known, or no history at all.
    fn seen<'a>(&self, cell: &impl Fn(usize) -> Cell<'a>) -> Option<(Behaviour, Option<f64>)> {
        let number = |position: usize| match cell(position) {
            Cell::Number(x) if x.is_finite() && x >= 0.0 => Some(x),
            _ => None,
        };
        let (x, t_x, t) = (
            number(self.repeats)?,
            number(self.recency)?,
            number(self.age)?,
        );
        let amount = self.amount.and_then(number).filter(|a| *a > 0.0);
        (t_x <= t).then_some((Behaviour { x, t_x, t }, amount))
    }

    fn outlook(&self, customer: &Behaviour, amount: Option<f64>) -> Outlook {
        self.models.expect(customer, amount, self.horizon, 0.0)
    }

    pub(super) fn inputs(&self) -> usize {
        self.numbers.iter().map(Number::width).sum()
    }

    #[inline]
    pub(super) fn write<'a>(&self, cell: impl Fn(usize) -> Cell<'a>, out: &mut [f32]) {
        let outlook = self.seen(&cell).map(|(c, amount)| self.outlook(&c, amount));
        let mut out = out;
        for (which, number) in self.numbers.iter().enumerate() {
            let (own, more) = out.split_at_mut(number.width());
            let value = figure(outlook.as_ref(), which);
            number.write(value.map_or(Cell::Null, Cell::Number), own);
            out = more;
        }
    }

    /// Name and number of each forecast.
    pub(super) fn each(&self) -> impl Iterator<Item = (String, &Number)> {
        const NAMES: [&str; 4] = [
            "alive",
            "expected_purchases",
            "expected_amount",
            "expected_value",
        ];
        let named = NAMES.iter().zip(&self.numbers);
        named.map(|(name, number)| (format!("{}.{name}", self.name), number))
    }

    /// In words, what the numbers are.
    pub(super) fn words(&self) -> String {
        let amounts = match self.models.amounts {
            Some(g) => format!(
                ", gamma-gamma: p {:.4}, q {:.4}, gamma {:.4}",
                g.p, g.q, g.gamma
            ),
            None => String::new(),
        };
        let p = self.models.purchases;
        format!(
            "over the next {} days, by BG/NBD: r {:.4}, alpha {:.4} days, a {:.4}, b {:.4}{amounts}",
            self.horizon, p.r, p.alpha, p.a, p.b
        )
    }

    pub(super) fn is_sound(&self, columns: usize) -> bool {
        let positions = [self.repeats, self.recency, self.age];
        positions.iter().chain(&self.amount).all(|p| *p < columns)
            && (1.0..=LONGEST).contains(&self.horizon)
            && self.models.is_sound()
            && self.numbers.len() == self.width()
            && self.numbers.iter().all(Number::is_sound)
    }
}

/// One of the figures of an outlook; `None` where it is no finite number.
fn figure(outlook: Option<&Outlook>, which: usize) -> Option<f64> {
    let outlook = outlook?;
    let value = match which {
        0 => Some(outlook.alive),
        1 => Some(outlook.purchases),
        2 => outlook.amount,
        _ => outlook.value,
    };
    value.filter(|v| v.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Frame, Kind};
    use crate::recipe::{Preparation, Recipe};
    use crate::recipe::{Standardise, Transform};

    /// Days with a purchase, first to last, first to now, mean amount; a customer without any has none.
    fn customers() -> Frame {
        let mut columns = ["x", "recency", "age", "amount"]
            .map(|name| Column::new(name, "double precision", Kind::Number));
        for i in 0..400u32 {
            let x = if i % 3 == 0 { 0 } else { i % 11 };
            let age = 20 + i % 90;
            let recency = if x == 0 { 0 } else { (x * 7 + i % 5).min(age) };
            let amount = (x > 0).then(|| 10.0 + f64::from(i % 40));
            let row = [f64::from(x), f64::from(recency), f64::from(age)];
            for (column, value) in columns
                .iter_mut()
                .zip(row.map(Some).into_iter().chain([amount]))
            {
                let there = i % 50 != 49;
                column.push(value.filter(|_| there).map_or(Cell::Null, Cell::Number));
            }
        }
        Frame {
            columns: columns.into(),
        }
    }

    fn purchases() -> Purchases {
        Purchases {
            name: "orders".into(),
            repeats: "x".into(),
            recency: "recency".into(),
            age: "age".into(),
            amount: Some("amount".into()),
            horizon: 30.0,
        }
    }

    #[test]
    fn a_forecast_is_the_models_and_learned_from_the_training_rows_alone() {
        let frame = customers();
        let train: Vec<u32> = (0..300).collect();
        let how = Preparation {
            standardise: Standardise::None,
            transform: Transform::None,
            ..Preparation::default()
        };
        let plain = Recipe::fit_with(&frame, &[0, 1, 2, 3], &train, None, &how);
        let before = plain.inputs().numbers;
        let (recipe, not_made) = plain
            .clone()
            .with_forecasts(&[purchases()], &frame, &train, &how);
        assert!(not_made.is_empty() && recipe.is_sound());
        let number = |i: usize, row: usize| match frame.columns[i].cell(row) {
            Cell::Number(x) => Some(x),
            _ => None,
        };
        let seen = |row: usize| {
            let (x, t_x, t) = (number(0, row)?, number(1, row)?, number(2, row)?);
            Some((Behaviour { x, t_x, t }, number(3, row)))
        };
        let known: Vec<_> = (0..300).filter_map(seen).collect();
        let models = Models::learn(&known, true).unwrap();
        let matrix = recipe.transform(&frame, &(0..400).collect::<Vec<_>>());
        let width = matrix.inputs.numbers;
        let names: Vec<String> = recipe.describe().into_iter().map(|d| d.column).collect();
        assert_eq!(
            names[4..],
            [
                "orders.alive",
                "orders.expected_purchases",
                "orders.expected_amount",
                "orders.expected_value"
            ]
        );
        for row in 0..400 {
            let Some((customer, amount)) = seen(row) else {
                continue;
            };
            let outlook = models.expect(&customer, amount, 30.0, 0.0);
            let expected = [
                Some(outlook.alive),
                Some(outlook.purchases),
                outlook.amount,
                outlook.value,
            ];
            // Each number is followed by its flag of missing ones.
            let own = &matrix.numbers[row * width + before..(row + 1) * width];
            assert_eq!(own.len(), 8);
            for (found, expected) in own.iter().step_by(2).zip(expected) {
                assert_eq!(*found, expected.unwrap() as f32, "row {row}");
            }
        }
        // Whoever has not bought twice tells nothing, and no column can be missing.
        let once: Vec<u32> = (0..300).step_by(3).collect();
        let (_, why) = plain
            .clone()
            .with_forecasts(&[purchases()], &frame, &once, &how);
        assert_eq!(
            why[0].1,
            "no customer bought on two different days, or no model fits"
        );
        let (_, why) = Recipe::fit(&frame, &[1, 2, 3], &train).with_forecasts(
            &[purchases()],
            &frame,
            &train,
            &how,
        );
        assert!(why[0].1.contains("\"x\""), "{why:?}");
    }

    #[test]
    fn purchases_that_cannot_be_are_missing() {
        let frame = customers();
        let rows: Vec<u32> = (0..400).collect();
        let how = Preparation::default();
        let (recipe, _) = Recipe::fit_with(&frame, &[0, 1, 2, 3], &rows, None, &how)
            .with_forecasts(&[purchases()], &frame, &rows, &how);
        let (mut odd, mut none) = (recipe.scratch(), recipe.scratch());
        let tail = recipe.forecasts[0].inputs();
        recipe.apply(&[], &mut none);
        for cells in [
            [f64::NAN, 1.0, 2.0],
            [2.0, f64::INFINITY, f64::INFINITY],
            [-1.0, 1.0, 2.0],
            [2.0, 9.0, 8.0],
        ] {
            recipe.apply(&cells.map(Cell::Number), &mut odd);
            assert!(odd.numbers.iter().all(|x| x.is_finite()));
            let from = odd.numbers.len() - tail;
            assert_eq!(odd.numbers[from..], none.numbers[from..], "{cells:?}");
        }
    }
}
