//! A model as a safetensors file: its weights as tensors with plain names, and one entry of the header's metadata, `insight`,
//! with everything else as JSON: where the model comes from, its card, how it prepares its columns, what its parts are, and the
//! header of the stored model itself, from which the very same bytes are put together again.

use super::layout::{Told, cut, join};
use super::weights::blocks;
use crate::artifact::check::require;
use crate::artifact::container::Sealed;
use crate::artifact::{Artifact, ArtifactError, Seen};
use crate::explain::Kept;
use crate::trained::TrainedModel;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;

/// The metadata's entry.
const ENTRY: &str = "insight";
/// The format written, and the newest one read.
const FORMAT: u32 = 1;

/// Where a model comes from, as a catalog knows it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Origin {
    pub model: String,
    pub version: i32,
    pub relation: String,
    pub target: String,
    /// Of the call that trained it.
    pub options: Value,
    /// From that call to the finished model.
    pub seconds: f64,
}

/// A model out of a file.
pub struct Imported {
    pub model: TrainedModel,
    /// As a catalog stores it.
    pub bytes: Vec<u8>,
    pub origin: Origin,
}

/// Why a model is not written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Unreadable(#[from] ArtifactError),
    /// Rows are told apart by rows of training, which it cannot do without.
    #[error("segments of algorithm hdbscan are told apart by rows that were learned from")]
    KeepsRows,
}

/// The entry as it is read; what is for people and other programs alone is not.
#[derive(Serialize, Deserialize)]
struct Entry {
    format: u32,
    origin: Origin,
    /// The first bytes of the stored model, and its format.
    kind: String,
    container: u32,
    /// Of the stored model, hexadecimal.
    checksum: String,
    tensors: Vec<Told>,
    header: String,
    #[serde(default, skip_deserializing)]
    card: Value,
    #[serde(default, skip_deserializing)]
    recipe: Value,
    #[serde(default, skip_deserializing)]
    parts: Value,
}

/// A stored model as a file. Without `keep_rows` the rows that a model keeps, and what tells which rows it was trained on, stay
/// behind.
///
/// # Errors
/// Bytes that are no model; a model that is nothing without its rows.
pub fn write(bytes: &[u8], origin: &Origin, keep_rows: bool) -> Result<Vec<u8>, ExportError> {
    let mut model = TrainedModel::from_bytes(bytes)?;
    let mut stripped = Vec::new();
    if let (TrainedModel::Table(artifact), false) = (&mut model, keep_rows) {
        artifact.kept = Kept::default();
        artifact.seen = Seen::default();
        artifact.provenance.data_fingerprint.clear();
        artifact.settled.held_out.fingerprint.clear();
        stripped = artifact.to_bytes();
    }
    if let (TrainedModel::Clustering(clustering), false) = (&model, keep_rows)
        && clustering.keeps_rows()
    {
        return Err(ExportError::KeepsRows);
    }
    let bytes = if stripped.is_empty() {
        bytes
    } else {
        &stripped
    };
    let sealed = Sealed::open(bytes)?;
    let (tensors, told) = cut(blocks(&model, sealed.words.len() / 4), sealed.words)?;
    let card = model.card();
    let text = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).map(str::to_owned);
        text.map_err(|_| ArtifactError::Damaged("the header is no text".into()))
    };
    let (recipe, parts) = match &model {
        TrainedModel::Table(artifact) => (recipe(artifact), json!(all_parts(artifact))),
        _ => (Value::Null, Value::Null),
    };
    let entry = Entry {
        format: FORMAT,
        origin: origin.clone(),
        kind: text(&sealed.magic)?,
        container: sealed.version,
        checksum: format!("{:016x}", sealed.checksum),
        tensors: told,
        header: text(sealed.header)?,
        card: json!({
            "task": card.task,
            "algorithm": card.algorithm,
            "target": card.target,
            "rows": card.rows,
            "device": card.device,
            "metrics": card.metrics,
            "summary": card.summary,
            "insight": env!("CARGO_PKG_VERSION"),
        }),
        recipe,
        parts,
    };
    let damaged = |e: &dyn std::fmt::Display| ArtifactError::Damaged(e.to_string());
    let entry = serde_json::to_string(&entry).map_err(|e| damaged(&e))?;
    // One entry: of several the order in the file would be left to chance.
    let metadata = HashMap::from([(ENTRY.to_owned(), entry)]);
    let views: Result<Vec<(&str, TensorView<'_>)>, _> = tensors
        .iter()
        .map(|(tensor, bytes)| {
            let view = TensorView::new(tensor.dtype, tensor.shape.clone(), bytes);
            view.map(|view| (tensor.name.as_str(), view))
        })
        .collect();
    let views = views.map_err(|e| damaged(&e))?;
    Ok(safetensors::serialize(views, Some(metadata)).map_err(|e| damaged(&e))?)
}

