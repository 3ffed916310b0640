//! One datum of a known SQL type to a [`Cell`], without text in between.

use super::arrays::{self, Element};
use crate::versions;
use insight_engine::frame::{Cell, Kind};
use insight_engine::picture;
use pgrx::{pg_sys, varlena};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Seconds in a month as PostgreSQL's `extract(epoch from interval)` counts: 365.25 days a year.
const MONTH_SECONDS: f64 = 365.25 / 12.0 * 86_400.0;
const DAY_MICROSECONDS: i64 = 86_400_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    Money,
    Boolean,
    Text,
    /// char(n): trailing blanks carry no meaning.
    Padded,
    Name,
    /// A bare literal in ROW(...), which has no type of its own yet.
    CString,
    Char,
    Enum,
    Uuid,
    Date,
    Timestamp,
    Time,
    Interval,
    /// An array of numbers.
    Numbers(Element, pg_sys::Oid),
    /// An array of texts.
    Tags(pg_sys::Oid),
    /// pgvector's type.
    Vector,
    Json,
    Jsonb,
    /// An image, or other bytes.
    Bytes,
}

/// What a cell borrows from; reused from value to value.
#[derive(Default)]
pub struct Buffer {
    pub bytes: Vec<u8>,
    pub floats: Vec<f32>,
}

/// Decodes datums of one SQL type.
#[derive(Clone)]
pub struct Decoder {
    pub kind: Kind,
    layout: Layout,
    /// Labels of an enum type by oid, filled as they are met.
    labels: Rc<RefCell<HashMap<u32, Box<str>>>>,
}

impl Decoder {
    /// The decoder of a type; `None` where the type is not supported (ranges, geometry, ...).
    /// Domains decode as their base type.
    pub fn for_type(type_oid: pg_sys::Oid) -> Option<Decoder> {
        // SAFETY: syscache look-ups of an existing type.
        let (base, kind_of_type) = unsafe {
            let base = pg_sys::getBaseType(type_oid);
            (base, pg_sys::get_typtype(base) as u8)
        };
        let layout = match base {
            pg_sys::INT2OID => Layout::Int2,
            pg_sys::INT4OID => Layout::Int4,
            pg_sys::INT8OID => Layout::Int8,
            pg_sys::FLOAT4OID => Layout::Float4,
            pg_sys::FLOAT8OID => Layout::Float8,
            pg_sys::NUMERICOID => Layout::Numeric,
            versions::MONEYOID => Layout::Money,
            pg_sys::BOOLOID => Layout::Boolean,
            pg_sys::TEXTOID | pg_sys::VARCHAROID => Layout::Text,
            pg_sys::BPCHAROID => Layout::Padded,
            pg_sys::NAMEOID => Layout::Name,
            pg_sys::UNKNOWNOID => Layout::CString,
            pg_sys::CHAROID => Layout::Char,
            pg_sys::UUIDOID => Layout::Uuid,
            pg_sys::DATEOID => Layout::Date,
            pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => Layout::Timestamp,
            pg_sys::TIMEOID => Layout::Time,
            pg_sys::INTERVALOID => Layout::Interval,
            pg_sys::JSONOID => Layout::Json,
            pg_sys::JSONBOID => Layout::Jsonb,
            pg_sys::BYTEAOID => Layout::Bytes,
            _ if kind_of_type == b'e' => Layout::Enum,
            _ if is_text_like(base) => Layout::Text,
            // SAFETY: the type exists.
            _ if unsafe { arrays::is_pgvector(base) } => Layout::Vector,
            _ => array(base)?,
        };
        let kind = match layout {
            Layout::Int2 | Layout::Int4 | Layout::Int8 | Layout::Float4 | Layout::Float8 => {
                Kind::Number
            }
            Layout::Numeric | Layout::Money => Kind::Number,
            Layout::Boolean => Kind::Boolean,
            Layout::Date | Layout::Timestamp => Kind::Time,
            Layout::Time | Layout::Interval => Kind::Duration,
            Layout::Numbers(..) | Layout::Vector => Kind::Vector,
            Layout::Tags(_) => Kind::Tags,
            Layout::Json | Layout::Jsonb => Kind::Json,
            Layout::Bytes => Kind::Image,
            _ => Kind::Category,
        };
        Some(Decoder {
            kind,
            layout,
            labels: Rc::default(),
        })
    }

