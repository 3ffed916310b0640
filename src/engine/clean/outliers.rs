//! Numbers far from the others: the bounds they are brought to.

use super::params::Outliers;
use serde::{Deserialize, Serialize};

/// A column of fewer values is a scale or a code: its ends are no outliers.
const VALUES: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    pub low: f64,
    pub high: f64,
}

impl Bounds {
    /// Learns from the values present; `None` where nothing is to be done. A column where more than half of the values are
    /// equal has no robust scale, and no bounds by it.
    pub fn find(mut values: Vec<f64>, wanted: Outliers) -> Option<Bounds> {
        if wanted == Outliers::Keep {
            return None;
        }
        values.sort_unstable_by(f64::total_cmp);
        if values.chunk_by(|a, b| a == b).count() <= VALUES {
            return None;
        }
        let last = values.len() - 1;
        match wanted {
            Outliers::Keep => None,
            // Values that occur, so that whole numbers stay whole, and none is touched in a small table.
            Outliers::Clip(quantile) => Some(Bounds {
                low: values[(last as f64 * quantile).floor() as usize],
                high: values[(last as f64 * (1.0 - quantile)).ceil().min(last as f64) as usize],
            }),
            Outliers::Robust(z) | Outliers::Drop(z) => {
                let median = middle(&values);
                let mut distances: Vec<f64> = values.iter().map(|x| (x - median).abs()).collect();
                distances.sort_unstable_by(f64::total_cmp);
                let reach = z * 1.4826 * middle(&distances);
                let bounds = Bounds {
                    low: median - reach,
                    high: median + reach,
                };
                (reach > 0.0 && reach.is_finite()).then_some(bounds)
            }
        }
    }

    #[inline]
    pub fn holds(&self, x: f64) -> bool {
        (self.low..=self.high).contains(&x)
    }

    /// Not `clamp`, which panics on bounds that are the wrong way round.
    #[inline]
    pub fn bring(&self, x: f64) -> f64 {
        x.max(self.low).min(self.high)
    }
}

/// The median of sorted values, of which there is one.
pub(super) fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[half]
    } else {
        sorted[half - 1] + (sorted[half] - sorted[half - 1]) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(outlier: f64) -> Vec<f64> {
        (0..100).map(f64::from).chain([outlier]).collect()
    }

    #[test]
    fn quantiles_are_values_that_occur() {
        let bounds = Bounds::find(values(1e9), Outliers::Clip(0.05)).unwrap();
        assert_eq!((bounds.low, bounds.high), (5.0, 95.0));
        assert_eq!((bounds.bring(1e9), bounds.bring(50.0)), (95.0, 50.0));
    }

    #[test]
    fn robust_bounds_do_not_follow_the_outlier() {
        let bounds = Bounds::find(values(1e9), Outliers::Robust(5.0)).unwrap();
        assert!(bounds.high < 300.0 && bounds.low < 0.0);
        assert!(!bounds.holds(1e9) && bounds.holds(99.0));
    }

    #[test]
    fn scales_flags_and_constants_have_no_outliers() {
        for values in [
            vec![],
            vec![1.0],
            vec![0.0; 99],
            (0..10).map(f64::from).collect(),
        ] {
            for wanted in [Outliers::Clip(0.1), Outliers::Robust(3.0), Outliers::Keep] {
                assert_eq!(Bounds::find(values.clone(), wanted), None);
            }
        }
        let mut mostly_zero = vec![0.0; 200];
        mostly_zero.extend((0..100).map(f64::from));
        assert_eq!(Bounds::find(mostly_zero, Outliers::Robust(5.0)), None);
    }
}
