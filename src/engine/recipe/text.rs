//! Free text: the words and pairs of words that tell most, weighted, and how long the text is.

use super::number::Number;
use super::options::Scaling;
use super::terms::{Seen, Term, choose};
use super::words::{BUCKETS, ngrams};
use crate::evaluate::Truth;
use crate::frame::{Cell, Column};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

/// Training rows that words are chosen on, evenly spread; more would tell little and cost seconds.
const ROWS: usize = 200_000;
/// Length of the vector of terms. With 1, as is usual, the terms of a text together would weigh as much as one number; 2 to 4
/// did best on reviews.
const SCALE: f32 = 3.0;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub(super) struct Text {
    /// By bucket, ascending.
    terms: Vec<Term>,
    /// ln(1 + words); carries the missing flag.
    length: Number,
    /// Positions of the terms by bucket.
    places: HashMap<u32, u32>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    terms: Vec<Term>,
    length: Number,
}

impl From<Stored> for Text {
    fn from(stored: Stored) -> Self {
        Text::new(stored.terms, stored.length)
    }
}

impl From<Text> for Stored {
    fn from(text: Text) -> Self {
        Stored {
            terms: text.terms,
            length: text.length,
        }
    }
}

impl Text {
    fn new(terms: Vec<Term>, length: Number) -> Text {
        let places = terms.iter().map(|term| term.bucket).zip(0..).collect();
        Text {
            terms,
            length,
            places,
        }
    }

    /// `truth` is of the training rows, in their order.
    pub(super) fn fit(column: &Column, rows: &[u32], truth: Option<&Truth>, most: usize) -> Text {
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
        Text::new(terms, length)
    }

    pub(super) fn terms(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().map(|term| term.text.as_str())
    }

    pub(super) fn width(&self) -> usize {
        self.terms.len() + self.length.width()
    }

    pub(super) fn is_sound(&self) -> bool {
        self.places.len() == self.terms.len()
            && self.terms.len() <= BUCKETS
            && self.terms.iter().all(|term| term.idf.is_finite())
            && self.length.is_sound()
    }

    /// (1 + ln count) · idf of each term, the vector of them brought to length 1, then the length of the text.
    #[inline]
    pub(super) fn write(&self, cell: Cell<'_>, out: &mut [f32]) {
        let (terms, length) = out.split_at_mut(self.terms.len());
        terms.fill(0.0);
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
