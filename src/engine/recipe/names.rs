//! The inputs of a model by the names of their columns.

use super::json::Leaf;
use super::number::Number;
use super::{Recipe, category::Category, describe::cross_name, step::Step};

/// What one input is: its value is (x - `centre`) · `scale` of the column's value x; for what is not shifted and scaled alone
/// these are 0 and 1.
#[derive(Debug, Clone, PartialEq)]
pub struct InputName {
    pub feature: String,
    /// A level of a category, a word of a text, or what was made of the column.
    pub level: Option<String>,
    pub centre: f64,
    pub scale: f64,
}

impl InputName {
    fn new(feature: &str, level: Option<String>) -> InputName {
        InputName {
            feature: feature.into(),
            level,
            centre: 0.0,
            scale: 1.0,
        }
    }
}

/// Microseconds of a day: times are told in days.
const DAY: f64 = 86_400e6;

fn missing() -> Option<String> {
    Some("(missing)".into())
}

/// A number's own input and its flag.
fn number(feature: &str, level: Option<String>, of: &Number) -> Vec<InputName> {
    let own = match of.line() {
        Some((centre, scale)) => InputName {
            centre,
            scale,
            ..InputName::new(feature, level)
        },
        None => {
            let shape = format!("({})", of.shape_name());
            let level = level.map_or(shape.clone(), |level| format!("{level} {shape}"));
            InputName::new(feature, Some(level))
        }
    };
    let mut out = vec![own];
    if of.width() > 1 {
        out.push(InputName::new(feature, missing()));
    }
    out
}

/// The levels of a category, from code 1.
fn levels(feature: &str, of: &Category, before: &str) -> Vec<InputName> {
    let names = of.names().iter().map(|name| format!("{before}{name}"));
    let names = names.chain(
        of.missing_is_a_level()
            .then(|| format!("{before}(missing)")),
    );
    names
        .map(|name| InputName::new(feature, Some(name)))
        .collect()
}

/// The numbers of a step, in the order in which it writes them; those that have no name of their own are counted.
fn numbers(feature: &str, step: &Step) -> Vec<InputName> {
    let named = |names: &mut dyn Iterator<Item = String>| -> Vec<InputName> {
        names
            .map(|name| InputName::new(feature, Some(name)))
            .collect()
    };
    let mut out = match step {
        Step::Number(own) => number(feature, None, own),
        Step::Category(_) => Vec::new(),
        Step::Time(time) => {
            let mut out = number(feature, Some("days".into()), time.elapsed());
            if time.elapsed().line().is_some() {
                out[0].centre /= DAY;
                out[0].scale *= DAY;
            }
            for part in time.part_names() {
                out.extend(named(
                    &mut ["sine", "cosine"]
                        .map(|of| format!("{part} ({of})"))
                        .into_iter(),
                ));
            }
            out
        }
        Step::Text(text) => {
            let mut out = named(&mut text.terms().map(str::to_owned));
            out.extend(number(feature, Some("(length)".into()), text.length()));
            out
        }
        Step::Tags(tags) => {
            let mut out = named(&mut tags.levels.iter().cloned());
            out.extend(number(feature, Some("(count)".into()), &tags.count));
            out
        }
        Step::Json(json) => json
            .paths
            .iter()
            .flat_map(|path| match &path.leaf {
                Leaf::Number(own) => number(feature, Some(path.name()), own),
                Leaf::Category(_) => Vec::new(),
            })
            .collect(),
        Step::TargetMean(_) | Step::Vector(_) | Step::Picture(_) | Step::Hashed(_) => Vec::new(),
    };
    let own = out.len();
    out.extend(
        (own..step.numbers()).map(|i| InputName::new(feature, Some(format!("({})", i + 1)))),
    );
    out
}

impl Recipe {
    /// The numbers, then the levels (from code 1) of each category, as [`Recipe::inputs`] has them.
    pub fn input_names(&self) -> Vec<InputName> {
        let each = || self.columns.iter().zip(&self.steps);
        let name = |position: usize| self.columns.get(position).map_or("", |c| c.name.as_str());
        let mut out: Vec<InputName> = each()
            .flat_map(|(column, step)| numbers(&column.name, step))
            .collect();
        for derived in &self.derived {
            let pair = &derived.pair;
            let made = pair.name(name(pair.left), name(pair.right));
            out.extend(number(&made, None, &derived.number));
        }
        for cross in &self.crosses {
            let made = cross_name(name(cross.left), name(cross.right));
            let means = (0..cross.numbers()).map(|i| Some(format!("({})", i + 1)));
            out.extend(means.map(|level| InputName::new(&made, level)));
        }
        for (made, own) in self.forecasts.iter().flat_map(|f| f.each()) {
            out.extend(number(&made, None, own));
        }
        for (column, step) in each() {
            match step {
                Step::Category(own) => out.extend(levels(&column.name, own, "")),
                Step::Json(json) => json.paths.iter().for_each(|path| {
                    if let Leaf::Category(own) = &path.leaf {
                        out.extend(levels(&column.name, own, &format!("{}: ", path.name())));
                    }
                }),
                _ => {}
            }
        }
        for cross in &self.crosses {
            let made = cross_name(name(cross.left), name(cross.right));
            let pairs = cross.level_names();
            out.extend(
                pairs
                    .into_iter()
                    .map(|pair| InputName::new(&made, Some(pair))),
            );
        }
        out
    }
}
