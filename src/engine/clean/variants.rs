//! Spelling variants of categories, merged into the most frequent way to write them.

use crate::lookup::{Known, Lookup};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Levels looked at, the most frequent first.
const LEVELS: usize = 10_000;
/// Longer texts are no categories.
const LONGEST: usize = 100;
/// Words of fewer letters are not held to be misspelt: too many words are one letter apart.
const LETTERS: usize = 6;
/// A misspelling has less than this share of the rows of the right spelling.
const SHARE: f64 = 0.05;

/// Which text each spelling stands for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Variants {
    levels: Vec<String>,
    /// Other spellings met in training, and the level each stands for.
    merged: BTreeMap<String, String>,
    known: Known<Box<str>>,
    /// Levels by their [`key`].
    keys: Lookup<Box<str>, Box<str>>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    levels: Vec<String>,
    merged: BTreeMap<String, String>,
}

impl From<Stored> for Variants {
    fn from(stored: Stored) -> Self {
        Variants::new(stored.levels, stored.merged)
    }
}

impl From<Variants> for Stored {
    fn from(variants: Variants) -> Self {
        Stored {
            levels: variants.levels,
            merged: variants.merged,
        }
    }
}

impl Variants {
    fn new(levels: Vec<String>, merged: BTreeMap<String, String>) -> Variants {
        let mut keys = Lookup::default();
        // The levels last: their keys are their own.
        let spellings = merged.iter();
        for (spelling, level) in spellings.chain(levels.iter().map(|level| (level, level))) {
            if let Some(key) = key(spelling) {
                keys.insert(key.into_boxed_str(), level.as_str().into());
            }
        }
        Variants {
            known: levels.iter().map(|level| level.as_str().into()).collect(),
            levels,
            merged,
            keys,
        }
    }

    /// Learns from texts with the rows each stands in. Texts that differ in case, blanks and punctuation are one level; so are
    /// words without digits of six letters or more that are one letter apart (added, left out, exchanged or swapped with its
    /// neighbour, the first letter aside), where the one has under 5 % of the other's rows.
    pub fn find<'a>(texts: impl Iterator<Item = (&'a str, usize)>) -> Option<Variants> {
        let mut texts: Vec<(&str, usize)> = texts.filter(|(t, _)| t.len() <= LONGEST).collect();
        texts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        texts.truncate(LEVELS);
        // Level, rows of all its spellings; the first spelling of a key is the most frequent.
        let mut groups: Vec<(&str, usize, Option<String>)> = Vec::new();
        let mut by_key: HashMap<String, usize> = HashMap::new();
        let mut spellings: Vec<(&str, usize)> = Vec::new();
        for (text, rows) in texts {
            let key = key(text);
            match key.as_ref().and_then(|key| by_key.get(key)) {
                Some(&group) => {
                    groups[group].1 += rows;
                    spellings.push((text, group));
                }
                None => {
                    if let Some(key) = &key {
                        by_key.insert(key.clone(), groups.len());
                    }
                    groups.push((text, rows, key));
                }
            }
        }
        let mut stands_for: Vec<usize> = (0..groups.len()).collect();
        misspelt(&groups, &mut stands_for);
        let mut merged = BTreeMap::new();
        let mut levels = Vec::new();
        for (group, (text, ..)) in groups.iter().enumerate() {
            if stands_for[group] == group {
                levels.push((*text).to_owned());
            } else {
                merged.insert((*text).to_owned(), groups[stands_for[group]].0.to_owned());
            }
        }
        for (text, group) in spellings {
            merged.insert(text.to_owned(), groups[stands_for[group]].0.to_owned());
        }
        levels.sort_unstable();
        (!levels.is_empty()).then(|| Variants::new(levels, merged))
    }

    /// The level a text stands for, also for spellings that were never met; `None`: it stands for itself.
    pub fn level(&self, text: &str) -> Option<&str> {
        if self.known.contains(text) {
            return None;
        }
        if let Some(level) = self.merged.get(text) {
            return Some(level);
        }
        let level: &str = self.keys.get(key(text)?.as_str())?;
        (level != text).then_some(level)
    }

    /// Spellings met in training and the level each stands for.
    #[cfg(test)]
    fn merged(&self) -> &BTreeMap<String, String> {
        &self.merged
    }
}

/// Points rare groups to the frequent ones they are misspellings of. Groups that share a text with one letter left out are
/// compared (the symmetric deletions of Garbe's SymSpell), so that the work grows with the letters, not with the pairs.
fn misspelt(groups: &[(&str, usize, Option<String>)], stands_for: &mut [usize]) {
    let words: Vec<Option<Vec<char>>> = groups
        .iter()
        .map(|(_, _, key)| key.as_deref().and_then(word))
        .collect();
    let mut order: Vec<usize> = (0..groups.len()).filter(|g| words[*g].is_some()).collect();
    order.sort_by_key(|&group| std::cmp::Reverse(groups[group].1));
    let mut without_one: HashMap<String, Vec<usize>> = HashMap::new();
    for group in order {
        let Some(own) = &words[group] else { continue };
        let shortened: Vec<String> = (0..=own.len())
            .map(|left_out| {
                let kept = own.iter().enumerate().filter(|(i, _)| *i != left_out);
                kept.map(|(_, c)| *c).collect()
            })
            .collect();
        let frequent = shortened
            .iter()
            .filter_map(|text| without_one.get(text))
            .flatten()
            .copied()
            .filter(|other| (groups[group].1 as f64) < SHARE * groups[*other].1 as f64)
            .filter(|other| words[*other].as_ref().is_some_and(|o| one_apart(own, o)))
            .max_by_key(|other| (groups[*other].1, std::cmp::Reverse(*other)));
        match frequent {
            Some(other) => stands_for[group] = other,
            // Only what is right itself can be misspelt.
            None => shortened
                .into_iter()
                .for_each(|text| without_one.entry(text).or_default().push(group)),
        }
    }
}

