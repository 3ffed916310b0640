//! What would have to be different for another answer: a raw call frame, because it takes any row and answers a set.

use super::explain::{column, go, has_rows};
use super::{predict, rows};
use crate::error::{Error, Result, or_raise, required};
use crate::job::options;
use insight_engine::artifact::Task;
use insight_engine::explain::{self, Goal, Ways};
use insight_engine::infer::Predictor;
use pgrx::prelude::*;
use pgrx::{FromDatum, IntoDatum, JsonB, pg_sys};
use serde_json::{Map, Value};

/// The columns of [`insight_counterfactual`].
const CHANGES: [(&std::ffi::CStr, pg_sys::Oid); 6] = [
    (c"alternative", pg_sys::INT4OID),
    (c"feature", pg_sys::TEXTOID),
    (c"from", pg_sys::TEXTOID),
    (c"to", pg_sys::TEXTOID),
    (c"cost", pg_sys::FLOAT8OID),
    (c"prediction", pg_sys::FLOAT8OID),
];

/// What is to be reached: a label, or a bound such as `< 0.2`.
fn goal(predictor: &Predictor, text: &str) -> Result<Goal> {
    let artifact = predictor.artifact();
    let labels = &artifact.target.labels;
    let bound = |rest: &str| {
        let bound = rest.trim_start_matches('=').trim().parse::<f64>().ok();
        bound.filter(|bound| bound.is_finite())
    };
    let number = text.trim();
    let (below, above) = (number.strip_prefix('<'), number.strip_prefix('>'));
    let found = match (below.and_then(bound), above.and_then(bound)) {
        (Some(bound), _) => Some(Goal::Below(bound)),
        (_, Some(bound)) => Some(Goal::Above(bound)),
        _ => None,
    };
    if let Some(found) = found {
        return match artifact.value(&vec![0.0; predictor.width()]) {
            Some(_) => Ok(found),
            None => Err(
                Error::new("22023", "the model answers a label, not a number")
                    .hint(format!("The goal is one of: {}.", labels.join(", "))),
            ),
        };
    }
    let decides = matches!(
        artifact.task,
        Task::Binary | Task::Multiclass | Task::Ordinal
    );
    let place = labels.iter().position(|label| label == text);
    place.filter(|_| decides).map(Goal::Label).ok_or_else(|| {
        let hint = match decides {
            true => format!(
                "The goal is a label ({}) or a bound such as '< 0.2'.",
                labels.join(", ")
            ),
            false => "The goal is a bound such as '< 100' or '> 100'.".into(),
        };
        Error::new(
            "22023",
            format!("the goal \"{text}\" cannot be reached for"),
        )
        .hint(hint)
    })
}

/// How it may be reached.
fn ways(predictor: &Predictor, options: &Map<String, Value>) -> Result<Ways> {
    const KEYS: [&str; 4] = ["actionable", "alternatives", "costs", "max_changes"];
    if let Some(key) = options.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(Error::new("22023", format!("unknown option \"{key}\""))
            .hint(format!("Options are: {}.", KEYS.join(", "))));
    }
    let count = predictor.artifact().recipe.columns().len();
    let mut costs = vec![Some(1.0); count];
    let actionable = options::names(options, "actionable")?;
    if options.contains_key("actionable") {
        costs = vec![None; count];
        for name in &actionable {
            costs[column(predictor, name)?] = Some(1.0);
        }
    }
    if let Some(given) = options.get("costs") {
        let wrong = || options::wrong_type("costs", "an object of features and numbers above 0");
        for (name, cost) in given.as_object().ok_or_else(wrong)? {
            let at = column(predictor, name)?;
            let cost = cost.as_f64().filter(|cost| *cost > 0.0).ok_or_else(wrong)?;
            costs[at] = costs[at].map(|_| cost);
        }
    }
    let whole = |name: &str, default: u64, most: u64| match options.get(name) {
        None => Ok(default as usize),
        Some(given) => {
            let given = given.as_u64().filter(|n| (1..=most).contains(n));
            let wrong = || options::wrong_type(name, &format!("an integer from 1 to {most}"));
            given.map(|n| n as usize).ok_or_else(wrong)
        }
    };
    Ok(Ways {
        costs,
        changes: whole("max_changes", 2, 5)?,
        ways: whole("alternatives", 3, 50)?,
    })
}

