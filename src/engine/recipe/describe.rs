//! A recipe in plain words.

use super::json::{Json, Leaf};
use super::{Recipe, category::Category, picture::Picture, step::Step, tags::Tags, vector::Vector};
use crate::frame::Kind;
use crate::models::{Encoding, Inputs};
use crate::picture::SIDE;
use serde_json::{Value, json};

/// Levels and words that are listed.
const LISTED: usize = 100;

/// What becomes of one column.
#[derive(Debug, Clone)]
pub struct Description {
    pub column: String,
    /// How the column is taken: its kind, or `text` for free text.
    pub kind: String,
    pub steps: String,
    /// The learned numbers behind the words.
    pub parameters: Value,
    /// Inputs of the network that come from it.
    pub inputs: usize,
}

impl Recipe {
    /// One description per column, in feature order, then one per feature made of two columns, then one per forecast.
    pub fn describe(&self) -> Vec<Description> {
        let described = self.columns.iter().zip(&self.steps);
        let name = |position: usize| self.columns.get(position).map_or("", |c| c.name.as_str());
        let made = self.derived.iter().map(|derived| Description {
            column: derived
                .pair
                .name(name(derived.pair.left), name(derived.pair.right)),
            kind: "constructed".into(),
            steps: derived.number.words(),
            parameters: derived.number.parameters(),
            inputs: derived.number.width(),
        });
        let crossed = self.crosses.iter().map(|cross| Description {
            column: cross_name(name(cross.left), name(cross.right)),
            kind: "constructed".into(),
            steps: cross.words(),
            parameters: cross.parameters(),
            inputs: cross.inputs(),
        });
        let forecasts = self.forecasts.iter().flat_map(|forecast| {
            let said = forecast.words();
            forecast.each().map(move |(column, number)| {
                let mut parameters = number.parameters();
                if let Some(object) = parameters.as_object_mut() {
                    object.insert("models".into(), json!(forecast.models));
                }
                Description {
                    column,
                    kind: "forecast".into(),
                    steps: format!("{said}; then {}", number.words()),
                    parameters,
                    inputs: number.width(),
                }
            })
        });
        described
            .enumerate()
            .map(|(position, (input, step))| {
                let mut inputs = Inputs::default();
                step.add_to(&mut inputs);
                let (mut steps, mut parameters) = words(step);
                if let Some((cleaned, learned)) = self.clean.describe(position) {
                    steps = format!("{cleaned}; then {steps}");
                    if let Some(object) = parameters.as_object_mut() {
                        object.insert("clean".into(), learned);
                    }
                }
                Description {
                    column: input.name.clone(),
                    kind: match step {
                        Step::Text(_) => "text".into(),
                        _ => kind(input.kind),
                    },
                    steps,
                    parameters,
                    inputs: inputs.width(),
                }
            })
            .chain(made)
            .chain(crossed)
            .chain(forecasts)
            .collect()
    }
}

/// Two columns taken as one category, as people read it.
pub fn cross_name(left: &str, right: &str) -> String {
    format!("{left} & {right}")
}

fn kind(kind: Kind) -> String {
    match serde_json::to_value(kind) {
        Ok(Value::String(name)) => name,
        _ => String::new(),
    }
}

