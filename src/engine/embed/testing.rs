//! The text model of tests: tests/fixtures/make_tiny_bert.py made it.

use super::{Encoder, open};
use std::path::PathBuf;
use std::sync::Arc;

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/tiny_bert")
}

pub fn tiny_bert() -> Arc<Encoder> {
    open(&folder()).unwrap()
}
