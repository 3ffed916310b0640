//! What a private synthesizer knows of columns: what is known without a look at rows, and what is asked.
//!
//! The answers become a table of rows that nobody is, whose columns are distributed as they were told to be, each by itself. Everything is
//! learned of that table, in place of the real one, but how columns hang together.

use crate::fit::{FitError, UNTOLD, check_given};
use crate::frame::{Cell, Column as Values, Frame, Kind};
use crate::privacy::noise::Noise;
use crate::privacy::{Asked, Column, Marginals, Privacy};
use crate::random::Random;
use crate::synth::Columns as Declared;
use crate::synth::invent::Invention;
use crate::synth::schema::{
    Encoded, FEW_NUMBERS, Field, How, Level, MOST_LEVELS, TIME_STEPS, list, number, number_field,
};
use std::collections::HashMap;

/// Rows of the table that is told.
const TOLD: usize = 8192;

/// How a column comes about.
enum Part {
    Asked {
        asked: Asked,
        /// All levels, where they are known.
        listed: Vec<String>,
    },
    MadeUp(Invention),
    /// Why it is left out.
    Aside(String),
}

/// The columns of a frame, in its order.
pub(super) struct Columns(Vec<Part>);

/// What was told.
pub(super) struct Told {
    pub(super) fields: Vec<Field>,
    /// Rows as told; columns that are not learned are NULL.
    pub(super) frame: Frame,
    pub(super) table: Encoded,
    /// Columns that are left out, and why.
    pub(super) excluded: Vec<(String, String)>,
}

impl Columns {
    /// # Errors
    /// Bounds or categories of columns that are not there or not of that kind.
    pub(super) fn of(
        frame: &Frame,
        declared: &Declared,
        privacy: &Privacy,
    ) -> Result<Columns, FitError> {
        check_given(frame, None, privacy)?;
        let part = |column| part(column, frame.rows(), declared, privacy);
        Ok(Columns(frame.columns.iter().map(part).collect()))
    }

    /// The columns that are asked about, and what.
    pub(super) fn questions<'a>(&'a self, frame: &'a Frame) -> Vec<Column<'a>> {
        let parts = self.0.iter().zip(&frame.columns);
        let asked = parts.filter_map(|(part, column)| match part {
            Part::Asked { asked, listed } => Some(Column {
                column,
                asked: *asked,
                listed,
            }),
            _ => None,
        });
        asked.collect()
    }

    /// What is known with the answers, which are in the order of the questions and of so many rows.
    pub(super) fn told(
        self,
        frame: &Frame,
        privacy: &Privacy,
        found: Vec<Marginals>,
        rows: usize,
        random: &mut Random,
    ) -> Told {
        let mut answers = found.into_iter();
        let mut told = Told {
            fields: Vec::new(),
            frame: Frame {
                columns: Vec::new(),
            },
            table: Encoded {
                rows: TOLD,
                codes: Vec::new(),
                places: Vec::new(),
            },
            excluded: Vec::new(),
        };
        for (part, column) in self.0.into_iter().zip(&frame.columns) {
            let mut own = Values::new(column.name.as_str(), column.type_name.as_str(), column.kind);
            let (mut codes, mut places) = (Vec::new(), Vec::new());
            let how = match part {
                Part::Asked { .. } => {
                    let marginals = answers.next().unwrap_or_default();
                    if fill(&mut own, &marginals, privacy, rows) {
                        let how;
                        // Numbers of which there are few are a list, as in any table.
                        let most = match marginals.levels.is_empty() {
                            true => FEW_NUMBERS,
                            false => TOLD,
                        };
                        (how, codes, places) = learn(&own, most, random);
                        how
                    } else {
                        told.excluded.push((column.name.clone(), UNTOLD.into()));
                        How::Nothing
                    }
                }
                Part::MadeUp(invention) => How::Invented(invention),
                Part::Aside(why) => {
                    told.excluded.push((column.name.clone(), why));
                    How::Nothing
                }
            };
            (own.len()..TOLD).for_each(|_| own.push(Cell::Null));
            told.fields.push(Field {
                name: column.name.clone(),
                type_name: column.type_name.clone(),
                kind: column.kind,
                // What is made up is never missing.
                nulls: f64::from(u8::from(matches!(how, How::Nothing))),
                how,
            });
            told.frame.columns.push(own);
            told.table.codes.push(codes);
            told.table.places.push(places);
        }
        told
    }
}

fn part(column: &Values, rows: usize, declared: &Declared, privacy: &Privacy) -> Part {
    let name = &column.name;
    let is_foreign = declared.foreign.contains(name);
    let is_uuid = column.type_name == "uuid";
    if !is_foreign && (declared.unique.contains(name) || is_uuid) {
        match column.kind {
            // How many rows there are is known.
            Kind::Number => {
                return Part::MadeUp(Invention::Count {
                    next: rows as f64 + 1.0,
                });
            }
            Kind::Category if is_uuid => return Part::MadeUp(Invention::Uuid),
            Kind::Category => return Part::MadeUp(Invention::code("AAAA9999")),
            _ => {}
        }
    }
    if privacy.unit.as_ref() == Some(name) {
        return Part::Aside("says whose rows they are".into());
    }
    let mut listed = Vec::new();
    let asked = match column.kind {
        Kind::Boolean => {
            listed = vec!["false".into(), "true".into()];
            Asked::Levels
        }
        Kind::Category => {
            listed.extend(privacy.categories.get(name).into_iter().flatten().cloned());
            Asked::Levels
        }
        Kind::Number if is_foreign => Asked::Levels,
        Kind::Number | Kind::Duration => Asked::Numbers,
        Kind::Time => Asked::Times,
        Kind::Vector | Kind::Tags | Kind::Json | Kind::Image => {
            return Part::Aside(format!(
                "type {} is not prepared under differential privacy",
                column.type_name
            ));
        }
    };
    Part::Asked { asked, listed }
}

