//! Values that are made up for each row: keys, codes and prose.

use crate::frame::{Cell, Column, Kind};
use crate::random::Random;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};

/// So few rows say nothing about whether values repeat.
const FEW_ROWS: usize = 20;
/// Whole numbers that never repeat are keys where their range is at most so many times their count.
const DENSE: f64 = 20.0;
/// So many shapes of codes are kept, and the longest of them.
const SHAPES: usize = 64;
const LONGEST: usize = 64;
/// A word of fewer rows is somebody's own and not repeated.
const ROWS_OF_WORD: u32 = 5;
const WORDS: usize = 2000;
const NEXT: usize = 24;
/// Prose has so many words on average.
const PROSE: f64 = 3.0;
/// Bits for each known key: one in a hundred new keys is taken for a known one and drawn again.
const BITS: usize = 10;
const HASHES: u64 = 7;
/// So many taken numbers are left out at first.
const BATCH: usize = 256;

/// How values are made up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Invention {
    /// Whole numbers that go on after the greatest.
    Count {
        next: f64,
    },
    Uuid,
    /// Texts of a shape that occurs, none of which was there.
    Code {
        shapes: Vec<(String, u64)>,
        known: Known,
    },
    /// Words that follow each other as they do in the texts.
    Prose {
        words: Vec<String>,
        starts: Vec<(u32, u32)>,
        next: Vec<Vec<(u32, u32)>>,
    },
}

/// A Bloom filter (1970) of the keys that occur: never says of a known one that it is new.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Known {
    bits: Vec<u64>,
}

impl Known {
    fn of<'a>(texts: impl Iterator<Item = &'a str>, count: usize) -> Known {
        let mut known = Known {
            bits: vec![0; (count * BITS).div_ceil(64).max(1)],
        };
        for text in texts {
            for at in known.places(text) {
                known.bits[at / 64] |= 1 << (at % 64);
            }
        }
        known
    }

    fn places(&self, text: &str) -> [usize; HASHES as usize] {
        let mut random = Random::new(hash(text));
        std::array::from_fn(|_| random.below(self.bits.len() * 64))
    }

    fn has(&self, text: &str) -> bool {
        self.places(text)
            .iter()
            .all(|at| self.bits[at / 64] >> (at % 64) & 1 == 1)
    }
}

impl Invention {
    /// Texts of a shape, by no known key.
    pub(super) fn code(shape: &str) -> Invention {
        Invention::Code {
            shapes: vec![(shape.into(), 1)],
            known: Known::of(std::iter::empty(), 1),
        }
    }

    /// Whether what was made must be remembered.
    pub(super) fn remembers(&self) -> bool {
        matches!(self, Invention::Code { .. })
    }

    /// Whether all its numbers fit together.
    pub(super) fn is_sound(&self) -> bool {
        match self {
            Invention::Count { next } => next.is_finite(),
            Invention::Uuid => true,
            Invention::Code { known, .. } => !known.bits.is_empty(),
            // Words are looked up one by one when texts are made.
            Invention::Prose { words, next, .. } => {
                words.len() == next.len() && words.iter().all(|word| word.len() <= 1000)
            }
        }
    }
}

/// FNV-1a (Fowler, Noll, Vo).
fn hash(text: &str) -> u64 {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325u64, step)
}

/// How a column's values are made up; `None` where they repeat enough to be chosen from. `distinct` counts the different
/// ones, NULL among them, where that is known.
pub(super) fn invent(column: &Column, distinct: Option<usize>, unique: bool) -> Option<Invention> {
    let known = column.len() - column.nulls.count();
    if known == 0 {
        return None;
    }
    match column.kind {
        Kind::Number => whole_key(column, known, unique),
        Kind::Category => {
            let distinct = distinct? - usize::from(column.nulls.count() > 0);
            // What hardly repeats is somebody's own.
            if !unique && distinct * 2 <= known.max(FEW_ROWS) {
                return None;
            }
            let texts = || {
                (0..column.len()).filter_map(|row| match column.cell(row) {
                    Cell::Text(text) => Some(text),
                    _ => None,
                })
            };
            if column.type_name == "uuid" {
                return Some(Invention::Uuid);
            }
            let words: usize = texts().map(|t| t.split_whitespace().count()).sum();
            let prose = words as f64 / known as f64 >= PROSE;
            Some(match prose && !unique {
                true => speak(texts()),
                false => Invention::Code {
                    shapes: shapes(texts()),
                    known: Known::of(texts(), known),
                },
            })
        }
        _ => None,
    }
}

/// The next whole number that is another one.
fn after(x: f64) -> f64 {
    (x + 1.0).max(x.next_up())
}

