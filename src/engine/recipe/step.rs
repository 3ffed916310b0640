//! One column's way into the network.

use super::json::{Json, Leaf};
use super::{
    category::Category, hashed::Hashed, number::Number, options::CategoryEncoding,
    options::Preparation, picture::Picture, tags::Tags, target_mean::TargetMean, text::Text,
    time::Time, vector::Vector, words::is_prose,
};
use crate::evaluate::Truth;
use crate::frame::{Cell, Column, Kind};
use crate::models::{CategoryInput, Inputs};
use serde::{Deserialize, Serialize};

/// How one column becomes inputs of the network.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    Number(Number),
    Category(Category),
    Time(Time),
    Text(Text),
    TargetMean(TargetMean),
    Vector(Vector),
    Tags(Tags),
    Json(Json),
    Picture(Picture),
    Hashed(Hashed),
}

impl Step {
    pub(super) fn fit(
        column: &Column,
        rows: &[u32],
        truth: Option<&Truth>,
        how: &Preparation,
    ) -> Step {
        match column.kind {
            Kind::Number | Kind::Duration => Step::Number(Number::fit(
                super::present_numbers(column, rows),
                rows.len(),
                how.scaling(),
            )),
            Kind::Boolean => Step::Category(Category::fit(column, rows, how.category_encoding)),
            Kind::Category if is_prose(column, rows) => {
                let text = Text::fit(column, rows, truth, how);
                Step::Text(match &how.text_model {
                    Some(encoder) => text.with_sentence(encoder, column, rows),
                    None => text,
                })
            }
            Kind::Category => {
                if how.category_encoding == CategoryEncoding::Hash
                    && let Some(hashed) = Hashed::fit(column, rows)
                {
                    return Step::Hashed(hashed);
                }
                let category = Category::fit(column, rows, how.category_encoding);
                let wanted = how.category_encoding == CategoryEncoding::Target;
                let mean = truth
                    .filter(|_| wanted)
                    .and_then(|truth| TargetMean::fit(category.clone(), column, rows, truth));
                mean.map_or(Step::Category(category), Step::TargetMean)
            }
            Kind::Time => Step::Time(Time::fit(column, rows, how.scaling())),
            Kind::Vector => Step::Vector(Vector::fit(column, rows)),
            Kind::Tags => Step::Tags(Tags::fit(column, rows)),
            Kind::Json => Step::Json(Json::fit(column, rows, how)),
            Kind::Image => Step::Picture(Picture::fit(column, rows)),
        }
    }

    /// Dense inputs.
    pub(super) fn numbers(&self) -> usize {
        match self {
            Step::Number(number) => number.width(),
            Step::Category(_) => 0,
            Step::Time(time) => time.width(),
            Step::Text(text) => text.width(),
            Step::TargetMean(mean) => mean.means.width,
            Step::Vector(vector) => vector.width(),
            Step::Tags(tags) => tags.width(),
            Step::Picture(picture) => picture.width(),
            Step::Hashed(hashed) => hashed.width(),
            Step::Json(json) => json
                .paths
                .iter()
                .map(|path| match &path.leaf {
                    Leaf::Number(number) => number.width(),
                    Leaf::Category(_) => 0,
                })
                .sum(),
        }
    }

    /// Category codes.
    pub(super) fn codes(&self) -> usize {
        match self {
            Step::Category(_) => 1,
            Step::Json(json) => json
                .paths
                .iter()
                .filter(|path| matches!(path.leaf, Leaf::Category(_)))
                .count(),
            _ => 0,
        }
    }

    /// Whether a bag of tokens comes of it.
    pub(super) fn has_bag(&self) -> bool {
        matches!(self, Step::Text(text) if text.bag().is_some())
    }

    pub(super) fn add_to(&self, inputs: &mut Inputs) {
        inputs.numbers += self.numbers();
        let mut add = |category: &Category| {
            inputs.categories.push(CategoryInput {
                levels: category.levels(),
                encoding: category.encoding(),
            });
        };
        match self {
            Step::Category(category) => add(category),
            Step::Json(json) => json.paths.iter().for_each(|path| {
                if let Leaf::Category(category) = &path.leaf {
                    add(category);
                }
            }),
            Step::Text(text) => inputs.bags.extend(text.bag()),
            _ => {}
        }
    }

    /// Adds the tokens of this step's bag, and where they end; nothing for a step without a bag.
    #[inline]
    pub(super) fn write_tokens(
        &self,
        cell: Cell<'_>,
        tokens: &mut Vec<u32>,
        ends: &mut Vec<usize>,
    ) {
        if let Step::Text(text) = self
            && text.bag().is_some()
        {
            text.write_tokens(cell, tokens);
            ends.push(tokens.len());
        }
    }

    /// The features that this step's numbers, and its codes, are parts of, counted from 0: each value of a JSON document is one,
    /// all else is one together.
    pub(super) fn features(&self) -> (Vec<usize>, Vec<usize>) {
        let Step::Json(json) = self else {
            return (vec![0; self.numbers()], vec![0; self.codes()]);
        };
        let (mut numbers, mut codes) = (Vec::new(), Vec::new());
        for (at, path) in json.paths.iter().enumerate() {
            match &path.leaf {
                Leaf::Number(number) => numbers.extend(std::iter::repeat_n(at, number.width())),
                Leaf::Category(_) => codes.push(at),
            }
        }
        (numbers, codes)
    }

    /// Which of this step's numbers are a number by themselves, not a part of a text, a vector or a set.
    pub(super) fn singles(&self) -> Vec<usize> {
        match self {
            Step::Number(_) | Step::Time(_) => vec![0],
            Step::Text(text) => vec![text.terms().count()],
            Step::TargetMean(mean) => (0..mean.means.width).collect(),
            Step::Json(json) => {
                let mut at = 0;
                let mut singles = Vec::new();
                for path in &json.paths {
                    if let Leaf::Number(number) = &path.leaf {
                        singles.push(at);
                        at += number.width();
                    }
                }
                singles
            }
            Step::Category(_)
            | Step::Vector(_)
            | Step::Tags(_)
            | Step::Picture(_)
            | Step::Hashed(_) => Vec::new(),
        }
    }

    /// Whether a step from bytes that are not trusted can write without a panic.
    pub(super) fn is_sound(&self) -> bool {
        match self {
            Step::Number(number) => number.is_sound(),
            Step::Category(_) => true,
            Step::Time(time) => time.is_sound(),
            Step::Text(text) => text.is_sound(),
            Step::TargetMean(mean) => mean.is_sound(),
            Step::Vector(vector) => vector.is_sound(),
            Step::Tags(tags) => tags.is_sound(),
            Step::Json(json) => json.is_sound(),
            Step::Picture(picture) => picture.is_sound(),
            Step::Hashed(hashed) => hashed.is_sound(),
        }
    }

    /// `numbers` and `codes` are this step's own.
    #[inline]
    pub(super) fn write(&self, cell: Cell<'_>, numbers: &mut [f32], codes: &mut [u32]) {
        match self {
            Step::Number(number) => number.write(cell, numbers),
            Step::Category(category) => codes[0] = category.code(cell),
            Step::Time(time) => time.write(cell, numbers),
            Step::Text(text) => text.write(cell, numbers),
            Step::TargetMean(mean) => mean.write(cell, numbers),
            Step::Vector(vector) => vector.write(cell, numbers),
            Step::Tags(tags) => tags.write(cell, numbers),
            Step::Json(json) => json.write(cell, numbers, codes),
            Step::Picture(picture) => picture.write(cell, numbers),
            Step::Hashed(hashed) => hashed.write(cell, numbers),
        }
    }
}
