//! Rows without people: rules by column, and classes of rows that are alike in all that others may know.

mod classes;
mod generalize;
pub mod labels;
mod mondrian;
mod rule;
mod value;

use super::asked::{by_column, error, names, object};
use super::noise::Noise;
use super::pseudonym::Pseudonyms;
use super::sensitive::{Diversity, Scratch, Sensitive};
use crate::frame::{Column, Frame};
use crate::params::ParamError;
use classes::{Distinct, common, lost};
pub use generalize::Generalize;
use mondrian::{Demand, Dimension, cut};
pub use rule::{METHODS, Reading, Rule, Shape};
use serde_json::Value as Json;
use std::collections::BTreeMap;
pub use value::{Form, Target, Value};

/// Fractions of the scale that noise is made of.
const GRAIN: f64 = 1024.0;
const DAY: f64 = 86_400_000_000.0;

/// What is wanted. Only [`AnonymizeParams::from_json`] makes one, so all of them are checked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AnonymizeParams {
    columns: BTreeMap<String, Rule>,
    quasi_identifiers: Vec<String>,
    sensitive: Vec<String>,
    k: usize,
    l: Option<(Diversity, f64)>,
    t: Option<f64>,
    key_version: Option<u32>,
}

impl AnonymizeParams {
    /// | key | default | what |
    /// |---|---|---|
    /// | columns | none | a rule by column: see [`Rule::from_json`] |
    /// | k | none | rows that are alike in the quasi-identifiers, at least: 2 to 1,000,000 |
    /// | quasi_identifiers | none | what others may know; goes with k |
    /// | sensitive | none | what they must not find out; goes with l or t |
    /// | l | none | values of each sensitive column in every class, at least: 1 to 1000 |
    /// | l_diversity | distinct | distinct or entropy: how they are counted |
    /// | t | none | distance of each class from the table, at most: 0 to 1 |
    /// | key_version | the newest | version of the key that pseudonyms are made with |
    ///
    /// # Errors
    /// An unknown key, a rule that cannot be read, keys that need others.
    pub fn from_json(rules: &Json) -> Result<AnonymizeParams, ParamError> {
        const KEYS: [&str; 8] = [
            "columns",
            "k",
            "key_version",
            "l",
            "l_diversity",
            "quasi_identifiers",
            "sensitive",
            "t",
        ];
        let reader = object(rules, "", &KEYS).map_err(|mut e| {
            e.hint += " Rules of columns stand in \"columns\": {\"columns\": {\"email\": \"pseudonym\"}, \"k\": 5}.";
            e
        })?;
        let mut columns = BTreeMap::new();
        for (column, rule) in by_column(&reader, "columns", "{\"email\": \"pseudonym\"}")?
            .into_iter()
            .flatten()
        {
            columns.insert(column.clone(), Rule::from_json(column, rule)?);
        }
        let how = [
            ("distinct", Diversity::Distinct),
            ("entropy", Diversity::Entropy),
        ];
        let how = reader.choice("l_diversity", &how)?;
        let l = reader.number("l", 1.0, 1000.0)?;
        let k = reader.integer("k", 2, 1_000_000)?;
        let params = AnonymizeParams {
            columns,
            quasi_identifiers: names(&reader, "quasi_identifiers")?,
            sensitive: names(&reader, "sensitive")?,
            k: k.unwrap_or(1) as usize,
            l: l.map(|l| (how.unwrap_or_default(), l)),
            t: reader.number("t", 0.0, 1.0)?,
            key_version: reader
                .integer("key_version", 1, u32::MAX.into())?
                .map(|version| version as u32),
        };
        params.complete(k.is_some(), how.is_some())?;
        Ok(params)
    }

