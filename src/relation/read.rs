//! Rows of a query straight into a frame, through our own DestReceiver.
use crate::error::Result;
use insight_engine::frame::Frame;

/// Reads `sql` (one SELECT whose result columns have the given names) as the current role.
/// `max_bytes` bounds the frame; `on_rows` is called every few thousand rows.
pub fn read(_sql: &str, _max_bytes: usize, _on_rows: &mut dyn FnMut(u64)) -> Result<Frame> {
    todo!()
}
