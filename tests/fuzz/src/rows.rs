//! Values of every sort, right and wrong, as cells of a row.

use insight_engine::frame::{Cell, Column, Frame, Kind};
use insight_engine::picture;
use libfuzzer_sys::arbitrary::{Result, Unstructured};

#[derive(Debug, Clone)]
pub enum Own {
    Null,
    Number(f64),
    Small(i16),
    Boolean(bool),
    Text(String),
    Time(i64),
    Duration(f64),
    Vector(Vec<f32>),
    Tags(Vec<String>),
    Json(String),
    /// A colour of a whole picture.
    Image(u8),
    NoImage,
}

impl Own {
    fn of(from: &mut Unstructured<'_>) -> Result<Own> {
        Ok(match from.int_in_range(0..=11)? {
            0 => Own::Null,
            1 => Own::Number(from.arbitrary()?),
            2 => Own::Small(from.arbitrary()?),
            3 => Own::Boolean(from.arbitrary()?),
            4 => Own::Text(from.arbitrary()?),
            5 => Own::Time(from.arbitrary()?),
            6 => Own::Duration(from.arbitrary()?),
            7 => Own::Vector(from.arbitrary()?),
            8 => Own::Tags(from.arbitrary()?),
            9 => Own::Json(from.arbitrary()?),
            10 => Own::Image(from.arbitrary()?),
            _ => Own::NoImage,
        })
    }
}

/// At most four rows of so many values each.
pub fn rows(data: &[u8], width: usize) -> Vec<Row> {
    let mut from = Unstructured::new(data);
    let mut rows = Vec::new();
    while !from.is_empty() && rows.len() < 4 {
        let values = (0..width).map_while(|_| Own::of(&mut from).ok());
        rows.push(Row::new(values.collect()));
    }
    rows
}

/// Values whose cells borrow from them.
pub struct Row {
    values: Vec<(Own, String, Vec<u8>)>,
}

impl Row {
    pub fn new(values: Vec<Own>) -> Row {
        let plain = |text: &String| text.replace('\0', "");
        let values = values.into_iter().map(|own| {
            let text = match &own {
                Own::Text(text) | Own::Json(text) => plain(text),
                Own::Tags(tags) => tags.iter().map(|t| plain(t) + "\0").collect(),
                _ => String::new(),
            };
            let pixels = match own {
                Own::Image(colour) => vec![colour; picture::BYTES],
                _ => Vec::new(),
            };
            (own, text, pixels)
        });
        Row {
            values: values.collect(),
        }
    }

    pub fn cells(&self) -> Vec<Cell<'_>> {
        let mut cells = Vec::with_capacity(self.values.len());
        for (own, text, pixels) in &self.values {
            cells.push(match own {
                Own::Null => Cell::Null,
                Own::Number(x) => Cell::Number(*x),
                Own::Small(x) => Cell::Number(f64::from(*x)),
                Own::Boolean(x) => Cell::Boolean(*x),
                Own::Time(x) => Cell::Time(*x),
                Own::Duration(x) => Cell::Duration(*x),
                Own::Text(_) => Cell::Text(text),
                Own::Tags(_) => Cell::Tags(text),
                Own::Json(_) => Cell::Json(text),
                Own::Vector(x) => Cell::Vector(x),
                Own::Image(_) | Own::NoImage => Cell::Image(pixels),
            });
        }
        cells
    }
}

/// Rows as they come, as a frame of columns of the given kinds.
pub fn frame(columns: &[(String, String, Kind)], rows: &[Row]) -> Frame {
    let mut own: Vec<Column> = columns
        .iter()
        .map(|(name, type_name, kind)| Column::new(name.clone(), type_name.clone(), *kind))
        .collect();
    for row in rows {
        let cells = row.cells();
        for (at, column) in own.iter_mut().enumerate() {
            column.push(cells.get(at).copied().unwrap_or(Cell::Null));
        }
    }
    Frame { columns: own }
}