    /// # Safety
    /// `datum` must be a valid, non-NULL datum of this decoder's type; the cell borrows from it and from `buffer`.
    /// Compressed and out-of-line values are copied into the current memory context.
    #[inline]
    pub unsafe fn decode<'a>(&self, datum: pg_sys::Datum, buffer: &'a mut Buffer) -> Cell<'a> {
        let word = datum.value();
        let Buffer {
            bytes: scratch,
            floats,
        } = buffer;
        // SAFETY: the caller promises a datum of this layout.
        unsafe {
            match self.layout {
                Layout::Int2 => Cell::Number(f64::from(word as i16)),
                Layout::Int4 => Cell::Number(f64::from(word as i32)),
                Layout::Int8 => Cell::Number(word as i64 as f64),
                Layout::Float4 => Cell::Number(f64::from(f32::from_bits(word as u32))),
                Layout::Float8 => Cell::Number(f64::from_bits(word as u64)),
                Layout::Money => Cell::Number(word as i64 as f64 / 100.0),
                Layout::Numeric => Cell::Number(numeric(payload(datum))),
                Layout::Boolean => Cell::Boolean(word as u8 != 0),
                Layout::Text => text(payload(datum), scratch),
                Layout::Padded => text(payload(datum).trim_ascii_end_blanks(), scratch),
                Layout::Name | Layout::CString => {
                    let name = std::ffi::CStr::from_ptr(datum.cast_mut_ptr::<std::ffi::c_char>());
                    text(
                        std::slice::from_raw_parts(name.as_ptr().cast(), name.to_bytes().len()),
                        scratch,
                    )
                }
                Layout::Char => {
                    scratch.clear();
                    scratch.push(word as u8);
                    std::str::from_utf8(scratch).map_or(Cell::Null, Cell::Text)
                }
                Layout::Enum => self.label(word as u32, scratch),
                Layout::Uuid => uuid(
                    std::slice::from_raw_parts(datum.cast_mut_ptr::<u8>(), 16),
                    scratch,
                ),
                Layout::Date => match word as i32 {
                    i32::MIN | i32::MAX => Cell::Null,
                    // Dates reach further than microseconds do.
                    days => Cell::Time(i64::from(days).saturating_mul(DAY_MICROSECONDS)),
                },
                Layout::Timestamp => match word as i64 {
                    i64::MIN | i64::MAX => Cell::Null,
                    microseconds => Cell::Time(microseconds),
                },
                Layout::Time => Cell::Duration(word as i64 as f64 / 1e6),
                Layout::Interval => {
                    let interval = &*datum.cast_mut_ptr::<pg_sys::Interval>();
                    let days = f64::from(interval.day) * 86_400.0;
                    Cell::Duration(
                        interval.time as f64 / 1e6
                            + days
                            + f64::from(interval.month) * MONTH_SECONDS,
                    )
                }
                Layout::Numbers(element, of) => arrays::numbers(datum, element, of, floats),
                Layout::Tags(of) => arrays::tags(datum, of, scratch),
                Layout::Vector => arrays::pgvector(payload(datum), floats),
                Layout::Json => json(text(payload(datum), scratch)),
                Layout::Bytes => image(datum, scratch),
                Layout::Jsonb => {
                    let out = pg_sys::OidOutputFunctionCall(
                        pg_sys::Oid::from(pg_sys::F_JSONB_OUT),
                        datum,
                    );
                    let cell = json(text(std::ffi::CStr::from_ptr(out).to_bytes(), scratch));
                    pg_sys::pfree(out.cast());
                    cell
                }
            }
        }
    }

    fn label<'a>(&self, oid: u32, scratch: &'a mut Vec<u8>) -> Cell<'a> {
        scratch.clear();
        if let Some(label) = self.labels.borrow().get(&oid) {
            scratch.extend_from_slice(label.as_bytes());
        } else {
            // SAFETY: enum_out looks the label of a valid enum value up and answers a C string.
            let label = unsafe {
                let out = pg_sys::OidOutputFunctionCall(
                    pg_sys::Oid::from(pg_sys::F_ENUM_OUT),
                    pg_sys::Datum::from(oid as usize),
                );
                std::ffi::CStr::from_ptr(out).to_string_lossy().into_owned()
            };
            scratch.extend_from_slice(label.as_bytes());
            self.labels.borrow_mut().insert(oid, label.into());
        }
        std::str::from_utf8(scratch).map_or(Cell::Null, Cell::Text)
    }
}

