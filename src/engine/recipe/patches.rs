//! What the patches of a picture look like, by a dictionary learned from the training rows' own patches: whitening, k-means
//! and triangle activation (Coates, Ng and Lee 2011, "An analysis of single-layer networks in unsupervised feature learning").

use super::principal::{covariance, eigen};
use crate::picture::{BYTES, SIDE};
use crate::random::Random;
use serde::{Deserialize, Serialize};

/// Pixels of a patch's side.
const PATCH: usize = 6;
/// From patch to patch; 1 did no better in the paper than its cost.
const STRIDE: usize = 2;
/// Numbers of a patch.
const WIDTH: usize = PATCH * PATCH * 3;
const ACROSS: usize = (SIDE - PATCH) / STRIDE + 1;
/// Components that whitened patches are described by, at most: the rest is noise of single pixels.
const COMPONENTS: usize = 48;
/// Words of the dictionary, at most.
const WORDS: usize = 64;
/// A word needs so many patches to be learned from.
const PATCHES_PER_WORD: usize = 20;
/// Patches that are learned from.
const SAMPLE: usize = 10_000;
const ROUNDS: usize = 10;
/// Added to a patch's variance before it is divided by it: a plain patch must not become noise. From the paper.
const CONTRAST: f32 = 10.0;
/// Added to the variance of a component, as in the paper.
const SMOOTH: f64 = 0.1;

/// The pooled activations: one per word and quarter of the picture.
pub(super) const QUARTERS: usize = 4;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Patches {
    /// Of normalised patches, `[WIDTH]`.
    mean: Vec<f32>,
    /// `[WIDTH][components]`.
    whitening: Vec<f32>,
    /// `[components][words]`.
    words: Vec<f32>,
    /// Squared length of each word.
    squares: Vec<f32>,
}

/// A patch's pixels with mean 0 and variance 1.
fn normalised(pixels: &[u8; BYTES], x: usize, y: usize, out: &mut [f32; WIDTH]) {
    for (line, out) in out.chunks_exact_mut(PATCH * 3).enumerate() {
        let start = ((y + line) * SIDE + x) * 3;
        let from = &pixels[start..start + PATCH * 3];
        out.iter_mut()
            .zip(from)
            .for_each(|(out, byte)| *out = f32::from(*byte));
    }
    let mean = out.iter().sum::<f32>() / WIDTH as f32;
    out.iter_mut().for_each(|x| *x -= mean);
    let variance = out.iter().map(|x| x * x).sum::<f32>() / WIDTH as f32;
    let scale = 1.0 / (variance + CONTRAST).sqrt();
    out.iter_mut().for_each(|x| *x *= scale);
}

/// out += x · matrix, the matrix `[x.len()][out.len()]`.
#[inline]
fn multiply(x: &[f32], matrix: &[f32], out: &mut [f32]) {
    for (x, line) in x.iter().zip(matrix.chunks_exact(out.len().max(1))) {
        out.iter_mut().zip(line).for_each(|(out, m)| *out += x * m);
    }
}

impl Patches {
    /// Learns from pictures; fewer words from few of them, and none from none.
    pub(super) fn fit(pictures: &[&[u8; BYTES]]) -> Patches {
        let mut random = Random::new(11);
        let count = SAMPLE.min(pictures.len() * ACROSS * ACROSS);
        let mut sample = vec![0f32; count * WIDTH];
        let mut patch = [0f32; WIDTH];
        for (i, out) in sample.chunks_exact_mut(WIDTH).enumerate() {
            // Every picture has its turn.
            let picture = pictures[i % pictures.len()];
            let [x, y] = [0, 1].map(|_| random.below(SIDE - PATCH + 1));
            normalised(picture, x, y, &mut patch);
            out.copy_from_slice(&patch);
        }
        let (mean, covariance) = covariance(&sample, WIDTH);
        let (values, vectors) = eigen(covariance, WIDTH);
        let components = values
            .iter()
            .take(COMPONENTS)
            .filter(|v| **v > 1e-4 * values[0].max(1e-6))
            .count();
        let mut whitening = vec![0f32; WIDTH * components];
        for (i, line) in whitening.chunks_exact_mut(components.max(1)).enumerate() {
            for (j, out) in line.iter_mut().enumerate() {
                *out = (vectors[j * WIDTH + i] / (values[j] + SMOOTH).sqrt()) as f32;
            }
        }
        let mut patches = Patches {
            mean: mean.iter().map(|x| *x as f32).collect(),
            whitening,
            words: Vec::new(),
            squares: Vec::new(),
        };
        if components > 0 {
            let mut white = vec![0f32; count * components];
            for (patch, out) in sample
                .chunks_exact_mut(WIDTH)
                .zip(white.chunks_exact_mut(components))
            {
                patches.whiten(patch, out);
            }
            let words = k_means(&white, components, &mut random);
            patches.squares = squares(&words, components);
            patches.words = transposed(&words, components);
        }
        patches
    }

