//! Which words of a free text are kept: those that tell most about the target.

use super::words::{BUCKETS, ngrams};
use crate::evaluate::Truth;
use serde::{Deserialize, Serialize};

/// A word needs this many training rows to be kept.
const RARE: u32 = 5;
/// Counters held while words are chosen: words times classes.
const COUNTERS: usize = 1 << 24;
/// Characters of a word that are shown.
const SHOWN: usize = 40;

/// One kept bucket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Term {
    pub(super) bucket: u32,
    /// ln((1 + rows) / (1 + rows with it)) + 1.
    pub(super) idf: f32,
    /// The first word or pair of the training rows that fell into it.
    pub(super) text: String,
}

/// Which things were met in the document at hand.
pub(super) struct Seen(Vec<u32>);

impl Seen {
    pub(super) fn new(size: usize) -> Seen {
        Seen(vec![u32::MAX; size])
    }
    pub(super) fn first(&mut self, thing: u32, document: usize) -> bool {
        std::mem::replace(&mut self.0[thing as usize], document as u32) != document as u32
    }
}

/// The `most` useful of the buckets that are frequent enough.
pub(super) fn choose<'t>(
    positions: &[u32],
    text: impl Fn(u32) -> Option<&'t str>,
    frequency: &[u32],
    texts: usize,
    truth: Option<&Truth>,
    most: usize,
) -> Vec<Term> {
    let classes = match truth {
        Some(Truth::Classes(codes)) => codes.iter().max().map_or(1, |most| *most as usize + 1),
        _ => 1,
    };
    let mut candidates: Vec<u32> = (0..BUCKETS as u32)
        .filter(|&bucket| frequency[bucket as usize] >= RARE)
        .collect();
    candidates.sort_by_key(|&bucket| std::cmp::Reverse(frequency[bucket as usize]));
    candidates.truncate((COUNTERS / classes).max(most));
    let mut numbers = vec![u32::MAX; BUCKETS];
    candidates
        .iter()
        .zip(0..)
        .for_each(|(&bucket, number)| numbers[bucket as usize] = number);
    let mut seen = Seen::new(candidates.len());
    let mut names = vec![String::new(); candidates.len()];
    let mut tally = Tally::new(truth, candidates.len(), classes);
    let known = positions.iter().filter_map(|&p| text(p).map(|t| (p, t)));
    for (document, (position, text)) in known.enumerate() {
        tally.document(position);
        ngrams(text, |bucket, first, word| {
            let number = numbers[bucket as usize];
            if number == u32::MAX || !seen.first(number, document) {
                return;
            }
            tally.term(number, position);
            let name = &mut names[number as usize];
            if name.is_empty() {
                first.iter().for_each(|first| {
                    name.extend(first.chars().flat_map(char::to_lowercase).take(SHOWN));
                    name.push(' ');
                });
                name.extend(word.chars().flat_map(char::to_lowercase).take(SHOWN));
            }
        });
    }
    let mut scored: Vec<(f64, u32)> = (0..candidates.len())
        .map(|number| {
            let with = frequency[candidates[number] as usize];
            (tally.usefulness(number, f64::from(with)), number as u32)
        })
        .collect();
    scored.sort_by(|a, b| {
        b.0.total_cmp(&a.0)
            .then(candidates[a.1 as usize].cmp(&candidates[b.1 as usize]))
    });
    scored.truncate(most);
    let mut terms: Vec<Term> = scored
        .into_iter()
        .map(|(_, number)| {
            let bucket = candidates[number as usize];
            let with = f64::from(frequency[bucket as usize]);
            Term {
                bucket,
                idf: (((1.0 + texts as f64) / (1.0 + with)).ln() + 1.0) as f32,
                text: std::mem::take(&mut names[number as usize]),
            }
        })
        .collect();
    terms.sort_unstable_by_key(|term| term.bucket);
    terms
}

/// What is counted to hold terms against the target.
enum Tally<'a> {
    /// No target: what is frequent is useful.
    Frequency,
    /// Rows of each class, and rows of each class with the term.
    Classes {
        codes: &'a [u32],
        all: Vec<u32>,
        with: Vec<u32>,
    },
    /// Rows, sum and sum of squares of the target, and its sum over the rows with the term.
    Values {
        values: &'a [f64],
        rows: f64,
        sum: f64,
        squares: f64,
        with: Vec<f64>,
    },
}

impl Tally<'_> {
    fn new(truth: Option<&Truth>, terms: usize, classes: usize) -> Tally<'_> {
        match truth {
            Some(Truth::Classes(codes)) => Tally::Classes {
                codes,
                all: vec![0; classes],
                with: vec![0; terms * classes],
            },
            Some(Truth::Values(values)) => Tally::Values {
                values,
                rows: 0.0,
                sum: 0.0,
                squares: 0.0,
                with: vec![0.0; terms],
            },
            _ => Tally::Frequency,
        }
    }

    fn document(&mut self, position: u32) {
        match self {
            Tally::Frequency => {}
            Tally::Classes { codes, all, .. } => all[codes[position as usize] as usize] += 1,
            Tally::Values {
                values,
                rows,
                sum,
                squares,
                ..
            } => {
                let y = values[position as usize];
                *rows += 1.0;
                *sum += y;
                *squares += y * y;
            }
        }
    }

    fn term(&mut self, term: u32, position: u32) {
        match self {
            Tally::Frequency => {}
            Tally::Classes { codes, all, with } => {
                let class = codes[position as usize] as usize;
                with[term as usize * all.len() + class] += 1;
            }
            Tally::Values { values, with, .. } => {
                with[term as usize] += values[position as usize];
            }
        }
    }

    /// Chi-squared of having the term against the class, F against a number, or how many rows have it.
    fn usefulness(&self, term: usize, count: f64) -> f64 {
        let useful = match self {
            Tally::Frequency => count,
            Tally::Classes { all, with, .. } => {
                let rows = all.iter().map(|n| f64::from(*n)).sum::<f64>();
                let share = count / rows;
                let with = &with[term * all.len()..(term + 1) * all.len()];
                let pairs = all.iter().zip(with).filter(|(all, _)| **all > 0);
                pairs
                    .map(|(&all, &with)| {
                        let expected = f64::from(all) * share;
                        let off = f64::from(with) - expected;
                        // Rows with the term and rows without it are off by as much.
                        off * off / expected + off * off / (f64::from(all) - expected).max(1e-9)
                    })
                    .sum()
            }
            Tally::Values {
                rows,
                sum,
                squares,
                with,
                ..
            } => {
                let mean = sum / rows;
                let total = squares - sum * mean;
                let without = (rows - count).max(1e-9);
                let between = (with[term] - count * mean).powi(2) * (1.0 / count + 1.0 / without);
                between / (total - between).max(1e-9 * total)
            }
        };
        if useful.is_finite() { useful } else { 0.0 }
    }
}