/// Types of other extensions that are stored like text, such as citext.
fn is_text_like(base: pg_sys::Oid) -> bool {
    let (mut category, mut preferred) = (0, false);
    // SAFETY: syscache look-ups of an existing type.
    unsafe {
        pg_sys::get_type_category_preferred(base, &mut category, &mut preferred);
        category as u8 == b'S' && pg_sys::get_typlen(base) == -1
    }
}

/// Arrays of numbers and of texts.
fn array(base: pg_sys::Oid) -> Option<Layout> {
    // SAFETY: syscache look-ups of existing types.
    let element = unsafe {
        let element = pg_sys::get_element_type(base);
        if element == pg_sys::InvalidOid {
            return None;
        }
        pg_sys::getBaseType(element)
    };
    if let Some(number) = Element::of(element) {
        return Some(Layout::Numbers(number, element));
    }
    let text = matches!(
        element,
        pg_sys::TEXTOID | pg_sys::VARCHAROID | pg_sys::BPCHAROID
    );
    (text || (element != pg_sys::InvalidOid && is_text_like(element)))
        .then_some(Layout::Tags(element))
}

fn json(cell: Cell<'_>) -> Cell<'_> {
    match cell {
        Cell::Text(text) => Cell::Json(text),
        other => other,
    }
}

/// The pixels of an image; none for other bytes. What is too long for one is not even fetched.
///
/// # Safety
/// `datum` must be a valid bytea.
pub(super) unsafe fn image<'a>(datum: pg_sys::Datum, scratch: &'a mut Vec<u8>) -> Cell<'a> {
    scratch.clear();
    // SAFETY: the size is in the value's header; the caller promises a bytea.
    unsafe {
        if pg_sys::toast_raw_datum_size(datum) <= picture::LONGEST_FILE
            && let Some(pixels) = picture::read(payload(datum))
        {
            scratch.extend_from_slice(&pixels);
        }
    }
    Cell::Image(scratch)
}

/// # Safety
/// `datum` must point to a varlena value.
#[inline]
pub(super) unsafe fn payload<'a>(datum: pg_sys::Datum) -> &'a [u8] {
    unsafe {
        let mut value = datum.cast_mut_ptr::<pg_sys::varlena>();
        if varlena::varatt_is_4b_c(value) || varlena::varatt_is_1b_e(value) {
            value = pg_sys::pg_detoast_datum_packed(value);
        }
        std::slice::from_raw_parts(
            varlena::vardata_any(value).cast(),
            varlena::varsize_any_exhdr(value),
        )
    }
}

trait TrimBlanks {
    fn trim_ascii_end_blanks(&self) -> &[u8];
}

impl TrimBlanks for [u8] {
    fn trim_ascii_end_blanks(&self) -> &[u8] {
        let end = self.iter().rposition(|&b| b != b' ').map_or(0, |i| i + 1);
        &self[..end]
    }
}

