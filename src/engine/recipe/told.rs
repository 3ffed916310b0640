//! A recipe learned from what is told of columns, without a look at rows.

use super::category::Category;
use super::number::Number;
use super::options::Preparation;
use super::step::Step;
use super::time::Time;
use super::{Input, Recipe};
use crate::clean::Clean;

/// What is told of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// Numbers, or times in microseconds, that are distributed as those of the column, and how many of as many rows more have none.
    Values { values: Vec<f64>, missing: usize },
    /// All values of a category; whether some rows have none.
    Levels { levels: Vec<String>, missing: bool },
}

impl Recipe {
    /// A recipe for columns of numbers, durations, times, booleans and categories, in this order.
    pub fn of_told(columns: Vec<(Input, Told)>, how: &Preparation) -> Recipe {
        let (columns, steps) = columns
            .into_iter()
            .map(|(input, told)| {
                let step = match told {
                    Told::Levels { levels, missing } => {
                        Step::Category(Category::of_levels(levels, missing, how.category_encoding))
                    }
                    Told::Values { values, missing } if input.kind == crate::frame::Kind::Time => {
                        let day = input.type_name == "date";
                        Step::Time(Time::of_values(values, missing, day, how.scaling()))
                    }
                    Told::Values { values, missing } => {
                        let rows = values.len() + missing;
                        Step::Number(Number::fit(values, rows, how.scaling()))
                    }
                };
                (input, step)
            })
            .unzip();
        Recipe {
            columns,
            steps,
            derived: Vec::new(),
            crosses: Vec::new(),
            forecasts: Vec::new(),
            clean: Clean::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Cell, Kind};

    fn input(name: &str, type_name: &str, kind: Kind) -> Input {
        Input {
            name: name.into(),
            type_name: type_name.into(),
            kind,
        }
    }

    #[test]
    fn what_is_told_is_enough_to_prepare_rows() {
        let day = 86_400_000_000.0;
        let columns = vec![
            (
                input("age", "integer", Kind::Number),
                Told::Values {
                    values: (18..90).map(f64::from).collect(),
                    missing: 1,
                },
            ),
            (
                input("since", "date", Kind::Time),
                Told::Values {
                    values: (0..100).map(|i| f64::from(i) * 30.0 * day).collect(),
                    missing: 0,
                },
            ),
            (
                input("land", "text", Kind::Category),
                Told::Levels {
                    levels: vec!["DE".into(), "FR".into()],
                    missing: true,
                },
            ),
        ];
        let recipe = Recipe::of_told(columns, &Preparation::default());
        assert!(recipe.is_sound());
        let mut row = recipe.scratch();
        recipe.apply(
            &[Cell::Number(18.0), Cell::Time(0), Cell::Text("FR")],
            &mut row,
        );
        assert!(row.numbers[0] < -1.0 && row.numbers[1] == 0.0 && row.codes == [2]);
        recipe.apply(&[Cell::Null, Cell::Null, Cell::Text("XX")], &mut row);
        assert!(row.numbers[1] == 1.0 && row.codes == [0]);
        assert!(row.numbers.iter().all(|x| x.is_finite()));
    }
}
