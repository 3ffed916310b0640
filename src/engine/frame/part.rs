//! Some rows of a column as bytes, on their way from one process to another: appended, they make the column that one process would
//! have read.
//!
//! All numbers are little-endian; what is read is checked for its length, not trusted.

use super::{Bitmap, Column, Values};

impl Bitmap {
    /// Appends the lowest `count` bits of a word.
    fn push_bits(&mut self, word: u64, count: usize) {
        let word = if count < 64 {
            word & ((1 << count) - 1)
        } else {
            word
        };
        let shift = self.len % 64;
        if shift == 0 {
            self.words.push(word);
        } else {
            let last = self.words.len() - 1;
            self.words[last] |= word << shift;
            if shift + count > 64 {
                self.words.push(word >> (64 - shift));
            }
        }
        self.len += count;
        self.set += word.count_ones() as usize;
    }
}

fn put_u32s(out: &mut Vec<u8>, values: &[u32]) {
    put(out, values, |x| x.to_le_bytes());
}

fn put_u64(out: &mut Vec<u8>, value: usize) {
    out.extend_from_slice(&(value as u64).to_le_bytes());
}

fn put<T: Copy, const N: usize>(out: &mut Vec<u8>, values: &[T], bytes: impl Fn(T) -> [u8; N]) {
    let start = out.len();
    out.resize(start + values.len() * N, 0);
    let places = out[start..].chunks_exact_mut(N);
    for (place, value) in places.zip(values) {
        place.copy_from_slice(&bytes(*value));
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(head)
}

fn take_all<'a, T, const N: usize>(
    bytes: &mut &'a [u8],
    count: usize,
    value: impl Fn([u8; N]) -> T + 'a,
) -> Option<impl Iterator<Item = T> + 'a> {
    let taken = take(bytes, count.checked_mul(N)?)?;
    // Chunks of N bytes are arrays of N bytes.
    let whole = taken.as_chunks::<N>().0;
    Some(whole.iter().map(move |chunk| value(*chunk)))
}

fn take_u64(bytes: &mut &[u8]) -> Option<usize> {
    let word = take(bytes, 8)?.try_into().ok()?;
    usize::try_from(u64::from_le_bytes(word)).ok()
}

/// Where rows end, as they end in a column that had `before` elements.
fn take_ends(
    bytes: &mut &[u8],
    rows: usize,
    before: usize,
    ends: &mut Vec<usize>,
) -> Option<usize> {
    let start = ends.len();
    ends.extend(take_all(bytes, rows, u64::from_le_bytes)?.map(|end| before + end as usize));
    let own = &ends[start..];
    let ascends = own.is_sorted() && own.first().is_none_or(|first| *first >= before);
    ascends.then(|| own.last().map_or(0, |last| last - before))
}

impl Column {
    /// Writes all rows of this column, whose number the reader has to know.
    pub fn write_part(&self, out: &mut Vec<u8>) {
        for count in [self.non_finite, self.unreadable, self.nulls.count()] {
            put_u64(out, count);
        }
        if self.nulls.count() > 0 {
            put(out, &self.nulls.words, u64::to_le_bytes);
        }
        let put_ends =
            |out: &mut Vec<u8>, ends: &[usize]| put(out, ends, |x| (x as u64).to_le_bytes());
        match &self.values {
            Values::Number(values) => put(out, values, f64::to_le_bytes),
            Values::Time(values) => put(out, values, i64::to_le_bytes),
            Values::Boolean(values) => put(out, values, |x| [u8::from(x)]),
            Values::Category { codes, dictionary } => {
                put_u64(out, dictionary.len());
                let lengths: Vec<u32> = dictionary
                    .texts
                    .iter()
                    .map(|text| text.len() as u32)
                    .collect();
                put_u32s(out, &lengths);
                for text in &dictionary.texts {
                    out.extend_from_slice(text.as_bytes());
                }
                put_u32s(out, codes);
            }
            Values::Vector { values, ends } => {
                put_ends(out, ends);
                put(out, values, f32::to_le_bytes);
            }
            Values::Image { pixels, ends } => {
                put_ends(out, ends);
                out.extend_from_slice(pixels);
            }
        }
    }