/// Text in the server's encoding; other encodings than UTF-8 are converted.
#[inline]
fn text<'a>(bytes: &[u8], scratch: &'a mut Vec<u8>) -> Cell<'a> {
    scratch.clear();
    append_text(bytes, scratch);
    std::str::from_utf8(scratch).map_or(Cell::Null, Cell::Text)
}

/// As [`text`], behind what is there already.
#[inline]
pub(super) fn append_text(bytes: &[u8], scratch: &mut Vec<u8>) {
    let start = scratch.len();
    // SAFETY: a plain read; the conversion reads the given bytes and answers a copy or the same pointer.
    unsafe {
        let encoding = pg_sys::GetDatabaseEncoding();
        if encoding == pg_sys::pg_enc::PG_UTF8 as i32 || bytes.is_ascii() {
            scratch.extend_from_slice(bytes);
        } else {
            let converted = pg_sys::pg_server_to_any(
                bytes.as_ptr().cast(),
                bytes.len() as i32,
                pg_sys::pg_enc::PG_UTF8 as i32,
            );
            let converted: *const u8 = converted.cast();
            if converted == bytes.as_ptr() {
                scratch.extend_from_slice(bytes);
            } else {
                scratch.extend_from_slice(std::ffi::CStr::from_ptr(converted.cast()).to_bytes());
            }
        }
    }
    // SQL_ASCII databases can hold anything.
    if std::str::from_utf8(&scratch[start..]).is_err() {
        let lossy = String::from_utf8_lossy(&scratch[start..]).into_owned();
        scratch.truncate(start);
        scratch.extend_from_slice(lossy.as_bytes());
    }
}

fn uuid<'a>(bytes: &[u8], scratch: &'a mut Vec<u8>) -> Cell<'a> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    scratch.clear();
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            scratch.push(b'-');
        }
        scratch.extend([
            DIGITS[usize::from(byte >> 4)],
            DIGITS[usize::from(byte & 15)],
        ]);
    }
    std::str::from_utf8(scratch).map_or(Cell::Null, Cell::Text)
}

/// A numeric as PostgreSQL stores it (src/backend/utils/adt/numeric.c): a header of 16 bits (short) or 32 bits (long),
/// then digits of base 10,000, the first of weight 10,000^weight.
pub(super) fn numeric(bytes: &[u8]) -> f64 {
    let half = |i: usize| {
        bytes
            .get(2 * i..2 * i + 2)
            .map_or(0, |b| u16::from_ne_bytes([b[0], b[1]]))
    };
    let header = half(0);
    let (negative, weight, first) = match header & 0xC000 {
        0xC000 => {
            return match header & 0xF000 {
                0xD000 => f64::INFINITY,
                0xF000 => f64::NEG_INFINITY,
                _ => f64::NAN,
            };
        }
        0x8000 => {
            let magnitude = i32::from(header & 0x003F);
            let weight = if header & 0x0040 != 0 {
                magnitude - 64
            } else {
                magnitude
            };
            (header & 0x2000 != 0, weight, 1)
        }
        sign => (sign == 0x4000, i32::from(half(1) as i16), 2),
    };
    let digits = bytes.len() / 2 - first.min(bytes.len() / 2);
    // Five digits of base 10,000 hold at least 17 decimal digits: all an f64 can tell apart.
    let used = digits.min(5);
    let mantissa = (0..used).fold(0u128, |sum, i| sum * 10_000 + u128::from(half(first + i)));
    let exponent = (weight - used as i32 + 1) * 4;
    let value = scale(mantissa, exponent);
    if negative { -value } else { value }
}

/// mantissa · 10^exponent, correctly rounded where the power is exact.
fn scale(mantissa: u128, exponent: i32) -> f64 {
    let value = mantissa as f64;
    match exponent {
        0 => value,
        1..=22 => value * 10f64.powi(exponent),
        -22..=-1 if mantissa < 1 << 53 => value / 10f64.powi(-exponent),
        // Rare: many digits. The decimal reader rounds once and correctly.
        _ => format!("{mantissa}e{exponent}").parse().unwrap_or(value),
    }
}
