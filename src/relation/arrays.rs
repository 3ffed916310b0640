//! Arrays and pgvector's vectors: many numbers, or many texts, in one datum.

use super::decode::{append_text, numeric, payload};
use insight_engine::frame::{Cell, TAG_END};
use pgrx::pg_sys;

/// The elements of an array of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    Boolean,
}

impl Element {
    pub fn of(type_oid: pg_sys::Oid) -> Option<Element> {
        Some(match type_oid {
            pg_sys::INT2OID => Element::Int2,
            pg_sys::INT4OID => Element::Int4,
            pg_sys::INT8OID => Element::Int8,
            pg_sys::FLOAT4OID => Element::Float4,
            pg_sys::FLOAT8OID => Element::Float8,
            pg_sys::NUMERICOID => Element::Numeric,
            pg_sys::BOOLOID => Element::Boolean,
            _ => return None,
        })
    }

    /// # Safety
    /// `datum` must be a valid element of this type.
    unsafe fn number(self, datum: pg_sys::Datum) -> f32 {
        let word = datum.value();
        match self {
            Element::Int2 => f32::from(word as i16),
            Element::Int4 => word as i32 as f32,
            Element::Int8 => word as i64 as f32,
            Element::Float4 => f32::from_bits(word as u32),
            Element::Float8 => f64::from_bits(word as u64) as f32,
            // SAFETY: the caller promises a numeric.
            Element::Numeric => numeric(unsafe { payload(datum) }) as f32,
            Element::Boolean => f32::from(u8::from(word as u8 != 0)),
        }
    }
}

/// Whether a type is pgvector's `vector`: it has no fixed oid.
///
/// # Safety
/// The type must exist.
pub unsafe fn is_pgvector(type_oid: pg_sys::Oid) -> bool {
    // SAFETY: a syscache look-up; the tuple is read before it is released.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(
            pg_sys::SysCacheIdentifier::TYPEOID as i32,
            pg_sys::Datum::from(type_oid),
        );
        if tuple.is_null() {
            return false;
        }
        let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_type>();
        let name = std::ffi::CStr::from_ptr((*form).typname.data.as_ptr());
        let found = name == c"vector" && (*form).typlen == -1 && (*form).typtype as u8 == b'b';
        pg_sys::ReleaseSysCache(tuple);
        found
    }
}

/// pgvector's layout: the dimension as int16, an unused int16, then float4s. A type of this name with another layout is
/// missing.
pub fn pgvector<'a>(bytes: &[u8], floats: &'a mut Vec<f32>) -> Cell<'a> {
    floats.clear();
    let Some((head, rest)) = bytes.split_at_checked(4) else {
        return Cell::Null;
    };
    let dimension = usize::from(u16::from_ne_bytes([head[0], head[1]]));
    let (elements, odd) = rest.as_chunks::<4>();
    if elements.len() != dimension || !odd.is_empty() {
        return Cell::Null;
    }
    floats.extend(elements.iter().map(|bytes| f32::from_ne_bytes(*bytes)));
    Cell::Vector(floats)
}

/// The elements of an array with whether each is NULL, row by row where it has more than one dimension.
///
/// # Safety
/// `datum` must be a valid array of elements of the given type.
unsafe fn elements(
    datum: pg_sys::Datum,
    type_oid: pg_sys::Oid,
    mut each: impl FnMut(Option<pg_sys::Datum>),
) {
    let (mut length, mut by_value, mut align) = (0i16, false, 0 as std::ffi::c_char);
    let (mut values, mut nulls, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0i32);
    // SAFETY: the caller promises an array of this type; what is allocated lives in the current memory context.
    unsafe {
        let array = pg_sys::pg_detoast_datum(datum.cast_mut_ptr());
        pg_sys::get_typlenbyvalalign(type_oid, &mut length, &mut by_value, &mut align);
        pg_sys::deconstruct_array(
            array.cast(),
            type_oid,
            i32::from(length),
            by_value,
            align,
            &mut values,
            &mut nulls,
            &mut count,
        );
        for i in 0..count as usize {
            each((!*nulls.add(i)).then(|| *values.add(i)));
        }
        pg_sys::pfree(values.cast());
        pg_sys::pfree(nulls.cast());
        if array.cast() != datum.cast_mut_ptr::<std::ffi::c_void>() {
            pg_sys::pfree(array.cast());
        }
    }
}

/// A NULL element is NaN.
///
/// # Safety
/// `datum` must be a valid array of such elements.
pub unsafe fn numbers<'a>(
    datum: pg_sys::Datum,
    element: Element,
    type_oid: pg_sys::Oid,
    floats: &'a mut Vec<f32>,
) -> Cell<'a> {
    floats.clear();
    // SAFETY: as promised by the caller.
    unsafe {
        if !plain(datum, element, floats) {
            elements(datum, type_oid, |value| {
                floats.push(value.map_or(f32::NAN, |v| element.number(v)));
            });
        }
    }
    Cell::Vector(floats)
}

/// Floats without a NULL lie side by side (src/include/utils/array.h): they are copied at once. False: not such an array.
///
/// # Safety
/// `datum` must be a valid array of such elements.
unsafe fn plain(datum: pg_sys::Datum, element: Element, floats: &mut Vec<f32>) -> bool {
    if !matches!(element, Element::Float4 | Element::Float8) {
        return false;
    }
    // SAFETY: as promised by the caller; nothing beyond the array's size is read.
    unsafe {
        // dataoffset, elemtype, then a length and a lower bound per dimension; the data at a multiple of 8.
        let bytes = payload(datum);
        let word = |i: usize| {
            let bytes = bytes.get(4 * i..4 * i + 4);
            bytes.map_or(0, |b| i32::from_ne_bytes([b[0], b[1], b[2], b[3]]))
        };
        let (dimensions, nulls_at) = (word(0).clamp(0, 6) as usize, word(1));
        if nulls_at != 0 {
            return false;
        }
        let count: usize = match dimensions {
            0 => 0,
            _ => (0..dimensions).fold(1, |product, d| {
                product.saturating_mul(word(3 + d).max(0) as usize)
            }),
        };
        // The header is counted without the four bytes of the length, which are not part of the payload.
        let start = (16 + 8 * dimensions).next_multiple_of(8) - 4;
        let data = bytes.get(start.min(bytes.len())..).unwrap_or_default();
        if element == Element::Float4 {
            let (values, _) = data.as_chunks::<4>();
            floats.extend(values.iter().take(count).map(|b| f32::from_ne_bytes(*b)));
        } else {
            let (values, _) = data.as_chunks::<8>();
            floats.extend(
                values
                    .iter()
                    .take(count)
                    .map(|b| f64::from_ne_bytes(*b) as f32),
            );
        }
        let all = floats.len() == count;
        if !all {
            floats.clear();
        }
        all
    }
}

/// NULL elements are left out.
///
/// # Safety
/// `datum` must be a valid array of texts.
pub unsafe fn tags<'a>(
    datum: pg_sys::Datum,
    type_oid: pg_sys::Oid,
    bytes: &'a mut Vec<u8>,
) -> Cell<'a> {
    bytes.clear();
    // SAFETY: as promised by the caller.
    unsafe {
        elements(datum, type_oid, |value| {
            if let Some(value) = value {
                append_text(payload(value), bytes);
                bytes.push(TAG_END as u8);
            }
        });
    }
    std::str::from_utf8(bytes).map_or(Cell::Null, Cell::Tags)
}