fn whole_key(column: &Column, known: usize, unique: bool) -> Option<Invention> {
    let mut seen = HashSet::with_capacity(known);
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for row in 0..column.len() {
        let Cell::Number(x) = column.cell(row) else {
            continue;
        };
        // Beyond 2^53 different keys can be one number.
        if x.fract() != 0.0 || !seen.insert(x.to_bits()) && !unique {
            return None;
        }
        (low, high) = (low.min(x), high.max(x));
    }
    let dense = known >= FEW_ROWS && high - low < DENSE * known as f64 && column.nulls.count() == 0;
    (unique || dense).then_some(Invention::Count { next: after(high) })
}

/// Each text with its letters and digits as `A`, `a` and `9`; what stands at the same place in all texts of a shape stays.
fn shapes<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<(String, u64)> {
    // Of each shape: its rows, what stands in all of them, and some of the different texts.
    let mut found: BTreeMap<String, (u64, Vec<Option<char>>, HashSet<&str>)> = BTreeMap::new();
    for text in texts {
        let own: Vec<char> = text.chars().take(LONGEST).collect();
        let shape: String = own.iter().map(|c| class(*c)).collect();
        let (count, same, different) = found.entry(shape).or_insert_with(|| {
            let same = own.iter().copied().map(Some).collect();
            (0, same, HashSet::new())
        });
        *count += 1;
        if different.len() < ROWS_OF_WORD as usize {
            different.insert(text);
        }
        for (same, c) in same.iter_mut().zip(&own) {
            if *same != Some(*c) {
                *same = None;
            }
        }
    }
    let mut shapes: Vec<(String, u64)> = found
        .into_iter()
        .map(|(shape, (count, same, different))| {
            // What few different texts share is theirs.
            let shared = different.len() >= ROWS_OF_WORD as usize;
            let fixed = |(class, same): (char, Option<char>)| match same {
                Some(c) if shared => format!("\\{c}"),
                _ => class.to_string(),
            };
            (shape.chars().zip(same).map(fixed).collect(), count)
        })
        .collect();
    shapes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    shapes.truncate(SHAPES);
    shapes
}

fn class(c: char) -> char {
    match c {
        _ if c.is_ascii_digit() => '9',
        _ if c.is_alphabetic() && c.is_uppercase() => 'A',
        _ if c.is_alphabetic() => 'a',
        // `\` marks what stands as it is.
        '\\' => '/',
        c => c,
    }
}

/// A text of a shape.
fn fill(shape: &str, random: &mut Random) -> String {
    let mut out = String::new();
    let mut chars = shape.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => chars.next().unwrap_or('\\'),
            '9' => char::from(b'0' + random.below(10) as u8),
            'A' => char::from(b'A' + random.below(26) as u8),
            'a' => char::from(b'a' + random.below(26) as u8),
            c => c,
        });
    }
    out
}

/// Learns which word follows which; the end of a text is word 0.
fn speak<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Invention {
    let mut rows: HashMap<&str, u32> = HashMap::new();
    for text in texts.clone() {
        let own: HashSet<&str> = text
            .split_whitespace()
            .filter(|w| w.len() <= 1000)
            .collect();
        own.into_iter()
            .for_each(|word| *rows.entry(word).or_default() += 1);
    }
    let mut common: Vec<(&str, u32)> = rows
        .into_iter()
        .filter(|(_, n)| *n >= ROWS_OF_WORD)
        .collect();
    common.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    common.truncate(WORDS);
    let place: HashMap<&str, u32> = common
        .iter()
        .zip(1..)
        .map(|((w, _), at)| (*w, at))
        .collect();
    let mut pairs: Vec<BTreeMap<u32, u32>> = vec![BTreeMap::new(); common.len() + 1];
    for text in texts {
        let mut before = 0;
        let known = text.split_whitespace().filter_map(|word| place.get(word));
        for word in known.chain(&[0]) {
            *pairs[before as usize].entry(*word).or_default() += 1;
            before = *word;
        }
    }
    let keep = |pairs: BTreeMap<u32, u32>| {
        let mut pairs: Vec<(u32, u32)> = pairs.into_iter().collect();
        pairs.sort_by_key(|(word, count)| (std::cmp::Reverse(*count), *word));
        pairs.truncate(NEXT);
        pairs
    };
    let mut next: Vec<Vec<(u32, u32)>> = pairs.into_iter().map(keep).collect();
    let starts = next.remove(0);
    let words = common
        .into_iter()
        .map(|(word, _)| word.to_owned())
        .collect();
    Invention::Prose {
        words,
        starts,
        next,
    }
}

/// Makes values up; remembers those it made, so that none comes twice.
pub(super) struct Inventor<'a> {
    how: &'a Invention,
    /// Hashes of the texts: one that seems to be there is drawn again.
    made: HashSet<u64>,
    count: f64,
    /// How far the last leap went.
    leap: f64,
}

