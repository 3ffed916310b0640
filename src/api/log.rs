//! Predictions that are kept, and how good they turned out to be. `insight_predict_logged` is a raw call frame, because it takes
//! any row.

use super::call::given;
use super::json::Json;
use super::lifecycle::caller;
use super::predict;
use crate::error::{Result, must_write, or_raise, required};
use crate::relation::performance;
use crate::store::cache::{self, Stamp};
use crate::store::log::{self, Keeper, Line};
use insight_engine::infer;
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;

/// Keeps a model's predictions from now on, or no longer.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_log(
    model: Option<&str>,
    on: default!(Option<bool>, true),
    options: default!(Option<Json>, "'{}'"),
) -> TableIterator<
    'static,
    (
        name!(model, String),
        name!(active, bool),
        name!(sample, f64),
        name!(retention, Interval),
        name!(key, Option<String>),
        name!(roles, Vec<String>),
        name!(metric, Option<String>),
        name!(bound, Option<f64>),
    ),
> {
    must_write("insight_log()");
    let role = caller();
    let set = || {
        let model = required(model, "model")?;
        let on = required(on, "on")?;
        log::set(model, on, &given(options), role).map(|setting| (model.to_owned(), setting))
    };
    let (model, setting) = or_raise(set());
    // What this statement's calls know is of before.
    KEPT.set(None);
    TableIterator::once((
        model,
        setting.on,
        setting.sample,
        setting.retention,
        setting.key,
        setting.roles,
        setting.metric,
        setting.bound,
    ))
}

/// How good kept predictions turned out to be.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_performance(
    model: Option<&str>,
    truth: Option<&str>,
    options: default!(Option<Json>, "'{}'"),
) -> TableIterator<
    'static,
    (
        name!(period, Option<TimestampWithTimeZone>),
        name!(segment, Option<String>),
        name!(version, i32),
        name!(rows, i64),
        name!(metric, Option<String>),
        name!(value, Option<f64>),
        name!(low, Option<f64>),
        name!(high, Option<f64>),
        name!(trained, Option<f64>),
        name!(bound, Option<f64>),
        name!(below, Option<bool>),
        name!(note, Option<String>),
    ),
> {
    let scores = or_raise(performance::performance(model, truth, &given(options)));
    TableIterator::new(scores.into_iter().map(|score| {
        (
            TimestampWithTimeZone::try_from(score.period).ok(),
            score.segment,
            score.version,
            score.rows,
            score.metric,
            score.value,
            score.low,
            score.high,
            score.trained,
            score.bound,
            score.below,
            score.note,
        )
    }))
}

/// What keeps the predictions of the version last asked for, as long as its stamp is true.
struct Kept {
    stamp: Stamp,
    version: i64,
    keeper: Option<Rc<Keeper>>,
}

