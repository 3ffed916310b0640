//! The segments of the rows of a relation.

use super::{resolve, score};
use crate::error::Result;
use insight_engine::segment::Clustering;

/// Rows assigned between two looks at interrupts.
const PIECE: usize = 1 << 14;

/// What each row is called (by `key`, else by the primary key, else by its number) and its segment.
pub fn of(
    clustering: &Clustering,
    relation: &str,
    key: Option<&str>,
) -> Result<Vec<(Option<String>, usize)>> {
    let source = resolve::resolve(relation)?;
    let key = score::named_key(&source, key)?;
    let (frame, keys) = score::keyed(clustering.columns(), source, key)?;
    let rows: Vec<u32> = (0..frame.rows() as u32).collect();
    let mut segments = Vec::with_capacity(rows.len());
    for piece in rows.chunks(PIECE) {
        pgrx::check_for_interrupts!();
        segments.extend(clustering.assign_frame(&frame, piece));
    }
    Ok(keys.into_iter().zip(segments).collect())
}
