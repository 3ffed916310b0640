//! `insight_predict` and its kin: raw call frames, because they are called once per row.

use crate::error::{Error, Result, or_raise, required};
use crate::relation::{histories, row::RowReader, score, segments};
use crate::store::activity::{self, Counter};
use crate::store::cache::{self, Loaded, Stamp};
use insight_engine::artifact::Task;
use insight_engine::frame::Cell;
use insight_engine::infer::{self, Predictor, Scratch};
use insight_engine::segment::{self, Clustering};
use pgrx::prelude::*;
use pgrx::{FromDatum, IntoDatum, JsonB, pg_sys};
use std::rc::Rc;

/// So many of a key's next steps, the most probable ones, have a place in an object.
const MOST_LABELS: usize = 1000;

/// What one call site in a query keeps from row to row.
struct Site {
    name: String,
    stamp: Stamp,
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
unsafe fn site<'a>(fcinfo: pg_sys::FunctionCallInfo) -> Result<&'a mut Site> {
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
            let model = cache::model(name)?;
            if !model.is(&site.model) {
                (site.reader, site.room) = reader(name, &model)?;
                site.model = model;
                site.counter = activity::counter(cache::version(name)?);
            }
            site.name = name.to_owned();
            site.stamp = cache::now();
            return Ok(site);
        }
        let model = cache::model(name)?;
        let (reader, room) = reader(name, &model)?;
        let form = row_form(flinfo)?;
        let site = Box::new(Site {
            name: name.to_owned(),
            stamp: cache::now(),
            model,
            reader,
            form,
            room,
            counter: activity::counter(cache::version(name)?),
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
            cache::with_text_model(predictor)?;
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

/// The key of a call of a model of histories, `None` for other models; the history is read from the relation the model was
/// trained on.
///
/// # Safety
/// `fcinfo` must be a valid call frame of two arguments that are not NULL.
unsafe fn of_key(
    fcinfo: pg_sys::FunctionCallInfo,
    k: usize,
) -> Result<Option<histories::Foretold>> {
    // SAFETY: promised by the caller; an output function answers a C string.
    unsafe {
        let flinfo = (*fcinfo).flinfo;
        // What has a site is another model's call, row after row.
        if !(*flinfo).fn_extra.is_null() {
            return Ok(None);
        }
        let type_oid = pg_sys::get_fn_expr_argtype(flinfo, 1);
        let is_row = type_oid == pg_sys::RECORDOID || pg_sys::type_is_rowtype(type_oid);
        if is_row || matches!(type_oid, pg_sys::JSONBOID | pg_sys::JSONOID) {
            return Ok(None);
        }
        let arguments = (*fcinfo).args.as_slice(2);
        let name: &str = FromDatum::from_datum(arguments[0].value, false).unwrap_or_default();
        let Some(predictor) = cache::if_foreteller(name)? else {
            return Ok(None);
        };
        let (mut output, mut varlena) = (pg_sys::InvalidOid, false);
        pg_sys::getTypeOutputInfo(type_oid, &mut output, &mut varlena);
        let key =
            std::ffi::CStr::from_ptr(pg_sys::OidOutputFunctionCall(output, arguments[1].value));
        let key = key.to_string_lossy().into_owned();
        activity::counted(cache::version(name)?, |counter| {
            counter.add_rows(1);
            histories::of_key(predictor, name, &key, k, false).map(Some)
        })
    }
}

/// Answers a call with a datum or NULL.
///
/// # Safety
/// `fcinfo` must be a valid call frame.
unsafe fn or_null(fcinfo: pg_sys::FunctionCallInfo, datum: Option<pg_sys::Datum>) -> pg_sys::Datum {
    // SAFETY: promised by the caller.
    unsafe { (*fcinfo).isnull = datum.is_none() };
    datum.unwrap_or(pg_sys::Datum::from(0usize))
}

/// Runs the model on the call's row and shapes the answer.
///
/// # Safety
/// `fcinfo` must be a valid call frame of (text, row or JSON).
pub(super) unsafe fn answer(
    fcinfo: pg_sys::FunctionCallInfo,
    shape: impl FnOnce(&Predictor, &[f64]) -> Result<pg_sys::Datum>,
) -> pg_sys::Datum {
    // SAFETY: promised by the caller.
    unsafe { answer_prepared(fcinfo, |predictor, row| shape(predictor, &row.outputs)) }
}

/// The same for an answer that needs the prepared row, too.
///
/// # Safety
/// As for [`answer`].
pub(super) unsafe fn answer_prepared(
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
pub(super) unsafe fn with_row<R>(
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
        let site = site(fcinfo)?;
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
unsafe fn answer_any(
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
            _ => JsonB::from_datum(row, false).map_or(serde_json::Value::Null, |json| json.0),
        }
    };
    match value {
        serde_json::Value::Object(object) => Ok(object),
        _ => Err(Error::new("22023", "the JSON row must be an object").hint(hint)),
    }
}

/// Why a model has no single number to answer.
fn no_value(predictor: &Predictor) -> Error {
    let why = match predictor.artifact().task {
        Task::Multilabel => "a row can have several of the model's labels",
        _ => "the model has more than two classes",
    };
    Error::new("22023", format!("{why}, so there is no single probability"))
        .hint("Use insight_probabilities or insight_classify.")
}

/// The number that `insight_predict` answers.
pub(super) fn value(predictor: &Predictor, predictions: &[f64]) -> Result<f64> {
    let value = predictor.artifact().value(predictions);
    value.ok_or_else(|| no_value(predictor))
}

fn needs_classes(predictor: &Predictor) -> Result<()> {
    let hint = match predictor.artifact().task {
        Task::Regression => "Use insight_predict.",
        Task::Uplift => "Use insight_predict: the number is the effect of the treatment.",
        Task::Survival => "Use insight_predict or insight_survival.",
        _ => return Ok(()),
    };
    Err(Error::new("22023", "the model predicts a number and has no classes").hint(hint))
}

#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn insight_predict(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: called by PostgreSQL as declared below.
    unsafe {
        if let Some(foretold) = or_raise(of_key(fcinfo, 2)) {
            let value = or_raise(foretold.value());
            return or_null(fcinfo, value.map(|v| pg_sys::Datum::from(v.to_bits())));
        }
        let of_segments = |clustering: &Clustering, cells: &[Cell<'_>], room: &mut _| {
            let segment = clustering.assign(cells, room) as f64;
            Ok(pg_sys::Datum::from(segment.to_bits()))
        };
        answer_any(fcinfo, of_segments, |predictor, predictions| {
            let value = value(predictor, predictions)?;
            Ok(pg_sys::Datum::from(value.to_bits()))
        })
    }
}

#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn insight_classify(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: called by PostgreSQL as declared below.
    unsafe {
        if let Some(foretold) = or_raise(of_key(fcinfo, 1)) {
            or_raise(foretold.needs_classes());
            let label = foretold.answers.into_iter().next().and_then(|a| a.label);
            return or_null(
                fcinfo,
                label
                    .filter(|_| foretold.known)
                    .and_then(IntoDatum::into_datum),
            );
        }
        let of_segments = |clustering: &Clustering, cells: &[Cell<'_>], room: &mut _| {
            let segment = clustering.assign(cells, room);
            let name = clustering.name(segment).into_datum();
            name.ok_or_else(|| Error::new("XX000", "the name cannot be answered"))
        };
        answer_any(fcinfo, of_segments, |predictor, predictions| {
            needs_classes(predictor)?;
            predictor
                .artifact()
                .label(predictions)
                .unwrap_or_default()
                .into_datum()
                .ok_or_else(|| Error::new("XX000", "the label cannot be answered"))
        })
    }
}

#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn insight_probabilities(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: called by PostgreSQL as declared below.
    unsafe {
        if let Some(foretold) = or_raise(of_key(fcinfo, MOST_LABELS)) {
            or_raise(foretold.needs_classes());
            let known = foretold.known;
            let each = foretold
                .answers
                .into_iter()
                .filter_map(|a| Some((a.label?, a.probability?.into())));
            let json = JsonB(serde_json::Value::Object(each.collect()));
            return or_null(
                fcinfo,
                Some(json).filter(|_| known).and_then(IntoDatum::into_datum),
            );
        }
        let of_segments = |clustering: &Clustering, cells: &[Cell<'_>], room: &mut _| {
            let each = clustering.probabilities(cells, room).ok_or_else(|| {
                Error::new("22023", "the model gives no probabilities of its segments")
                    .hint("A model of algorithm gmm does; insight_classify answers the segment.")
            })?;
            let names = (1..).map(|number| clustering.name(number).to_owned());
            let object = names.zip(each.iter().map(|p| (*p).into())).collect();
            let json = JsonB(serde_json::Value::Object(object)).into_datum();
            json.ok_or_else(|| Error::new("XX000", "the probabilities cannot be answered"))
        };
        answer_any(fcinfo, of_segments, |predictor, predictions| {
            needs_classes(predictor)?;
            let labels = &predictor.artifact().target.labels;
            let each: Vec<f64> = match (predictor.artifact().task, predictions) {
                (Task::Binary, [positive]) => vec![1.0 - positive, *positive],
                (_, all) => all.to_vec(),
            };
            let object = labels
                .iter()
                .cloned()
                .zip(each.into_iter().map(serde_json::Value::from))
                .collect();
            let json = JsonB(serde_json::Value::Object(object));
            json.into_datum()
                .ok_or_else(|| Error::new("XX000", "the probabilities cannot be answered"))
        })
    }
}

