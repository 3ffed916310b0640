//! New rows of a synthesizer.

use super::emit::Emitter;
use super::family::Parents;
use super::layout::{Condition, Layout, usual};
use super::schema::{How, draw};
use super::{Network, Synthesizer, gan};
use crate::fit::FitError;
use crate::frame::{Cell, Column, Frame};
use crate::random::Random;

/// Rows made at once, however many are asked for: the first rows of a seed are the same.
const BATCH: usize = 256;
/// After so many rows none of which meets the conditions, there are taken to be none.
const HOPELESS: usize = 200_000;

/// A value that a column must have, as JSON has it.
pub struct Given<'a> {
    pub column: &'a str,
    pub value: &'a serde_json::Value,
}

/// Makes rows, as many as are asked for, one batch after the other.
pub struct Rows<'a> {
    owner: &'a Synthesizer,
    random: Random,
    usual: Vec<(usize, Vec<f64>)>,
    /// The alternatives that the fields must have: field and what is allowed.
    wanted: Vec<(usize, Vec<bool>)>,
    emitter: Emitter<'a>,
}

impl Synthesizer {
    /// A source of rows. The same seed and conditions give the same rows.
    ///
    /// # Errors
    /// A condition on an unknown column, on a value that does not occur, or on a column that is no list of values.
    pub fn rows(&self, seed: u64, given: &[Given<'_>]) -> Result<Rows<'_>, FitError> {
        let layout = Layout::of(&self.fields);
        let wanted = given
            .iter()
            .map(|g| self.wanted(g))
            .collect::<Result<_, _>>()?;
        let deviations = match &self.network {
            Network::Gan(_) => None,
            Network::Tvae(decoder) => Some(decoder.deviations.as_slice()),
        };
        Ok(Rows {
            owner: self,
            usual: usual(&layout, &self.fields),
            random: Random::new(seed ^ 0xa54f_f53a),
            wanted,
            emitter: Emitter::new(&self.fields, deviations),
        })
    }

    /// The field whose alternatives say whether a condition is met, and which are allowed.
    fn wanted(&self, given: &Given<'_>) -> Result<(usize, Vec<bool>), FitError> {
        let name = given.column;
        let Some(at) = self.visible().iter().position(|f| f.name == name) else {
            let known: Vec<&str> = self.visible().iter().map(|f| f.name.as_str()).collect();
            return Err(FitError::new(
                "42703",
                format!("column \"{name}\" of \"given\" does not exist"),
            )
            .hint(format!("Known are: {}.", known.join(", "))));
        };
        let text = match given.value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Null => "NULL".into(),
            other => other.to_string(),
        };
        let unknown = |levels: &[super::schema::Level]| {
            let some: Vec<String> = levels
                .iter()
                .take(20)
                .map(super::schema::Level::label)
                .collect();
            FitError::new("22023", format!("column \"{name}\" has no value {text}"))
                .hint(format!("Known are: {}.", some.join(", ")))
        };
        match &self.fields[at].how {
            How::Levels { values, .. } => {
                let allowed: Vec<bool> = values.iter().map(|v| v.is(given.value, &text)).collect();
                if allowed.contains(&true) { Ok((at, allowed)) } else { Err(unknown(values)) }
            }
            How::Follows { field, values, by } => {
                let Some(own) = values.iter().position(|v| v.is(given.value, &text)) else {
                    return Err(unknown(values));
                };
                Ok((*field, by.iter().map(|b| *b as usize == own).collect()))
            }
            _ => Err(FitError::new("22023", format!("column \"{name}\" cannot be given"))
                .detail("Columns with a list of values can: texts that repeat, booleans, numbers with few values.")
                .hint("Generate more rows and choose among them with WHERE.")),
        }
    }
}

impl Rows<'_> {
    /// The next rows; `tick` is called now and then and may end the call by what it raises.
    ///
    /// # Errors
    /// Conditions that are never met together.
    pub fn next(&mut self, count: usize, tick: &mut dyn FnMut()) -> Result<Frame, FitError> {
        let mut frame = self.whole(count, tick)?;
        frame.columns.truncate(self.owner.visible().len());
        Ok(frame)
    }

