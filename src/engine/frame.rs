//! Named, typed columns with null bitmaps: what a relation becomes before it is prepared.

mod part;
#[cfg(test)]
mod tests;

use crate::picture::BYTES;
use hashbrown::{DefaultHashBuilder, HashSet, HashTable};
use serde::{Deserialize, Serialize};
use std::hash::BuildHasher;

/// How a column is treated by the recipe; inferred from its SQL type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Integers, floats, numeric, money-like values: standardised.
    Number,
    /// true / false: a category of two levels.
    Boolean,
    /// Text, varchar, char, enum, uuid: a category, or free text where the recipe finds prose.
    Category,
    /// date, timestamp, timestamptz, as microseconds since 2000-01-01 00:00 UTC: calendar parts.
    Time,
    /// interval and time of day, in seconds: standardised like a number.
    Duration,
    /// Arrays of numbers and pgvector's vector: an image, a sound, an embedding.
    Vector,
    /// Arrays of text: categories of which a row can have several.
    Tags,
    /// json and jsonb: flattened by path.
    Json,
    /// bytea that holds PNG or JPEG images.
    Image,
}

/// One value on its way into a frame or a prediction. Text borrows from the row it came from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    Null,
    Number(f64),
    Boolean(bool),
    Text(&'a str),
    /// Microseconds since 2000-01-01 00:00 UTC.
    Time(i64),
    /// Seconds.
    Duration(f64),
    /// NaN stands for an element that is missing.
    Vector(&'a [f32]),
    /// Each element followed by a zero byte, which PostgreSQL's texts cannot contain.
    Tags(&'a str),
    /// A JSON document as text.
    Json(&'a str),
    /// The pixels of an image, as [`crate::picture::read`] gives them; nothing for bytes that are no image.
    Image(&'a [u8]),
}

/// Ends each element of [`Cell::Tags`].
pub const TAG_END: char = '\0';

/// The elements of [`Cell::Tags`].
pub fn tags(packed: &str) -> impl Iterator<Item = &str> {
    packed.split_terminator(TAG_END)
}

/// One bit per row; a set bit marks a NULL.
#[derive(Debug, Clone, Default)]
pub struct Bitmap {
    words: Vec<u64>,
    len: usize,
    set: usize,
}

impl Bitmap {
    #[inline]
    pub fn push(&mut self, bit: bool) {
        let (word, shift) = (self.len / 64, self.len % 64);
        if word == self.words.len() {
            self.words.push(0);
        }
        self.words[word] |= u64::from(bit) << shift;
        self.set += usize::from(bit);
        self.len += 1;
    }
    #[inline]
    pub fn get(&self, row: usize) -> bool {
        self.words[row / 64] >> (row % 64) & 1 == 1
    }
    /// How many bits are set.
    pub fn count(&self) -> usize {
        self.set
    }
    pub fn len(&self) -> usize {
        self.len
    }
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Texts in order of first appearance, each with a code. A text is kept once: it can be long.
#[derive(Debug, Clone, Default)]
pub struct Dictionary {
    texts: Vec<Box<str>>,
    codes: HashTable<u32>,
    hasher: DefaultHashBuilder,
    bytes: usize,
    /// Of these, what texts of less than a page take.
    short: usize,
}

/// Bytes of a page of memory.
const PAGE: usize = 4096;

impl Dictionary {
    #[inline]
    pub fn encode(&mut self, text: &str) -> u32 {
        let hash = self.hasher.hash_one(text);
        let texts = &self.texts;
        let known = self
            .codes
            .find(hash, |&code| *texts[code as usize] == *text);
        if let Some(&code) = known {
            return code;
        }
        let code = self.texts.len() as u32;
        self.texts.push(text.into());
        let (texts, hasher) = (&self.texts, &self.hasher);
        self.codes
            .insert_unique(hash, code, |&code| hasher.hash_one(&*texts[code as usize]));
        self.bytes += text.len() + 24;
        self.short += 24 + Some(text.len()).filter(|len| *len < PAGE).unwrap_or(0);
        code
    }
    pub fn text(&self, code: u32) -> &str {
        &self.texts[code as usize]
    }
    pub fn len(&self) -> usize {
        self.texts.len()
    }
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
}

/// The values of a column; rows that are NULL hold a filler (0).
#[derive(Debug, Clone)]
pub enum Values {
    /// Kinds Number and Duration. Never NaN or infinite for features: see [`Column::push`].
    Number(Vec<f64>),
    /// Kind Boolean.
    Boolean(Vec<bool>),
    /// Kinds Category, Tags and Json.
    Category {
        codes: Vec<u32>,
        dictionary: Dictionary,
    },
    /// Kind Time: microseconds since 2000-01-01 00:00 UTC.
    Time(Vec<i64>),
    /// Kind Vector: the elements of all rows, one row after the other, and where each row ends.
    Vector { values: Vec<f32>, ends: Vec<usize> },
    /// Kind Image: the pixels of the rows that have an image, and where each row ends.
    Image { pixels: Vec<u8>, ends: Vec<usize> },
}

#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    /// The SQL type as the user knows it, such as `integer` or `character varying`.
    pub type_name: String,
    pub kind: Kind,
    pub values: Values,
    pub nulls: Bitmap,
    /// NaN and infinite values met, in vectors too: they count as missing.
    pub non_finite: usize,
    /// Values of kind Image that are no image: they count as missing.
    pub unreadable: usize,
}

impl Column {
    pub fn new(name: impl Into<String>, type_name: impl Into<String>, kind: Kind) -> Self {
        let values = match kind {
            Kind::Number | Kind::Duration => Values::Number(Vec::new()),
            Kind::Boolean => Values::Boolean(Vec::new()),
            Kind::Category | Kind::Tags | Kind::Json => Values::Category {
                codes: Vec::new(),
                dictionary: Dictionary::default(),
            },
            Kind::Time => Values::Time(Vec::new()),
            Kind::Vector => Values::Vector {
                values: Vec::new(),
                ends: Vec::new(),
            },
            Kind::Image => Values::Image {
                pixels: Vec::new(),
                ends: Vec::new(),
            },
        };
        Column {
            name: name.into(),
            type_name: type_name.into(),
            kind,
            values,
            nulls: Bitmap::default(),
            non_finite: 0,
            unreadable: 0,
        }
    }

    /// Appends one value. A cell that does not fit the column's kind, NaN and infinities are stored as missing;
    /// NaN, infinities and bytes that are no image are counted.
    #[inline]
    pub fn push(&mut self, cell: Cell<'_>) {
        let null = match (&mut self.values, cell) {
            (Values::Number(v), Cell::Number(x) | Cell::Duration(x)) => {
                let finite = x.is_finite();
                v.push(if finite { x } else { 0.0 });
                self.non_finite += usize::from(!finite);
                !finite
            }
            (Values::Boolean(v), Cell::Boolean(x)) => {
                v.push(x);
                false
            }
            (
                Values::Category { codes, dictionary },
                Cell::Text(x) | Cell::Tags(x) | Cell::Json(x),
            ) if holds(self.kind, cell) => {
                codes.push(dictionary.encode(x));
                false
            }
            (Values::Vector { values, ends }, Cell::Vector(x)) => {
                for x in x {
                    values.push(if x.is_finite() { *x } else { f32::NAN });
                    self.non_finite += usize::from(!x.is_finite());
                }
                ends.push(values.len());
                false
            }
            (Values::Image { pixels, ends }, Cell::Image(x)) => {
                let image = x.len() == BYTES;
                pixels.extend_from_slice(if image { x } else { &[] });
                ends.push(pixels.len());
                self.unreadable += usize::from(!image);
                !image
            }
            (Values::Time(v), Cell::Time(x)) => {
                v.push(x);
                false
            }
            (values, _) => {
                match values {
                    Values::Number(v) => v.push(0.0),
                    Values::Boolean(v) => v.push(false),
                    Values::Category { codes, .. } => codes.push(0),
                    Values::Time(v) => v.push(0),
                    Values::Vector { values, ends } => ends.push(values.len()),
                    Values::Image { pixels, ends } => ends.push(pixels.len()),
                }
                true
            }
        };
        self.nulls.push(null);
    }

    /// Makes room for so many rows more, as far as their length is known.
    pub fn reserve(&mut self, rows: usize) {
        match &mut self.values {
            Values::Number(values) => values.reserve(rows),
            Values::Boolean(values) => values.reserve(rows),
            Values::Time(values) => values.reserve(rows),
            Values::Category { codes, .. } => codes.reserve(rows),
            Values::Vector { ends, .. } | Values::Image { ends, .. } => ends.reserve(rows),
        }
    }

    /// Drops all rows and keeps their room.
    pub fn clear(&mut self) {
        match &mut self.values {
            Values::Number(values) => values.clear(),
            Values::Boolean(values) => values.clear(),
            Values::Time(values) => values.clear(),
            Values::Category { codes, dictionary } => {
                codes.clear();
                *dictionary = Dictionary::default();
            }
            Values::Vector { values, ends } => {
                values.clear();
                ends.clear();
            }
            Values::Image { pixels, ends } => {
                pixels.clear();
                ends.clear();
            }
        }
        self.nulls = Bitmap::default();
        (self.non_finite, self.unreadable) = (0, 0);
    }

    /// How many different values there are; of vectors and images, how many rows have one.
    pub fn distinct(&self) -> usize {
        let rows = (0..self.len()).filter(|row| !self.nulls.get(*row));
        let values: HashSet<u64> = match &self.values {
            Values::Number(v) => rows.map(|row| (v[row] + 0.0).to_bits()).collect(),
            Values::Boolean(v) => rows.map(|row| u64::from(v[row])).collect(),
            Values::Time(v) => rows.map(|row| v[row] as u64).collect(),
            Values::Category { codes, .. } => rows.map(|row| u64::from(codes[row])).collect(),
            Values::Vector { .. } | Values::Image { .. } => return rows.count(),
        };
        values.len()
    }

    /// The value of one row.
    #[inline]
    pub fn cell(&self, row: usize) -> Cell<'_> {
        if self.nulls.get(row) {
            return Cell::Null;
        }
        match &self.values {
            Values::Number(v) if self.kind == Kind::Duration => Cell::Duration(v[row]),
            Values::Number(v) => Cell::Number(v[row]),
            Values::Boolean(v) => Cell::Boolean(v[row]),
            Values::Category { codes, dictionary } => {
                let text = dictionary.text(codes[row]);
                match self.kind {
                    Kind::Tags => Cell::Tags(text),
                    Kind::Json => Cell::Json(text),
                    _ => Cell::Text(text),
                }
            }
            Values::Time(v) => Cell::Time(v[row]),
            Values::Vector { values, ends } => {
                let start = if row == 0 { 0 } else { ends[row - 1] };
                Cell::Vector(&values[start..ends[row]])
            }
            Values::Image { pixels, ends } => {
                let start = if row == 0 { 0 } else { ends[row - 1] };
                Cell::Image(&pixels[start..ends[row]])
            }
        }
    }

    pub fn len(&self) -> usize {
        self.nulls.len()
    }

    pub fn is_empty(&self) -> bool {
        self.nulls.is_empty()
    }

    /// Bytes held, about.
    pub fn bytes(&self) -> usize {
        let rows = self.len();
        rows / 8
            + match &self.values {
                Values::Number(_) | Values::Time(_) => rows * 8,
                Values::Boolean(_) => rows,
                Values::Category { dictionary, .. } => rows * 4 + dictionary.bytes,
                Values::Vector { values, .. } => rows * 8 + values.len() * 4,
                Values::Image { pixels, .. } => rows * 8 + pixels.len(),
            }
    }

    /// Of these, what the different texts take that are shorter than a page of memory.
    pub fn short_text_bytes(&self) -> usize {
        match &self.values {
            Values::Category { dictionary, .. } => dictionary.short,
            _ => 0,
        }
    }
}

/// Whether a text of some sort is of the column's sort.
fn holds(kind: Kind, cell: Cell<'_>) -> bool {
    matches!(
        (kind, cell),
        (Kind::Category, Cell::Text(_)) | (Kind::Tags, Cell::Tags(_)) | (Kind::Json, Cell::Json(_))
    )
}

/// Columns of equal length.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    pub columns: Vec<Column>,
}

impl Frame {
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, Column::len)
    }
    pub fn bytes(&self) -> usize {
        self.columns.iter().map(Column::bytes).sum()
    }
    /// Of these, what texts take that are shorter than a page of memory.
    pub fn short_text_bytes(&self) -> usize {
        self.columns.iter().map(Column::short_text_bytes).sum()
    }
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// The rows that `keep` says, in their order, as if no others had been read.
    pub fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        let rows: Vec<usize> = (0..self.rows()).filter(|row| keep(*row)).collect();
        if rows.len() == self.rows() {
            return;
        }
        for column in &mut self.columns {
            let mut kept = Column::new(&*column.name, &*column.type_name, column.kind);
            rows.iter().for_each(|row| kept.push(column.cell(*row)));
            // Of rows that are gone nothing is told but how many values could not be used.
            (kept.non_finite, kept.unreadable) = (column.non_finite, column.unreadable);
            *column = kept;
        }
    }
}
