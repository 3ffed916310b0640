//! Which column, and which feature, each input comes from.

use super::forecast::Forecast;
use super::step::Step;
use super::{FeatureOf, Recipe};
use crate::models::Inputs;

impl Recipe {
    /// The column that each number and each category of the inputs comes from, by its position; of what is made of two
    /// columns there is none.
    pub fn owners(&self) -> (Vec<usize>, Vec<usize>) {
        let of = |count: fn(&Step) -> usize| {
            let each = |(i, step)| std::iter::repeat_n(i, count(step));
            self.steps.iter().enumerate().flat_map(each).collect()
        };
        (of(Step::numbers), of(Step::codes))
    }

    /// The column that each bag of tokens comes from.
    pub(crate) fn bag_owners(&self) -> impl Iterator<Item = usize> + '_ {
        let with_bag = |(i, step): (usize, &Step)| step.has_bag().then_some(i);
        self.steps.iter().enumerate().filter_map(with_bag)
    }

    /// The feature that each input is a part of: a column, a value of a JSON document, what is made of two columns, a forecast.
    pub(super) fn features(&self) -> FeatureOf {
        let mut of = FeatureOf::default();
        let mut next = 0;
        for step in &self.steps {
            let (numbers, codes) = step.features();
            let mut inputs = Inputs::default();
            step.add_to(&mut inputs);
            of.bags.extend(inputs.bags.iter().map(|_| next));
            of.numbers.extend(numbers.iter().map(|own| next + own));
            of.categories.extend(codes.iter().map(|own| next + own));
            let own = numbers.iter().chain(&codes).max().copied();
            next += 1 + own.unwrap_or(0);
        }
        let derived = self.derived.iter().map(|d| (d.number.width(), 0));
        let crosses = self.crosses.iter().map(|c| (c.numbers(), c.codes()));
        let forecasts = self.forecasts.iter().flat_map(Forecast::each);
        let forecasts = forecasts.map(|(_, number)| (number.width(), 0));
        for (numbers, codes) in derived.chain(crosses).chain(forecasts) {
            of.numbers.extend(std::iter::repeat_n(next, numbers));
            of.categories.extend(std::iter::repeat_n(next, codes));
            next += 1;
        }
        of
    }
}