/// Fills a column with cells distributed as told, of about so many rows; whether anything was told.
fn fill(column: &mut Values, told: &Marginals, privacy: &Privacy, rows: usize) -> bool {
    let count = |share: f64| (share.clamp(0.0, 1.0) * TOLD as f64).round() as usize;
    let missing = count(told.missing / rows.max(1) as f64);
    let known = TOLD - missing;
    // In even steps, so that what is told of the fewest has as many cells as is due to it.
    let at = |i: usize| (i as f64 + 0.5) / known.max(1) as f64;
    let total: f64 = told.levels.iter().map(|(_, count)| count).sum();
    if total > 0.0 {
        let (mut place, mut sum) = (0, told.levels[0].1);
        for i in 0..known {
            while sum < at(i) * total && place + 1 < told.levels.len() {
                place += 1;
                sum += told.levels[place].1;
            }
            let level = told.levels[place].0.as_str();
            column.push(match column.kind {
                Kind::Boolean => Cell::Boolean(level == "true"),
                Kind::Number => level.parse().map_or(Cell::Null, Cell::Number),
                _ => Cell::Text(level),
            });
        }
    } else if !told.values.is_empty() {
        let day = TIME_STEPS[0] as f64;
        for i in 0..known {
            let x = told.values[(at(i) * told.values.len() as f64) as usize];
            let bounds = privacy.bounds.get(&column.name);
            let x = bounds.map_or(x, |(low, high)| x.clamp(*low, *high));
            column.push(match column.kind {
                Kind::Time if column.type_name == "date" => {
                    Cell::Time(((x / day).floor() * day) as i64)
                }
                Kind::Time => Cell::Time(x as i64),
                Kind::Duration => Cell::Duration(x),
                _ => Cell::Number(x),
            });
        }
    } else {
        return false;
    }
    (0..missing).for_each(|_| column.push(Cell::Null));
    true
}

/// What a told column says, as a list of at most so many values if it is one, and its cells as the network sees them.
fn learn(column: &Values, most: usize, random: &mut Random) -> (How, Vec<u16>, Vec<f32>) {
    if let Some(listed) = list(column, most) {
        let code = |c: &u32| (*c as usize).min(MOST_LEVELS) as u16;
        let codes = listed.codes.iter().map(code).collect();
        let how = How::Levels {
            values: listed.values,
            counts: listed.counts,
            rare: MOST_LEVELS,
        };
        return (how, codes, Vec::new());
    }
    let mut how = number_field(column, random);
    if let How::Number { step, .. } = &mut how {
        // By the type: told values do not say.
        *step = match column.type_name.as_str() {
            "integer" | "bigint" | "smallint" => 1.0,
            "date" => TIME_STEPS[0] as f64,
            _ if column.kind == Kind::Time => TIME_STEPS[3] as f64,
            _ => 0.0,
        };
    }
    let value = |row| number(column.cell(row));
    let code = |row| how.encode(value(row), &mut || random.uniform());
    let (codes, places) = (0..column.len()).map(code).unzip();
    (how, codes, places)
}

impl Told {
    /// The rows of a table as the network sees them. A value that was not told of counts as one that was, drawn as often as it occurs. What
    /// is drawn for a row comes from the noise, so that it does not depend on which other rows there are.
    pub(super) fn encode(&self, frame: &Frame, noise: &mut Noise) -> Encoded {
        let mut encoded = Encoded {
            rows: frame.rows(),
            codes: Vec::new(),
            places: Vec::new(),
        };
        for (at, (field, column)) in self.fields.iter().zip(&frame.columns).enumerate() {
            let (mut codes, mut places) = (Vec::new(), Vec::new());
            let levels: HashMap<Vec<u8>, usize> = match &field.how {
                How::Levels { values, .. } => values.iter().map(Level::key).zip(0..).collect(),
                _ => HashMap::new(),
            };
            for row in 0..column.len() {
                let own = match &field.how {
                    How::Levels { rare, .. } => Level::of(column.cell(row))
                        .and_then(|level| levels.get(&level.key()))
                        .map(|code| ((*code).min(*rare) as u16, 0.0)),
                    How::Number { null, .. } => {
                        let x = number(column.cell(row));
                        (x.is_some() || *null).then(|| field.how.encode(x, &mut || noise.uniform()))
                    }
                    _ => break,
                };
                let (code, place) = own.unwrap_or_else(|| {
                    let other = noise.below(self.table.rows);
                    let place = self.table.places[at].get(other).copied();
                    (self.table.codes[at][other], place.unwrap_or_default())
                });
                codes.push(code);
                places.push(place);
            }
            encoded.codes.push(codes);
            encoded.places.push(places);
        }
        encoded
    }
}
