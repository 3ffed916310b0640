//! How the words of a stored model become tensors with names, and how they come back.

use crate::artifact::ArtifactError;
use crate::artifact::check::require;
use hashbrown::HashMap;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

/// A tensor of words of four bytes.
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
}

/// Words that follow each other: a matrix `[rows][columns]`, which the file holds as `[columns][rows]`, cut into tensors.
pub(super) struct Block {
    pub(super) rows: usize,
    pub(super) tensors: Vec<Tensor>,
}

impl Block {
    /// One tensor in the order of the words.
    pub(super) fn plain(name: String, dtype: Dtype, shape: &[usize]) -> Block {
        Block::transposed(name, dtype, 1, shape)
    }

    /// One tensor of a matrix with so many rows; `shape` is that of the tensor.
    pub(super) fn transposed(name: String, dtype: Dtype, rows: usize, shape: &[usize]) -> Block {
        let shape = shape.to_vec();
        Block {
            rows,
            tensors: vec![Tensor { name, dtype, shape }],
        }
    }

    fn words(&self) -> usize {
        let size = |t: &Tensor| t.shape.iter().product::<usize>();
        self.tensors.iter().map(size).sum()
    }
}

/// A block as a file tells of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Told {
    rows: usize,
    tensors: Vec<String>,
}

/// The tensors, with their bytes, and what is told of the blocks. Blocks without words are left out.
///
/// # Errors
/// Blocks that are not as many words as there are: a mistake in the code that named them.
pub(super) fn cut(
    blocks: Vec<Block>,
    words: &[u8],
) -> Result<(Vec<(Tensor, Vec<u8>)>, Vec<Told>), ArtifactError> {
    let (mut tensors, mut told) = (Vec::new(), Vec::new());
    let mut rest = words;
    for block in blocks.into_iter().filter(|block| block.words() > 0) {
        let short = || ArtifactError::Damaged("there are fewer weights than named".into());
        let (own, after) = rest.split_at_checked(block.words() * 4).ok_or_else(short)?;
        rest = after;
        let turned = transpose(own, block.rows);
        told.push(Told {
            rows: block.rows,
            tensors: block.tensors.iter().map(|t| t.name.clone()).collect(),
        });
        let mut turned = turned.as_slice();
        for tensor in block.tensors {
            let bytes = tensor.shape.iter().product::<usize>() * 4;
            let (own, after) = turned.split_at_checked(bytes).ok_or_else(short)?;
            turned = after;
            tensors.push((tensor, own.to_vec()));
        }
    }
    require(rest.is_empty(), || {
        "there are more weights than named".into()
    })?;
    Ok((tensors, told))
}

/// The words again, from a file that is not trusted.
///
/// # Errors
/// [`ArtifactError::Damaged`]: a tensor is missing or of another type, or the blocks name more than there is.
pub(super) fn join(told: &[Told], file: &SafeTensors<'_>) -> Result<Vec<u8>, ArtifactError> {
    let tensors: HashMap<&str, _> = file.iter().collect();
    // No tensor belongs to two blocks, so that little bytes cannot ask for much memory.
    let mut left: usize = tensors.values().map(|t| t.data().len()).sum();
    let mut words = Vec::with_capacity(left);
    let mut block = Vec::new();
    for own in told {
        block.clear();
        for name in &own.tensors {
            let tensor = tensors
                .get(name.as_str())
                .filter(|t| matches!(t.dtype(), Dtype::F32 | Dtype::I32));
            let missing = || ArtifactError::Damaged(format!("there is no tensor \"{name}\""));
            let data = tensor.ok_or_else(missing)?.data();
            left = left
                .checked_sub(data.len())
                .ok_or_else(|| ArtifactError::Damaged("a tensor is named more than once".into()))?;
            block.extend_from_slice(data);
        }
        let count = block.len() / 4;
        require(own.rows > 0 && count.is_multiple_of(own.rows), || {
            format!("{count} weights cannot have {} rows", own.rows)
        })?;
        words.extend(transpose(&block, count / own.rows));
    }
    Ok(words)
}

/// A matrix `[rows][columns]` of words as `[columns][rows]`.
fn transpose(words: &[u8], rows: usize) -> Vec<u8> {
    let (words, _) = words.as_chunks::<4>();
    let columns = words.len() / rows.max(1);
    if rows <= 1 || columns <= 1 {
        return words.as_flattened().to_vec();
    }
    let mut out = Vec::with_capacity(words.len() * 4);
    for column in 0..columns {
        let own = words.iter().skip(column).step_by(columns);
        own.for_each(|word| out.extend_from_slice(word));
    }
    out
}