/// Predicts every row of a relation: the batch path.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_predict_table(
    model: Option<&str>,
    relation: Option<&str>,
    key: default!(Option<&str>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(key, Option<String>),
        name!(prediction, Option<f64>),
        name!(label, Option<String>),
        name!(probability, Option<f64>),
    ),
> {
    let name = or_raise(required(model, "model"));
    let relation = or_raise(required(relation, "relation"));
    let version = or_raise(cache::version(name));
    if let Loaded::Clustering(clustering) = or_raise(cache::model(name)) {
        let rows = or_raise(activity::counted(version, |counter| {
            let rows = segments::of(&clustering, relation, key)?;
            counter.add_rows(rows.len() as u64);
            Ok(rows)
        }));
        let rows = rows.into_iter();
        return TableIterator::new(rows.map(move |(key, segment)| {
            let label = clustering.name(segment).to_owned();
            (key, Some(segment as f64), Some(label), None)
        }));
    }
    let predictor = or_raise(cache::predictor(name));
    let scored = or_raise(activity::counted(version, |counter| {
        let scored = score::predict(&predictor, relation, key)?;
        counter.add_rows(scored.keys.len() as u64);
        Ok(scored)
    }));
    let width = predictor.width();
    TableIterator::new(scored.keys.into_iter().enumerate().map(move |(row, key)| {
        let predictions = &scored.predictions[row * width..(row + 1) * width];
        let answer = infer::answer(predictor.artifact(), predictions);
        (key, answer.prediction, answer.label, answer.probability)
    }))
}

