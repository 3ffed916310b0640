//! The sentence vector of a free text. The text model itself is no part of a stored recipe: only its fingerprint is.

use super::vector::Vector;
use crate::embed::Encoder;
use crate::frame::{Cell, Column, Kind};
use crate::profile::bins::spread;
use hashbrown::HashSet;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};

/// Training rows that means and deviations are learned from, evenly spread.
const ROWS: usize = 20_000;
/// Numbers of a vector, at most.
const MOST: usize = 8192;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Sentence {
    /// The fingerprint of the text model.
    model: String,
    vector: Vector,
    #[serde(skip)]
    encoder: OnceLock<Arc<Encoder>>,
}

impl Sentence {
    /// Works on as many threads as there are: only a trainer fits.
    pub(super) fn fit(encoder: &Arc<Encoder>, column: &Column, rows: &[u32]) -> Sentence {
        let text = |&row: &u32| match column.cell(row as usize) {
            Cell::Text(text) => Some(text),
            _ => None,
        };
        // Every text once, for all that follows.
        let texts: HashSet<&str> = rows.iter().filter_map(text).collect();
        let texts: Vec<&str> = texts.into_iter().collect();
        texts.into_par_iter().for_each(|text| {
            encoder.encode(text, &mut vec![0.0; encoder.dimension()]);
        });
        let mut vectors = Column::new("", "", Kind::Vector);
        let mut vector = vec![0.0; encoder.dimension()];
        for text in spread(rows, ROWS).iter().filter_map(text) {
            encoder.encode(text, &mut vector);
            vectors.push(Cell::Vector(&vector));
        }
        let all: Vec<u32> = (0..vectors.len() as u32).collect();
        Sentence {
            model: encoder.fingerprint().to_owned(),
            vector: Vector::fit(&vectors, &all).without_flag(),
            encoder: OnceLock::from(encoder.clone()),
        }
    }

    pub(super) fn model(&self) -> &str {
        &self.model
    }

    pub(super) fn attach(&self, encoder: &Arc<Encoder>) {
        if encoder.fingerprint() == self.model {
            // One that is there already is the same.
            let _ = self.encoder.set(encoder.clone());
        }
    }

    pub(super) fn width(&self) -> usize {
        self.vector.width()
    }

    pub(super) fn is_sound(&self) -> bool {
        self.vector.is_sound() && self.vector.dimension <= MOST && !self.vector.flag
    }

    /// A missing text, or one of a recipe whose text model was not attached, is the mean.
    pub(super) fn write(&self, cell: Cell<'_>, out: &mut [f32]) {
        let (Cell::Text(text), Some(encoder)) = (cell, self.encoder.get()) else {
            return self.vector.write(Cell::Null, out);
        };
        let mut vector = vec![0.0; encoder.dimension()];
        encoder.encode(text, &mut vector);
        self.vector.write(Cell::Vector(&vector), out);
    }
}
