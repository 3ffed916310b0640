//! Prepared rows, put together and taken apart.

use crate::models::Inputs;

/// Prepared rows, as the networks take them.
#[derive(Debug, Clone, Default)]
pub struct Matrix {
    pub rows: usize,
    /// Row-major `[rows][inputs.numbers]`.
    pub numbers: Vec<f32>,
    /// Row-major `[rows][inputs.categories.len()]`.
    pub codes: Vec<u32>,
    /// The tokens of all bags, row by row and in a row bag by bag.
    pub tokens: Vec<u32>,
    /// Where each bag ends among them, row-major `[rows][inputs.bags.len()]`.
    pub token_ends: Vec<usize>,
    pub inputs: Inputs,
    /// Which of the numbers are numbers by themselves, not a part of a text, a vector or a set; ascending.
    pub singles: Vec<usize>,
    pub features: FeatureOf,
}

/// Which feature each input is a part of, in the order of the columns; none is known where they are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeatureOf {
    pub numbers: Vec<usize>,
    pub categories: Vec<usize>,
    pub bags: Vec<usize>,
}

impl Matrix {
    /// The tokens of one bag of one row.
    pub fn bag(&self, row: usize, bag: usize) -> &[u32] {
        let at = row * self.inputs.bags.len() + bag;
        let start = at
            .checked_sub(1)
            .map_or(0, |before| self.token_ends[before]);
        &self.tokens[start..self.token_ends[at]]
    }

    /// The given rows, in that order.
    pub(crate) fn some(&self, rows: &[u32]) -> Matrix {
        let mut out = Matrix {
            inputs: self.inputs.clone(),
            singles: self.singles.clone(),
            features: self.features.clone(),
            ..Matrix::default()
        };
        out.numbers.reserve_exact(rows.len() * self.inputs.numbers);
        rows.iter().for_each(|row| out.take(self, *row as usize));
        out
    }

    /// These rows, then those of another matrix of the same inputs.
    pub(crate) fn with(&self, other: &Matrix) -> Matrix {
        let mut out = self.clone();
        (0..other.rows).for_each(|row| out.take(other, row));
        out
    }

    fn take(&mut self, from: &Matrix, row: usize) {
        let (numbers, codes) = (self.inputs.numbers, self.inputs.categories.len());
        let own = &from.numbers[row * numbers..(row + 1) * numbers];
        self.numbers.extend_from_slice(own);
        let own = &from.codes[row * codes..(row + 1) * codes];
        self.codes.extend_from_slice(own);
        for bag in 0..self.inputs.bags.len() {
            self.tokens.extend_from_slice(from.bag(row, bag));
            self.token_ends.push(self.tokens.len());
        }
        self.rows += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{BagInput, CategoryInput, Encoding, Inputs};

    #[test]
    fn rows_keep_their_numbers_codes_and_tokens() {
        let category = CategoryInput {
            levels: 9,
            encoding: Encoding::OneHot,
        };
        let bag = BagInput {
            vocabulary: 9,
            dim: 1,
        };
        let matrix = Matrix {
            rows: 2,
            numbers: vec![1.0, 2.0],
            codes: vec![3, 4],
            tokens: vec![5, 6, 7],
            token_ends: vec![1, 1, 3, 3],
            inputs: Inputs {
                numbers: 1,
                categories: vec![category],
                bags: vec![bag; 2],
            },
            singles: vec![0],
            features: Default::default(),
        };
        let turned = matrix.with(&matrix).some(&[3, 0]);
        assert_eq!(turned.rows, 2);
        assert_eq!((turned.numbers, turned.codes), (vec![2.0, 1.0], vec![4, 3]));
        let all = matrix.with(&matrix).some(&[3, 0]);
        assert_eq!((all.bag(0, 0), all.bag(1, 0)), (&[6, 7][..], &[5][..]));
        assert!(all.bag(0, 1).is_empty() && all.bag(1, 1).is_empty());
    }
}