/// # Safety
/// `fcinfo` must be a valid call frame of (text, row or JSON, text, jsonb).
unsafe fn how(fcinfo: pg_sys::FunctionCallInfo) -> Result<()> {
    // SAFETY: promised by the caller.
    unsafe {
        let arguments = (*fcinfo).args.as_slice(4);
        let aim: Option<&str> = FromDatum::from_datum(arguments[2].value, arguments[2].isnull);
        let given: Option<JsonB> = FromDatum::from_datum(arguments[3].value, arguments[3].isnull);
        let aim = required(aim, "goal")?;
        let given = match given.map_or(Value::Null, |given| given.0) {
            Value::Null => Map::new(),
            Value::Object(given) => given,
            _ => return Err(Error::new("22023", "options must be a JSON object")),
        };
        let missing = arguments[0].isnull || arguments[1].isnull;
        rows::give(
            fcinfo,
            "insight_counterfactual('model', c, '< 0.2')",
            |random| {
                if missing {
                    return Ok(rows::store(&CHANGES, std::iter::empty(), random));
                }
                let found = predict::with_row(fcinfo, |predictor, cells, scratch| {
                    let goal = goal(predictor, aim)?;
                    let ways = ways(predictor, &given)?;
                    has_rows(predictor)?;
                    let found =
                        explain::counterfactuals(predictor, cells, goal, &ways, scratch, &mut go);
                    let inputs = predictor.artifact().recipe.columns();
                    let mut lines = Vec::new();
                    for (way, alternative) in found.unwrap_or_default().iter().zip(1i32..) {
                        for change in &way.changes {
                            lines.push([
                                alternative.into_datum(),
                                inputs[change.column].name.as_str().into_datum(),
                                change.from.as_deref().into_datum(),
                                change.to.as_str().into_datum(),
                                way.cost.into_datum(),
                                way.prediction.into_datum(),
                            ]);
                        }
                    }
                    Ok(lines)
                });
                let lines: Vec<_> = found.and_then(|found: Result<_>| found)?;
                Ok(rows::store(&CHANGES, lines.into_iter(), random))
            },
        )
    }
}

#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn insight_counterfactual(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: called by PostgreSQL as declared below.
    unsafe {
        or_raise(how(fcinfo));
        (*fcinfo).isnull = true;
    }
    pg_sys::Datum::from(0usize)
}
predict::version_1!(pg_finfo_insight_counterfactual);

extension_sql!(
    r#"
CREATE FUNCTION insight_counterfactual(model text, "row" anyelement, goal text, options jsonb DEFAULT '{}')
  RETURNS TABLE (alternative integer, feature text, "from" text, "to" text, cost double precision, prediction double precision)
  LANGUAGE c STABLE PARALLEL SAFE COST 100000 ROWS 4 AS 'MODULE_PATHNAME', 'insight_counterfactual';
COMMENT ON FUNCTION insight_counterfactual(text, anyelement, text, jsonb) IS
'the cheapest changes of a row, to values that were seen, for which the model answers the goal: a label, or a bound such as ''< 0.2''';
CREATE FUNCTION insight_counterfactual(model text, "row" text, goal text, options jsonb DEFAULT '{}')
  RETURNS TABLE (alternative integer, feature text, "from" text, "to" text, cost double precision, prediction double precision)
  LANGUAGE c STABLE PARALLEL SAFE COST 100000 ROWS 4 AS 'MODULE_PATHNAME', 'insight_counterfactual';
COMMENT ON FUNCTION insight_counterfactual(text, text, text, jsonb) IS
'the cheapest changes of a row that is JSON in text, to values that were seen, for which the model answers the goal: a label, or a bound such as ''< 0.2''';
"#,
    name = "counterfactual"
);
