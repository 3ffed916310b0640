//! What a call site keeps from row to row, and the row of a call before its model.

use crate::api::json::Json;
use crate::error::{Error, Result, or_raise};
use crate::relation::row::RowReader;
use crate::store::activity::{self, Counter};
use crate::store::cache::{self, Loaded, Stamp};
use crate::store::rights::Right;
use crate::store::text_model;
use insight_engine::frame::Cell;
use insight_engine::infer::{Predictor, Scratch};
use insight_engine::segment::{self, Clustering};
use pgrx::prelude::*;
use pgrx::{FromDatum, pg_sys};
use std::rc::Rc;

/// What one call site in a query keeps from row to row.
struct Site {
    name: String,
    stamp: Stamp,
    /// Of the model, which is immutable: the name is looked up once for both.
    version: i64,
    model: Loaded,
    reader: RowReader,
    form: Form,
    room: Room,
    counter: Rc<Counter>,
}

/// Buffers of the model of a call site.
#[derive(Default)]
struct Room {
    rows: Scratch,
    segments: segment::Scratch,
}

/// What the second argument of a call is.
#[derive(Clone, Copy)]
enum Form {
    Composite,
    Jsonb,
    /// JSON as text: what a bare literal in SQL is.
    Text,
}

/// Frees the site with the query's memory.
#[pg_guard]
unsafe extern "C-unwind" fn free_site(site: *mut std::ffi::c_void) {
    // SAFETY: made by Box::into_raw in `site`, freed once by the context's reset.
    drop(unsafe { Box::from_raw(site.cast::<Site>()) });
}

/// The site of this call, with the model its first argument names.
///
/// # Safety
/// `fcinfo` must be a valid call frame of two arguments that are not NULL.
unsafe fn site<'a>(fcinfo: pg_sys::FunctionCallInfo, right: Right) -> Result<&'a mut Site> {
    // SAFETY: the first argument is text; fn_extra is ours alone.
    unsafe {
        let flinfo = (*fcinfo).flinfo;
        let argument = (*fcinfo).args.as_slice(2)[0].value;
        let name: &str = FromDatum::from_datum(argument, false).unwrap_or_default();
        if !(*flinfo).fn_extra.is_null() {
            let site = &mut *(*flinfo).fn_extra.cast::<Site>();
            let stamp = cache::now();
            if site.name == name && site.stamp == stamp {
                return Ok(site);
            }
            let version = cache::version(name, right)?;
            let model = cache::model_of(name, version)?;
            if site.version != version || !model.is(&site.model) {
                (site.reader, site.room) = reader(name, &model)?;
                site.version = version;
                site.model = model;
                site.counter = activity::counter(version);
            }
            site.name = name.to_owned();
            site.stamp = cache::now();
            return Ok(site);
        }
        let version = cache::version(name, right)?;
        let model = cache::model_of(name, version)?;
        let (reader, room) = reader(name, &model)?;
        let form = row_form(flinfo)?;
        let site = Box::new(Site {
            name: name.to_owned(),
            stamp: cache::now(),
            version,
            model,
            reader,
            form,
            room,
            counter: activity::counter(version),
        });
        let callback = pg_sys::MemoryContextAllocZero(
            (*flinfo).fn_mcxt,
            size_of::<pg_sys::MemoryContextCallback>(),
        )
        .cast::<pg_sys::MemoryContextCallback>();
        let site = Box::into_raw(site);
        (*callback).func = Some(free_site);
        (*callback).arg = site.cast();
        pg_sys::MemoryContextRegisterResetCallback((*flinfo).fn_mcxt, callback);
        (*flinfo).fn_extra = site.cast();
        Ok(&mut *site)
    }
}

