//! A transformer over the features of a row.

use super::block::uniform;
use super::{
    Block, BlockParts, CategoryInput, Encoding, Inputs, Linear, NumberEmbedding, Output, WeightKind,
};
use crate::random::Random;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Tokens of a row at most, the first included: attention takes time by their square. Of more features neighbours share one.
pub const MOST_TOKENS: usize = 129;
/// Blocks at most.
pub const MOST_BLOCKS: usize = 16;

/// Which token each input joins; token 0 stands for the row and is joined by none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// With the first.
    pub count: usize,
    pub numbers: Vec<usize>,
    pub categories: Vec<usize>,
    pub bags: Vec<usize>,
}

/// FT-Transformer (Gorishniy et al. 2021, "Revisiting deep learning models for tabular data").
///
/// Each feature is a token: a learned vector, plus a learned vector times each of its numbers, plus a learned vector for each of
/// its category values, plus the mean of the vectors of its words, plus the embeddings of its numbers. Blocks of attention take
/// them and a token that stands for the row; what becomes of the latter is normed, cut off below 0 and multiplied with the output
/// layer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Transformer {
    /// Every category is embedded, and every vector is as wide as a token.
    pub inputs: Inputs,
    pub tokens: Tokens,
    pub output: Output,
    pub outputs: usize,
    pub width: usize,
    pub heads: usize,
    /// Of the feed-forward layers.
    pub hidden: usize,
    pub blocks: usize,
    /// One table `[levels + 1][width]`, row-major, per category.
    #[serde(skip)]
    pub embeddings: Vec<Vec<f32>>,
    /// One table `[vocabulary][width]`, row-major, per bag.
    #[serde(skip)]
    pub bags: Vec<Vec<f32>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub number_embeddings: Vec<NumberEmbedding>,
    /// All others, as [`TransformerParts`] says.
    #[serde(skip)]
    pub weights: Vec<f32>,
}

/// Where the weights of a transformer lie.
#[derive(Debug, Clone)]
pub struct TransformerParts {
    /// `[tokens][width]`: what each token begins with.
    pub tokens: Range<usize>,
    /// `[numbers][width]`.
    pub numbers: Range<usize>,
    /// Each block with its parts, and where these begin.
    pub blocks: Vec<(Block, BlockParts, usize)>,
    /// Gain, then shift, of the last norm.
    pub norm: Range<usize>,
    /// `[width][outputs]`.
    pub head: Linear,
    pub len: usize,
}

/// What a transformer is made of, apart from its inputs.
#[derive(Debug, Clone)]
pub struct TransformerShape {
    pub tokens: Tokens,
    pub output: Output,
    pub outputs: usize,
    pub width: usize,
    pub heads: usize,
    pub hidden: usize,
    pub blocks: usize,
    /// The numbers that get a piecewise-linear or, without knots, a periodic embedding.
    pub embedded: Vec<(usize, Option<Vec<f32>>)>,
}

impl Tokens {
    /// A token for each feature, by the feature that each number, category and bag belongs to. Of features beyond
    /// [`MOST_TOKENS`] neighbours share a token.
    pub fn of(numbers: &[usize], categories: &[usize], bags: &[usize]) -> Tokens {
        let mut features: Vec<usize> = [numbers, categories, bags].concat();
        features.sort_unstable();
        features.dedup();
        let room = MOST_TOKENS - 1;
        let token = |feature: &usize| {
            let at = features.partition_point(|f| f < feature);
            1 + match features.len() {
                count if count > room => at * room / count,
                _ => at,
            }
        };
        Tokens {
            count: 1 + features.len().min(room),
            numbers: numbers.iter().map(token).collect(),
            categories: categories.iter().map(token).collect(),
            bags: bags.iter().map(token).collect(),
        }
    }
}

impl TransformerParts {
    /// The kind of each weight.
    pub fn kinds(&self) -> Vec<WeightKind> {
        let mut kinds = vec![WeightKind::Bias; self.len];
        kinds[self.numbers.clone()].fill(WeightKind::NumberEmbedding);
        for (_, parts, at) in &self.blocks {
            kinds[*at..at + parts.len].copy_from_slice(&parts.kinds());
        }
        let norm = self.norm.start;
        kinds[norm..norm + self.norm.len() / 2].fill(WeightKind::Scale);
        kinds[self.head.weights.clone()].fill(WeightKind::Weight);
        kinds
    }
}

