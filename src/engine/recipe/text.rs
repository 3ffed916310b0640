//! Free text: the words and pairs of words that tell most, weighted; all frequent ones as tokens, whose vectors the network
//! learns; how long the text is; and its sentence vector where there is a text model.

use super::number::Number;
use super::options::{Preparation, Scaling};
use super::sentence::Sentence;
use super::terms::{Seen, Term, choose};
use super::words::{BUCKETS, ngrams};
use crate::embed::Encoder;
use crate::evaluate::Truth;
use crate::frame::{Cell, Column};
use crate::lookup::Lookup;
use crate::models::BagInput;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Training rows that words are chosen on, evenly spread; more would tell little and cost seconds.
const ROWS: usize = 200_000;
/// Length of the vector of terms. With 1, as is usual, the terms of a text together would weigh as much as one number; 2 to 4
/// did best on reviews.
const SCALE: f32 = 3.0;

/// A token stands in at least so many of the texts.
const RARE: u32 = 3;
/// Most tokens that get a vector, and that are read of one text.
const VOCABULARY: usize = 8192;
const LONGEST: usize = 512;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub(super) struct Text {
    /// By bucket, ascending.
    terms: Vec<Term>,
    /// ln(1 + words); carries the missing flag.
    length: Number,
    pub(super) sentence: Option<Sentence>,
    /// Positions of the terms by bucket.
    places: Lookup<u32, u32>,
    /// The buckets whose tokens have a vector, ascending; a token is its position.
    vocabulary: Vec<u32>,
    tokens: Lookup<u32, u32>,
    /// Width of the vectors; 0: none.
    dim: usize,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    terms: Vec<Term>,
    length: Number,
    #[serde(default)]
    vocabulary: Vec<u32>,
    #[serde(default)]
    dim: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sentence: Option<Sentence>,
}

impl From<Stored> for Text {
    fn from(stored: Stored) -> Self {
        Text::new(stored)
    }
}

impl From<Text> for Stored {
    fn from(text: Text) -> Self {
        Stored {
            terms: text.terms,
            length: text.length,
            vocabulary: text.vocabulary,
            dim: text.dim,
            sentence: text.sentence,
        }
    }
}

impl Text {
    fn new(stored: Stored) -> Text {
        let places = stored.terms.iter().map(|term| term.bucket).zip(0..);
        Text {
            places: places.collect(),
            tokens: stored.vocabulary.iter().copied().zip(0..).collect(),
            terms: stored.terms,
            length: stored.length,
            vocabulary: stored.vocabulary,
            dim: stored.dim,
            sentence: stored.sentence,
        }
    }

    /// `truth` is of the training rows, in their order.
    pub(super) fn fit(
        column: &Column,
        rows: &[u32],
        truth: Option<&Truth>,
        how: &Preparation,
    ) -> Text {
        let most = how.text_features;
        let step = rows.len().div_ceil(ROWS).max(1);
        let chosen_on: Vec<u32> = (0..rows.len() as u32).step_by(step).collect();
        let text = |position: u32| match column.cell(rows[position as usize] as usize) {
            Cell::Text(text) => Some(text),
            _ => None,
        };
        let mut buckets = Seen::new(BUCKETS);
        let mut frequency = vec![0u32; BUCKETS];
        let (mut lengths, mut texts) = (Vec::new(), 0usize);
        for (document, text) in chosen_on.iter().filter_map(|&p| text(p)).enumerate() {
            let words = ngrams(text, |bucket, _, _| {
                if buckets.first(bucket, document) {
                    frequency[bucket as usize] += 1;
                }
            });
            lengths.push((words as f64).ln_1p());
            texts += 1;
        }
        let terms = if most == 0 {
            Vec::new()
        } else {
            choose(&chosen_on, text, &frequency, texts, truth, most)
        };
        let length = Number::fit(lengths, chosen_on.len(), Scaling::default());
        let mut vocabulary: Vec<u32> = match how.text_dim {
            0 => Vec::new(),
            _ => (0..BUCKETS as u32)
                .filter(|&bucket| frequency[bucket as usize] >= RARE)
                .collect(),
        };
        vocabulary.sort_by_key(|&bucket| std::cmp::Reverse(frequency[bucket as usize]));
        vocabulary.truncate(VOCABULARY);
        vocabulary.sort_unstable();
        Text::new(Stored {
            terms,
            length,
            vocabulary,
            dim: how.text_dim,
            sentence: None,
        })
    }

    /// The text as tokens, where they have vectors.
    pub(super) fn bag(&self) -> Option<BagInput> {
        (!self.vocabulary.is_empty() && self.dim > 0).then_some(BagInput {
            vocabulary: self.vocabulary.len(),
            dim: self.dim,
        })
    }

    /// Adds the tokens of a text.
    #[inline]
    pub(super) fn write_tokens(&self, cell: Cell<'_>, out: &mut Vec<u32>) {
        let Cell::Text(text) = cell else { return };
        let most = out.len() + LONGEST;
        ngrams(text, |bucket, _, _| {
            if let Some(&token) = self.tokens.get(&bucket)
                && out.len() < most
            {
                out.push(token);
            }
        });
    }

    /// With the sentence vector, learned from the same rows.
    pub(super) fn with_sentence(
        mut self,
        encoder: &Arc<Encoder>,
        column: &Column,
        rows: &[u32],
    ) -> Text {
        self.sentence = Some(Sentence::fit(encoder, column, rows));
        self
    }

    pub(super) fn terms(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().map(|term| term.text.as_str())
    }

    pub(super) fn length(&self) -> &Number {
        &self.length
    }

    pub(super) fn width(&self) -> usize {
        let sentence = self.sentence.as_ref().map_or(0, Sentence::width);
        self.terms.len() + self.length.width() + sentence
    }

    pub(super) fn is_sound(&self) -> bool {
        self.places.len() == self.terms.len()
            && self.terms.len() <= BUCKETS
            && self.terms.iter().all(|term| term.idf.is_finite())
            && self.length.is_sound()
            && self.tokens.len() == self.vocabulary.len()
            && self.sentence.as_ref().is_none_or(Sentence::is_sound)
    }

    /// (1 + ln count) · idf of each term, the vector of them brought to length 1, then the length of the text and its sentence
    /// vector.
    #[inline]
    pub(super) fn write(&self, cell: Cell<'_>, out: &mut [f32]) {
        let (terms, rest) = out.split_at_mut(self.terms.len());
        let (length, sentence) = rest.split_at_mut(self.length.width());
        terms.fill(0.0);
        if let Some(known) = &self.sentence {
            known.write(cell, sentence);
        }
        let Cell::Text(text) = cell else {
            self.length.write(Cell::Null, length);
            return;
        };
        let words = ngrams(text, |bucket, _, _| {
            if let Some(&place) = self.places.get(&bucket) {
                terms[place as usize] += 1.0;
            }
        });
        let mut squares = 0.0;
        for (x, term) in terms.iter_mut().zip(&self.terms) {
            if *x > 0.0 {
                *x = (1.0 + x.ln()) * term.idf;
                squares += *x * *x;
            }
        }
        if squares > 0.0 {
            let scale = SCALE / squares.sqrt();
            terms.iter_mut().for_each(|x| *x *= scale);
        }
        self.length
            .write(Cell::Number((words as f64).ln_1p()), length);
    }
}

#[cfg(test)]
#[path = "text_test.rs"]
mod tests;
