//! `insight_predict` and its kin: raw call frames, because they are called once per row.

mod site;

use crate::error::{Error, Result, or_raise, required};
use crate::relation::{histories, score, segments};
use crate::store::activity;
use crate::store::cache::{self, Loaded};
use crate::store::rights::Right;
use insight_engine::artifact::Task;
use insight_engine::frame::Cell;
use insight_engine::infer::{self, Predictor};
use insight_engine::segment::Clustering;
use pgrx::prelude::*;
use pgrx::{FromDatum, IntoDatum, JsonB, pg_sys};
use site::answer_any;
pub(super) use site::{answer, answer_of_version, answer_prepared, with_row};

/// So many of a key's next steps, the most probable ones, have a place in an object.
const MOST_LABELS: usize = 1000;

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
        let version = cache::version(name, Right::Predict)?;
        let Some(predictor) = cache::if_foreteller(name, version)? else {
            return Ok(None);
        };
        let (mut output, mut varlena) = (pg_sys::InvalidOid, false);
        pg_sys::getTypeOutputInfo(type_oid, &mut output, &mut varlena);
        let key =
            std::ffi::CStr::from_ptr(pg_sys::OidOutputFunctionCall(output, arguments[1].value));
        let key = key.to_string_lossy().into_owned();
        activity::counted(version, |counter| {
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
    let version = or_raise(cache::version(name, Right::Predict));
    if let Loaded::Clustering(clustering) = or_raise(cache::model_of(name, version)) {
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
    let predictor = or_raise(cache::predictor_of(name, version));
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

super::call::version_1!(
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
