//! The heads of attention in training: scores, their softmax and what it mixes, and the way back.

use super::attention::Sequences;
use super::vector::{Work, resize, run};
use crate::infer::attention::{inner, mix, softmax};
use crate::models::Block;

/// The buffers of all heads; they grow to the largest chunk and stay.
#[derive(Default)]
pub(super) struct Heads {
    /// `[asking][width]`.
    pub(super) query: Vec<f32>,
    /// `[tokens][2 width]`: keys, then values.
    pub(super) key_value: Vec<f32>,
    /// `[asking][width]`: what each token gets of the values.
    pub(super) mixed: Vec<f32>,
    /// Shares `[sequence][head][asking][padded length]`, and the factors of their dropout or none.
    shares: Vec<f32>,
    pub(super) mask: Vec<f32>,
    /// The shares with the factors.
    kept: Vec<f32>,
    /// Keys or values of a sequence, transposed: `[width][padded length]`.
    turned: Vec<f32>,
    /// A head's derivatives by the scores, `[asking][padded length]`.
    d_scores: Vec<f32>,
    pub(super) d_mixed: Vec<f32>,
    pub(super) d_query: Vec<f32>,
    pub(super) d_key_value: Vec<f32>,
}

struct Forward<'a>(&'a mut Heads, &'a Block, Sequences<'a>);

impl Work for Forward<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        self.0.look::<FMA>(self.1, self.2);
    }
}

struct Backward<'a>(&'a mut Heads, &'a Block, Sequences<'a>);

impl Work for Backward<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        self.0.look_back::<FMA>(self.1, self.2);
    }
}

/// The room that a row of scores takes.
pub(super) fn padded(length: usize) -> usize {
    length.next_multiple_of(8)
}

impl Heads {
    /// From queries, keys and values to what the values are mixed to.
    pub(super) fn forward(&mut self, block: &Block, sequences: Sequences<'_>) {
        let room = padded(sequences.length);
        let all = sequences.count * block.heads * sequences.asking() * room;
        resize(&mut self.shares, all);
        resize(
            &mut self.mixed,
            sequences.count * sequences.asking() * block.width,
        );
        resize(&mut self.turned, block.width * room);
        if !self.mask.is_empty() {
            resize(&mut self.kept, all);
        }
        run(Forward(self, block, sequences));
    }

    #[inline(always)]
    fn look<const FMA: bool>(&mut self, block: &Block, sequences: Sequences<'_>) {
        let (width, length, asking) = (block.width, sequences.length, sequences.asking());
        let (wide, room) = (width / block.heads, padded(length));
        let scale = 1.0 / (wide as f32).sqrt();
        for s in 0..sequences.count {
            let own = &self.key_value[2 * s * length * width..2 * (s + 1) * length * width];
            turn(own, length, width, &mut self.turned);
            let queries = &self.query[s * asking * width..(s + 1) * asking * width];
            let mixed = &mut self.mixed[s * asking * width..(s + 1) * asking * width];
            for head in 0..block.heads {
                let at = head * wide;
                let keys = &self.turned[at * room..(at + wide) * room];
                for token in 0..asking {
                    let seen = sequences.seen(s, token);
                    let place = ((s * block.heads + head) * asking + token) * room;
                    let shares = &mut self.shares[place..place + room];
                    let query = &queries[token * width + at..][..wide];
                    mix::<FMA>((query, 1), (keys, room), wide, shares);
                    shares[..seen].iter_mut().for_each(|x| *x *= scale);
                    softmax::<FMA>(&mut shares[..seen]);
                    shares[seen..].fill(0.0);
                    let shares = if self.mask.is_empty() {
                        &*shares
                    } else {
                        let kept = &mut self.kept[place..place + room];
                        let factors = &self.mask[place..place + room];
                        for ((kept, p), f) in kept.iter_mut().zip(&*shares).zip(factors) {
                            *kept = p * f;
                        }
                        kept
                    };
                    let values = (&own[width + at..], 2 * width);
                    let out = &mut mixed[token * width + at..][..wide];
                    mix::<FMA>((shares, 1), values, seen, out);
                }
            }
        }
    }

    /// From the derivative by what was mixed to those by queries, keys and values.
    pub(super) fn backward(&mut self, block: &Block, sequences: Sequences<'_>) {
        let room = padded(sequences.length);
        resize(&mut self.d_scores, sequences.asking() * room);
        run(Backward(self, block, sequences));
    }

    #[inline(always)]
    fn look_back<const FMA: bool>(&mut self, block: &Block, sequences: Sequences<'_>) {
        let (width, length, asking) = (block.width, sequences.length, sequences.asking());
        let (wide, room) = (width / block.heads, padded(length));
        let scale = 1.0 / (wide as f32).sqrt();
        for s in 0..sequences.count {
            let whole = 2 * s * length * width..2 * (s + 1) * length * width;
            let own = &self.key_value[whole.clone()];
            let d_own = &mut self.d_key_value[whole];
            turn(&own[width..], length, width, &mut self.turned);
            let part = s * asking * width..(s + 1) * asking * width;
            let queries = &self.query[part.clone()];
            let d_queries = &mut self.d_query[part.clone()];
            let d_mixed = &self.d_mixed[part];
            for head in 0..block.heads {
                let at = head * wide;
                let values = &self.turned[at * room..(at + wide) * room];
                let first = (s * block.heads + head) * asking * room;
                let all = first..first + asking * room;
                for token in 0..asking {
                    let own_range = token * room..(token + 1) * room;
                    let d = &mut self.d_scores[own_range.clone()];
                    let d_out = &d_mixed[token * width + at..][..wide];
                    mix::<FMA>((d_out, 1), (values, room), wide, d);
                    if !self.mask.is_empty() {
                        let factors = &self.mask[all.clone()][own_range.clone()];
                        d.iter_mut().zip(factors).for_each(|(d, f)| *d *= f);
                    }
                    let shares = &self.shares[all.clone()][own_range];
                    let along = inner::<FMA>(d, shares);
                    for (d, p) in d.iter_mut().zip(shares) {
                        *d = p * (*d - along) * scale;
                    }
                    let keys = (&own[at..], 2 * width);
                    let out = &mut d_queries[token * width + at..][..wide];
                    mix::<FMA>((d, 1), keys, length, out);
                }
                let kept = match self.mask.is_empty() {
                    true => &self.shares[all],
                    false => &self.kept[all],
                };
                for token in 0..length {
                    let (d_key, d_value) =
                        d_own[2 * token * width..2 * (token + 1) * width].split_at_mut(width);
                    let queries = (&queries[at..], width);
                    let d_key = &mut d_key[at..at + wide];
                    mix::<FMA>((&self.d_scores[token..], room), queries, asking, d_key);
                    let d_mixed = (&d_mixed[at..], width);
                    let d_value = &mut d_value[at..at + wide];
                    mix::<FMA>((&kept[token..], room), d_mixed, asking, d_value);
                }
            }
        }
    }
}

/// `width` columns of rows that are twice as wide become rows of `[padded length]`; what only fills up is zero.
#[inline(always)]
fn turn(from: &[f32], length: usize, width: usize, to: &mut [f32]) {
    let room = padded(length);
    for (c, row) in to.chunks_exact_mut(room.max(1)).take(width).enumerate() {
        for (token, out) in row[..length].iter_mut().enumerate() {
            *out = from[2 * token * width + c];
        }
        row[length..].fill(0.0);
    }
}
