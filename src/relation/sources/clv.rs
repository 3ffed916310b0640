//! Reading the key `clv` of a source.

use super::Clv;
use super::parse::{LONGEST_WINDOW, boolean, invalid, text};
use crate::error::{Error, Result};
use crate::relation::decode::Decoder;
use crate::relation::resolve::Source;
use insight_engine::frame::Kind;
use pgrx::pg_sys;
use serde_json::{Map, Value};

/// Days that forecasts of purchases look ahead where none are given.
const HORIZON: u32 = 365;

/// True, the column of the amount, or both the column and the days to look ahead.
pub(super) fn clv(
    name: &str,
    spec: &Map<String, Value>,
    source: &Source,
    time: Option<&str>,
) -> Result<Option<Clv>> {
    let wrong = || {
        invalid(
            "\"clv\" must be true, the column of the amount, or {\"amount\": ..., \"horizon_days\": 1 to 36525}",
        )
    };
    let (amount, horizon) = match spec.get("clv") {
        None | Some(Value::Null | Value::Bool(false)) => return Ok(None),
        Some(Value::Bool(true)) => (None, None),
        Some(Value::String(amount)) => (Some(amount.clone()), None),
        Some(Value::Object(given)) => {
            if given.keys().any(|k| k != "amount" && k != "horizon_days") {
                return Err(wrong());
            }
            (text(given, "amount")?, given.get("horizon_days"))
        }
        Some(_) => return Err(wrong()),
    };
    let horizon_days = match horizon {
        None | Some(Value::Null) => HORIZON,
        Some(days) => days
            .as_u64()
            .filter(|d| (1..=LONGEST_WINDOW).contains(d))
            .ok_or_else(wrong)? as u32,
    };
    if let Some(amount) = &amount {
        let column = source.require(amount)?;
        if Decoder::for_type(column.type_oid).is_none_or(|d| d.kind != Kind::Number) {
            return Err(Error::new(
                "42804",
                format!(
                    "amount \"{amount}\" of source \"{name}\" is {}",
                    column.type_name
                ),
            )
            .hint("It must be a number."));
        }
    }
    let direct = !spec.contains_key("parent") && !boolean(spec, "one_to_one")?;
    let Some(time) = time.filter(|_| direct) else {
        return Err(invalid(&format!("source \"{name}\" cannot have clv")).hint(
            "Purchases need a time, a key of the customer's own (no parent), and may be several (not one_to_one).",
        ));
    };
    // SAFETY: a syscache look-up of an existing type.
    let time_type = unsafe { pg_sys::getBaseType(source.require(time)?.type_oid) };
    Ok(Some(Clv {
        amount,
        horizon_days,
        zoned: time_type == pg_sys::TIMESTAMPTZOID,
    }))
}
