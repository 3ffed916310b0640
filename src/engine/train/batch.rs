//! Rows as tensors. What fits is copied to the device once, as compact columns, and batches are gathered there; of what does
//! not, batch after batch is sent.

use super::Examples;
use super::loss::{Objective, tensors::Truth};
use crate::models::{Encoding, Inputs};
use crate::recipe::Matrix;
use burn::tensor::{DType, Int, IntDType, Tensor, TensorData, backend::Backend};

/// Elements that a kernel can number with 32 bits, and room for a block of threads more.
const MOST_ELEMENTS: usize = i32::MAX as usize - 65_536;

/// What a model takes of some rows, on a device.
pub struct Batch<B: Backend> {
    /// `[rows, numbers + one-hot]`.
    pub dense: Tensor<B, 2>,
    /// `[rows, embeddings]`; `None` without embeddings.
    pub codes: Option<Tensor<B, 2, Int>>,
    /// Per bag: `[rows, longest]` tokens, and what each counts, 1 / length or 0 beyond the end.
    pub bags: Vec<(Tensor<B, 2, Int>, Tensor<B, 2>)>,
}

/// The rows of a part, on a device or on their way there.
pub(super) struct Source<'a, B: Backend> {
    pub(super) examples: Examples<'a>,
    inputs: Inputs,
    /// What its targets are prepared for.
    pub(super) objective: Objective,
    device: B::Device,
    /// All of them, where there is room.
    all: Option<(Table<B>, Truth<B>)>,
}

impl<'a, B: Backend> Source<'a, B> {
    /// For a model that takes rows as `inputs` says. What the rows take on the device, in bytes, is taken from the `room`.
    pub(super) fn new(
        examples: Examples<'a>,
        inputs: &Inputs,
        objective: Objective,
        device: &B::Device,
        room: &mut u64,
    ) -> Source<'a, B> {
        let bytes = bytes(&examples).filter(|bytes| bytes <= room);
        let all = bytes.map(|bytes| {
            *room -= bytes;
            let truth = Truth::new(&examples, &objective, device);
            (Table::new(examples.matrix, inputs, device), truth)
        });
        Source {
            all,
            inputs: inputs.clone(),
            examples,
            objective,
            device: device.clone(),
        }
    }

    /// Some rows.
    pub(super) fn batch(&self, rows: &[u32]) -> (Batch<B>, Truth<B>) {
        if let Some((table, truth)) = &self.all {
            let index = table.index(rows);
            let batch = table.some(self.examples.matrix, rows, &index);
            return (batch, truth.select(&index));
        }
        let some = self.examples.some(rows);
        let truth = Truth::new(&some.examples(), &self.objective, &self.device);
        (gather(&some.matrix, &self.inputs, &self.device), truth)
    }
}

/// All rows of a matrix.
pub(crate) fn gather<B: Backend>(matrix: &Matrix, inputs: &Inputs, device: &B::Device) -> Batch<B> {
    let all: Vec<u32> = (0..matrix.rows as u32).collect();
    let table = Table::new(matrix, inputs, device);
    table.some(matrix, &all, &table.index(&all))
}

/// What the rows take on a device, in bytes; `None` where its kernels could not number them.
fn bytes(examples: &Examples<'_>) -> Option<u64> {
    let matrix = examples.matrix;
    let numbers = [&matrix.numbers, examples.targets, examples.weights].map(|own| own.len());
    let others = [
        matrix.codes.len(),
        matrix.tokens.len(),
        matrix.token_ends.len(),
    ];
    let most = numbers.iter().chain(&others).max();
    let [numbers, targets, weights] = numbers;
    let [codes, tokens, ends] = others;
    // Of a target may be kept whether it counts, and its least loss; of a bag its place and its length.
    let words = numbers + 3 * targets + weights + tokens + 2 * ends;
    let bytes = 4 * words + code_type(&matrix.inputs).size() * codes;
    let fits = most.is_some_and(|most| *most <= MOST_ELEMENTS);
    fits.then_some(bytes as u64)
}

/// The smallest integers that hold the codes of every category.
fn code_type(inputs: &Inputs) -> DType {
    match inputs.categories.iter().map(|c| c.levels).max() {
        Some(0..=255) => DType::U8,
        Some(256..=65_535) => DType::U16,
        _ => DType::I32,
    }
}

/// All rows of a part, on a device.
struct Table<B: Backend> {
    /// `[rows, numbers]`; `None` without numbers.
    numbers: Option<Tensor<B, 2>>,
    /// `[rows, categories]`.
    codes: Option<Tensor<B, 2, Int>>,
    /// Of each input of a one-hot block its category, `[one-hot]`, and the code that makes it 1, `[1, one-hot]`.
    one_hot: Option<(Tensor<B, 1, Int>, Tensor<B, 2, Int>)>,
    /// The categories with embeddings.
    embedded: Option<Tensor<B, 1, Int>>,
    /// The tokens of all bags.
    tokens: Option<Tensor<B, 1, Int>>,
    /// Of each bag where it begins among them and how long it is, each `[rows, 1]`.
    bags: Vec<(Tensor<B, 2, Int>, Tensor<B, 2, Int>)>,
    device: B::Device,
}

