//! The numbers that rows are compared by: as they are prepared, or what a network makes of them.

use crate::artifact::check::check_network;
use crate::frame::{Cell, Frame, Kind};
use crate::infer::hidden::{Hidden, Room};
use crate::models::Network;
use crate::recipe::{Features, Input, Recipe};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};

/// What makes numbers of a row.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Source {
    pub recipe: Recipe,
    /// Of each category, how many levels have an input.
    levels: Vec<usize>,
    /// A network that answers what another knows of a row; its weights are beside the header.
    pub network: Option<Network>,
    #[serde(skip)]
    hidden: OnceLock<Arc<Hidden>>,
}

/// Buffers for one row.
#[derive(Debug, Clone, Default)]
pub(super) struct Buffers {
    features: Features,
    room: Room,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let network = self.network.is_some();
        write!(
            f,
            "Source {{ columns: {}, network: {network} }}",
            self.recipe.columns().len()
        )
    }
}

impl Source {
    /// With an input for each number and each level that the recipe makes.
    pub fn prepared(recipe: Recipe) -> Source {
        Source {
            levels: levels(&recipe),
            recipe,
            network: None,
            hidden: OnceLock::new(),
        }
    }

    /// With what a network (see [`crate::infer::hidden::beheaded`]) answers for the rows the recipe prepares.
    pub fn learned(recipe: Recipe, network: Network) -> Source {
        Source {
            network: Some(network),
            ..Source::prepared(recipe)
        }
    }

    /// Whether bytes from a table hold what the others rely on.
    pub fn is_sound(&self) -> bool {
        let network = match &self.network {
            Some(network) => {
                check_network(network).is_ok() && network.inputs == self.recipe.inputs()
            }
            None => self.recipe.is_of_single_columns(),
        };
        self.recipe.is_sound()
            && self.recipe.text_model().is_none()
            && network
            && self.levels == levels(&self.recipe)
    }

    /// Numbers of a row.
    pub fn width(&self) -> usize {
        match &self.network {
            Some(network) => network.outputs(),
            None => self.recipe.inputs().numbers + self.levels.iter().sum::<usize>(),
        }
    }

    /// The column of each number; none where a network makes them of all.
    pub fn owners(&self) -> Vec<usize> {
        if self.network.is_some() {
            return Vec::new();
        }
        let (mut all, codes) = self.recipe.owners();
        for (column, levels) in codes.into_iter().zip(&self.levels) {
            all.extend(std::iter::repeat_n(column, *levels));
        }
        all
    }

    /// Numbers of which another one says whether they were missing, and that one.
    pub fn gaps(&self) -> Vec<(usize, usize)> {
        let owners = self.owners();
        let columns = self.recipe.columns().iter().enumerate();
        let numbers = columns.filter(|(_, c)| matches!(c.kind, Kind::Number | Kind::Duration));
        let gap = |(column, _): (usize, &Input)| {
            let mut own = (0..owners.len()).filter(|at| owners[*at] == column);
            Some((own.next()?, own.next()?))
        };
        numbers.filter_map(gap).collect()
    }

    pub fn bytes(&self) -> usize {
        let network = self.network.iter().flat_map(|n| n.weights());
        8 * network.map(Vec::len).sum::<usize>() + 256 * self.recipe.columns().len()
    }

    pub fn buffers(&self) -> Buffers {
        Buffers {
            features: self.recipe.scratch(),
            room: Room::default(),
        }
    }

    fn hidden(&self, network: &Network) -> &Hidden {
        self.hidden.get_or_init(|| Arc::new(Hidden::new(network)))
    }

    /// Calls `each` with the place and the value of every number of a row that is not 0.
    pub fn numbers(
        &self,
        cells: &[Cell<'_>],
        buffers: &mut Buffers,
        each: &mut dyn FnMut(usize, f32),
    ) {
        let Buffers { features, room } = buffers;
        self.recipe.apply(cells, features);
        match &self.network {
            Some(network) => {
                let known = self.hidden(network).of_features(features, room);
                known.iter().enumerate().for_each(|(at, x)| each(at, *x));
            }
            None => self.spread(&features.numbers, &features.codes, each),
        }
    }

    /// The same of each row of a frame; `each` is given the row's place among `rows`, too.
    pub fn of_frame(&self, frame: &Frame, rows: &[u32], each: &mut dyn FnMut(usize, usize, f32)) {
        let matrix = self.recipe.transform(frame, rows);
        let (numbers, codes) = (matrix.inputs.numbers, matrix.inputs.categories.len());
        let mut room = Room::default();
        for row in 0..rows.len() {
            let mut each = |at: usize, x: f32| each(row, at, x);
            match &self.network {
                Some(network) => {
                    let known = self.hidden(network).of_row(&matrix, row, &mut room);
                    known.iter().enumerate().for_each(|(at, x)| each(at, *x));
                }
                None => {
                    let numbers = &matrix.numbers[row * numbers..(row + 1) * numbers];
                    let codes = &matrix.codes[row * codes..(row + 1) * codes];
                    self.spread(numbers, codes, &mut each);
                }
            }
        }
    }

    /// The numbers, then a 1 for the level of each category.
    fn spread(&self, numbers: &[f32], codes: &[u32], each: &mut dyn FnMut(usize, f32)) {
        let there = numbers.iter().enumerate().filter(|(_, x)| **x != 0.0);
        there.for_each(|(at, x)| each(at, *x));
        let mut before = numbers.len();
        for (code, levels) in codes.iter().zip(&self.levels) {
            let level = (*code as usize).checked_sub(1);
            if let Some(level) = level.filter(|level| level < levels) {
                each(before + level, 1.0);
            }
            before += levels;
        }
    }
}

fn levels(recipe: &Recipe) -> Vec<usize> {
    let categories = recipe.inputs().categories.into_iter();
    categories.map(|category| category.levels).collect()
}