fn words(step: &Step) -> (String, Value) {
    match step {
        Step::Number(number) => (number.words(), number.parameters()),
        Step::Category(category) => (category_words(category), category_parameters(category)),
        Step::Time(time) => (time.words(), time.parameters()),
        Step::Text(text) => {
            let terms: Vec<&str> = text.terms().collect();
            let mut said = format!(
                "free text: the {} words and pairs of words that tell most about the target, weighted by how often they stand in \
                 the text and how rare they are (tf-idf, length of the vector fixed), and the length of the text",
                terms.len()
            );
            let mut parameters = json!({"terms": terms});
            if let Some(bag) = text.bag() {
                said += &format!(
                    "; for networks the mean of learned vectors of {} numbers, one for each of {} frequent words and pairs of words",
                    bag.dim, bag.vocabulary
                );
            }
            if let Some(sentence) = &text.sentence {
                said += &format!(
                    "; its sentence vector of {} numbers by the text model {}, each with mean 0 and standard deviation 1",
                    sentence.width(),
                    sentence.model()
                );
                parameters["text_model"] = sentence.model().into();
            }
            (said, parameters)
        }
        Step::TargetMean(mean) => (
            format!(
                "{} levels, each by the target's mean among its training rows (smoothed; for the training rows themselves from \
                 other rows)",
                mean.category.levels()
            ),
            category_parameters(&mean.category),
        ),
        Step::Vector(vector) => vector_words(vector),
        Step::Tags(tags) => tags_words(tags),
        Step::Json(json) => json_words(json),
        Step::Picture(picture) => picture_words(picture),
        Step::Hashed(hashed) => (
            format!(
                "{} levels, each 1 or -1 in one of {} inputs by a hash; new levels too",
                hashed.levels, hashed.buckets
            ),
            json!({"levels_in_all": hashed.levels, "inputs": hashed.buckets, "missing_flag": hashed.flag}),
        ),
    }
}

fn category_words(category: &Category) -> String {
    let missing = if category.missing_is_a_level() {
        ", missing among them"
    } else {
        ""
    };
    let levels = category.levels();
    match category.encoding() {
        Encoding::OneHot => format!("an input for each of {levels} levels{missing}"),
        Encoding::Embedding { dim } => format!(
            "a learned vector of {dim} numbers for each of {levels} levels{missing}; rare and new levels share one"
        ),
    }
}

fn category_parameters(category: &Category) -> Value {
    let names = category.names();
    json!({
        "levels": names.iter().take(LISTED).collect::<Vec<_>>(),
        "levels_in_all": names.len(),
        "missing_is_a_level": category.missing_is_a_level(),
    })
}

fn vector_words(vector: &Vector) -> (String, Value) {
    let mut said = format!("a vector of {} numbers", vector.dimension);
    if vector.run > 1 {
        said += &format!(", {} neighbours at a time by their mean", vector.run);
    }
    said += ", each with mean 0 and standard deviation 1";
    if vector.flag {
        said += "; missing vectors and those of another length become the mean and raise a flag";
    }
    let parameters = json!({
        "dimension": vector.dimension,
        "neighbours": vector.run,
        "missing_flag": vector.flag,
        "rows_of_another_length": vector.other_lengths,
    });
    (said, parameters)
}

fn picture_words(picture: &Picture) -> (String, Value) {
    let mut said = format!(
        "an image, scaled to {SIDE} by {SIDE} pixels: how near its patches are to {} learned ones in each quarter, and the colours \
         of a coarse grid, as {} principal components",
        picture.words(),
        picture.components()
    );
    if picture.flag {
        said +=
            "; missing images and bytes that are no PNG or JPEG become the mean and raise a flag";
    }
    let parameters = json!({
        "patches": picture.words(),
        "components": picture.components(),
        "missing_flag": picture.flag,
        "unreadable_rows": picture.unreadable,
    });
    (said, parameters)
}

fn tags_words(tags: &Tags) -> (String, Value) {
    let said = format!(
        "an input for each of {} frequent elements, and how many elements there are: {}",
        tags.levels.len(),
        tags.count.words()
    );
    let parameters = json!({"levels": tags.levels, "count": tags.count.parameters()});
    (said, parameters)
}

fn json_words(json: &Json) -> (String, Value) {
    let (mut said, mut parameters) = (Vec::new(), serde_json::Map::new());
    for path in &json.paths {
        let (words, learned) = match &path.leaf {
            Leaf::Number(number) => (number.words(), number.parameters()),
            Leaf::Category(category) => (category_words(category), category_parameters(category)),
        };
        let name = path.name();
        let of = match path.found {
            super::json::Found::Length => "number of elements: ",
            _ => "",
        };
        said.push(format!("{name}: {of}{words}"));
        parameters.insert(name, learned);
    }
    let said = if said.is_empty() {
        "no path is frequent and varies: tells nothing".to_owned()
    } else {
        said.join("; ")
    };
    (said, Value::Object(parameters))
}
