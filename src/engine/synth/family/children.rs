//! New rows of a child's table, for parents that were made.

use super::running::{Part, cell};
use super::signals::{Signals, Told};
use super::{ChildModel, PLACES, write_place};
use crate::frame::{Cell, Column, Frame, Kind};
use crate::random::Random;
use crate::synth::Synthesizer;
use crate::synth::emit::Emitter;
use crate::synth::schema::{How, Level, number};

/// Parents that were made: their rows, and by table and parent how many children each has.
#[derive(Debug, Clone, Default)]
pub struct Parents {
    pub frame: Frame,
    pub counts: Vec<Vec<u32>>,
}

/// After so many draws that are refused a parent gets no more rows.
const MOST_DRAWS: u32 = 300;

/// Makes the children of parents, the first of all of them, then the second, and so on.
pub struct Children<'a> {
    model: &'a ChildModel,
    parents: Frame,
    told_by_parents: Signals<'a>,
    own: Signals<'a>,
    emitter: Emitter<'a>,
    random: Random,
    /// Parents that have not all their rows yet.
    waiting: Vec<Waiting>,
    /// Of each of them the row that was drawn last.
    drawn: Drawn,
}

/// A parent that waits for its next row.
struct Waiting {
    row: usize,
    at: u32,
    of: u32,
    /// Draws of its next row so far.
    refused: u32,
    /// What the network knows of the next row.
    context: Vec<f32>,
    /// By running column: where it goes on from.
    bases: Vec<f64>,
}

#[derive(Default)]
struct Drawn {
    told: Vec<Told>,
    /// By row and running column.
    running: Vec<f64>,
}

impl Synthesizer {
    /// The tables whose rows belong to those that are made.
    pub fn children(&self) -> impl Iterator<Item = &super::ChildTable> {
        self.children.iter().map(|c| &c.table)
    }

    /// A source of rows of one of these tables, by its place; the same seed and parents give the same rows.
    pub fn children_of(&self, table: usize, seed: u64) -> Option<Children<'_>> {
        let model = self.children.get(table)?;
        Some(Children {
            parents: Frame::default(),
            told_by_parents: Signals::of(self.visible()),
            own: Signals::of(&model.fields),
            emitter: Emitter::new(&model.fields, Some(&model.decoder.deviations)),
            random: Random::new(seed ^ 0x1f83_d9ab ^ ((table as u64) << 32)),
            waiting: Vec::new(),
            drawn: Drawn::default(),
            model,
        })
    }
}