impl<B: Backend> Table<B> {
    fn new(matrix: &Matrix, inputs: &Inputs, device: &B::Device) -> Table<B> {
        let rows = matrix.rows;
        let line = |values: Vec<i32>| {
            let shape = [values.len()];
            Tensor::<B, 1, Int>::from_data(TensorData::new(values, shape), device)
        };
        let categories = inputs.categories.iter().enumerate();
        let units = categories
            .filter(|(_, category)| category.encoding == Encoding::OneHot)
            .flat_map(|(c, category)| {
                (1..=category.levels as i32).map(move |code| (c as i32, code))
            });
        let (columns, codes): (Vec<i32>, Vec<i32>) = units.unzip();
        let embedded: Vec<i32> = inputs.embedded().map(|(c, ..)| c as i32).collect();
        let bags = (0..inputs.bags.len()).map(|b| {
            let ends = matrix.token_ends.iter().map(|end| *end as i32);
            let starts = std::iter::once(0).chain(ends.clone());
            let own = |all: &mut dyn Iterator<Item = i32>| -> Vec<i32> {
                all.skip(b).step_by(inputs.bags.len()).take(rows).collect()
            };
            let (starts, ends) = (own(&mut { starts }), own(&mut { ends }));
            let lengths = ends.iter().zip(&starts).map(|(end, start)| end - start);
            let lengths = line(lengths.collect()).reshape([rows, 1]);
            (line(starts).reshape([rows, 1]), lengths)
        });
        Table {
            numbers: (inputs.numbers > 0).then(|| {
                let shape = [rows, inputs.numbers];
                Tensor::from_data(TensorData::new(matrix.numbers.clone(), shape), device)
            }),
            codes: (!inputs.categories.is_empty()).then(|| {
                let shape = [rows, inputs.categories.len()];
                let kind = code_type(inputs);
                let data = match kind {
                    DType::U8 => TensorData::new(narrow(&matrix.codes, |c| c as u8), shape),
                    DType::U16 => TensorData::new(narrow(&matrix.codes, |c| c as u16), shape),
                    _ => TensorData::new(narrow(&matrix.codes, |c| c as i32), shape),
                };
                Tensor::from_data(data, (device, kind))
            }),
            one_hot: (!columns.is_empty()).then(|| (line(columns), line(codes).unsqueeze::<2>())),
            embedded: (!embedded.is_empty()).then(|| line(embedded)),
            tokens: (!matrix.tokens.is_empty())
                .then(|| line(narrow(&matrix.tokens, |token| token as i32))),
            bags: bags.collect(),
            device: device.clone(),
        }
    }

    /// The numbers of rows on the device.
    fn index(&self, rows: &[u32]) -> Tensor<B, 1, Int> {
        let index = TensorData::new(narrow(rows, |row| row as i32), [rows.len()]);
        Tensor::from_data(index, &self.device)
    }

    /// Some rows, `index`, of this matrix.
    fn some(&self, matrix: &Matrix, rows: &[u32], index: &Tensor<B, 1, Int>) -> Batch<B> {
        let device = &self.device;
        let codes = self.codes.as_ref().map(|codes| {
            let codes = codes.clone().select(0, index.clone());
            codes.cast(IntDType::I32)
        });
        let units = codes.as_ref().zip(self.one_hot.as_ref());
        let units = units.map(|(codes, (columns, ones))| {
            let own = codes.clone().select(1, columns.clone());
            let shape = own.dims();
            own.equal(ones.clone().expand(shape)).float()
        });
        let numbers = self.numbers.as_ref();
        let numbers = numbers.map(|numbers| numbers.clone().select(0, index.clone()));
        let dense = match (numbers, units) {
            (Some(numbers), Some(units)) => Tensor::cat(vec![numbers, units], 1),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => Tensor::zeros([rows.len(), 0], device),
        };
        let embedded = codes.zip(self.embedded.as_ref());
        let bags = self.bags.iter().enumerate().map(|(b, (starts, lengths))| {
            let longest = rows.iter().map(|row| matrix.bag(*row as usize, b).len());
            // Few widths, so that a device does not look for the best kernels anew with every batch.
            let longest = longest.max().unwrap_or(0).max(1).next_power_of_two();
            let shape = [rows.len(), longest];
            let Some(tokens) = &self.tokens else {
                return (Tensor::zeros(shape, device), Tensor::zeros(shape, device));
            };
            let of = |all: &Tensor<B, 2, Int>| all.clone().select(0, index.clone()).expand(shape);
            let (starts, lengths) = (of(starts), of(lengths));
            let places = Tensor::<B, 1, Int>::arange(0..longest as i64, device);
            let places = places.unsqueeze::<2>().expand(shape);
            let within = places.clone().lower(lengths.clone()).int();
            // Beyond the end lies what does not count.
            let tokens = tokens.clone().select(
                0,
                ((starts + places) * within.clone()).reshape([rows.len() * longest]),
            );
            let shares = within.float() / lengths.clamp_min(1).float();
            (tokens.reshape(shape), shares)
        });
        Batch {
            bags: bags.collect(),
            dense,
            codes: embedded.map(|(codes, own)| codes.select(1, own.clone())),
        }
    }
}

fn narrow<T>(values: &[u32], to: impl Fn(u32) -> T) -> Vec<T> {
    values.iter().map(|value| to(*value)).collect()
}

#[cfg(test)]
#[path = "batch_test.rs"]
mod tests;