    /// The same, and how many rows each has in the tables of the children.
    ///
    /// # Errors
    /// Conditions that are never met together.
    pub fn family(&mut self, count: usize, tick: &mut dyn FnMut()) -> Result<Parents, FitError> {
        let mut frame = self.whole(count, tick)?;
        let hidden = frame.columns.split_off(self.owner.visible().len());
        let count = |column: &Column, row| match column.cell(row) {
            Cell::Number(x) => x.clamp(0.0, f64::from(u32::MAX)) as u32,
            _ => 0,
        };
        let of = |column: &Column| (0..column.len()).map(|row| count(column, row)).collect();
        Ok(Parents {
            counts: hidden.iter().map(of).collect(),
            frame,
        })
    }

    /// The same, with the columns that are not shown behind the others.
    fn whole(&mut self, count: usize, tick: &mut dyn FnMut()) -> Result<Frame, FitError> {
        let mut columns = self.emitter.columns();
        let mut in_vain = 0;
        let mut made = 0;
        while made < count {
            tick();
            let logits = self.logits(BATCH);
            let mut met = 0;
            for logits in logits.chunks_exact(self.emitter.layout.width) {
                if made == count {
                    break;
                }
                let chosen = self.emitter.choose(logits, &mut self.random);
                if !self.meets(&chosen) {
                    continue;
                }
                met += 1;
                made += 1;
                self.emitter.push(&chosen, &mut columns, &mut self.random);
            }
            in_vain = if met == 0 { in_vain + BATCH } else { 0 };
            if in_vain >= HOPELESS {
                return Err(FitError::new(
                    "22023",
                    "no generated row meets the conditions of \"given\"",
                )
                .detail(format!(
                    "{made} rows were made before {in_vain} did not meet them."
                ))
                .hint("Give fewer conditions."));
            }
        }
        Ok(Frame { columns })
    }

    /// Leaves out numbers of a column that are made up in order: what has come of late is taken elsewhere.
    pub fn leap(&mut self, column: usize) {
        self.emitter.leap(column);
    }

    fn logits(&mut self, rows: usize) -> Vec<f32> {
        let noise = match &self.owner.network {
            Network::Gan(generator) => generator.noise,
            Network::Tvae(decoder) => decoder.noise,
        };
        let conditions = match &self.owner.network {
            Network::Gan(_) => self.emitter.layout.conditions,
            Network::Tvae(_) => 0,
        };
        let layout = &self.emitter.layout;
        let stride = noise + conditions;
        let mut input = vec![0.0f32; rows * stride];
        for row in input.chunks_exact_mut(stride) {
            row[..noise]
                .iter_mut()
                .for_each(|x| *x = self.random.normal() as f32);
            if conditions > 0 {
                let condition = condition(layout, &self.usual, &self.wanted, &mut self.random);
                gan::mark(layout, condition, &mut row[noise..]);
            }
        }
        let mut logits = Vec::new();
        match &self.owner.network {
            Network::Gan(generator) => generator.answer(&input, rows, &mut logits),
            Network::Tvae(decoder) => decoder.answer(&input, rows, &mut logits),
        }
        logits
    }

    fn meets(&self, chosen: &[(usize, f64)]) -> bool {
        self.wanted.iter().all(|(field, allowed)| {
            let at = self
                .emitter
                .layout
                .blocks
                .iter()
                .position(|b| b.field == *field);
            at.is_some_and(|at| allowed.get(chosen[at].0).copied().unwrap_or(false))
        })
    }
}

/// What is asked of the generator: one of the conditions that are given, else one as often as it occurs.
fn condition(
    layout: &Layout,
    usual: &[(usize, Vec<f64>)],
    wanted: &[(usize, Vec<bool>)],
    random: &mut Random,
) -> Option<Condition> {
    if !wanted.is_empty() {
        let (field, allowed) = &wanted[random.below(wanted.len())];
        let at = usual
            .iter()
            .position(|(block, _)| layout.blocks[*block].field == *field)?;
        let (block, shares) = &usual[at];
        let last = shares.len() - 1;
        let mut own = vec![0.0; shares.len()];
        for (code, _) in allowed.iter().enumerate().filter(|(_, a)| **a) {
            own[code.min(last)] = shares[code.min(last)];
        }
        return Some(Condition {
            block: *block,
            code: draw(&own, random.uniform()),
        });
    }
    let (block, shares) = match usual.len() {
        0 => return None,
        n => &usual[random.below(n)],
    };
    Some(Condition {
        block: *block,
        code: draw(shares, random.uniform()),
    })
}
