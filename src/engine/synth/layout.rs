//! Where each column lies in a row of numbers, and how rows are drawn to train on.

use super::schema::{Encoded, Field, How, draw};
use crate::random::Random;
use std::ops::Range;

/// What the network says of one field.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) field: usize,
    /// Where its place near the mode lies, from -1 to 1.
    pub(super) place: Option<usize>,
    /// Where its alternatives lie.
    pub(super) choice: Range<usize>,
    /// Where they lie among the conditions, if it can be one.
    pub(super) condition: Option<Range<usize>>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Layout {
    pub(super) blocks: Vec<Block>,
    pub(super) width: usize,
    pub(super) conditions: usize,
}

impl Layout {
    pub(super) fn of(fields: &[Field]) -> Layout {
        let mut layout = Layout::default();
        for (field, own) in fields.iter().enumerate() {
            let width = own.width();
            if width == 0 {
                continue;
            }
            let place = own.has_place().then_some(layout.width);
            layout.width += usize::from(place.is_some());
            let choice = layout.width..layout.width + width;
            layout.width += width;
            // A constant is no condition.
            let condition = (own.is_discrete() && width > 1)
                .then(|| layout.conditions..layout.conditions + width);
            layout.conditions += condition.as_ref().map_or(0, Range::len);
            layout.blocks.push(Block {
                field,
                place,
                choice,
                condition,
            });
        }
        layout
    }

    /// Writes a row of the table into `out`, which is zero.
    pub(super) fn write(&self, table: &Encoded, row: usize, out: &mut [f32]) {
        for block in &self.blocks {
            if let (Some(at), Some(place)) = (block.place, table.places[block.field].get(row)) {
                out[at] = *place;
            }
            out[block.choice.start + table.codes[block.field][row] as usize] = 1.0;
        }
    }
}

/// What to add to the logits of each column so that alternatives come as often as in the table: how columns hang together is
/// learned better than how often rare values come. `logits` are those of many rows.
pub(super) fn corrections(layout: &Layout, table: &Encoded, logits: &[f32]) -> Vec<f32> {
    const ROUNDS: usize = 100;
    const CLOSE: f64 = 0.005;
    let mut out = vec![0.0f32; layout.width];
    for block in &layout.blocks {
        let range = block.choice.clone();
        let mut real = vec![0.5f64; range.len()];
        table.codes[block.field]
            .iter()
            .for_each(|code| real[*code as usize] += 1.0);
        let total: f64 = real.iter().sum();
        let own = &mut out[range.clone()];
        for _ in 0..ROUNDS {
            let mut made = vec![1e-6f64; range.len()];
            let mut shares = vec![0.0f64; range.len()];
            for logits in logits.chunks_exact(layout.width) {
                let sums = logits[range.clone()]
                    .iter()
                    .zip(own.iter())
                    .map(|(l, c)| l + c);
                let most = sums.clone().fold(f32::NEG_INFINITY, f32::max);
                let mut sum = 0.0;
                for (share, logit) in shares.iter_mut().zip(sums) {
                    *share = f64::from(logit - most).exp();
                    sum += *share;
                }
                made.iter_mut()
                    .zip(&shares)
                    .for_each(|(m, s)| *m += s / sum);
            }
            let rows: f64 = made.iter().sum();
            let mut most = 0.0f64;
            for ((own, made), real) in own.iter_mut().zip(&made).zip(&real) {
                // A damped step: the shares of many rows answer to it less than those of one.
                let step = (real / total / (made / rows)).ln().clamp(-2.0, 2.0);
                *own += step as f32;
                most = most.max(step.abs());
            }
            if most < CLOSE {
                break;
            }
        }
    }
    out
}

/// A condition: a block, and one of its alternatives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Condition {
    pub(super) block: usize,
    pub(super) code: usize,
}

/// Draws conditions and rows that meet them: "training by sampling" (Xu et al. 2019), in which rare values come as often as
/// the logarithm of their frequency.
pub(super) struct Sampler {
    /// Blocks that can be a condition.
    blocks: Vec<usize>,
    /// Of each of these, by alternative: the logarithm of how often it occurs, and its share of rows.
    logarithms: Vec<Vec<f64>>,
    shares: Vec<Vec<f64>>,
    /// The rows of each alternative.
    rows: Vec<Vec<Vec<u32>>>,
    count: usize,
}

