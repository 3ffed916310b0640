//! Models as files.

use super::lifecycle::caller;
use crate::error::{must_write, or_raise};
use crate::store::files::{self, Format};
use pgrx::prelude::*;

/// A model as a file: safetensors, which `insight_import` reads, or ONNX.
#[pg_extern(strict)]
fn insight_export(
    model: &str,
    format: default!(&str, "'safetensors'"),
    keep_rows: default!(bool, false),
) -> Vec<u8> {
    let format = or_raise(Format::parse(format));
    or_raise(files::export(model, format, keep_rows, caller()))
}

/// Stores a model out of a file as a new version, deploys it unless told otherwise, and answers one row about it.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_import(
    file: Option<&[u8]>,
    model: default!(Option<&str>, "NULL"),
    deploy: default!(Option<bool>, "true"),
) -> TableIterator<
    'static,
    (
        name!(model, String),
        name!(version, i32),
        name!(task, String),
        name!(algorithm, String),
        name!(metric, Option<String>),
        name!(score, Option<f64>),
        name!(deployed, bool),
    ),
> {
    must_write("insight_import()");
    let file = or_raise(crate::error::required(file, "file"));
    let deploy = deploy.unwrap_or(true);
    let (model, stored) = or_raise(files::import(file, model, deploy, caller()));
    TableIterator::once((
        model,
        stored.version,
        stored.task.to_owned(),
        stored.algorithm,
        stored.metric,
        stored.score,
        stored.deployed,
    ))
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_export(text, text, boolean) IS
'a model as a file: safetensors with everything insight_import needs to bring back the same model (with keep_rows the rows it keeps, too), or onnx with the preparation of its columns';
COMMENT ON FUNCTION insight_import(bytea, text, boolean) IS
'stores a model that insight_export wrote as safetensors as a new version, deploys it unless deploy is false, and answers one row about it';
"#,
    name = "comment_export",
    requires = [insight_export, insight_import]
);
