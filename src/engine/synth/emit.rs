//! From what a network says of rows to their cells.

use super::invent::{Inventor, Made};
use super::layout::Layout;
use super::schema::{Field, How, draw};
use crate::frame::{Cell, Column, Kind};
use crate::random::Random;

/// Draws rows of logits; remembers what it made up.
pub(super) struct Emitter<'a> {
    fields: &'a [Field],
    pub(super) layout: Layout,
    /// Of the places, where the network gives them.
    deviations: Option<&'a [f32]>,
    inventors: Vec<Option<Inventor<'a>>>,
    /// By field: running sums of how often the values are that are one to the network.
    rare: Vec<Vec<f64>>,
}

impl<'a> Emitter<'a> {
    pub(super) fn new(fields: &'a [Field], deviations: Option<&'a [f32]>) -> Emitter<'a> {
        let inventors = fields.iter().map(|field| match &field.how {
            How::Invented(how) => Some(Inventor::new(how)),
            _ => None,
        });
        let rare = fields.iter().map(|field| match &field.how {
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
        Emitter {
            layout: Layout::of(fields),
            fields,
            deviations,
            inventors: inventors.collect(),
            rare: rare.collect(),
        }
    }

    /// Empty columns, one of each field.
    pub(super) fn columns(&self) -> Vec<Column> {
        self.fields
            .iter()
            .map(|f| Column::new(f.name.as_str(), f.type_name.as_str(), f.kind))
            .collect()
    }

    /// Leaves out numbers of a field that are made up in order.
    pub(super) fn leap(&mut self, field: usize) {
        if let Some(Some(inventor)) = self.inventors.get_mut(field) {
            inventor.leap();
        }
    }

    /// Of each block the alternative, and the place.
    pub(super) fn choose(&self, logits: &[f32], random: &mut Random) -> Vec<(usize, f64)> {
        let mut chosen = Vec::with_capacity(self.layout.blocks.len());
        for block in &self.layout.blocks {
            let own = &logits[block.choice.clone()];
            let most = own.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let shares: Vec<f64> = own.iter().map(|l| f64::from(l - most).exp()).collect();
            let mut code = draw(&shares, random.uniform());
            let sums = &self.rare[block.field];
            if let (How::Levels { rare, .. }, Some(total)) =
                (&self.fields[block.field].how, sums.last())
                && code == *rare
            {
                let at = random.uniform() * total;
                code = *rare + sums.partition_point(|sum| *sum <= at).min(sums.len() - 1);
            }
            let mut place = block.place.map_or(0.0, |at| f64::from(logits[at].tanh()));
            if let (Some(deviations), Some(at)) = (self.deviations, block.place) {
                place += f64::from(deviations[at]) * random.normal();
            }
            chosen.push((code, place.clamp(-1.0, 1.0)));
        }
        chosen
    }

    /// Adds a row to columns that are those of [`Emitter::columns`].
    pub(super) fn push(
        &mut self,
        chosen: &[(usize, f64)],
        columns: &mut [Column],
        random: &mut Random,
    ) {
        let fields = self.fields;
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
                    let null = field.nulls > 0.0 && random.uniform() < field.nulls;
                    match &mut self.inventors[at] {
                        Some(inventor) if !null => match inventor.next(random) {
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