    fn complete(&self, has_k: bool, has_how: bool) -> Result<(), ParamError> {
        let missing = |option: &str, what: &str| {
            Err(error(
                option,
                format!("option \"{option}\" needs {what}"),
                "For example {\"k\": 5, \"quasi_identifiers\": [\"age\", \"zip\"], \"l\": 2, \"sensitive\": [\"illness\"]}.",
            ))
        };
        let bounded = self.l.is_some() || self.t.is_some();
        if has_k && self.quasi_identifiers.is_empty() {
            return missing("k", "quasi_identifiers");
        }
        if !self.quasi_identifiers.is_empty() && !has_k {
            return missing("quasi_identifiers", "k");
        }
        if bounded && (self.sensitive.is_empty() || !has_k) {
            let option = if self.l.is_some() { "l" } else { "t" };
            return missing(option, "sensitive, quasi_identifiers and k");
        }
        if has_how && self.l.is_none() {
            return missing("l_diversity", "l");
        }
        if !self.sensitive.is_empty() && !bounded {
            return missing("sensitive", "l or t");
        }
        if let Some(both) = self
            .sensitive
            .iter()
            .find(|name| self.quasi_identifiers.contains(name))
        {
            return Err(error(
                "sensitive",
                format!("column \"{both}\" cannot be both a quasi-identifier and sensitive"),
                "A quasi-identifier is what others may know already.",
            ));
        }
        let refused = self.quasi_identifiers.iter().find(|name| {
            let rule = self.columns.get(*name);
            rule.is_some_and(|rule| !matches!(rule, Rule::Generalize(_) | Rule::TopCode { .. }))
        });
        match refused {
            None => Ok(()),
            Some(name) => Err(error(
                name,
                format!("the quasi-identifier \"{name}\" can only be generalized or top coded"),
                "k-anonymity generalizes it as far as is needed; leave its rule out, or leave it out of the quasi-identifiers.",
            )),
        }
    }

    pub fn rule(&self, column: &str) -> Option<&Rule> {
        self.columns.get(column)
    }

    pub fn quasi_identifiers(&self) -> &[String] {
        &self.quasi_identifiers
    }

    pub fn sensitive(&self) -> &[String] {
        &self.sensitive
    }

    /// Every column that is named, for the caller to look up.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        let lists = self.quasi_identifiers.iter().chain(&self.sensitive);
        self.columns.keys().chain(lists).map(String::as_str)
    }

    pub fn key_version(&self) -> Option<u32> {
        self.key_version
    }

    pub fn needs_key(&self) -> bool {
        self.columns
            .values()
            .any(|rule| matches!(rule, Rule::Pseudonym { .. }))
    }
}

/// The new values of a column.
pub struct Output {
    /// Each different value once; `None` for NULL.
    pub values: Vec<Option<Value>>,
    /// The value each row has.
    pub picks: Vec<u32>,
}

/// What k-anonymity came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub classes: usize,
    pub smallest: usize,
    pub largest: usize,
    pub average: f64,
    /// Of what the quasi-identifiers tell, the share that is given up (normalised certainty penalty).
    pub lost: f64,
}

/// Why rows cannot be made anonymous.
#[derive(Debug, thiserror::Error)]
pub enum AnonymizeError {
    /// There are not so many rows.
    #[error("{rows} rows are fewer than k, {k}")]
    TooFew { rows: usize, k: usize },
    /// All rows together are not that diverse.
    #[error(
        "l of {l} cannot be reached: all rows together have a diversity of {most:.2} in \"{column}\""
    )]
    NotDiverse { column: String, l: f64, most: f64 },
    #[error(transparent)]
    Noise(#[from] super::noise::NoiseError),
}

/// A column of the frame that is given out anew.
pub struct Wanted<'a> {
    pub column: &'a Column,
    pub target: Target,
    pub pseudonyms: Option<&'a Pseudonyms>,
}

