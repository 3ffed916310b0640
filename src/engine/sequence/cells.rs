//! What a cell does once its products are there, forward and backward, for rows side by side.

use crate::infer::activation::{sigmoid, tanh};
use crate::train::cpu::vector::vectorised;

/// Calls a function on `$all`, compiled for what this machine has.
macro_rules! fast {
    ($work:ident, $units:expr, $all:expr) => {{
        let mut all = $all;
        let all: *mut _ = &mut all;
        // SAFETY: only one of the two closures runs, so there is one user of what `all` holds.
        vectorised(
            || $work::<true>($units, unsafe { &mut *all }),
            || $work::<false>($units, unsafe { &mut *all }),
        )
    }};
}

/// What a step of an LSTM has `[rows][units]`; gates `[rows][4 · units]`.
pub(super) struct LstmStep<'a> {
    /// Forward: from sums to values. Backward: from values to the loss's derivative by the sums.
    pub(super) gates: &'a mut [f32],
    /// The states before the step.
    pub(super) before: &'a [f32],
    pub(super) states: &'a mut [f32],
    /// tanh of the states.
    pub(super) bounded: &'a mut [f32],
    /// Forward: what comes out. Backward: the loss's derivative by it.
    pub(super) outputs: &'a mut [f32],
}

/// A step of an LSTM (Hochreiter and Schmidhuber 1997, Gers et al. 2000) from the sums of its gates.
pub(super) fn lstm(units: usize, step: LstmStep<'_>) {
    #[inline(always)]
    fn work<const FMA: bool>(units: usize, step: &mut LstmStep<'_>) {
        let gates = step.gates.chunks_exact_mut(4 * units);
        let states = step
            .states
            .chunks_exact_mut(units)
            .zip(step.before.chunks_exact(units));
        let own = step
            .bounded
            .chunks_exact_mut(units)
            .zip(step.outputs.chunks_exact_mut(units));
        for (gates, ((state, before), (bounded, output))) in gates.zip(states.zip(own)) {
            let (i, rest) = gates.split_at_mut(units);
            let (f, rest) = rest.split_at_mut(units);
            let (g, o) = rest.split_at_mut(units);
            let o = &mut o[..units];
            for u in 0..units {
                i[u] = sigmoid::<FMA>(i[u]);
                f[u] = sigmoid::<FMA>(f[u]);
                g[u] = tanh::<FMA>(g[u]);
                o[u] = sigmoid::<FMA>(o[u]);
            }
            for u in 0..units {
                let c = f[u] * before[u] + i[u] * g[u];
                state[u] = c;
                let t = tanh::<FMA>(c);
                bounded[u] = t;
                output[u] = o[u] * t;
            }
        }
    }
    fast!(work, units, step);
}

/// The way back through [`lstm`]; `later` is the loss's derivative by the states, of the step's and then of those before it.
pub(super) fn lstm_back(units: usize, step: LstmStep<'_>, later: &mut [f32]) {
    #[inline(always)]
    fn work<const FMA: bool>(units: usize, all: &mut (LstmStep<'_>, &mut [f32])) {
        let (step, later) = all;
        let gates = step.gates.chunks_exact_mut(4 * units);
        let before = step
            .before
            .chunks_exact(units)
            .zip(later.chunks_exact_mut(units));
        let own = step
            .bounded
            .chunks_exact(units)
            .zip(step.outputs.chunks_exact(units));
        for (gates, ((before, later), (bounded, output))) in gates.zip(before.zip(own)) {
            let (i, rest) = gates.split_at_mut(units);
            let (f, rest) = rest.split_at_mut(units);
            let (g, o) = rest.split_at_mut(units);
            let o = &mut o[..units];
            for u in 0..units {
                let (iu, fu, gu, ou, t) = (i[u], f[u], g[u], o[u], bounded[u]);
                let d = output[u];
                let c = later[u] + d * ou * (1.0 - t * t);
                i[u] = c * gu * iu * (1.0 - iu);
                f[u] = c * before[u] * fu * (1.0 - fu);
                g[u] = c * iu * (1.0 - gu * gu);
                o[u] = d * t * ou * (1.0 - ou);
                later[u] = c * fu;
            }
        }
    }
    fast!(work, units, (step, later));
}

/// What a step of a GRU has `[rows][units]`; gates `[rows][3 · units]`.
pub(super) struct GruStep<'a> {
    /// Forward: from the sums of the inputs to the gates' values. Backward: to the loss's derivative by these sums.
    pub(super) gates: &'a mut [f32],
    /// Forward: the sums of the states. Backward: the loss's derivative by them.
    pub(super) recurrent: &'a mut [f32],
    /// Outputs before the step.
    pub(super) before: &'a [f32],
    /// Forward: what comes out. Backward: the loss's derivative by it, then by the direct way by the outputs before.
    pub(super) outputs: &'a mut [f32],
}

/// A step of a GRU (Cho et al. 2014) as in cuDNN and PyTorch, where the reset gate comes after the product with the states.
pub(super) fn gru(units: usize, step: GruStep<'_>) {
    #[inline(always)]
    fn work<const FMA: bool>(units: usize, step: &mut GruStep<'_>) {
        let gates = step.gates.chunks_exact_mut(3 * units);
        let gates = gates.zip(step.recurrent.chunks_exact(3 * units));
        let own = step
            .before
            .chunks_exact(units)
            .zip(step.outputs.chunks_exact_mut(units));
        for ((gates, recurrent), (before, output)) in gates.zip(own) {
            let (r, rest) = gates.split_at_mut(units);
            let (z, n) = rest.split_at_mut(units);
            let n = &mut n[..units];
            let (qr, qrest) = recurrent.split_at(units);
            let (qz, qn) = qrest.split_at(units);
            let qn = &qn[..units];
            for u in 0..units {
                let reset = sigmoid::<FMA>(r[u] + qr[u]);
                let update = sigmoid::<FMA>(z[u] + qz[u]);
                let new = tanh::<FMA>(n[u] + reset * qn[u]);
                r[u] = reset;
                z[u] = update;
                n[u] = new;
                output[u] = new + update * (before[u] - new);
            }
        }
    }
    fast!(work, units, step);
}

/// The way back through [`gru`].
pub(super) fn gru_back(units: usize, step: GruStep<'_>) {
    #[inline(always)]
    fn work<const FMA: bool>(units: usize, step: &mut GruStep<'_>) {
        let gates = step.gates.chunks_exact_mut(3 * units);
        let gates = gates.zip(step.recurrent.chunks_exact_mut(3 * units));
        let own = step
            .before
            .chunks_exact(units)
            .zip(step.outputs.chunks_exact_mut(units));
        for ((gates, recurrent), (before, output)) in gates.zip(own) {
            let (r, rest) = gates.split_at_mut(units);
            let (z, n) = rest.split_at_mut(units);
            let n = &mut n[..units];
            let (qr, qrest) = recurrent.split_at_mut(units);
            let (qz, qn) = qrest.split_at_mut(units);
            let qn = &mut qn[..units];
            for u in 0..units {
                let (reset, update, new, d) = (r[u], z[u], n[u], output[u]);
                let dn = d * (1.0 - update) * (1.0 - new * new);
                let dz = d * (before[u] - new) * update * (1.0 - update);
                let dr = dn * qn[u] * reset * (1.0 - reset);
                r[u] = dr;
                z[u] = dz;
                n[u] = dn;
                qr[u] = dr;
                qz[u] = dz;
                qn[u] = dn * reset;
                output[u] = d * update;
            }
        }
    }
    fast!(work, units, step);
}
