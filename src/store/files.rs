//! Models as files: out of the catalog and into it.

use super::audit::{self, Entry};
use super::cache;
use super::catalog::as_owner;
use super::publish::{self, Publication, Published};
use super::record;
use super::rights::Right;
use crate::error::{Error, Result};
use crate::job::spec::check_name;
use insight_engine::artifact::ArtifactError;
use insight_engine::export::{self, ExportError, Origin};
use insight_engine::trained::TrainedModel;
use pgrx::prelude::*;
use pgrx::{JsonB, pg_sys};
use serde_json::Value;

/// The longest value that PostgreSQL stores.
const LONGEST: usize = 0x3fff_ffff - 4;
/// What stands for the relation of a model that was trained elsewhere; no relation is read by it.
const ELSEWHERE: &str = "(imported)";

/// What a file can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Safetensors,
    Onnx,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Format::Safetensors => "safetensors",
            Format::Onnx => "onnx",
        }
    }

    pub fn parse(name: &str) -> Result<Format> {
        match name {
            "safetensors" => Ok(Format::Safetensors),
            "onnx" => Ok(Format::Onnx),
            _ => Err(Error::new("22023", format!("unknown format \"{name}\""))
                .hint("Formats are: safetensors, onnx.")),
        }
    }
}

/// A model as a file, for who manages it: the file holds what predictions alone do not give away.
pub fn export(
    reference: &str,
    format: Format,
    keep_rows: bool,
    role: pg_sys::Oid,
) -> Result<Vec<u8>> {
    let id = cache::version(reference, Right::Manage)?;
    let origin = origin(id)?;
    if keep_rows && format == Format::Onnx {
        return Err(Error::new("22023", "a file of format onnx keeps no rows")
            .hint("Leave keep_rows out, or export as safetensors."));
    }
    let bytes = record::artifact(id)?;
    let unreadable = |e: ArtifactError| {
        Error::new("XX001", format!("model \"{reference}\" cannot be exported"))
            .detail(e.to_string())
    };
    let file = match format {
        Format::Safetensors => {
            export::write(&bytes, &origin, keep_rows).map_err(|error| match error {
                ExportError::Unreadable(error) => unreadable(error),
                ExportError::KeepsRows => Error::new(
                    "22023",
                    format!("model \"{reference}\" cannot be exported without rows"),
                )
                .detail(error.to_string())
                .hint("Export it with keep_rows => true, or train it with another algorithm."),
            })?
        }
        Format::Onnx => {
            let model = TrainedModel::from_bytes(&bytes).map_err(unreadable)?;
            export::write_onnx(&model, &origin).map_err(|e| {
                Error::new(
                    "0A000",
                    format!("model \"{reference}\" cannot be exported to ONNX"),
                )
                .detail(e.what)
                .hint(e.hint)
            })?
        }
    };
    if file.len() > LONGEST {
        return Err(
            Error::new("54000", format!("the file would have {} bytes", file.len()))
                .hint("PostgreSQL's values have 1 GB at most."),
        );
    }
    audit::write_out(&Entry {
        model: Some(&origin.model),
        version: Some(origin.version),
        detail: serde_json::json!({"format": format.name(), "keep_rows": keep_rows, "bytes": file.len()}),
        role: Some(role),
        ..Entry::of("export")
    })?;
    Ok(file)
}

/// Where a version comes from.
fn origin(id: i64) -> Result<Origin> {
    as_owner(|| {
        Spi::connect(|client| {
            let row = client
                .select(
                    "SELECT m.name, v.version, v.relation, v.target, v.options, v.seconds \
                     FROM insight.version v JOIN insight.model m ON m.id = v.model WHERE v.id = $1",
                    None,
                    &[id.into()],
                )?
                .first();
            let (Some(model), Some(version)) = (row.get::<String>(1)?, row.get::<i32>(2)?) else {
                return Err(Error::new("42704", "the version was dropped"));
            };
            let origin = Origin {
                model,
                version,
                relation: row.get::<String>(3)?.unwrap_or_default(),
                target: row.get::<String>(4)?.unwrap_or_default(),
                options: row.get::<JsonB>(5)?.map_or(serde_json::json!({}), |o| o.0),
                seconds: row.get::<f64>(6)?.unwrap_or(0.0),
            };
            Ok(origin)
        })
    })
}

/// A file as a new version of a model, by default of the one it was exported from.
pub fn import(
    file: &[u8],
    name: Option<&str>,
    deploy: bool,
    role: pg_sys::Oid,
) -> Result<(String, Published)> {
    let imported = export::read(file).map_err(|error| match error {
        ArtifactError::TooNew { .. } => Error::new("0A000", "the file cannot be read")
            .detail(error.to_string())
            .hint("Import it into the version of insight that wrote it, or a later one."),
        _ => Error::new("22P03", "the file is not a model that insight_export wrote")
            .detail(error.to_string())
            .hint("insight_export(model) writes such files; the format onnx cannot be imported."),
    })?;
    let Origin {
        mut options,
        target,
        ..
    } = imported.origin;
    let from = format!("{}@{}", imported.origin.model, imported.origin.version);
    let model = name.unwrap_or(&imported.origin.model);
    check_name(model)?;
    if !options.is_object() {
        options = serde_json::json!({});
    }
    let mut card = imported.model.card();
    if let Some(provenance) = card
        .summary
        .get_mut("provenance")
        .and_then(|p| p.as_object_mut())
    {
        provenance.insert("imported_from".into(), from.as_str().into());
    }
    // Of what the views show.
    let told = serde_json::json!([
        card.target,
        card.algorithm,
        card.device,
        card.metrics,
        card.trials,
        target
    ]);
    if [&card.summary, &options, &told].into_iter().any(holds_zero) {
        return Err(
            Error::new("22P03", "the file holds a text with a zero byte")
                .detail("PostgreSQL's texts cannot hold one."),
        );
    }
    let seconds = imported.origin.seconds;
    let publication = Publication {
        model,
        role,
        job: None,
        relation: ELSEWHERE,
        source: "",
        options: &options,
        target: &target,
        deploy,
        reason: "imported",
        promote: None,
        champion: None,
        seconds: if seconds.is_finite() { seconds } else { 0.0 },
        seen: &[],
    };
    let published = publish::publish(&publication, &card, &imported.bytes)?;
    Ok((model.to_owned(), published))
}

/// Whether a text or a name in a document holds a zero byte.
fn holds_zero(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(holds_zero),
        Value::Object(values) => values
            .iter()
            .any(|(name, value)| name.contains('\0') || holds_zero(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