/// The letters of a key that can be misspelt. In scripts without small and capital letters a letter is often a word.
fn word(key: &str) -> Option<Vec<char>> {
    let letters: Vec<char> = key.chars().collect();
    let cased = |c: &char| c.is_lowercase() || c.is_uppercase();
    (letters.len() >= LETTERS && letters.iter().all(cased)).then_some(letters)
}

/// Whether one edit makes one word of the other, the first letter aside: "typical" and "atypical" are two words.
fn one_apart(a: &[char], b: &[char]) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let start = short.iter().zip(long).take_while(|(x, y)| x == y).count();
    if start == 0 || long.len() - short.len() > 1 {
        return false;
    }
    let (short, long) = (&short[start..], &long[start..]);
    if short.len() < long.len() {
        return *short == long[1..];
    }
    match (short, long) {
        ([_, x @ ..], [_, y @ ..]) if x == y => true,
        ([a, b, x @ ..], [c, d, y @ ..]) => (a, b) == (d, c) && x == y,
        _ => false,
    }
}

/// A text without case, blanks and the punctuation that carries no meaning; `None` where no letter is left. Marks between
/// digits stay ("1.5"), and so do a first or last minus ("A-") and every sign of arithmetic ("C++", "<10").
fn key(text: &str) -> Option<String> {
    if text.len() > LONGEST {
        return None;
    }
    let chars: Vec<char> = super::text::trim(text).chars().collect();
    let mut key = String::with_capacity(text.len());
    for (i, &c) in chars.iter().enumerate() {
        let before = chars[..i].iter().rev().find(|c| !c.is_whitespace());
        let after = chars[i + 1..].iter().find(|c| !c.is_whitespace());
        let digits =
            before.is_some_and(|c| c.is_numeric()) && after.is_some_and(|c| c.is_numeric());
        let dropped = match c {
            '-' | '\u{2010}' | '\u{2011}' | '\u{2013}' => before.is_some() && after.is_some(),
            '_' | '.' | ',' | ';' | ':' | '\'' | '\u{2019}' | '"' | '/' | '(' | ')' | '!' | '?'
            | '·' | '\u{2026}' => true,
            c => c.is_whitespace(),
        };
        if dropped && digits {
            key.push(if c.is_whitespace() { ' ' } else { c });
        } else if !dropped {
            key.extend(c.to_lowercase());
        }
    }
    key.chars().any(char::is_alphabetic).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(texts: &[(&str, usize)]) -> Variants {
        Variants::find(texts.iter().copied()).unwrap()
    }

    #[test]
    fn case_blanks_and_punctuation_are_one_level() {
        let variants = find(&[
            ("New York", 50),
            ("new york", 9),
            ("NEW-YORK", 3),
            ("N.Y.", 2),
            ("New  York.", 1),
        ]);
        for spelling in ["new york", "NEW-YORK", "New  York.", "newyork"] {
            assert_eq!(variants.level(spelling), Some("New York"), "{spelling}");
        }
        for other in ["New York", "N.Y.", "Boston"] {
            assert_eq!(variants.level(other), None, "{other}");
        }
        assert_eq!(variants.merged().len(), 3);
    }

    #[test]
    fn rare_words_one_letter_apart_are_misspelt() {
        let variants = find(&[
            ("Berlin", 100),
            ("Belrin", 1),
            ("Berlinn", 2),
            ("Berln", 1),
            ("Merlin", 1),
            ("Berlin 2", 1),
            ("Bonn", 100),
            ("Bnon", 1),
            ("premium", 100),
            ("premiun", 10),
        ]);
        assert_eq!(variants.level("Belrin"), Some("Berlin"));
        assert_eq!(variants.level("Berlinn"), Some("Berlin"));
        for other in ["Berln", "Merlin", "Berlin 2", "Bnon", "premiun"] {
            let why = "short, its first letter, digits, too frequent";
            assert_eq!(variants.level(other), None, "{other}: {why}");
        }
    }

    #[test]
    fn what_means_something_else_stays_apart() {
        let texts = [
            "1.5", "15", "A-", "A", "A+", "C", "C++", "<10", ">10", "18-25", "1825", "typical",
            "atypical", "model 10", "model 11",
        ];
        let texts: Vec<(&str, usize)> =
            texts.iter().zip(1..).map(|(t, i)| (*t, 1000 * i)).collect();
        assert!(
            find(&texts).merged().is_empty(),
            "{:?}",
            find(&texts).merged()
        );
    }

    #[test]
    fn every_script_and_length_is_met() {
        let long = "x".repeat(1 << 20);
        let variants = find(&[
            ("Москва", 100),
            ("МОСКВА", 1),
            ("Масква", 1),
            ("東京都千代田", 100),
            ("東京都千代区", 1),
            (&long, 1),
        ]);
        assert_eq!(variants.level("МОСКВА"), Some("Москва"));
        assert_eq!(variants.level("Масква"), Some("Москва"));
        assert_eq!(variants.level("東京都千代区"), None);
        assert_eq!(variants.level(&long), None);
        assert!(Variants::find(std::iter::empty()).is_none());
    }

    #[test]
    fn they_survive_storage() {
        let variants = find(&[("Rome", 9), ("ROME", 1)]);
        let stored = serde_json::to_string(&variants).unwrap();
        let again: Variants = serde_json::from_str(&stored).unwrap();
        assert_eq!(again.level("ROME"), Some("Rome"));
        assert_eq!(again.level("rome "), Some("Rome"));
    }
}
