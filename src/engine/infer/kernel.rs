//! The products of a fully connected layer, for one row.
//!
//! Weights are laid out in blocks of outputs (64, 32, 16 or 8 wide), each `[inputs][block]`, so that a block's sums
//! stay in vector registers while its weights stream by in the order they lie in memory.

use super::activation::fma;

/// Outputs are padded to a multiple of this, one AVX2 register.
pub(super) const LANES: usize = 8;

/// The width of the block at output `at` of a layer padded to `stride` outputs.
#[inline(always)]
fn width(at: usize, stride: usize) -> usize {
    match stride - at {
        64.. => 64,
        32.. => 32,
        16.. => 16,
        _ => LANES,
    }
}

/// Rearranges row-major `[inputs][outputs]` weights into blocks, padding the outputs with zeros to `stride`.
pub(super) fn blocked(weights: &[f32], inputs: usize, outputs: usize, stride: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(inputs * stride);
    let mut at = 0;
    while at < stride {
        let wide = width(at, stride);
        for i in 0..inputs {
            let row = &weights[i * outputs..(i + 1) * outputs];
            out.extend((at..at + wide).map(|o| row.get(o).copied().unwrap_or(0.0)));
        }
        at += wide;
    }
    out
}

/// `out[o] = start(o) + Σ_i x[i] · weights[i][o]`, where `start` gives the sums of a block to begin with.
///
/// `weights` are those of [`blocked`] for `x.len()` inputs and `out.len()` outputs.
#[inline(always)]
pub(super) fn dense<const FMA: bool>(
    x: &[f32],
    weights: &[f32],
    start: impl Fn(usize, &mut [f32]),
    out: &mut [f32],
) {
    let stride = out.len();
    let mut at = 0;
    while at < stride {
        let wide = width(at, stride);
        let weights = &weights[at * x.len()..(at + wide) * x.len()];
        let out = &mut out[at..at + wide];
        match wide {
            64 => block::<FMA, 64>(x, weights, |s| start(at, s), out),
            32 => block::<FMA, 32>(x, weights, |s| start(at, s), out),
            16 => block::<FMA, 16>(x, weights, |s| start(at, s), out),
            _ => block::<FMA, LANES>(x, weights, |s| start(at, s), out),
        }
        at += wide;
    }
}

#[inline(always)]
fn block<const FMA: bool, const WIDE: usize>(
    x: &[f32],
    weights: &[f32],
    start: impl Fn(&mut [f32]),
    out: &mut [f32],
) {
    let mut sums = [0.0; WIDE];
    start(&mut sums);
    for (&x, row) in x.iter().zip(weights.as_chunks::<WIDE>().0) {
        for (sum, &w) in sums.iter_mut().zip(row) {
            *sum = fma::<FMA>(x, w, *sum);
        }
    }
    out.copy_from_slice(&sums);
}

/// `Σ_i x[i] · weights[i]`; both padded to a multiple of [`LANES`].
#[inline(always)]
pub(super) fn dot<const FMA: bool>(x: &[f32], weights: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    for (x, w) in x
        .as_chunks::<LANES>()
        .0
        .iter()
        .zip(weights.as_chunks::<LANES>().0)
    {
        for ((sum, &x), &w) in sums.iter_mut().zip(x).zip(w) {
            *sum = fma::<FMA>(x, w, *sum);
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + e) + (b + f)) + ((c + g) + (d + h))
}