impl AnonymizeParams {
    /// The quasi-identifiers of a frame, generalized until every class meets the demand, in their order.
    ///
    /// # Errors
    /// Fewer rows than k, less diversity in all rows than l.
    pub fn classes(
        &self,
        quasi: &[&Column],
        sensitive: &Frame,
        look: &mut dyn FnMut(),
    ) -> Result<(Vec<Output>, Report), AnonymizeError> {
        let rows = quasi.first().map_or(0, |column| column.len());
        if rows < self.k {
            return Err(AnonymizeError::TooFew { rows, k: self.k });
        }
        let mut distinct = Vec::with_capacity(quasi.len());
        for column in quasi {
            look();
            distinct.push(Distinct::of(column, self.rule(&column.name)));
        }
        let dimensions: Vec<Dimension> = distinct.iter().map(Distinct::dimension).collect();
        let sensitive: Vec<Sensitive> = sensitive.columns.iter().map(Sensitive::of).collect();
        let mut scratch = Scratch::default();
        if let Some((how, least)) = self.l {
            let all: Vec<u32> = (0..rows as u32).collect();
            for own in &sensitive {
                let most = own.diversity(&all, how, &mut scratch);
                if most < least {
                    return Err(AnonymizeError::NotDiverse {
                        column: own.name.clone(),
                        l: least,
                        most,
                    });
                }
            }
        }
        let demand = Demand {
            k: self.k,
            sensitive: &sensitive,
            l: self.l,
            t: self.t,
        };
        let found = cut(&dimensions, rows, &demand, look);
        let empty = || Output {
            values: Vec::new(),
            picks: vec![0; rows],
        };
        let mut outputs: Vec<Output> = distinct.iter().map(|_| empty()).collect();
        let mut codes = Vec::new();
        let mut penalty = 0.0;
        for (number, class) in found.iter().enumerate() {
            if number.is_multiple_of(1024) {
                look();
            }
            for (at, output) in outputs.iter_mut().enumerate() {
                let rule = self.rule(&quasi[at].name);
                output
                    .values
                    .push(common(&distinct[at], class, rule, &mut codes));
                class
                    .iter()
                    .for_each(|row| output.picks[*row as usize] = number as u32);
                penalty += lost(&dimensions[at], class) * class.len() as f64;
            }
        }
        let sizes = || found.iter().map(<[u32]>::len);
        let report = Report {
            classes: found.ends.len(),
            smallest: sizes().min().unwrap_or(0),
            largest: sizes().max().unwrap_or(0),
            average: rows as f64 / found.ends.len().max(1) as f64,
            lost: penalty / (rows * quasi.len()).max(1) as f64,
        };
        Ok((outputs, report))
    }
}

impl Rule {
    /// The new values of a column under the rule. Shuffling and noise come of the operating system's randomness.
    ///
    /// # Errors
    /// No randomness can be had.
    pub fn outputs(
        &self,
        wanted: &Wanted<'_>,
        noise: &mut Noise,
        look: &mut dyn FnMut(),
    ) -> Result<Output, AnonymizeError> {
        look();
        let column = wanted.column;
        match self {
            Rule::Suppress { with } => Ok(Output {
                values: vec![with.clone().map(Value::Text)],
                picks: vec![0; column.len()],
            }),
            Rule::Noise { scale, shape } => noisy(column, *scale, *shape, noise, look),
            Rule::Shuffle => {
                let Distinct {
                    values,
                    codes: mut picks,
                } = Distinct::of(column, None);
                for at in (1..picks.len()).rev() {
                    picks.swap(at, noise.below(at + 1));
                }
                Ok(Output { values, picks })
            }
            Rule::Pseudonym { domain, length } => {
                let Distinct { mut values, codes } = Distinct::of(column, None);
                for (number, value) in values.iter_mut().enumerate() {
                    if number.is_multiple_of(4096) {
                        look();
                    }
                    if let (Some(Value::Text(text)), Some(pseudonyms)) = (&value, wanted.pseudonyms)
                    {
                        let own = pseudonyms.of(domain, text);
                        *value = Some(Value::Text(match wanted.target {
                            Target::Long => own.number().to_string(),
                            Target::Uuid => own.uuid(),
                            _ => own.hex(*length),
                        }));
                    } else {
                        // Without a key nothing is given out.
                        *value = None;
                    }
                }
                Ok(Output {
                    values,
                    picks: codes,
                })
            }
            rule => {
                let Distinct { values, codes } = Distinct::of(column, Some(rule));
                Ok(Output {
                    values,
                    picks: codes,
                })
            }
        }
    }
}

fn noisy(
    column: &Column,
    scale: f64,
    shape: Shape,
    noise: &mut Noise,
    look: &mut dyn FnMut(),
) -> Result<Output, AnonymizeError> {
    use crate::frame::Cell;
    let mut values = Vec::with_capacity(column.len());
    for row in 0..column.len() {
        if row.is_multiple_of(4096) {
            look();
        }
        let mut drawn = || -> Result<f64, AnonymizeError> {
            Ok(scale
                * match shape {
                    Shape::Normal => noise.gaussian(),
                    Shape::Laplace => noise.discrete_laplace(GRAIN)? as f64 / GRAIN,
                    Shape::Uniform => noise.below(1 << 53) as f64 / (1u64 << 52) as f64 - 1.0,
                })
        };
        values.push(match column.cell(row) {
            Cell::Number(x) => Some(Value::Number(x + drawn()?)),
            Cell::Time(at) => Some(Value::Time(at.saturating_add((drawn()? * DAY) as i64))),
            _ => None,
        });
    }
    let picks = (0..column.len() as u32).collect();
    Ok(Output { values, picks })
}

#[cfg(test)]
mod tests;
