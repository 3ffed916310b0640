//! Models in words, in pictures and as a page.

mod chart;
mod groups;
mod html;
mod page;
mod people;
mod picture;
mod summary;
mod words;

pub use chart::DrawingError;
pub use page::{Facts, of_another as page_of_another, of_table as page_of_table};
pub use picture::{Insight, Kind, Picture, Subject, Table, along, history, shown_label, weights};
pub use summary::{of_another, of_table};
/// Columns whose direction a summary tells.
pub use words::NAMED;

#[cfg(test)]
mod tests;
