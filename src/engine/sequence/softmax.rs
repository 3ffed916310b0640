//! The loss of class scores and its derivative.

use crate::infer::exp;
use crate::train::cpu::vector::vectorised;

const LANES: usize = 16;

/// Puts e^(x - largest) in place of each score and answers the largest score and the sum.
pub(super) fn exponentials(scores: &mut [f32]) -> (f32, f32) {
    #[inline(always)]
    fn work<const FMA: bool>(all: &mut (&mut [f32], (f32, f32))) {
        let (scores, out) = all;
        let mut most = [f32::NEG_INFINITY; LANES];
        let (blocks, rest) = scores.as_chunks::<LANES>();
        for block in blocks {
            for (m, s) in most.iter_mut().zip(block) {
                *m = if *s > *m { *s } else { *m };
            }
        }
        for (m, s) in most.iter_mut().zip(rest) {
            *m = if *s > *m { *s } else { *m };
        }
        let largest = most.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
        let mut sums = [0f32; LANES];
        let (blocks, rest) = scores.as_chunks_mut::<LANES>();
        for block in blocks {
            for (sum, s) in sums.iter_mut().zip(block) {
                *s = exp::<FMA>(*s - largest);
                *sum += *s;
            }
        }
        for (sum, s) in sums.iter_mut().zip(rest) {
            *s = exp::<FMA>(*s - largest);
            *sum += *s;
        }
        *out = (largest, sums.iter().sum());
    }
    let mut all = (scores, (0.0, 0.0));
    {
        let all: *mut _ = &mut all;
        // SAFETY: only one of the two closures runs, so there is one user of what `all` holds.
        vectorised(
            || work::<true>(unsafe { &mut *all }),
            || work::<false>(unsafe { &mut *all }),
        );
    }
    all.1
}

/// Puts probabilities in place of scores.
pub(super) fn probabilities(scores: &mut [f32]) {
    let (_, sum) = exponentials(scores);
    let share = 1.0 / sum;
    scores.iter_mut().for_each(|s| *s *= share);
}

/// The cross-entropy of `class`; in place of the scores its derivative times `scale`.
pub(super) fn derive(scores: &mut [f32], class: usize, scale: f32) -> f64 {
    let own = scores[class];
    let (largest, sum) = exponentials(scores);
    let factor = scale / sum;
    scores.iter_mut().for_each(|s| *s *= factor);
    scores[class] -= scale;
    f64::from(largest - own) + f64::from(sum).ln()
}
