use super::*;

#[test]
fn shares_are_those_that_do_best_together() {
    // Two that err to either side, and one that is the mean of both and some noise.
    let truth = [1.0, 2.0, 3.0, 4.0];
    let high: Vec<f64> = truth.iter().map(|y| y + 0.5).collect();
    let low: Vec<f64> = truth.iter().map(|y| y - 0.5).collect();
    let noisy = vec![1.4, 1.6, 3.4, 3.6];
    let loss = |answers: &[f64]| -> f64 {
        let off = answers.iter().zip(&truth).map(|(a, y)| (a - y) * (a - y));
        off.sum::<f64>() / 4.0
    };
    let all = [&high[..], &low[..], &noisy[..]];
    let found = shares(&all, loss);
    assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    assert!(loss(&mix(&all, &found)) < 0.01, "{found:?}");
    // What hardly helps goes.
    let same = [&high[..], &high[..]];
    let alone = shares(&same, loss);
    assert!(alone.iter().filter(|share| **share > 0.0).count() == 1);
}
