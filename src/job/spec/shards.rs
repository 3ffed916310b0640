//! The option `shards`.

use super::{Error, Map, Result, Value, Work};

const MOST: u64 = 64;
/// Rows are dealt by their keys alone, and the models of shards are trained as they come.
const EXCLUDED: [&str; 11] = [
    "augment",
    "clean",
    "folds",
    "leakage",
    "partition",
    "privacy",
    "sensitive",
    "split",
    "treatment",
    "tune",
    "warm_start",
];

/// In how many shards a model is to be trained, if it is.
///
/// # Errors
/// 22023 for another number than 2 to 64, without the option `key`, and with an option that is not for shards; 0A000 where models are
/// not stored.
pub(super) fn wanted(options: &Map<String, Value>, work: &Work) -> Result<Option<usize>> {
    let given = |name: &str| options.get(name).is_some_and(|own| !own.is_null());
    if !given("shards") {
        return Ok(None);
    }
    let count = options.get("shards").and_then(Value::as_u64);
    let Some(count) = count.filter(|count| (2..=MOST).contains(count)) else {
        return Err(Error::new(
            "22023",
            format!("option \"shards\" must be an integer from 2 to {MOST}"),
        ));
    };
    if *work != Work::Train {
        return Err(
            Error::new("0A000", "option \"shards\" is for insight_train alone")
                .hint("Train without it, and test that model."),
        );
    }
    if !given("key") {
        return Err(
            Error::new("22023", "option \"shards\" needs the option \"key\"").hint(
                "Name the column that says whose rows they are: {\"key\": \"customer_id\", \"shards\": 8}.",
            ),
        );
    }
    if options.get("algorithm").and_then(Value::as_str) == Some("linear") {
        return Err(
            Error::new("22023", "option \"shards\" is not for the algorithm linear")
                .hint("It is trained in no time as a whole."),
        );
    }
    match EXCLUDED.into_iter().find(|name| given(name)) {
        None => Ok(Some(count as usize)),
        Some(other) => Err(Error::new(
            "22023",
            format!("options \"shards\" and \"{other}\" exclude each other"),
        )
        .hint("Leave one of the two out.")),
    }
}
