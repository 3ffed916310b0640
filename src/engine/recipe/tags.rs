//! Several categories at once: an input for each of the frequent ones, and how many there are.

use super::number::Number;
use super::options::Scaling;
use crate::frame::{Cell, Column, tags};
use crate::lookup::Lookup;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

/// Levels kept, the most frequent ones.
const MOST: usize = 64;
/// A level needs this many training rows.
const RARE: usize = 5;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub(super) struct Tags {
    pub(super) levels: Vec<String>,
    /// Elements of the array, the other levels too; carries the missing flag.
    pub(super) count: Number,
    places: Lookup<Box<str>, u32>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    levels: Vec<String>,
    count: Number,
}

impl From<Stored> for Tags {
    fn from(stored: Stored) -> Self {
        Tags::new(stored.levels, stored.count)
    }
}

impl From<Tags> for Stored {
    fn from(tags: Tags) -> Self {
        Stored {
            levels: tags.levels,
            count: tags.count,
        }
    }
}

impl Tags {
    fn new(levels: Vec<String>, count: Number) -> Tags {
        let places = levels.iter().map(|level| level.as_str().into()).zip(0..);
        Tags {
            places: places.collect(),
            levels,
            count,
        }
    }

    pub(super) fn fit(column: &Column, rows: &[u32]) -> Tags {
        let arrays = rows
            .iter()
            .filter_map(|&row| match column.cell(row as usize) {
                Cell::Tags(packed) => Some(packed),
                _ => None,
            });
        let mut counts: HashMap<&str, (usize, usize)> = HashMap::new();
        let mut lengths = Vec::new();
        for (number, packed) in arrays.enumerate() {
            lengths.push(tags(packed).count() as f64);
            for tag in tags(packed) {
                // Rows, not elements: an array can repeat itself.
                let (rows, last) = counts.entry(tag).or_insert((0, usize::MAX));
                if std::mem::replace(last, number) != number {
                    *rows += 1;
                }
            }
        }
        let mut levels: Vec<(&str, usize)> = counts
            .into_iter()
            .map(|(level, (rows, _))| (level, rows))
            .filter(|(_, rows)| *rows >= RARE)
            .collect();
        levels.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        levels.truncate(MOST);
        let mut levels: Vec<String> = levels.into_iter().map(|l| l.0.to_owned()).collect();
        levels.sort_unstable();
        Tags::new(levels, Number::fit(lengths, rows.len(), Scaling::default()))
    }

    pub(super) fn width(&self) -> usize {
        self.levels.len() + self.count.width()
    }

    pub(super) fn is_sound(&self) -> bool {
        self.places.len() == self.levels.len() && self.count.is_sound()
    }

    #[inline]
    pub(super) fn write(&self, cell: Cell<'_>, out: &mut [f32]) {
        let (levels, count) = out.split_at_mut(self.levels.len());
        levels.fill(0.0);
        let Cell::Tags(packed) = cell else {
            self.count.write(Cell::Null, count);
            return;
        };
        let mut elements = 0u32;
        for tag in tags(packed) {
            elements += 1;
            if let Some(&place) = self.places.get(tag) {
                levels[place as usize] = 1.0;
            }
        }
        self.count.write(Cell::Number(f64::from(elements)), count);
    }
}
