//! Words of any script, and what tells free text from codes and names.

use crate::frame::{Column, Values};
use unicode_segmentation::UnicodeSegmentation;

/// Words and pairs of words are told apart by the low 18 bits of a hash.
pub(super) const BUCKETS: usize = 1 << 18;

/// Fewer different texts are levels of a category.
const DIFFERENT: usize = 30;
/// Where a text occurs this often on average, a category learns more from it as a whole than from its words.
const REPEATS: usize = 20;
/// Words of letters in a text, on average: names and codes have fewer.
const WORDS: f64 = 4.0;
/// Titles and short answers have fewer words than that, but unlike names they go on in small letters.
const SHORT_WORDS: f64 = 2.5;
/// Texts looked at, and characters of each.
const SAMPLE: usize = 1000;
const SAMPLE_CHARACTERS: usize = 1000;

/// Whether a text column is free text rather than categories, judged by the given rows: at least 30 different texts, each
/// in fewer than 20 rows on average, with at least 4 words on average that consist of letters, or 2.5 where most words after a
/// text's first begin with a small letter.
pub fn is_prose(column: &Column, rows: &[u32]) -> bool {
    let Values::Category { codes, dictionary } = &column.values else {
        return false;
    };
    let mut seen = vec![false; dictionary.len()];
    let (mut present, mut different) = (0usize, Vec::new());
    for &row in rows {
        if column.nulls.get(row as usize) {
            continue;
        }
        present += 1;
        let code = codes[row as usize];
        if !std::mem::replace(&mut seen[code as usize], true) {
            different.push(code);
        }
    }
    if different.len() < DIFFERENT || present >= REPEATS * different.len() {
        return false;
    }
    let sample = different.iter().step_by(different.len().div_ceil(SAMPLE));
    let (mut texts, mut words, mut later, mut small) = (0usize, 0usize, 0usize, 0usize);
    for &code in sample {
        let text = dictionary.text(code);
        let end = text.char_indices().nth(SAMPLE_CHARACTERS);
        for (position, word) in letter_words(&text[..end.map_or(text.len(), |(end, _)| end)]) {
            words += 1;
            later += usize::from(position > 0);
            small += usize::from(position > 0 && word.starts_with(char::is_lowercase));
        }
        texts += 1;
    }
    let enough = |words_each: f64| words as f64 >= words_each * texts as f64;
    enough(WORDS) || (enough(SHORT_WORDS) && 2 * small > later)
}

/// Words without a digit, numbered: the parts of identifiers mostly have one.
fn letter_words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let plain =
        |word: &&str| word.chars().any(char::is_alphabetic) && !word.chars().any(char::is_numeric);
    text.unicode_words().filter(plain).enumerate()
}

/// Hands over the bucket of every word and of every pair of neighbours, with the words themselves; answers how many words
/// there are. Case does not count. Words are those of Unicode's annex 29; scripts without blanks give one per character,
/// and so pairs of characters. Allocates nothing.
#[inline]
pub(super) fn ngrams<'t>(
    text: &'t str,
    mut each: impl FnMut(u32, Option<&'t str>, &'t str),
) -> usize {
    let mut before: Option<(u64, &str)> = None;
    let mut words = 0;
    for word in text.unicode_words() {
        let hash = hash(word);
        each(bucket(hash), None, word);
        if let Some((earlier, first)) = before {
            each(bucket(earlier.rotate_left(21) ^ hash), Some(first), word);
        }
        before = Some((hash, word));
        words += 1;
    }
    words
}

/// FNV-1a over the lower-case word. Part of every stored model: it must never change.
#[inline]
fn hash(word: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let start = 0xcbf2_9ce4_8422_2325;
    if word.is_ascii() {
        return word
            .bytes()
            .fold(start, |hash, byte| step(hash, byte.to_ascii_lowercase()));
    }
    let mut buffer = [0; 4];
    word.chars()
        .flat_map(char::to_lowercase)
        .fold(start, |hash, c| {
            c.encode_utf8(&mut buffer).bytes().fold(hash, step)
        })
}

/// The finaliser of splitmix64, so that the low bits depend on all others.
#[inline]
fn bucket(hash: u64) -> u32 {
    let z = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) % BUCKETS as u64) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Cell, Kind};

    fn prose(texts: impl Iterator<Item = String>) -> bool {
        let mut column = Column::new("t", "text", Kind::Category);
        texts.for_each(|text| column.push(Cell::Text(&text)));
        let rows: Vec<u32> = (0..column.len() as u32).collect();
        is_prose(&column, &rows)
    }

    #[test]
    fn prose_is_told_from_names_and_codes() {
        assert!(prose(
            (0..60).map(|i| format!("customer {i} was not happy with it"))
        ));
        assert!(prose((0..60).map(|i| format!("这件衣服很好看{i}"))));
        assert!(!prose((0..60).map(|i| format!("Anna Maria Rossi-{i}"))));
        assert!(!prose(
            (0..60).map(|i| format!("{i:08x}-e29b-41d4-a716-4466554{i:05}"))
        ));
        assert!(!prose((0..60).map(|i| format!("LC-{i:06}"))));
        assert!(prose((0..60).map(|i| format!("Very nice shirt item{i}"))));
        assert!(
            !prose((0..6000).map(|i| format!("reason number {} of all of them", i % 40))),
            "few texts, many rows"
        );
    }

    #[test]
    fn case_does_not_count_and_neighbours_are_pairs() {
        let buckets = |text: &str| {
            let mut all = Vec::new();
            let words = ngrams(text, |bucket, _, _| all.push(bucket));
            (words, all)
        };
        assert_eq!(buckets("Straße ÜBER Ω"), buckets("straße, über: ω!"));
        let (words, all) = buckets("not good at all");
        assert_eq!((words, all.len()), (4, 7));
        assert_ne!(buckets("good not"), buckets("not good"));
        assert_eq!(buckets(""), (0, vec![]));
    }

    #[test]
    fn the_hash_never_changes() {
        assert_eq!(
            (hash("Good"), hash("É")),
            (0x9ce4d6720e9c9118, 0xac21707b7181e01)
        );
        assert_eq!(bucket(hash("good")), 81727);
    }
}