    fn components(&self) -> usize {
        self.whitening.len() / WIDTH
    }

    pub(super) fn words(&self) -> usize {
        self.squares.len()
    }

    /// The shapes are those `write` relies on.
    pub(super) fn is_sound(&self) -> bool {
        let all = [&self.mean, &self.whitening, &self.words, &self.squares];
        self.mean.len() == WIDTH
            && self.whitening.len().is_multiple_of(WIDTH)
            && self.words() <= WORDS
            && self.components() <= COMPONENTS
            && self.words.len() == self.components() * self.words()
            && all.iter().all(|list| list.iter().all(|x| x.is_finite()))
    }

    /// The patch is left without its mean.
    fn whiten(&self, patch: &mut [f32], out: &mut [f32]) {
        patch
            .iter_mut()
            .zip(&self.mean)
            .for_each(|(x, mean)| *x -= mean);
        out.fill(0.0);
        multiply(patch, &self.whitening, out);
    }

    /// Mean activation of each word in each quarter, `[4][words]`: how much nearer than usual a patch is to the word.
    pub(super) fn write(&self, pixels: &[u8; BYTES], out: &mut [f32]) {
        out.fill(0.0);
        if self.words() == 0 {
            return;
        }
        let (mut patch, mut white) = ([0f32; WIDTH], [0f32; COMPONENTS]);
        let mut distance = [0f32; WORDS];
        let (white, distance) = (
            &mut white[..self.components()],
            &mut distance[..self.words()],
        );
        let share = QUARTERS as f32 / (ACROSS * ACROSS) as f32;
        for row in 0..ACROSS {
            for column in 0..ACROSS {
                normalised(pixels, column * STRIDE, row * STRIDE, &mut patch);
                self.whiten(&mut patch, white);
                let length = white.iter().map(|x| x * x).sum::<f32>();
                distance.fill(0.0);
                multiply(white, &self.words, distance);
                for (d, square) in distance.iter_mut().zip(&self.squares) {
                    *d = (length + square - 2.0 * *d).max(0.0).sqrt();
                }
                let usual = distance.iter().sum::<f32>() / distance.len() as f32;
                let quarter = 2 * (2 * row / ACROSS) + 2 * column / ACROSS;
                let words = self.words();
                let pooled = &mut out[quarter * words..(quarter + 1) * words];
                for (out, d) in pooled.iter_mut().zip(&*distance) {
                    *out += share * (usual - d).max(0.0);
                }
            }
        }
    }
}

fn squares(words: &[f32], width: usize) -> Vec<f32> {
    let square = |word: &[f32]| word.iter().map(|x| x * x).sum();
    words.chunks_exact(width).map(square).collect()
}

fn transposed(words: &[f32], width: usize) -> Vec<f32> {
    let count = words.len() / width;
    let element = |i: usize| words[(i % count) * width + i / count];
    (0..words.len()).map(element).collect()
}

/// Lloyd's k-means from patches drawn at random; words `[words][width]`. A word that no patch is nearest to is drawn anew.
fn k_means(patches: &[f32], width: usize, random: &mut Random) -> Vec<f32> {
    let count = patches.len() / width;
    let words = WORDS.min(count / PATCHES_PER_WORD).max(1);
    let mut draw = || {
        let at = random.below(count);
        patches[at * width..(at + 1) * width].to_vec()
    };
    let mut centres: Vec<f32> = (0..words).flat_map(|_| draw()).collect();
    let mut products = vec![0f32; words];
    for _ in 0..ROUNDS {
        let (lengths, table) = (squares(&centres, width), transposed(&centres, width));
        let (mut sums, mut members) = (vec![0f64; words * width], vec![0u32; words]);
        for patch in patches.chunks_exact(width) {
            products.fill(0.0);
            multiply(patch, &table, &mut products);
            let mut nearest = (f32::INFINITY, 0);
            for (word, (product, length)) in products.iter().zip(&lengths).enumerate() {
                let distance = length - 2.0 * product;
                if distance < nearest.0 {
                    nearest = (distance, word);
                }
            }
            let word = nearest.1;
            members[word] += 1;
            let sum = &mut sums[word * width..(word + 1) * width];
            sum.iter_mut()
                .zip(patch)
                .for_each(|(sum, x)| *sum += f64::from(*x));
        }
        for (word, centre) in centres.chunks_exact_mut(width).enumerate() {
            if members[word] == 0 {
                centre.copy_from_slice(&draw());
                continue;
            }
            let count = f64::from(members[word]);
            let sum = &sums[word * width..(word + 1) * width];
            centre
                .iter_mut()
                .zip(sum)
                .for_each(|(c, sum)| *c = (sum / count) as f32);
        }
    }
    centres
}
