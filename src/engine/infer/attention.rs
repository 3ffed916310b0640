//! What attention is made of, for predictions and for training: weighted sums of rows, softmax, layer norm.

use super::activation::{exp, fma};
use super::kernel::LANES;

/// Added to the variance in a layer norm.
const EPSILON: f32 = 1e-5;

/// `out[c] = Σ_i factors[i · step] · rows[i · stride + c]` over `count` rows.
///
/// One function serves all of attention: scores are sums of the columns of keys, answers are sums of values.
#[inline(always)]
pub(crate) fn mix<const FMA: bool>(
    (factors, step): (&[f32], usize),
    (rows, stride): (&[f32], usize),
    count: usize,
    out: &mut [f32],
) {
    let mut at = 0;
    while out.len() - at >= LANES {
        let wide = match out.len() - at {
            32.. => 32,
            16.. => 16,
            _ => LANES,
        };
        let own = &mut out[at..at + wide];
        match wide {
            32 => columns::<FMA, 32>((factors, step), (&rows[at..], stride), count, own),
            16 => columns::<FMA, 16>((factors, step), (&rows[at..], stride), count, own),
            _ => columns::<FMA, LANES>((factors, step), (&rows[at..], stride), count, own),
        }
        at += wide;
    }
    for (c, out) in out.iter_mut().enumerate().skip(at) {
        let products = (0..count).map(|i| factors[i * step] * rows[i * stride + c]);
        *out = products.sum();
    }
}

#[inline(always)]
fn columns<const FMA: bool, const WIDE: usize>(
    (factors, step): (&[f32], usize),
    (rows, stride): (&[f32], usize),
    count: usize,
    out: &mut [f32],
) {
    let mut sums = [0.0; WIDE];
    for i in 0..count {
        let factor = factors[i * step];
        let row = &rows[i * stride..i * stride + WIDE];
        for (sum, r) in sums.iter_mut().zip(row) {
            *sum = fma::<FMA>(factor, *r, *sum);
        }
    }
    out.copy_from_slice(&sums);
}

/// Σ x[i], in lanes.
#[inline(always)]
pub(crate) fn sum(x: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let (lanes, rest) = x.as_chunks::<LANES>();
    for x in lanes {
        for (sum, x) in sums.iter_mut().zip(x) {
            *sum += x;
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + e) + (b + f)) + ((c + g) + (d + h)) + rest.iter().sum::<f32>()
}

/// Σ x[i] · y[i], in lanes.
#[inline(always)]
pub(crate) fn inner<const FMA: bool>(x: &[f32], y: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let ((xs, x_rest), (ys, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    for (x, y) in xs.iter().zip(ys) {
        for ((sum, &x), &y) in sums.iter_mut().zip(x).zip(y) {
            *sum = fma::<FMA>(x, y, *sum);
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    let rest: f32 = x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum();
    ((a + e) + (b + f)) + ((c + g) + (d + h)) + rest
}

/// e^x_i / Σ e^x_j in place, shifted by the largest.
#[inline(always)]
pub(crate) fn softmax<const FMA: bool>(scores: &mut [f32]) {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores
        .iter_mut()
        .for_each(|s| *s = exp::<FMA>(*s - largest));
    let factor = 1.0 / sum(scores);
    scores.iter_mut().for_each(|s| *s *= factor);
}

/// `x` less its mean, divided by its standard deviation (Ba et al. 2016), into `hat`; answers 1 / the latter.
#[inline(always)]
pub(crate) fn standardise<const FMA: bool>(x: &[f32], hat: &mut [f32]) -> f32 {
    let share = 1.0 / x.len() as f32;
    let mean = sum(x) * share;
    for (h, x) in hat.iter_mut().zip(x) {
        *h = x - mean;
    }
    let inverse = 1.0 / (inner::<FMA>(hat, hat) * share + EPSILON).sqrt();
    hat.iter_mut().for_each(|h| *h *= inverse);
    inverse
}