thread_local! {
    static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

/// Called from `_PG_init`.
pub fn register() {
    // SAFETY: a static function, registered once per process that loads the library.
    unsafe { pg_sys::RegisterSubXactCallback(Some(forget), std::ptr::null_mut()) };
}

/// A subtransaction that is undone takes along partitions it has made, and what it has said about the log.
#[pg_guard]
unsafe extern "C-unwind" fn forget(
    event: pg_sys::SubXactEvent::Type,
    _own: pg_sys::SubTransactionId,
    _parent: pg_sys::SubTransactionId,
    _argument: *mut std::ffi::c_void,
) {
    if event == pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB {
        KEPT.set(None);
    }
}

fn keeper(version: i64) -> Result<Option<Rc<Keeper>>> {
    let stamp = cache::now();
    let known = KEPT.with_borrow(|kept| {
        kept.as_ref()
            .filter(|kept| kept.stamp == stamp && kept.version == version)
            .map(|kept| kept.keeper.clone())
    });
    if let Some(keeper) = known {
        return Ok(keeper);
    }
    let keeper = log::keeper(&log::version(version)?)?.map(Rc::new);
    KEPT.with_borrow_mut(|kept| {
        *kept = Some(Kept {
            stamp: cache::now(),
            version,
            keeper: keeper.clone(),
        });
    });
    Ok(keeper)
}

/// A key as text, by its type's output function.
///
/// # Safety
/// `fcinfo` must be a valid call frame whose third argument is not NULL.
unsafe fn key_of(fcinfo: pg_sys::FunctionCallInfo) -> String {
    // SAFETY: promised by the caller; an output function answers a C string.
    unsafe {
        let key = (*fcinfo).args.as_slice(3)[2].value;
        let type_oid = pg_sys::get_fn_expr_argtype((*fcinfo).flinfo, 2);
        // A literal is a C string.
        if type_oid == pg_sys::UNKNOWNOID {
            let text = std::ffi::CStr::from_ptr(key.cast_mut_ptr());
            return text.to_string_lossy().into_owned();
        }
        let (mut output, mut varlena) = (pg_sys::InvalidOid, false);
        pg_sys::getTypeOutputInfo(type_oid, &mut output, &mut varlena);
        let text = std::ffi::CStr::from_ptr(pg_sys::OidOutputFunctionCall(output, key));
        text.to_string_lossy().into_owned()
    }
}

#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn insight_predict_logged(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: called by PostgreSQL as declared below.
    unsafe {
        let arguments = (*fcinfo).args.as_slice(3);
        let (model, row, key) = (arguments[0], arguments[1], arguments[2]);
        if model.isnull || row.isnull {
            (*fcinfo).isnull = true;
            return pg_sys::Datum::from(0usize);
        }
        let value = predict::answer_of_version(fcinfo, |predictor, version, outputs| {
            let value = predict::value(predictor, outputs)?;
            let keeper = match key.isnull {
                true => None,
                false => keeper(version)?,
            };
            if let Some(keeper) = keeper {
                let key = key_of(fcinfo);
                if keeper.samples(&key) {
                    let line = Line {
                        key: &key,
                        answer: infer::answer(predictor.artifact(), outputs),
                        outputs: keeper.outputs(outputs),
                    };
                    keeper.keep(&[line], log::clock()?)?;
                }
            }
            Ok(pg_sys::Datum::from(value.to_bits()))
        });
        (*fcinfo).isnull = false;
        value
    }
}
super::call::version_1!(pg_finfo_insight_predict_logged);

extension_sql!(
    r#"
CREATE FUNCTION insight_predict_logged(model text, "row" anyelement, key "any") RETURNS double precision
  LANGUAGE c VOLATILE PARALLEL UNSAFE COST 1000 AS 'MODULE_PATHNAME', 'insight_predict_logged';
COMMENT ON FUNCTION insight_predict_logged(text, anyelement, "any") IS
'what insight_predict answers, kept with the key where insight_log keeps the predictions of the model; on a standby and in a read-only transaction nothing is kept';
CREATE FUNCTION insight_predict_logged(model text, "row" text, key "any") RETURNS double precision
  LANGUAGE c VOLATILE PARALLEL UNSAFE COST 1000 AS 'MODULE_PATHNAME', 'insight_predict_logged';
COMMENT ON FUNCTION insight_predict_logged(text, text, "any") IS
'what insight_predict answers for a row that is JSON in text, kept with the key where insight_log keeps the predictions of the model';
COMMENT ON FUNCTION insight_log(text, boolean, jsonb) IS
'keeps the predictions that insight_score and insight_predict_logged make with a model from now on, or no longer: a sample of the keys, for a time (retention), of members of the owner''s role and of roles that are named';
COMMENT ON FUNCTION insight_performance(text, text, jsonb) IS
'how good kept predictions of a model turned out to be, by week, version and segment, beside the score at training; truth is a relation with the key and the target';
"#,
    name = "log",
    requires = [insight_log, insight_performance]
);