    /// Appends rows that [`Column::write_part`] wrote of a column of the same kind, and takes them off `bytes`; `None` where they are
    /// no such rows, which leaves the column in pieces.
    pub fn append_part(&mut self, bytes: &mut &[u8], rows: usize) -> Option<()> {
        self.non_finite += take_u64(bytes)?;
        self.unreadable += take_u64(bytes)?;
        let first = self.len();
        let words = match take_u64(bytes)? {
            0 => Vec::new(),
            _ => take_all(bytes, rows.div_ceil(64), u64::from_le_bytes)?.collect(),
        };
        for start in (0..rows).step_by(64) {
            let word = words.get(start / 64).copied().unwrap_or(0);
            self.nulls.push_bits(word, (rows - start).min(64));
        }
        let nulls = &self.nulls;
        match &mut self.values {
            Values::Number(values) => values.extend(take_all(bytes, rows, f64::from_le_bytes)?),
            Values::Time(values) => values.extend(take_all(bytes, rows, i64::from_le_bytes)?),
            Values::Boolean(values) => {
                values.extend(take(bytes, rows)?.iter().map(|byte| *byte != 0));
            }
            Values::Category { codes, dictionary } => {
                let texts = take_u64(bytes)?;
                let lengths: Vec<u32> = take_all(bytes, texts, u32::from_le_bytes)?.collect();
                let mut own = Vec::with_capacity(texts);
                for length in lengths {
                    // In the order in which these rows name them: those that are new get the codes that they would have got.
                    own.push(
                        dictionary.encode(std::str::from_utf8(take(bytes, length as usize)?).ok()?),
                    );
                }
                for (row, code) in take_all(bytes, rows, u32::from_le_bytes)?.enumerate() {
                    codes.push(match nulls.get(first + row) {
                        true => 0,
                        false => *own.get(code as usize)?,
                    });
                }
            }
            Values::Vector { values, ends } => {
                let count = take_ends(bytes, rows, values.len(), ends)?;
                values.extend(take_all(bytes, count, f32::from_le_bytes)?);
            }
            Values::Image { pixels, ends } => {
                let count = take_ends(bytes, rows, pixels.len(), ends)?;
                pixels.extend_from_slice(take(bytes, count)?);
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cell, Kind};
    use super::*;
    use crate::picture::BYTES;

    const KINDS: [Kind; 9] = [
        Kind::Number,
        Kind::Duration,
        Kind::Boolean,
        Kind::Category,
        Kind::Tags,
        Kind::Json,
        Kind::Time,
        Kind::Vector,
        Kind::Image,
    ];

    /// The value of a row that differs from row to row, now and then missing or not usable.
    fn push(column: &mut Column, row: usize, image: &[u8]) {
        let text = ["red", "green", "", "blue"][row * row % 4];
        let vector = [row as f32, f32::NAN];
        let cell = match column.kind {
            _ if row % 7 == 3 => Cell::Null,
            Kind::Number => Cell::Number(if row % 11 == 0 {
                f64::NAN
            } else {
                row as f64 / 3.0
            }),
            Kind::Duration => Cell::Duration(row as f64),
            Kind::Boolean => Cell::Boolean(row % 2 == 0),
            Kind::Category => Cell::Text(text),
            Kind::Tags => Cell::Tags(text),
            Kind::Json => Cell::Json(text),
            Kind::Time => Cell::Time(-(row as i64)),
            Kind::Vector => Cell::Vector(&vector[..row % 3]),
            Kind::Image => Cell::Image(if row % 5 == 0 { &[] } else { image }),
        };
        column.push(cell);
    }

    #[test]
    fn parts_make_the_column_that_was_never_parted() {
        let image = vec![7; BYTES];
        for kind in KINDS {
            let mut whole = Column::new("a", "its type", kind);
            let mut joined = whole.clone();
            let mut row = 0;
            for rows in [1, 63, 64, 0, 65, 200, 7] {
                let mut part = Column::new("a", "its type", kind);
                for row in row..row + rows {
                    push(&mut part, row, &image);
                    push(&mut whole, row, &image);
                }
                row += rows;
                let mut bytes = vec![];
                part.write_part(&mut bytes);
                bytes.push(9);
                let mut rest = &bytes[..];
                joined.append_part(&mut rest, rows).unwrap();
                assert_eq!(rest, [9], "{kind:?}");
            }
            assert_eq!(joined.len(), whole.len());
            // As text: a NaN in a vector equals no other.
            for row in 0..row {
                let (joined, whole) = (joined.cell(row), whole.cell(row));
                assert_eq!(format!("{joined:?}"), format!("{whole:?}"), "{kind:?}");
            }
            assert_eq!(joined.nulls.count(), whole.nulls.count());
            assert_eq!(joined.non_finite, whole.non_finite);
            assert_eq!(joined.unreadable, whole.unreadable);
            if let (Values::Category { codes: a, .. }, Values::Category { codes: b, .. }) =
                (&joined.values, &whole.values)
            {
                assert_eq!(a, b);
            }
        }
    }

    #[test]
    fn bytes_that_are_cut_short_are_no_part() {
        let image = vec![7; BYTES];
        for kind in KINDS {
            let mut part = Column::new("a", "its type", kind);
            (0..70).for_each(|row| push(&mut part, row, &image));
            let mut bytes = vec![];
            part.write_part(&mut bytes);
            for length in (0..bytes.len()).step_by(bytes.len() / 50 + 1) {
                let mut joined = Column::new("a", "its type", kind);
                assert!(
                    joined.append_part(&mut &bytes[..length], 70).is_none(),
                    "{kind:?} {length}"
                );
            }
        }
    }
}
