//! What is known of a row, as numbers that a network reads.

use crate::frame::{Cell, Column};
use crate::synth::mixture::Mode;
use crate::synth::schema::{Field, How, Level, number};
use std::collections::HashMap;

/// Of a list of more values the rarer ones are one.
const MOST_LEVELS: usize = 50;

/// How the columns of a table are told: lists one by one, numbers by the share of rows below them.
pub(super) struct Signals<'a> {
    signals: Vec<Signal<'a>>,
    pub(super) width: usize,
}

struct Signal<'a> {
    column: usize,
    start: usize,
    reading: Reading<'a>,
}

enum Reading<'a> {
    List(HashMap<Vec<u8>, u16>),
    Number {
        modes: &'a [Mode],
        spikes: &'a [f64],
    },
}

/// What is told of a row's column: which alternative, and the share of rows below it, from -1 to 1.
pub(super) type Told = (u16, f32);

impl<'a> Signals<'a> {
    pub(super) fn of(fields: &'a [Field]) -> Signals<'a> {
        let mut signals = Vec::new();
        let mut start = 0;
        for (column, field) in fields.iter().enumerate() {
            let (reading, width) = match &field.how {
                // A constant tells nothing.
                How::Levels { values, .. } if values.len() > 1 => {
                    let most = values.len().min(MOST_LEVELS);
                    let own = values[..most].iter().zip(0u16..);
                    let places = own.map(|(value, at)| (value.key(), at)).collect();
                    (Reading::List(places), most + 1)
                }
                How::Number { modes, spikes, .. } => {
                    (Reading::Number { modes, spikes }, 2 + spikes.len())
                }
                _ => continue,
            };
            signals.push(Signal {
                column,
                start,
                reading,
            });
            start += width;
        }
        Signals {
            signals,
            width: start,
        }
    }

    /// How many columns are told.
    pub(super) fn len(&self) -> usize {
        self.signals.len()
    }

    /// Appends what is told of a row of columns that are those of the fields.
    pub(super) fn read(&self, columns: &[Column], row: usize, out: &mut Vec<Told>) {
        let of = |signal: &Signal<'_>| {
            let cell = columns
                .get(signal.column)
                .map_or(Cell::Null, |c| c.cell(row));
            match &signal.reading {
                Reading::List(places) => {
                    let key = Level::of(cell).map(|level| level.key());
                    let rest = places.len() as u16;
                    (
                        key.and_then(|k| places.get(&k).copied()).unwrap_or(rest),
                        0.0,
                    )
                }
                Reading::Number { modes, spikes } => match number(cell) {
                    None => (1, 0.0),
                    Some(x) => {
                        let spike = spikes.iter().position(|s| *s == x);
                        (spike.map_or(0, |at| at as u16 + 2), share_below(modes, x))
                    }
                },
            }
        };
        out.extend(self.signals.iter().map(of));
    }

    /// The same of all rows, one after the other.
    pub(super) fn read_all(&self, columns: &[Column]) -> Vec<Told> {
        let rows = columns.first().map_or(0, Column::len);
        let mut out = Vec::with_capacity(rows * self.len());
        (0..rows).for_each(|row| self.read(columns, row, &mut out));
        out
    }

    /// Writes what was read into `out`, which is zero.
    pub(super) fn write(&self, told: &[Told], out: &mut [f32]) {
        for (signal, (code, value)) in self.signals.iter().zip(told) {
            let code = usize::from(*code);
            match signal.reading {
                Reading::List(_) => out[signal.start + code] = 1.0,
                Reading::Number { .. } => {
                    out[signal.start] = *value;
                    if code > 0 {
                        out[signal.start + code] = 1.0;
                    }
                }
            }
        }
    }
}

/// About the share of the mixture below `x`, as a number from -1 to 1; the normal's distribution function is taken for a logistic
/// one, for it needs only rise as that does.
fn share_below(modes: &[Mode], x: f64) -> f32 {
    const SLOPE: f64 = 1.702;
    let below = |m: &Mode| m.weight / (1.0 + (-SLOPE * (x - m.mean) / m.deviation).exp());
    let share: f64 = modes.iter().map(below).sum();
    if modes.is_empty() {
        0.0
    } else {
        (2.0 * share - 1.0) as f32
    }
}
