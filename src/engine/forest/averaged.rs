//! What trees average.

use crate::evaluate::Truth;

/// The target as the trees average it, row-major `[rows][outputs]`.
#[derive(Debug, Clone)]
pub struct Averaged {
    pub outputs: usize,
    pub values: Vec<f32>,
}

impl Averaged {
    pub fn of(truth: &Truth, classes: usize) -> Averaged {
        match truth {
            Truth::Values(values) => Averaged {
                outputs: 1,
                values: values.iter().map(|y| *y as f32).collect(),
            },
            Truth::Classes(codes) if classes > 2 => {
                let mut values = vec![0.0; codes.len() * classes];
                let each = values.chunks_exact_mut(classes).zip(codes);
                each.for_each(|(row, code)| row[*code as usize] = 1.0);
                Averaged {
                    outputs: classes,
                    values,
                }
            }
            Truth::Classes(codes) => Averaged {
                outputs: 1,
                values: codes.iter().map(|code| *code as f32).collect(),
            },
            _ => Averaged {
                outputs: 1,
                values: Vec::new(),
            },
        }
    }

    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.outputs..(row + 1) * self.outputs]
    }
}
