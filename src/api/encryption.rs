//! What is stored encrypted.

use super::lifecycle::caller;
use crate::error::{must_write, or_raise};
use crate::store::log::sealed::{self, Content};
use insight_engine::privacy::seal;
use pgrx::prelude::*;

/// Encrypts models and kept predictions that are not yet encrypted with the newest key; for the extension's owner.
#[pg_extern]
fn insight_rotate_key(
    most: default!(Option<i32>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(versions, i64),
        name!(predictions, i64),
        name!(left_versions, i64),
        name!(key_version, i32),
    ),
> {
    must_write("insight_rotate_key()");
    TableIterator::once(or_raise(sealed::rotate(most, caller())))
}

/// The version of the key that stored bytes were encrypted with, by their head; NULL where they are not.
#[pg_extern(sql = r#"
CREATE FUNCTION insight.key_version("head" bytea) RETURNS integer
STRICT IMMUTABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#)]
fn insight_key_version(head: &[u8]) -> Option<i32> {
    seal::sealed_with(head).map(|version| version as i32)
}

/// An encrypted prediction, for who manages the model; else no row.
#[pg_extern(sql = r#"
CREATE FUNCTION insight.opened_prediction("model" bigint, "version" integer, "sealed" bytea) RETURNS TABLE (
  "key" text, "prediction" double precision, "label" text, "probability" double precision)
STRICT STABLE PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#)]
#[allow(clippy::type_complexity)]
fn insight_opened_prediction(
    model: i64,
    version: i32,
    sealed: Vec<u8>,
) -> TableIterator<
    'static,
    (
        name!(key, Option<String>),
        name!(prediction, Option<f64>),
        name!(label, Option<String>),
        name!(probability, Option<f64>),
    ),
> {
    let rows = or_raise(sealed::may_read(model)).then(|| {
        let own = or_raise(sealed::open((model, version), sealed));
        (Some(own.key), own.prediction, own.label, own.probability)
    });
    TableIterator::new(rows)
}

/// A version's bytes under the newest key; for insight_rotate_key.
#[pg_extern(sql = r#"
CREATE FUNCTION insight.resealed_artifact("id" bigint, "stored" bytea) RETURNS bytea
STRICT VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
REVOKE EXECUTE ON FUNCTION insight.resealed_artifact(bigint, bytea) FROM PUBLIC;
"#)]
fn insight_resealed_artifact(id: i64, stored: Vec<u8>) -> Vec<u8> {
    or_raise(sealed::reseal_artifact(id, stored))
}

/// A kept prediction under the newest key; for insight_rotate_key.
#[pg_extern(sql = r#"
CREATE FUNCTION insight.resealed_prediction("model" bigint, "version" integer, "key" text, "prediction" double precision,
  "label" text, "probability" double precision, "outputs" double precision[], "sealed" bytea) RETURNS bytea
VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
REVOKE EXECUTE ON FUNCTION insight.resealed_prediction(bigint, integer, text, double precision, text, double precision,
  double precision[], bytea) FROM PUBLIC;
"#)]
#[allow(clippy::too_many_arguments)]
fn insight_resealed_prediction(
    model: i64,
    version: i32,
    key: String,
    prediction: Option<f64>,
    label: Option<String>,
    probability: Option<f64>,
    outputs: Option<Vec<f64>>,
    sealed: Option<Vec<u8>>,
) -> Vec<u8> {
    let plain = Content {
        key,
        prediction,
        label,
        probability,
        outputs,
    };
    or_raise(sealed::reseal((model, version), plain, sealed))
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_rotate_key(integer) IS
'encrypts models (at most so many) and kept predictions that are not yet encrypted with the newest key of insight.key_file or insight.key_command';
COMMENT ON FUNCTION insight.key_version(bytea) IS
'the version of the key that stored bytes were encrypted with, by their first 64 bytes; NULL where they are not; used by the view insight.versions';
COMMENT ON FUNCTION insight.opened_prediction(bigint, integer, bytea) IS
'an encrypted prediction, for who manages the model; used by the view insight.predictions';
COMMENT ON FUNCTION insight.resealed_artifact(bigint, bytea) IS 'a model under the newest key; used by insight_rotate_key';
COMMENT ON FUNCTION insight.resealed_prediction(bigint, integer, text, double precision, text, double precision, double precision[], bytea) IS
'a kept prediction under the newest key; used by insight_rotate_key';
"#,
    name = "comment_encryption",
    requires = [
        insight_rotate_key,
        insight_key_version,
        insight_opened_prediction,
        insight_resealed_artifact,
        insight_resealed_prediction
    ]
);
