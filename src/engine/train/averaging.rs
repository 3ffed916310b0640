//! The average of a network's weights over its steps: it lies nearer to the middle of the valley than the last step does.

use super::Task;
use crate::params::Averaging;

/// How much the next step counts in an exponential moving average. The first steps count alike, until there are as many as the
/// average goes back: so it is never drawn to where training began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Average {
    /// Steps that it goes back.
    horizon: f64,
    steps: f64,
}

impl Average {
    /// `None` where none is asked for.
    pub(super) fn new(task: &Task<'_>) -> Option<Average> {
        let params = task.params;
        if params.learning.weight_averaging == Averaging::None {
            return None;
        }
        let in_epoch = task.train.matrix.rows.div_ceil(params.batch_size.max(1));
        Some(Average {
            horizon: (params.learning.averaging_epochs * in_epoch as f64).max(1.0),
            steps: 0.0,
        })
    }

    /// That goes back so many steps.
    pub(crate) fn over(steps: f64) -> Average {
        Average {
            horizon: steps.max(1.0),
            steps: 0.0,
        }
    }

    /// The share of the next step, above 0 and at most 1.
    pub(crate) fn next(&mut self) -> f64 {
        self.steps += 1.0;
        1.0 / self.steps.min(self.horizon)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_steps_count_alike() {
        let mut average = Average {
            horizon: 4.0,
            steps: 0.0,
        };
        let mut mean = f64::NAN;
        let mut add = |x: f64| {
            let share = average.next();
            mean = if share == 1.0 {
                x
            } else {
                mean + share * (x - mean)
            };
            mean
        };
        assert_eq!([2.0, 4.0, 6.0, 8.0].map(&mut add), [2.0, 3.0, 4.0, 5.0]);
        assert_eq!(add(13.0), 7.0);
    }
}