impl Sampler {
    pub(super) fn new(layout: &Layout, table: &Encoded) -> Sampler {
        let mut sampler = Sampler {
            blocks: Vec::new(),
            logarithms: Vec::new(),
            shares: Vec::new(),
            rows: Vec::new(),
            count: table.rows,
        };
        for (at, block) in layout.blocks.iter().enumerate() {
            if block.condition.is_none() {
                continue;
            }
            let mut rows = vec![Vec::new(); block.choice.len()];
            for (row, code) in table.codes[block.field].iter().enumerate() {
                rows[*code as usize].push(row as u32);
            }
            let counts = || rows.iter().map(|own: &Vec<u32>| own.len() as f64);
            sampler.blocks.push(at);
            sampler.logarithms.push(
                counts()
                    .map(|n| (n + 1.0).ln() * f64::from(u8::from(n > 0.0)))
                    .collect(),
            );
            sampler.shares.push(counts().collect());
            sampler.rows.push(rows);
        }
        sampler
    }

    /// A condition to train on.
    pub(super) fn condition(&self, random: &mut Random) -> Option<Condition> {
        self.draw(&self.logarithms, random)
    }

    /// A condition as often as it occurs.
    pub(super) fn usual(&self, random: &mut Random) -> Option<Condition> {
        self.draw(&self.shares, random)
    }

    fn draw(&self, shares: &[Vec<f64>], random: &mut Random) -> Option<Condition> {
        let at = match self.blocks.len() {
            0 => return None,
            n => random.below(n),
        };
        let code = draw(&shares[at], random.uniform());
        Some(Condition {
            block: self.blocks[at],
            code,
        })
    }

    /// A condition that a row of a table meets; `below` draws the block.
    pub(super) fn of_row(
        &self,
        layout: &Layout,
        table: &Encoded,
        row: usize,
        below: impl FnOnce(usize) -> usize,
    ) -> Option<Condition> {
        let block = match self.blocks.len() {
            0 => return None,
            n => self.blocks[below(n)],
        };
        let code = usize::from(table.codes[layout.blocks[block].field][row]);
        Some(Condition { block, code })
    }

    /// A row that meets the condition.
    pub(super) fn row(&self, condition: Option<Condition>, random: &mut Random) -> usize {
        let own = condition.and_then(|c| {
            let at = self.blocks.iter().position(|b| *b == c.block)?;
            self.rows[at].get(c.code)
        });
        match own {
            Some(rows) if !rows.is_empty() => rows[random.below(rows.len())] as usize,
            _ => random.below(self.count),
        }
    }
}

/// The shares of conditions of a synthesizer whose rows are gone: by the counts of its fields.
pub(super) fn usual(layout: &Layout, fields: &[Field]) -> Vec<(usize, Vec<f64>)> {
    let of = |(at, block): (usize, &Block)| {
        block.condition.as_ref()?;
        let How::Levels { counts, rare, .. } = &fields[block.field].how else {
            return None;
        };
        let mut shares: Vec<f64> = counts.iter().take(*rare).map(|c| *c as f64).collect();
        let rest: u64 = counts.iter().skip(*rare).sum();
        if counts.len() > *rare {
            shares.push(rest as f64);
        }
        Some((at, shares))
    };
    layout.blocks.iter().enumerate().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of logits that leave no doubt, most steps change little: the shares are right all the same.
    #[test]
    fn shares_of_sure_alternatives_are_put_right() {
        let layout = Layout {
            blocks: vec![Block {
                field: 0,
                place: None,
                choice: 0..2,
                condition: None,
            }],
            width: 2,
            conditions: 0,
        };
        let table = Encoded {
            rows: 1000,
            codes: vec![(0..1000).map(|row| u16::from(row % 10 < 3)).collect()],
            places: vec![Vec::new()],
        };
        let mut random = Random::new(1);
        let sure = |_| [0.0, 12.0 * random.normal() as f32 - 12.0];
        let logits: Vec<f32> = (0..4000).flat_map(sure).collect();
        let own = corrections(&layout, &table, &logits);
        let share = |row: &[f32]| 1.0 / (1.0 + (row[0] + own[0] - row[1] - own[1]).exp());
        let made = logits.chunks_exact(2).map(share).sum::<f32>() / 4000.0;
        assert!((made - 0.3).abs() < 0.005, "{made}");
    }
}
