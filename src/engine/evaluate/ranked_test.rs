//! Curves and tables. The corners of the curves are those of scikit-learn 1.9.1 (`roc_curve`, `precision_recall_curve`).

use super::*;

#[test]
fn the_roc_curve_has_the_corners_of_scikit_learn() {
    let roc = curve(&TIES.0, &TIES.1).roc();
    let expected = [
        (0.8, 2.0, 0.0),
        (0.5, 4.0, 2.0),
        (0.4, 5.0, 4.0),
        (0.35, 6.0, 4.0),
        (0.05, 6.0, 6.0),
    ];
    let [start, corners @ ..] = &roc[..] else {
        panic!("no curve")
    };
    assert_eq!(
        (start.true_positive_rate, start.false_positive_rate),
        (0.0, 0.0)
    );
    assert!(start.threshold > 0.9 && start.threshold.is_finite());
    assert_eq!(corners.len(), expected.len());
    for (corner, (threshold, tp, fp)) in corners.iter().zip(expected) {
        assert_eq!(corner.threshold, threshold);
        assert!((corner.true_positive_rate - tp / 6.0).abs() < 1e-12);
        assert!((corner.false_positive_rate - fp / 6.0).abs() < 1e-12);
    }
}

#[test]
fn precision_over_recall_is_that_of_scikit_learn() {
    let points = curve(&TIES.0, &TIES.1).precision_recall();
    let expected = [
        (0.9, 1.0, 1.0 / 6.0),
        (0.8, 1.0, 2.0 / 6.0),
        (0.6, 0.75, 0.5),
        (0.5, 2.0 / 3.0, 4.0 / 6.0),
        (0.4, 5.0 / 9.0, 5.0 / 6.0),
        (0.35, 0.6, 1.0),
        (0.1, 6.0 / 11.0, 1.0),
        (0.05, 0.5, 1.0),
    ];
    assert_eq!((points[0].precision, points[0].recall), (1.0, 0.0));
    assert_eq!(points.len(), expected.len() + 1);
    for (point, (threshold, precision, recall)) in points[1..].iter().zip(expected) {
        assert_eq!(point.threshold, threshold);
        assert!((point.precision - precision).abs() < 1e-12);
        assert!((point.recall - recall).abs() < 1e-12);
    }
    assert!(curve(&[0, 0], &[0.1, 0.2]).precision_recall().is_empty());
}

#[test]
fn a_long_precision_recall_curve_keeps_its_ends() {
    let scores: Vec<f64> = (0..50_000).map(|i| f64::from(i) / 50_000.0).collect();
    let truth: Vec<u32> = (0..50_000u32)
        .map(|i| u32::from(i * 7919 % 50_000 < i))
        .collect();
    let points = curve(&truth, &scores).precision_recall();
    assert!((100..=200).contains(&points.len()), "{}", points.len());
    let last = points[points.len() - 1];
    assert_eq!((points[0].recall, last.recall), (0.0, 1.0));
    assert!(points.windows(2).all(|w| w[0].recall <= w[1].recall));
}

#[test]
fn bins_are_even_and_keep_equal_scores_together() {
    let scores: Vec<f64> = (0..100).map(|i| f64::from(i / 2) / 50.0).collect();
    let truth: Vec<u32> = (0..100).map(|i| u32::from(i >= 50)).collect();
    let bins = curve(&truth, &scores).bins(4);
    let shape: Vec<_> = bins.iter().map(|b| (b.bin, b.rows, b.positives)).collect();
    assert_eq!(shape, [(1, 26, 26), (2, 24, 24), (3, 26, 0), (4, 24, 0)]);
    assert!(bins.windows(2).all(|w| w[0].lowest > w[1].lowest));
    // One score: one bin.
    let bins = curve(&[0, 1, 0], &[0.3; 3]).bins(10);
    assert_eq!(
        (bins.len(), bins[0].rows, bins[0].share()),
        (1, 3, 1.0 / 3.0)
    );
    assert!(curve(&[], &[]).bins(10).is_empty());
}

#[test]
fn the_interval_of_a_share_is_that_of_wilson() {
    // From the formula, with NumPy.
    let bin = Bin {
        bin: 1,
        rows: 10,
        positives: 8,
        sum: 5.0,
        lowest: 0.1,
    };
    let (low, high) = bin.wilson();
    assert!((low - 0.4901624715366418).abs() < 1e-9, "{low}");
    assert!((high - 0.9433178485456248).abs() < 1e-9, "{high}");
}

#[test]
fn cuts_lie_between_scores_and_count_every_row() {
    let cuts = curve(&TIES.0, &TIES.1).cuts();
    assert_eq!((cuts.len(), cuts[0].contacted()), (9, 0));
    assert!(cuts.iter().all(|c| c.rows() == 12));
    for cut in &cuts {
        let contacted = TIES.1.iter().filter(|s| **s >= cut.threshold).count();
        assert_eq!(cut.contacted() as usize, contacted);
        assert!(!TIES.1.contains(&cut.threshold) || cut.contacted() == 0);
    }
    let ranked = curve(&TIES.0, &TIES.1);
    assert_eq!(ranked.thin_cuts(cuts, 3).iter().filter(|c| c.0).count(), 1);
}

#[test]
fn many_labels_have_a_curve_each_and_odd_rows_do_not_count() {
    let outcomes = Outcomes {
        truth: Truth::Classes(vec![0, 1, 2, 9]),
        predictions: vec![
            0.8,
            0.1,
            0.1,
            0.2,
            0.6,
            0.2,
            f64::NAN,
            0.0,
            1.0,
            0.2,
            0.2,
            0.6,
        ],
    };
    let curves = ranked(Task::Multiclass, 3, &outcomes);
    let shape: Vec<_> = curves.iter().map(|c| (c.label, c.rows())).collect();
    assert_eq!(shape, [(0, 2), (1, 2), (2, 2)]);
    assert!(curves[2].roc().is_empty());
    let numbers = Outcomes {
        truth: Truth::Values(vec![1.0]),
        predictions: vec![1.0],
    };
    assert!(ranked(Task::Regression, 0, &numbers).is_empty());
}

#[test]
fn what_is_kept_is_what_was_scored() {
    let n = 50_001;
    let outcomes = Outcomes {
        truth: Truth::Classes((0..n).map(|i| i % 2).collect()),
        predictions: (0..n).map(|i| f64::from(i) / f64::from(n)).collect(),
    };
    let positions: Vec<u32> = (0..n).collect();
    let kept = HeldOut::of(Task::Binary, 2, &outcomes, 1, &positions);
    assert_eq!((kept.rows, kept.truth.len()), (20_000, 20_000));
    assert!(kept.is_sound(Task::Binary, 2, 1) && !kept.is_sound(Task::Binary, 2, 3));
    let back = kept.outcomes(Task::Binary);
    let full = curve(
        &(0..n).map(|i| i % 2).collect::<Vec<_>>(),
        &outcomes.predictions,
    );
    assert_eq!(back.predictions.len(), 20_000);
    assert_eq!(full.rows(), n as usize);
    let other = HeldOut::of(Task::Binary, 2, &outcomes, 1, &positions[1..]);
    assert_ne!(kept.fingerprint, other.fingerprint);
    // Crafted numbers become no class.
    let crafted = HeldOut {
        rows: 3,
        width: 1,
        told: 1,
        truth: vec![-1.0, f32::NAN, 1.0],
        predictions: vec![0.5; 3],
        ..HeldOut::default()
    };
    let usable = ranked(Task::Binary, 2, &crafted.outcomes(Task::Binary));
    assert_eq!(usable[0].rows(), 1);
}
