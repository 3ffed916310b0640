//! Rows that are alike in some columns (equivalence classes).

use crate::frame::{Column, Values};
use hashbrown::HashMap;

/// The class of each row, classes numbered in the order they are met.
#[derive(Debug, Clone, Default)]
pub struct Groups {
    pub of: Vec<u32>,
    pub count: usize,
}

impl Groups {
    /// Rows are alike where they have the same value, or none, in every column. `look` is called now and then: it may raise.
    pub fn by(columns: &[&Column], rows: usize, look: &mut dyn FnMut()) -> Groups {
        let mut of = vec![0u32; rows];
        let mut count = usize::from(rows > 0);
        for column in columns {
            look();
            let mut known: HashMap<(u32, Option<u64>), u32> = HashMap::new();
            for (row, group) in of.iter_mut().enumerate() {
                let next = known.len() as u32;
                *group = *known.entry((*group, word(column, row))).or_insert(next);
            }
            count = known.len();
        }
        Groups { of, count }
    }

    /// How many rows each class has.
    pub fn sizes(&self) -> Vec<u32> {
        let mut sizes = vec![0; self.count];
        self.of.iter().for_each(|group| sizes[*group as usize] += 1);
        sizes
    }

    /// The rows of each class: all rows class by class, and where each class ends.
    pub fn members(&self) -> (Vec<u32>, Vec<usize>) {
        let mut ends: Vec<usize> = self
            .sizes()
            .iter()
            .scan(0, |end, size| {
                *end += *size as usize;
                Some(*end)
            })
            .collect();
        let mut places: Vec<usize> = std::iter::once(0).chain(ends.iter().copied()).collect();
        let mut rows = vec![0; self.of.len()];
        for (row, group) in self.of.iter().enumerate() {
            rows[places[*group as usize]] = row as u32;
            places[*group as usize] += 1;
        }
        ends.truncate(self.count);
        (rows, ends)
    }
}

/// What tells a value from others of its column; `None` for NULL.
fn word(column: &Column, row: usize) -> Option<u64> {
    if column.nulls.get(row) {
        return None;
    }
    Some(match &column.values {
        // The two zeros are one number.
        Values::Number(v) => (v[row] + 0.0).to_bits(),
        Values::Boolean(v) => u64::from(v[row]),
        Values::Category { codes, .. } => u64::from(codes[row]),
        Values::Time(v) => v[row] as u64,
        // Not read as quasi-identifiers.
        Values::Vector { .. } | Values::Image { .. } => 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Cell, Kind};

    #[test]
    fn rows_alike_in_all_columns_are_one_class() {
        let mut city = Column::new("city", "text", Kind::Category);
        let mut age = Column::new("age", "integer", Kind::Number);
        for (c, a) in [("a", 1.0), ("b", 1.0), ("a", 1.0), ("a", 2.0)] {
            city.push(Cell::Text(c));
            age.push(Cell::Number(a));
        }
        city.push(Cell::Null);
        age.push(Cell::Number(1.0));
        let groups = Groups::by(&[&city, &age], 5, &mut || ());
        assert_eq!(groups.of, [0, 1, 0, 2, 3]);
        assert_eq!(groups.sizes(), [2, 1, 1, 1]);
        let (rows, ends) = groups.members();
        assert_eq!((rows, ends), (vec![0, 2, 1, 3, 4], vec![2, 3, 4, 5]));
    }

    #[test]
    fn without_columns_all_rows_are_one_class() {
        assert_eq!(Groups::by(&[], 3, &mut || ()).sizes(), [3]);
        assert_eq!(Groups::by(&[], 0, &mut || ()).sizes(), [0u32; 0]);
    }
}
