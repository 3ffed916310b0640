//! Metrics that follow from how many rows of each class were true, answered and both.

/// Of one class, among all rows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// Rows of the class.
    pub actual: u64,
    /// Rows answered with it.
    pub predicted: u64,
    /// Rows of the class answered with it.
    pub hit: u64,
}

/// `a / b`; NaN for 0 / 0.
fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / b as f64
}

impl Counts {
    /// Precision, recall, F1 (the harmonic mean of both); NaN where no row counts.
    pub fn scores(&self) -> [f64; 3] {
        [
            ratio(self.hit, self.predicted),
            ratio(self.hit, self.actual),
            ratio(2 * self.hit, self.actual + self.predicted),
        ]
    }
}

/// Of all classes together.
pub(super) struct Overall {
    pub accuracy: f64,
    /// Mean recall over the classes that occur (Brodersen et al. 2010).
    pub balanced_accuracy: f64,
    /// Macro precision, recall, F1 over the classes that occur or are answered, 0 / 0 counting 0.
    pub macro_scores: [f64; 3],
    /// The same, each class counting as many times as it has rows.
    pub weighted_scores: [f64; 3],
    /// Matthews correlation, for many classes as R_K of Gorodkin (2004); 0 where one factor is constant.
    pub mcc: f64,
}

pub(super) fn overall(classes: &[Counts]) -> Overall {
    let rows: u64 = classes.iter().map(|c| c.actual).sum();
    let hits: u64 = classes.iter().map(|c| c.hit).sum();
    let (mut recall, mut occurring) = (0.0, 0u64);
    let (mut macros, mut weighted, mut shown) = ([0.0; 3], [0.0; 3], 0u64);
    let (mut product, mut of_actual, mut of_predicted) = (0.0, 0.0, 0.0);
    for class in classes.iter().filter(|c| c.actual + c.predicted > 0) {
        let scores = class.scores();
        if class.actual > 0 {
            occurring += 1;
            recall += scores[1];
        }
        shown += 1;
        for (i, score) in scores.into_iter().enumerate() {
            let score = if score.is_nan() { 0.0 } else { score };
            macros[i] += score;
            weighted[i] += class.actual as f64 * score;
        }
        let (actual, predicted) = (class.actual as f64, class.predicted as f64);
        product += actual * predicted;
        of_actual += actual * actual;
        of_predicted += predicted * predicted;
    }
    let n = rows as f64;
    let (actual, predicted) = (n * n - of_actual, n * n - of_predicted);
    let mcc = if actual == 0.0 || predicted == 0.0 {
        0.0
    } else {
        (hits as f64 * n - product) / (actual.sqrt() * predicted.sqrt())
    };
    Overall {
        accuracy: ratio(hits, rows),
        balanced_accuracy: recall / occurring as f64,
        macro_scores: macros.map(|sum| sum / shown as f64),
        weighted_scores: weighted.map(|sum| sum / n),
        mcc,
    }
}