impl Transformer {
    /// Weights drawn as the authors draw them; norms change nothing at first, piecewise-linear embeddings are zero.
    pub fn init(inputs: &Inputs, of: TransformerShape, seed: u64) -> Transformer {
        let mut random = Random::new(seed);
        let width = of.width;
        let wide = |c: &CategoryInput| CategoryInput {
            levels: c.levels,
            encoding: Encoding::Embedding { dim: width },
        };
        let mut inputs = Inputs {
            categories: inputs.categories.iter().map(wide).collect(),
            ..inputs.clone()
        };
        inputs.bags.iter_mut().for_each(|bag| bag.dim = width);
        let mut table = |rows: usize| {
            let mut table = vec![0.0; rows * width];
            uniform(&mut table, width, &mut random);
            table
        };
        let embeddings = inputs.categories.iter().map(|c| table(c.levels + 1));
        let embeddings = embeddings.collect();
        let bags = inputs
            .bags
            .iter()
            .map(|bag| table(bag.vocabulary))
            .collect();
        let mut normal = |count: usize, std: f64| -> Vec<f32> {
            (0..count).map(|_| (random.normal() * std) as f32).collect()
        };
        let embedded = of.embedded.into_iter();
        let number_embeddings = embedded
            .map(|(input, knots)| NumberEmbedding::init(input, knots, width, &mut normal))
            .collect();
        let mut own = Transformer {
            inputs,
            tokens: of.tokens,
            output: of.output,
            outputs: of.outputs,
            width,
            heads: of.heads,
            hidden: of.hidden,
            blocks: of.blocks,
            embeddings,
            bags,
            number_embeddings,
            weights: Vec::new(),
        };
        let parts = own.parts();
        let mut weights = vec![0.0; parts.len];
        for range in [
            &parts.tokens,
            &parts.numbers,
            &parts.head.weights,
            &parts.head.bias,
        ] {
            uniform(&mut weights[range.clone()], width, &mut random);
        }
        for (block, parts, at) in &parts.blocks {
            weights[*at..at + parts.len].copy_from_slice(&block.init(&mut random));
        }
        weights[parts.norm.start..parts.norm.start + width].fill(1.0);
        own.weights = weights;
        own
    }

    /// The sizes of block `i`. Before the first there is no norm, as the authors found best.
    pub fn block(&self, i: usize) -> Block {
        Block {
            width: self.width,
            heads: self.heads,
            hidden: self.hidden,
            norm: i > 0,
        }
    }

    pub fn parts(&self) -> TransformerParts {
        let mut len = 0;
        let mut take = |count: usize| {
            len += count;
            len - count..len
        };
        let tokens = take(self.tokens.count * self.width);
        let numbers = take(self.inputs.numbers * self.width);
        let blocks = (0..self.blocks).map(|i| {
            let block = self.block(i);
            let parts = block.parts();
            let at = take(parts.len).start;
            (block, parts, at)
        });
        let blocks = blocks.collect();
        let norm = take(2 * self.width);
        let head = Linear {
            weights: take(self.width * self.outputs),
            bias: take(self.outputs),
        };
        TransformerParts {
            tokens,
            numbers,
            blocks,
            norm,
            head,
            len,
        }
    }

    /// Whether sizes that are not trusted fit each other, before anything is computed from them.
    pub fn is_sound(&self) -> bool {
        let Tokens {
            count,
            numbers,
            categories,
            bags,
        } = &self.tokens;
        let inputs = &self.inputs;
        let wide = Encoding::Embedding { dim: self.width };
        let joins = |token: &usize| (1..*count).contains(token);
        let input = |e: &NumberEmbedding| e.input < inputs.numbers && e.dim == self.width;
        self.block(0).is_sound()
            && (1..=MOST_BLOCKS).contains(&self.blocks)
            && (1..=MOST_TOKENS).contains(count)
            && (numbers.len(), categories.len(), bags.len())
                == (inputs.numbers, inputs.categories.len(), inputs.bags.len())
            && numbers.iter().chain(categories).chain(bags).all(joins)
            && inputs.categories.iter().all(|c| c.encoding == wide)
            && inputs.bags.iter().all(|bag| bag.dim == self.width)
            && self.number_embeddings.iter().all(input)
            && (1..=u32::MAX as usize).contains(&self.outputs)
            && inputs.numbers <= u32::MAX as usize
    }

    /// All weights in the order in which a model's bytes hold them.
    pub fn all_weights(&self) -> impl Iterator<Item = &Vec<f32>> {
        let numbers = self.number_embeddings.iter().map(|e| &e.weights);
        let tables = self.embeddings.iter().chain(&self.bags);
        tables.chain(numbers).chain(std::iter::once(&self.weights))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_of_one_feature_share_a_token() {
        let tokens = Tokens::of(&[0, 0, 7], &[0, 9], &[7]);
        assert_eq!(tokens.count, 4);
        assert_eq!(tokens.numbers, [1, 1, 2]);
        assert_eq!((tokens.categories, tokens.bags), (vec![1, 3], vec![2]));
    }

    #[test]
    fn neighbours_share_a_token_where_features_are_many() {
        for features in [MOST_TOKENS - 1, MOST_TOKENS, 1000] {
            let numbers: Vec<usize> = (0..features).collect();
            let tokens = Tokens::of(&numbers, &[], &[]);
            assert_eq!(tokens.count, MOST_TOKENS);
            assert!(tokens.numbers.is_sorted());
            let mut own = tokens.numbers;
            own.dedup();
            assert_eq!(own, (1..MOST_TOKENS).collect::<Vec<_>>());
        }
    }
}
