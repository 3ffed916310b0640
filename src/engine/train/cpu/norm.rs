//! Layer norm in training (Ba et al. 2016, "Layer normalization").

use super::vector::{Work, resize, run};
use crate::infer::attention::{inner, standardise, sum};

/// What it remembers from forward to backward.
#[derive(Default)]
pub(crate) struct Norm {
    /// `[rows][width]`: standardised.
    hat: Vec<f32>,
    /// `[rows]`: 1 / standard deviation.
    inverse: Vec<f32>,
}

struct Forward<'a> {
    gain: &'a [f32],
    shift: &'a [f32],
    x: &'a [f32],
    hat: &'a mut [f32],
    inverse: &'a mut [f32],
    out: &'a mut [f32],
}

impl Work for Forward<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let width = self.gain.len();
        let rows = self.x.chunks_exact(width);
        let rows = rows.zip(self.hat.chunks_exact_mut(width));
        let out = self.out.chunks_exact_mut(width);
        for ((out, (x, hat)), inverse) in out.zip(rows).zip(self.inverse) {
            *inverse = standardise::<FMA>(x, hat);
            let weights = self.gain.iter().zip(self.shift);
            for ((out, h), (gain, shift)) in out.iter_mut().zip(hat).zip(weights) {
                *out = *h * gain + shift;
            }
        }
    }
}

struct Backward<'a> {
    gain: &'a [f32],
    hat: &'a [f32],
    inverse: &'a [f32],
    delta: &'a mut [f32],
    to: &'a mut [f32],
    d_gain: &'a mut [f32],
    d_shift: &'a mut [f32],
}

impl Work for Backward<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let width = self.gain.len();
        let share = 1.0 / width as f32;
        let rows = self.hat.chunks_exact(width).zip(self.inverse);
        let rows = self.delta.chunks_exact_mut(width).zip(rows);
        for (to, (delta, (hat, inverse))) in self.to.chunks_exact_mut(width).zip(rows) {
            let own = self.d_gain.iter_mut().zip(self.d_shift.iter_mut());
            let given = hat.iter().zip(self.gain);
            for ((d, (h, gain)), (d_gain, d_shift)) in delta.iter_mut().zip(given).zip(own) {
                *d_gain += *d * h;
                *d_shift += *d;
                *d *= gain;
            }
            let mean = sum(delta) * share;
            let along = inner::<FMA>(delta, hat) * share;
            for ((to, d), h) in to.iter_mut().zip(delta).zip(hat) {
                *to += inverse * (*d - mean - h * along);
            }
        }
    }
}

impl Norm {
    /// `out` = gain · standardised `x` + shift for each row; `weights` are the gains, then the shifts.
    pub(crate) fn forward(&mut self, weights: &[f32], x: &[f32], out: &mut [f32]) {
        let (gain, shift) = weights.split_at(weights.len() / 2);
        run(Forward {
            hat: resize(&mut self.hat, x.len()),
            inverse: resize(&mut self.inverse, x.len() / gain.len().max(1)),
            gain,
            shift,
            x,
            out,
        });
    }

    /// Adds the loss's derivative by what came in to `to`, and that by the weights to `gradient`; `delta` is by what came out,
    /// and is changed.
    pub(crate) fn backward(
        &self,
        weights: &[f32],
        delta: &mut [f32],
        to: &mut [f32],
        gradient: &mut [f32],
    ) {
        let width = weights.len() / 2;
        let (d_gain, d_shift) = gradient.split_at_mut(width);
        run(Backward {
            gain: &weights[..width],
            hat: &self.hat[..delta.len()],
            inverse: &self.inverse,
            delta,
            to,
            d_gain,
            d_shift,
        });
    }
}