impl Children<'_> {
    /// The columns of the rows that are made, in order; the last refers to the parent.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let own = self.model.columns.iter().map(|c| c.name.as_str());
        own.chain([self.model.table.key.as_str()])
    }

    /// How many rows a parent has, on average.
    pub fn rows_per_parent(&self, parents: u64) -> f64 {
        self.model.rows as f64 / parents.max(1) as f64
    }

    /// Columns of which each value that is made is remembered, so that none comes twice.
    pub fn remembered(&self) -> usize {
        let fields = self.model.fields.iter();
        fields
            .filter(|f| matches!(&f.how, How::Invented(how) if how.remembers()))
            .count()
    }

    /// Goes on with the children of other parents: of each row so many.
    pub fn start(&mut self, parents: Frame, counts: impl Iterator<Item = u32>) {
        self.parents = parents;
        self.waiting.clear();
        let width = self.model.decoder.context;
        let mut told = Vec::new();
        for (row, of) in counts.enumerate().filter(|(_, of)| *of > 0) {
            let mut context = vec![0.0; width];
            told.clear();
            self.told_by_parents
                .read(&self.parents.columns, row, &mut told);
            self.told_by_parents
                .write(&told, &mut context[..self.told_by_parents.width]);
            let running = self.model.columns.iter().filter_map(|c| match &c.part {
                Part::Running { anchor, .. } => Some((c, anchor)),
                _ => None,
            });
            let mut bases = Vec::new();
            let place = width - PLACES;
            let start = self.told_by_parents.width + self.own.width;
            for ((column, anchor), slot) in running.zip(&mut context[start..place]) {
                let from = anchor.and_then(|at| number(self.parents.columns[at].cell(row)));
                *slot = from.map_or(0.0, |x| column.scaled(x));
                bases.push(from.unwrap_or(0.0));
            }
            write_place(0, of, &mut context[place..]);
            self.waiting.push(Waiting {
                row,
                at: 0,
                of,
                refused: 0,
                context,
                bases,
            });
        }
    }

    /// A row for each parent that waits for its next one; `None` where all have theirs.
    pub fn next(&mut self) -> Option<Frame> {
        let rows = self.waiting.len();
        if rows == 0 {
            return None;
        }
        let mut logits = self.logits();
        let width = self.emitter.layout.width;
        self.drawn = Drawn::default();
        let mut fields = self.emitter.columns();
        let mut out: Vec<Column> = self
            .model
            .columns
            .iter()
            .map(|c| Column::new(c.name.as_str(), c.type_name.as_str(), c.kind))
            .collect();
        let parent = self.model.parent;
        let parent_key = &self.parents.columns[parent];
        let mut keys = Column::new(
            self.model.table.key.as_str(),
            parent_key.type_name.as_str(),
            parent_key.kind,
        );
        for (place, logits) in logits.chunks_exact_mut(width).enumerate() {
            forbid(
                self.model,
                &self.emitter,
                self.waiting[place].at == 0,
                logits,
            );
            let chosen = self.emitter.choose(logits, &mut self.random);
            self.emitter.push(&chosen, &mut fields, &mut self.random);
            self.own.read(&fields, place, &mut self.drawn.told);
            self.assemble(place, &fields, &mut out);
            keys.push(self.parents.columns[parent].cell(self.waiting[place].row));
        }
        out.push(keys);
        Some(Frame { columns: out })
    }

    /// The parents' rows, and which of them each row that was made last belongs to.
    pub(super) fn parents(&self) -> &Frame {
        &self.parents
    }

    pub(super) fn owners(&self) -> Vec<u32> {
        self.waiting.iter().map(|w| w.row as u32).collect()
    }

    fn logits(&mut self) -> Vec<f32> {
        let decoder = &self.model.decoder;
        let stride = decoder.noise + decoder.context;
        let mut input = vec![0.0f32; self.waiting.len() * stride];
        for (row, waiting) in input.chunks_exact_mut(stride).zip(&self.waiting) {
            let (noise, context) = row.split_at_mut(decoder.noise);
            noise
                .iter_mut()
                .for_each(|x| *x = self.random.normal() as f32);
            context.copy_from_slice(&waiting.context);
        }
        let mut logits = Vec::new();
        decoder.answer(&input, self.waiting.len(), &mut logits);
        logits
    }

    /// The columns of a row from its fields.
    fn assemble(&mut self, place: usize, fields: &[Column], out: &mut [Column]) {
        let waiting = &self.waiting[place];
        let mut bases = waiting.bases.iter();
        // What follows a column that runs is told of that one's value.
        let mut values = vec![0.0; out.len()];
        for (at, column) in self.model.columns.iter().enumerate() {
            let Part::Running { first, gap, .. } = &column.part else {
                continue;
            };
            let field = if waiting.at == 0 { *first } else { *gap };
            let own = number(fields[field].cell(place)).unwrap_or(0.0);
            let base = bases.next().copied().unwrap_or(0.0);
            values[at] = column.go_on(base, own, &mut self.random);
            self.drawn.running.push(values[at]);
        }
        for (at, column) in self.model.columns.iter().enumerate() {
            match &column.part {
                Part::Own { field } => out[at].push(fields[*field].cell(place)),
                Part::Running { .. } => out[at].push(cell(column.kind, values[at])),
                Part::After {
                    field,
                    column: from,
                } => {
                    let gap = number(fields[*field].cell(place));
                    out[at].push(gap.map_or(Cell::Null, |x| cell(Kind::Time, values[*from] + x)));
                }
            }
        }
    }

    /// Leaves out numbers of a column that are made up in order: what has come of late is taken elsewhere.
    pub fn leap(&mut self, column: usize) {
        if let Some(Part::Own { field }) = self.model.columns.get(column).map(|c| &c.part) {
            self.emitter.leap(*field);
        }
    }

    /// Takes the rows that were made last, where `accepted` says so; the others are made again. Answers which of them were refused
    /// too often: their parents get no more, and so many rows of them are missing.
    pub fn take(&mut self, accepted: &[bool]) -> Vec<(usize, u32)> {
        let mut given_up = Vec::new();
        let (from, running) = (self.told_by_parents.width, self.model.columns.iter());
        let running: Vec<_> = running.filter(|c| c.part.is_running()).collect();
        let (own, signals, count) = (self.own.width, self.own.len(), running.len());
        for (place, waiting) in self.waiting.iter_mut().enumerate() {
            if !accepted.get(place).copied().unwrap_or(false) {
                waiting.refused += 1;
                if waiting.refused == MOST_DRAWS {
                    given_up.push((place, waiting.of - waiting.at));
                    waiting.of = waiting.at;
                }
                continue;
            }
            (waiting.at, waiting.refused) = (waiting.at + 1, 0);
            let context = &mut waiting.context[from..];
            context[..own].fill(0.0);
            self.own
                .write(&self.drawn.told[place * signals..][..signals], context);
            let values = &self.drawn.running[place * count..][..count];
            for ((column, x), slot) in running.iter().zip(values).zip(&mut context[own..]) {
                *slot = column.scaled(*x);
            }
            waiting.bases.copy_from_slice(values);
            write_place(waiting.at, waiting.of, &mut context[own + count..]);
        }
        self.waiting.retain(|w| w.at < w.of);
        given_up
    }
}

/// A first row has no gap to the one before, and the others are not the first.
fn forbid(model: &ChildModel, emitter: &Emitter<'_>, is_first: bool, logits: &mut [f32]) {
    for column in &model.columns {
        let Part::Running { first, gap, .. } = &column.part else {
            continue;
        };
        for (field, is_null) in [(*first, !is_first), (*gap, is_first)] {
            let Some(block) = emitter.layout.blocks.iter().find(|b| b.field == field) else {
                continue;
            };
            let own = &mut logits[block.choice.clone()];
            let null = match &model.fields[field].how {
                How::Levels { values, .. } => values.iter().position(|v| *v == Level::Null(())),
                How::Number { null: true, .. } => Some(own.len() - 1),
                _ => None,
            };
            let Some(null) = null.filter(|_| own.len() > 1) else {
                continue;
            };
            for (at, logit) in own.iter_mut().enumerate() {
                if (at == null) != is_null {
                    *logit = f32::NEG_INFINITY;
                }
            }
        }
    }
}
