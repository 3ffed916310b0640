//! One datum of a known SQL type to a [`Cell`], without text in between.

use insight_engine::frame::{Cell, Kind};
use pgrx::pg_sys;

/// Decodes datums of one SQL type.
#[derive(Clone)]
pub struct Decoder {
    pub kind: Kind,
}

impl Decoder {
    /// The decoder of a type; `None` where the type is not supported (json, arrays, bytea, ...).
    /// Domains decode as their base type.
    pub fn for_type(_type_oid: pg_sys::Oid) -> Option<Decoder> {
        todo!()
    }
    /// # Safety
    /// `datum` must be a valid, non-NULL datum of this decoder's type; the cell borrows from it and from `scratch`.
    pub unsafe fn decode<'a>(&self, _datum: pg_sys::Datum, _scratch: &'a mut Vec<u8>) -> Cell<'a> {
        todo!()
    }
}
