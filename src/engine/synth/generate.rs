//! New rows of a synthesizer.

use super::invent::{Inventor, Made};
use super::layout::{Condition, Layout, usual};
use super::schema::{Field, How, draw};
use super::{Network, Synthesizer, gan};
use crate::fit::FitError;
use crate::frame::{Cell, Column, Frame, Kind};
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
    layout: Layout,
    random: Random,
    usual: Vec<(usize, Vec<f64>)>,
    /// The alternatives that the fields must have: field and what is allowed.
    wanted: Vec<(usize, Vec<bool>)>,
    inventors: Vec<Option<Inventor<'a>>>,
    /// By field: running sums of how often the values are that are one to the network.
    rare: Vec<Vec<f64>>,
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
        let inventors = self.fields.iter().map(|field| match &field.how {
            How::Invented(how) => Some(Inventor::new(how)),
            _ => None,
        });
        let rare = self.fields.iter().map(|field| match &field.how {
            How::Levels { counts, rare, .. } => {
                let mut sum = 0.0;
                let rest = counts.iter().skip(*rare);
                rest.map(|count| {
                    sum += *count as f64;
                    sum
                })
                .collect()
            }
            _ => Vec::new(),
        });
        Ok(Rows {
            rare: rare.collect(),
            owner: self,
            usual: usual(&layout, &self.fields),
            layout,
            random: Random::new(seed ^ 0xa54f_f53a),
            wanted,
            inventors: inventors.collect(),
        })
    }

    /// The field whose alternatives say whether a condition is met, and which are allowed.
    fn wanted(&self, given: &Given<'_>) -> Result<(usize, Vec<bool>), FitError> {
        let name = given.column;
        let Some(at) = self.fields.iter().position(|f| f.name == name) else {
            let known: Vec<&str> = self.fields.iter().map(|f| f.name.as_str()).collect();
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
        let fields = &self.owner.fields;
        let mut columns: Vec<Column> = fields
            .iter()
            .map(|f| Column::new(f.name.as_str(), f.type_name.as_str(), f.kind))
            .collect();
        let mut in_vain = 0;
        let mut made = 0;
        while made < count {
            tick();
            let logits = self.logits(BATCH);
            let mut met = 0;
            for logits in logits.chunks_exact(self.layout.width) {
                if made == count {
                    break;
                }
                let chosen = self.choose(logits);
                if !self.meets(&chosen) {
                    continue;
                }
                met += 1;
                made += 1;
                self.push(&chosen, &mut columns);
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
        if let Some(Some(inventor)) = self.inventors.get_mut(column) {
            inventor.leap();
        }
    }

    fn logits(&mut self, rows: usize) -> Vec<f32> {
        let noise = match &self.owner.network {
            Network::Gan(generator) => generator.noise,
            Network::Tvae(decoder) => decoder.noise,
        };
        let conditions = match &self.owner.network {
            Network::Gan(_) => self.layout.conditions,
            Network::Tvae(_) => 0,
        };
        let stride = noise + conditions;
        let mut input = vec![0.0f32; rows * stride];
        for row in input.chunks_exact_mut(stride) {
            row[..noise]
                .iter_mut()
                .for_each(|x| *x = self.random.normal() as f32);
            if conditions > 0 {
                let condition =
                    condition(&self.layout, &self.usual, &self.wanted, &mut self.random);
                gan::mark(&self.layout, condition, &mut row[noise..]);
            }
        }
        let mut logits = Vec::new();
        match &self.owner.network {
            Network::Gan(generator) => generator.answer(&input, rows, &mut logits),
            Network::Tvae(decoder) => decoder.answer(&input, rows, &mut logits),
        }
        logits
    }

    /// Of each block the alternative, and the place.
    fn choose(&mut self, logits: &[f32]) -> Vec<(usize, f64)> {
        let deviations = match &self.owner.network {
            Network::Gan(_) => None,
            Network::Tvae(decoder) => Some(&decoder.deviations),
        };
        let mut chosen = Vec::with_capacity(self.layout.blocks.len());
        for block in &self.layout.blocks {
            let own = &logits[block.choice.clone()];
            let most = own.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let shares: Vec<f64> = own.iter().map(|l| f64::from(l - most).exp()).collect();
            let mut code = draw(&shares, self.random.uniform());
            let sums = &self.rare[block.field];
            if let (How::Levels { rare, .. }, Some(total)) =
                (&self.owner.fields[block.field].how, sums.last())
                && code == *rare
            {
                let at = self.random.uniform() * total;
                code = *rare + sums.partition_point(|sum| *sum <= at).min(sums.len() - 1);
            }
            let mut place = block.place.map_or(0.0, |at| f64::from(logits[at].tanh()));
            if let (Some(deviations), Some(at)) = (deviations, block.place) {
                place += f64::from(deviations[at]) * self.random.normal();
            }
            chosen.push((code, place.clamp(-1.0, 1.0)));
        }
        chosen
    }

    fn meets(&self, chosen: &[(usize, f64)]) -> bool {
        self.wanted.iter().all(|(field, allowed)| {
            let at = self.layout.blocks.iter().position(|b| b.field == *field);
            at.is_some_and(|at| allowed.get(chosen[at].0).copied().unwrap_or(false))
        })
    }

    fn push(&mut self, chosen: &[(usize, f64)], columns: &mut [Column]) {
        let fields = &self.owner.fields;
        let mut codes = vec![0usize; fields.len()];
        for (block, (code, place)) in self.layout.blocks.iter().zip(chosen) {
            codes[block.field] = *code;
            let (field, column) = (&fields[block.field], &mut columns[block.field]);
            match &field.how {
                How::Levels { values, .. } => {
                    column.push(values.get(*code).map_or(Cell::Null, |v| v.cell(field.kind)));
                }
                how => column.push(
                    how.number_at(*code, *place)
                        .map_or(Cell::Null, |x| number(field, x)),
                ),
            }
        }
        for (at, field) in fields.iter().enumerate() {
            match &field.how {
                How::Follows {
                    field: from,
                    values,
                    by,
                } => {
                    let value = by.get(codes[*from]).and_then(|b| values.get(*b as usize));
                    columns[at].push(value.map_or(Cell::Null, |v| v.cell(field.kind)));
                }
                How::Invented(_) => {
                    let null = field.nulls > 0.0 && self.random.uniform() < field.nulls;
                    match &mut self.inventors[at] {
                        Some(inventor) if !null => match inventor.next(&mut self.random) {
                            Made::Number(x) => columns[at].push(Cell::Number(x)),
                            Made::Text(text) => columns[at].push(Cell::Text(&text)),
                        },
                        _ => columns[at].push(Cell::Null),
                    }
                }
                How::Nothing => columns[at].push(Cell::Null),
                // A list of one value that no block is for.
                How::Levels { .. } | How::Number { .. } => {}
            }
        }
    }
}

fn number(field: &Field, x: f64) -> Cell<'static> {
    match field.kind {
        Kind::Time => Cell::Time(x as i64),
        Kind::Duration => Cell::Duration(x),
        _ => Cell::Number(x),
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
