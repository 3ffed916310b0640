//! New values as datums of a column's own type, through its input function: so that a domain's checks and a numeric's scale hold.

use crate::error::{Error, Result};
use crate::versions;
use insight_engine::calendar;
use insight_engine::clean::table::Edit;
use pgrx::pg_sys;
use std::ffi::CString;

const DAY: i64 = 86_400_000_000;

/// Makes datums of one column's type.
pub struct Writer {
    base: pg_sys::Oid,
    input: pg_sys::Oid,
    parameter: pg_sys::Oid,
    typmod: i32,
}

impl Writer {
    pub fn new(type_oid: pg_sys::Oid, typmod: i32) -> Writer {
        Writer::of(type_oid, typmod)
    }

    /// As values of the base type, where others look at what a domain allows.
    pub fn unchecked(type_oid: pg_sys::Oid, mut typmod: i32) -> Writer {
        // SAFETY: a syscache look-up of an existing type.
        let base = unsafe { pg_sys::getBaseTypeAndTypmod(type_oid, &mut typmod) };
        Writer::of(base, typmod)
    }

    fn of(type_oid: pg_sys::Oid, typmod: i32) -> Writer {
        let (mut input, mut parameter) = (pg_sys::InvalidOid, pg_sys::InvalidOid);
        // SAFETY: syscache look-ups of an existing type.
        let base = unsafe {
            pg_sys::getTypeInputInfo(type_oid, &mut input, &mut parameter);
            pg_sys::getBaseType(type_oid)
        };
        Writer {
            base,
            input,
            parameter,
            typmod,
        }
    }

    /// The datum, in the current memory context; `None` where the type cannot hold it: the old value stays.
    pub fn datum(&self, edit: &Edit) -> Result<Option<pg_sys::Datum>> {
        if let (Edit::Number(x), versions::MONEYOID) = (edit, self.base) {
            // How money is read depends on the locale; a decoded one counts hundredths.
            return Ok(Some(pg_sys::Datum::from((x * 100.0).round() as i64)));
        }
        let Some(text) = self.text(edit) else {
            return Ok(None);
        };
        if self.too_long(&text) {
            return Ok(None);
        }
        let text =
            CString::new(text).map_err(|_| Error::new("22021", "a text contains a zero byte"))?;
        let length = text.as_bytes().len() as i32;
        // SAFETY: an input function with a C string in the server's encoding answers a datum of its type.
        unsafe {
            let text =
                pg_sys::pg_any_to_server(text.as_ptr(), length, pg_sys::pg_enc::PG_UTF8 as i32);
            let datum =
                pg_sys::OidInputFunctionCall(self.input, text.cast(), self.parameter, self.typmod);
            Ok(Some(datum))
        }
    }

    fn text(&self, edit: &Edit) -> Option<String> {
        Some(match edit {
            Edit::Number(x) if self.too_great(*x) => return None,
            Edit::Number(x) => match self.whole() {
                Some(most) if x.round().abs() > most => return None,
                Some(_) => x.round().to_string(),
                None => x.to_string(),
            },
            Edit::Boolean(x) => x.to_string(),
            Edit::Text(text) => text.clone(),
            Edit::Duration(seconds) if self.base == pg_sys::TIMEOID => {
                clock((seconds * 1e6).clamp(0.0, DAY as f64 - 1.0) as i64)
            }
            Edit::Duration(seconds) => format!("{seconds:.6} seconds"),
            Edit::Time(at) => {
                let (year, month, day) = calendar::date(at.div_euclid(DAY));
                if !(1..=9999).contains(&year) {
                    return None;
                }
                let date = format!("{year:04}-{month:02}-{day:02}");
                let clock = clock(at.rem_euclid(DAY));
                match self.base {
                    pg_sys::DATEOID => date,
                    pg_sys::TIMESTAMPTZOID => format!("{date} {clock}+00"),
                    _ => format!("{date} {clock}"),
                }
            }
        })
    }

    /// Of whole numbers, the greatest that the type holds (and its negative).
    fn whole(&self) -> Option<f64> {
        match self.base {
            pg_sys::INT2OID => Some(f64::from(i16::MAX)),
            pg_sys::INT4OID => Some(f64::from(i32::MAX)),
            // The greatest float below 2^63.
            pg_sys::INT8OID => Some((i64::MAX as f64).next_down()),
            _ => None,
        }
    }

    /// A number with too many digits for a numeric(p, s), or too great for a real.
    fn too_great(&self, x: f64) -> bool {
        match self.base {
            pg_sys::FLOAT4OID => x.is_finite() && (x as f32).is_infinite(),
            pg_sys::NUMERICOID if self.typmod >= 4 => {
                // The precision in the upper half, the scale in the lower 11 bits, as a signed number.
                let own = self.typmod - 4;
                let (precision, scale) = (own >> 16 & 0xffff, ((own & 0x7ff) ^ 1024) - 1024);
                let rounded = (x * 10f64.powi(scale)).round();
                !rounded.is_finite() && x.is_finite() || rounded.abs() >= 10f64.powi(precision)
            }
            _ => false,
        }
    }

    /// A text that grew as it was normalised may no longer fit a varchar(n).
    fn too_long(&self, text: &str) -> bool {
        let bounded = matches!(self.base, pg_sys::VARCHAROID | pg_sys::BPCHAROID);
        bounded && self.typmod >= 4 && text.chars().count() > self.typmod as usize - 4
    }
}

/// Microseconds since midnight as hh:mm:ss.ffffff.
fn clock(microseconds: i64) -> String {
    let seconds = microseconds / 1_000_000;
    format!(
        "{:02}:{:02}:{:02}.{:06}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        microseconds % 1_000_000
    )
}
