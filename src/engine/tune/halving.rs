//! Which trials are not worth finishing: successive halving without waiting (ASHA; Li and others 2020, "A System for Massively
//! Parallel Hyperparameter Tuning"), in its stopping form.

/// One in so many trials goes on at each rung.
const ETA: usize = 3;

/// The losses of earlier trials at each rung.
#[derive(Debug, Clone, Default)]
pub(super) struct Rungs {
    /// Epochs (rounds of trees) of the first rung; each next one is `ETA` times as far.
    first: u32,
    losses: Vec<Vec<f64>>,
}

impl Rungs {
    pub(super) fn new(first: u32) -> Rungs {
        Rungs {
            first: first.max(1),
            losses: Vec::new(),
        }
    }

    /// The rung that lies at exactly this epoch.
    pub(super) fn rung(&self, epoch: u32) -> Option<usize> {
        let mut at = self.first;
        let mut rung = 0;
        while at < epoch {
            at = at.checked_mul(ETA as u32)?;
            rung += 1;
        }
        (at == epoch).then_some(rung)
    }

    /// Whether a trial with this loss at a rung may go on: it is among the best third so far.
    pub(super) fn goes_on(&self, rung: usize, loss: f64) -> bool {
        let Some(earlier) = self.losses.get(rung) else {
            return true;
        };
        let better = earlier.iter().filter(|l| **l < loss).count();
        earlier.len() + 1 < ETA || better < (earlier.len() + 1).div_ceil(ETA)
    }

    /// Notes what a trial had at each rung that it reached.
    pub(super) fn note(&mut self, reached: &[f64]) {
        if self.losses.len() < reached.len() {
            self.losses.resize(reached.len(), Vec::new());
        }
        for (rung, loss) in self.losses.iter_mut().zip(reached) {
            rung.push(*loss);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_third_goes_on() {
        let mut rungs = Rungs::new(4);
        assert_eq!(
            [1, 4, 5, 12, 36, 40].map(|e| rungs.rung(e)),
            [None, Some(0), None, Some(1), Some(2), None]
        );
        assert!(rungs.goes_on(0, 9.0));
        for loss in [1.0, 2.0, 3.0, 4.0, 5.0] {
            rungs.note(&[loss]);
        }
        assert!(rungs.goes_on(0, 1.5) && rungs.goes_on(1, 9.0));
        assert!(!rungs.goes_on(0, 3.5));
    }
}
