//! Models as files that travel: safetensors, which brings back the same model elsewhere, and ONNX, which predicts without insight.

mod file;
mod layout;
pub(crate) mod onnx;
mod weights;

pub use file::{ExportError, Imported, Origin, read, write};
pub use onnx::{Unsupported, write as write_onnx};

#[cfg(test)]
mod tests;