/// The calling convention of the functions above.
macro_rules! version_1 {
    ($($name:ident),*) => { $(
        #[unsafe(no_mangle)]
        pub extern "C" fn $name() -> &'static pg_sys::Pg_finfo_record {
            &pg_sys::Pg_finfo_record { api_version: 1 }
        }
    )* };
}
pub(super) use version_1;
version_1!(
    pg_finfo_insight_predict,
    pg_finfo_insight_classify,
    pg_finfo_insight_probabilities
);

extension_sql!(
    r#"
CREATE FUNCTION insight_predict(model text, "row" anyelement) RETURNS double precision
  LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 AS 'MODULE_PATHNAME', 'insight_predict';
COMMENT ON FUNCTION insight_predict(text, anyelement) IS 'the probability of the positive class (binary), the value (regression), the mean time (survival), the effect (uplift) or the number of the segment for a table row, ROW(...) or jsonb';
CREATE FUNCTION insight_predict(model text, "row" text) RETURNS double precision
  LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 AS 'MODULE_PATHNAME', 'insight_predict';
COMMENT ON FUNCTION insight_predict(text, text) IS 'the probability of the positive class (binary), the value (regression), the mean time (survival), the effect (uplift) or the number of the segment for a row that is JSON in text';
CREATE FUNCTION insight_classify(model text, "row" anyelement) RETURNS text
  LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 AS 'MODULE_PATHNAME', 'insight_classify';
COMMENT ON FUNCTION insight_classify(text, anyelement) IS 'the most likely label (multilabel: all likely ones, as an array), or the segment, for a table row, ROW(...) or jsonb';
CREATE FUNCTION insight_classify(model text, "row" text) RETURNS text
  LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 AS 'MODULE_PATHNAME', 'insight_classify';
COMMENT ON FUNCTION insight_classify(text, text) IS 'the most likely label (multilabel: all likely ones, as an array), or the segment, for a row that is JSON in text';
CREATE FUNCTION insight_probabilities(model text, "row" anyelement) RETURNS jsonb
  LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 AS 'MODULE_PATHNAME', 'insight_probabilities';
COMMENT ON FUNCTION insight_probabilities(text, anyelement) IS 'the probability of each label, or segment (gmm), for a table row, ROW(...) or jsonb';
CREATE FUNCTION insight_probabilities(model text, "row" text) RETURNS jsonb
  LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 AS 'MODULE_PATHNAME', 'insight_probabilities';
COMMENT ON FUNCTION insight_probabilities(text, text) IS 'the probability of each label, or segment (gmm), for a row that is JSON in text';
COMMENT ON FUNCTION insight_predict_table(text, text, text) IS
'predicts every row of a relation: key, prediction (what insight_predict answers), label or segment and its probability';
"#,
    name = "predict",
    requires = [insight_predict_table]
);