/// What becomes of each column, and what each input of a part is.
fn recipe(artifact: &Artifact) -> Value {
    let columns: Vec<Value> = artifact
        .recipe
        .describe()
        .into_iter()
        .map(|of| {
            json!({"column": of.column, "kind": of.kind, "steps": of.steps, "parameters": of.parameters, "inputs": of.inputs})
        })
        .collect();
    let names = artifact.recipe.input_names().into_iter().map(|of| {
        json!({"feature": of.feature, "level": of.level, "centre": of.centre, "scale": of.scale})
    });
    json!({
        "columns": columns,
        "names": names.collect::<Vec<_>>(),
        "inputs": artifact.recipe.inputs(),
    })
}

/// The parts of all segments, the shared ones first, as the names of the weights count them.
fn all_parts(artifact: &Artifact) -> Vec<Value> {
    let all = artifact.all_parts();
    all.map(|part| json!({"share": part.share, "model": part.model}))
        .collect()
}

/// The model out of a file, which is not trusted: what it holds is checked as any stored model is.
///
/// # Errors
/// [`ArtifactError::TooNew`] for a later format, [`ArtifactError::Damaged`] for anything else that is no such file.
pub fn read(file: &[u8]) -> Result<Imported, ArtifactError> {
    let damaged = |what: String| ArtifactError::Damaged(what);
    let not_one =
        |e: safetensors::SafeTensorError| damaged(format!("it is no safetensors file: {e}"));
    let (_, metadata) = SafeTensors::read_metadata(file).map_err(not_one)?;
    let tensors = SafeTensors::deserialize(file).map_err(not_one)?;
    let entry = metadata.metadata().as_ref().and_then(|m| m.get(ENTRY));
    let entry = entry.ok_or_else(|| damaged("the file was not written by insight".into()))?;
    /// What must be known before the rest can be understood.
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let unread = |e: serde_json::Error| damaged(format!("the metadata cannot be read: {e}"));
    let Format { format: found } = serde_json::from_str(entry).map_err(unread)?;
    if found > FORMAT {
        let known = FORMAT;
        return Err(ArtifactError::TooNew { found, known });
    }
    let entry: Entry = serde_json::from_str(entry).map_err(unread)?;
    let magic = entry.kind.as_bytes().try_into();
    let sealed = Sealed {
        magic: magic.map_err(|_| damaged(format!("there is no kind \"{}\"", entry.kind)))?,
        version: entry.container,
        header: entry.header.as_bytes(),
        words: &join(&entry.tensors, &tensors)?,
        checksum: 0,
    };
    let bytes = sealed.close();
    let closed = Sealed::open(&bytes)?;
    require(
        entry.checksum == format!("{:016x}", closed.checksum),
        || "the checksum does not match: the file was changed".into(),
    )?;
    Ok(Imported {
        model: TrainedModel::from_bytes(&bytes)?,
        bytes,
        origin: entry.origin,
    })
}