/// What reads rows for a model, and its buffers.
fn reader(name: &str, model: &Loaded) -> Result<(RowReader, Room)> {
    let Some((inputs, sources)) = model.inputs() else {
        return Err(model.is_another(name, "predict rows of a table"));
    };
    let mut room = Room::default();
    match model {
        Loaded::Predictor(predictor) => {
            text_model::attach(predictor)?;
            room.rows = predictor.scratch();
        }
        Loaded::Clustering(clustering) => room.segments = clustering.scratch(),
        Loaded::Synthesizer(_) | Loaded::Sequence(_) => {}
    }
    Ok((RowReader::new(inputs, sources)?, room))
}

/// The form of the second argument; anything but a row or JSON is an error.
unsafe fn row_form(flinfo: *mut pg_sys::FmgrInfo) -> Result<Form> {
    // SAFETY: looks at the call's expression.
    let type_oid = unsafe { pg_sys::get_fn_expr_argtype(flinfo, 1) };
    match type_oid {
        pg_sys::JSONBOID => return Ok(Form::Jsonb),
        pg_sys::TEXTOID | pg_sys::JSONOID => return Ok(Form::Text),
        pg_sys::RECORDOID => return Ok(Form::Composite),
        // SAFETY: a syscache look-up.
        _ if unsafe { pg_sys::type_is_rowtype(type_oid) } => return Ok(Form::Composite),
        _ => {}
    }
    // SAFETY: a syscache look-up.
    let name = unsafe { std::ffi::CStr::from_ptr(pg_sys::format_type_be(type_oid)) }
        .to_string_lossy()
        .into_owned();
    Err(Error::new("42804", format!("a row is needed, not {name}"))
        .hint("Pass a table row (SELECT insight_predict('model', t) FROM t), ROW(...) or jsonb."))
}

/// Runs the model on the call's row and shapes the answer.
///
/// # Safety
/// `fcinfo` must be a valid call frame of (text, row or JSON).
pub(in crate::api) unsafe fn answer(
    fcinfo: pg_sys::FunctionCallInfo,
    shape: impl FnOnce(&Predictor, &[f64]) -> Result<pg_sys::Datum>,
) -> pg_sys::Datum {
    // SAFETY: promised by the caller.
    unsafe { answer_prepared(fcinfo, |predictor, row| shape(predictor, &row.outputs)) }
}

/// The same for an answer that needs to know which version it is of.
///
/// # Safety
/// As for [`answer`].
pub(in crate::api) unsafe fn answer_of_version(
    fcinfo: pg_sys::FunctionCallInfo,
    shape: impl FnOnce(&Predictor, i64, &[f64]) -> Result<pg_sys::Datum>,
) -> pg_sys::Datum {
    // SAFETY: promised by the caller; the site lasts as long as the query's plan.
    unsafe {
        let version = or_raise(site(fcinfo, Right::Predict)).version;
        answer(fcinfo, |predictor, outputs| {
            shape(predictor, version, outputs)
        })
    }
}

/// The same for an answer that needs the prepared row, too.
///
/// # Safety
/// As for [`answer`].
pub(in crate::api) unsafe fn answer_prepared(
    fcinfo: pg_sys::FunctionCallInfo,
    shape: impl FnOnce(&Predictor, &Scratch) -> Result<pg_sys::Datum>,
) -> pg_sys::Datum {
    // SAFETY: STRICT: both arguments are there.
    let answered = unsafe {
        let then = |name: &str, model: &Loaded, cells: &[Cell<'_>], room: &mut Room| match model {
            Loaded::Predictor(predictor) => {
                predictor.predict(cells, &mut room.rows);
                shape(predictor, &room.rows)
            }
            other => Err(other.is_another(name, "predict rows of a table")),
        };
        with_any_row(fcinfo, true, then)
    };
    or_raise(answered.and_then(|shaped| shaped))
}