impl<'a> Inventor<'a> {
    pub(super) fn new(how: &'a Invention) -> Inventor<'a> {
        let count = match how {
            Invention::Count { next } => *next,
            _ => 0.0,
        };
        Inventor {
            how,
            made: HashSet::new(),
            count,
            leap: BATCH as f64,
        }
    }

    /// Leaves numbers out, twice as many each time: those that come next are taken.
    pub(super) fn leap(&mut self) {
        if let Invention::Count { .. } = self.how {
            self.count = (self.count + self.leap).max(after(self.count));
            self.leap *= 2.0;
        }
    }

    /// A new number or text, to be pushed into a column.
    pub(super) fn next(&mut self, random: &mut Random) -> Made {
        match self.how {
            Invention::Count { .. } => {
                let own = self.count;
                self.count = after(own);
                Made::Number(own)
            }
            Invention::Uuid => {
                let bits = (u128::from(random.next_u64()) << 64) | u128::from(random.next_u64());
                // Version 4, variant 1 (RFC 9562).
                let bits = bits & !(0xf000 << 64) & !(0xc << 60) | (0x4000 << 64) | (0x8 << 60);
                let hex = format!("{bits:032x}");
                let parts = [
                    &hex[..8],
                    &hex[8..12],
                    &hex[12..16],
                    &hex[16..20],
                    &hex[20..],
                ];
                Made::Text(parts.join("-"))
            }
            Invention::Code { shapes, known } => {
                let shares: Vec<f64> = shapes.iter().map(|(_, count)| *count as f64).collect();
                for attempt in 0..10_000 {
                    let at = super::schema::draw(&shares, random.uniform());
                    let mut text = shapes
                        .get(at)
                        .map_or_else(String::new, |(s, _)| fill(s, random));
                    // Where a shape has no new texts left they grow longer.
                    for _ in 0..attempt / 100 {
                        text.push(char::from(b'0' + random.below(10) as u8));
                    }
                    if !known.has(&text) && self.made.insert(hash(&text)) {
                        return Made::Text(text);
                    }
                }
                Made::Text(String::new())
            }
            Invention::Prose {
                words,
                starts,
                next,
            } => {
                let mut out = String::new();
                let mut choices = starts;
                for _ in 0..200 {
                    let shares: Vec<f64> = choices.iter().map(|(_, n)| f64::from(*n)).collect();
                    let at = super::schema::draw(&shares, random.uniform());
                    let Some((word, _)) = choices.get(at).filter(|(word, _)| *word > 0) else {
                        break;
                    };
                    let at = *word as usize - 1;
                    let (Some(word), Some(after)) = (words.get(at), next.get(at)) else {
                        break;
                    };
                    if !out.is_empty() {
                        out.push(' ');
                    }
                    out += word;
                    choices = after;
                }
                Made::Text(out)
            }
        }
    }
}

/// A value that was made up.
pub(super) enum Made {
    Number(f64),
    Text(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: &[String]) -> Column {
        let mut column = Column::new("c", "text", Kind::Category);
        values.iter().for_each(|v| column.push(Cell::Text(v)));
        column
    }

    #[test]
    fn codes_keep_their_shape_and_none_is_known_or_comes_twice() {
        let values: Vec<String> = (0..500)
            .map(|i| format!("CU-{:04}-{}", i, ["x", "y"][i % 2]))
            .collect();
        let column = texts(&values);
        let how = invent(&column, Some(500), false).unwrap();
        let mut inventor = Inventor::new(&how);
        let mut random = Random::new(1);
        let mut made = HashSet::new();
        for _ in 0..3000 {
            let Made::Text(text) = inventor.next(&mut random) else {
                panic!("a text")
            };
            assert!(text.starts_with("CU-") && text.len() == 9, "{text}");
            assert!(!values.contains(&text) && made.insert(text));
        }
    }

    #[test]
    fn a_shape_that_is_used_up_grows() {
        let values: Vec<String> = (0..10).map(|i| i.to_string()).collect();
        let how = invent(&texts(&values), Some(10), true).unwrap();
        let mut inventor = Inventor::new(&how);
        let Made::Text(text) = inventor.next(&mut Random::new(1)) else {
            panic!("a text")
        };
        assert!(text.len() > 1);
    }

    #[test]
    fn whole_keys_go_on_and_amounts_are_no_keys() {
        let mut column = Column::new("id", "integer", Kind::Number);
        (100..200).for_each(|i| column.push(Cell::Number(f64::from(i))));
        assert_eq!(
            invent(&column, None, false),
            Some(Invention::Count { next: 200.0 })
        );
        let mut column = Column::new("amount", "integer", Kind::Number);
        (0..100).for_each(|i| column.push(Cell::Number(f64::from(i * i * 97))));
        assert_eq!(invent(&column, None, false), None);
        assert!(invent(&column, None, true).is_some());
    }

    #[test]
    fn prose_is_made_of_common_words_only() {
        let values: Vec<String> = (0..200)
            .map(|i| format!("the dress number{i} fits very well indeed"))
            .collect();
        let how = invent(&texts(&values), Some(200), false).unwrap();
        let mut inventor = Inventor::new(&how);
        let Made::Text(text) = inventor.next(&mut Random::new(1)) else {
            panic!("a text")
        };
        assert_eq!(text, "the dress fits very well indeed");
    }
}