/// Lets `then` do something with the model and the row of a call.
///
/// # Safety
/// `fcinfo` must be a valid call frame whose first two arguments are (text, row or JSON), not NULL.
pub(in crate::api) unsafe fn with_row<R>(
    fcinfo: pg_sys::FunctionCallInfo,
    then: impl FnOnce(&Predictor, &[Cell<'_>], &mut Scratch) -> R,
) -> Result<R> {
    let then = |name: &str, model: &Loaded, cells: &[Cell<'_>], room: &mut Room| match model {
        Loaded::Predictor(predictor) => Ok(then(predictor, cells, &mut room.rows)),
        other => Err(other.is_another(name, "predict rows of a table")),
    };
    // SAFETY: promised by the caller.
    unsafe { with_any_row(fcinfo, false, then) }?
}

/// The same for a model of any kind that takes rows; `counts`: it is a prediction.
///
/// # Safety
/// As for [`with_row`].
unsafe fn with_any_row<R>(
    fcinfo: pg_sys::FunctionCallInfo,
    counts: bool,
    then: impl FnOnce(&str, &Loaded, &[Cell<'_>], &mut Room) -> R,
) -> Result<R> {
    // SAFETY: promised by the caller; the row's form was determined by `site`.
    unsafe {
        let right = if counts {
            Right::Predict
        } else {
            Right::Explain
        };
        let site = site(fcinfo, right)?;
        let row = (*fcinfo).args.as_slice(2)[1].value;
        let Site {
            name,
            model,
            reader,
            form,
            room,
            counter,
            ..
        } = site;
        let inputs = model.inputs().map_or(&[][..], |(inputs, _)| inputs);
        let then = |cells: &[Cell<'_>]| then(name, model, cells, room);
        let work = || match form {
            Form::Composite => {
                let context = (*(*fcinfo).flinfo).fn_mcxt;
                reader.with_composite(inputs, row, context, then)
            }
            Form::Jsonb | Form::Text => {
                let object = object(*form, row)?;
                reader.with_json(inputs, &object, then)
            }
        };
        if counts { counter.one(work) } else { work() }
    }
}

/// Answers a call for a row of either kind of model that takes rows.
///
/// # Safety
/// As for [`answer`].
pub(super) unsafe fn answer_any(
    fcinfo: pg_sys::FunctionCallInfo,
    of_segments: impl FnOnce(&Clustering, &[Cell<'_>], &mut segment::Scratch) -> Result<pg_sys::Datum>,
    shape: impl FnOnce(&Predictor, &[f64]) -> Result<pg_sys::Datum>,
) -> pg_sys::Datum {
    let then = |name: &str, model: &Loaded, cells: &[Cell<'_>], room: &mut Room| match model {
        Loaded::Predictor(predictor) => shape(predictor, predictor.predict(cells, &mut room.rows)),
        Loaded::Clustering(clustering) => of_segments(clustering, cells, &mut room.segments),
        other => Err(other.is_another(name, "predict rows of a table")),
    };
    // SAFETY: STRICT: both arguments are there.
    let answered = unsafe { with_any_row(fcinfo, true, then) };
    or_raise(answered.and_then(|shaped| shaped))
}

/// The JSON object of a call.
///
/// # Safety
/// `row` must be a valid datum of the form, which must not be `Composite`.
unsafe fn object(
    form: Form,
    row: pg_sys::Datum,
) -> Result<serde_json::Map<String, serde_json::Value>> {
    let hint = "For example '{\"age\": 25, \"income\": 50000}'.";
    // SAFETY: promised by the caller.
    let value = unsafe {
        match form {
            Form::Text => {
                let text: &str = FromDatum::from_datum(row, false).unwrap_or_default();
                serde_json::from_str(text).map_err(|e| {
                    Error::new("22P02", "the row is text, but not JSON")
                        .detail(e.to_string())
                        .hint(hint)
                })?
            }
            _ => Json::from_datum(row, false).map_or(serde_json::Value::Null, |json| json.0),
        }
    };
    match value {
        serde_json::Value::Object(object) => Ok(object),
        _ => Err(Error::new("22023", "the JSON row must be an object").hint(hint)),
    }
}
