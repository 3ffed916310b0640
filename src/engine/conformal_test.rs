use super::*;
use crate::random::Random;

/// Values whose spread grows with the prediction.
fn values(n: usize, seed: u64) -> (Vec<f64>, Vec<f64>) {
    let mut random = Random::new(seed);
    let mut one = || {
        let x = 10.0 * random.uniform();
        let noise = random.normal();
        // Skewed: far above is likelier than far below.
        (x + (0.1 + x / 5.0) * (noise.exp() - 1.6), x)
    };
    (0..n).map(|_| one()).unzip()
}

fn covered(known: &Conformal, (truth, predictions): &(Vec<f64>, Vec<f64>), coverage: f64) -> f64 {
    let held = truth.iter().zip(predictions).filter(|(t, p)| {
        let (low, high) = known.interval(**p, 1.0, coverage);
        low.is_none_or(|low| low <= **t) && high.is_none_or(|high| **t <= high)
    });
    held.count() as f64 / truth.len() as f64
}

#[test]
fn intervals_hold_unseen_values_as_often_as_asked() {
    let unseen = values(20_000, 99);
    for rows in [100, 1_000, 30_000] {
        let (truth, predictions) = values(rows, rows as u64);
        let known = Conformal::new(&Truth::Values(truth), &predictions, 1);
        assert!(known.is_sound(Task::Regression));
        for coverage in [0.5, 0.8, 0.9, 0.95] {
            let found = covered(&known, &unseen, coverage);
            // The rows known are a sample of their own: four standard errors, and two ranks in each of ten groups.
            let error = 4.0 * (coverage * (1.0 - coverage) / rows as f64).sqrt();
            let groups = (rows / GROUP_ROWS).clamp(1, MOST_GROUPS) as f64;
            assert!(
                (coverage - error..coverage + error + 4.0 * groups / rows as f64).contains(&found),
                "{rows} rows: {found} instead of {coverage}"
            );
        }
    }
}

#[test]
fn intervals_are_wide_where_errors_are() {
    let (truth, predictions) = values(4_000, 7);
    let known = Conformal::new(&Truth::Values(truth), &predictions, 1);
    let wide = |p: f64| {
        let (low, high) = known.interval(p, 1.0, 0.9);
        high.unwrap() - low.unwrap()
    };
    assert!(wide(9.5) > 5.0 * wide(0.5), "{} {}", wide(0.5), wide(9.5));
    let (low, high) = known.interval(9.5, 1.0, 0.9);
    assert!(
        high.unwrap() - 9.5 > 1.5 * (9.5 - low.unwrap()),
        "{low:?} {high:?}"
    );
}

#[test]
fn coverage_is_met_on_average_over_many_samples() {
    // The guarantee is about samples and new values together.
    let (mut held, mut all) = (0.0, 0.0);
    for seed in 0..400 {
        let (truth, predictions) = values(39, seed);
        let known = Conformal::new(&Truth::Values(truth), &predictions, 1);
        let unseen = values(50, 10_000 + seed);
        held += 50.0 * covered(&known, &unseen, 0.9);
        all += 50.0;
    }
    // 39 rows: the ends are the 2nd and the 38th: exactly 0.9. Three standard errors.
    assert!((held / all - 0.9f64).abs() < 0.009, "{}", held / all);
}

#[test]
fn too_few_rows_leave_an_end_open() {
    let known = Conformal::new(&Truth::Values(vec![1.0, 2.0, 4.0]), &[1.5, 2.0, 3.0], 1);
    assert_eq!(known.interval(2.0, 1.0, 0.9), (None, None));
    // With four places for the next error, half of it lies between the first and the last.
    assert_eq!(known.interval(2.0, 1.0, 0.5), (Some(1.5), Some(3.0)));
    let nothing = Conformal::default();
    assert!(nothing.is_empty() && nothing.is_sound(Task::Regression));
    assert_eq!(nothing.interval(1.0, 1.0, 0.9), (None, None));
    assert_eq!(nothing.limit(0.9), f64::INFINITY);
    let odd = Conformal::new(&Truth::Values(vec![f64::NAN]), &[1.0], 1);
    assert!(odd.is_empty());
    // One prediction for all.
    let known = Conformal::new(
        &Truth::Values((0..999).map(f64::from).collect()),
        &[5.0; 999],
        1,
    );
    assert!(known.is_sound(Task::Regression));
    assert_eq!(known.interval(5.0, 1.0, 0.9), (Some(49.0), Some(949.0)));
}

/// Probabilities of three labels and the true one.
fn classes(n: usize, seed: u64) -> (Vec<u32>, Vec<f64>) {
    let mut random = Random::new(seed);
    let (mut truth, mut predictions) = (Vec::new(), Vec::new());
    for _ in 0..n {
        let e: Vec<f64> = (0..3).map(|_| (1.5 * random.normal()).exp()).collect();
        let all: f64 = e.iter().sum();
        let mut left = random.uniform() * all;
        let own = e.iter().position(|e| {
            left -= e;
            left < 0.0
        });
        truth.push(own.unwrap_or(2) as u32);
        predictions.extend(e.iter().map(|e| e / all));
    }
    (truth, predictions)
}

#[test]
fn sets_hold_unseen_labels_as_often_as_asked() {
    let (truth, predictions) = classes(3_000, 1);
    let known = Conformal::new(&Truth::Classes(truth), &predictions, 3);
    assert!(known.is_sound(Task::Multiclass));
    let (truth, predictions) = classes(20_000, 2);
    let mut sizes = Vec::new();
    for coverage in [0.7, 0.8, 0.9, 0.95] {
        let limit = known.limit(coverage);
        let (mut held, mut size) = (0, 0);
        for (t, p) in truth.iter().zip(predictions.chunks_exact(3)) {
            let set = members(p, limit);
            held += usize::from(set.contains(&(*t as usize)));
            size += set.len();
        }
        let found = held as f64 / truth.len() as f64;
        let error = 4.0 * (coverage * (1.0 - coverage) / 3_000.0).sqrt();
        assert!(found > coverage - error, "{found} instead of {coverage}");
        // A set is never empty, which at small coverage holds more than asked.
        assert!(
            coverage < 0.8 || found < coverage + error,
            "{found} instead of {coverage}"
        );
        sizes.push(size);
    }
    assert!(sizes.windows(2).all(|w| w[0] < w[1]), "{sizes:?}");
}

#[test]
fn a_set_names_the_likeliest_first_and_is_never_empty() {
    assert_eq!(members(&[0.2, 0.5, 0.3], 0.75), [1, 2]);
    assert_eq!(members(&[0.2, 0.5, 0.3], 0.0), [1]);
    assert_eq!(members(&[0.2, 0.5, 0.3], f64::INFINITY), [1, 2, 0]);
    assert_eq!(members(&[0.8], 0.5), [1]);
    assert_eq!(members(&[0.3], 0.9), [0, 1]);
    // Exactly at the limit is in.
    let known = Conformal::new(&Truth::Classes(vec![1; 19]), &[0.3; 19], 1);
    assert_eq!(members(&[0.3], known.limit(0.9)), [0, 1]);
}

#[test]
fn thinned_ranks_never_fall_short() {
    let scores: Vec<f64> = (1..=10_000).map(f64::from).collect();
    let group = Group::new(scores, 300);
    assert_eq!((group.scores.len(), group.rows), (300, 10_000));
    for percent in 1..100 {
        let alpha = f64::from(percent) / 100.0;
        let exact = (10_001.0 * (1.0 - alpha) - 1e-9).ceil();
        let upper = group.upper(alpha).unwrap();
        assert!(
            (exact..exact + 35.0).contains(&upper),
            "{alpha}: {upper} for {exact}"
        );
        let exact = (10_001.0 * alpha + 1e-9).floor();
        let lower = group.lower(alpha).unwrap();
        assert!(
            (exact - 35.0..=exact).contains(&lower),
            "{alpha}: {lower} for {exact}"
        );
    }
}

#[test]
fn crafted_groups_are_not_sound() {
    let group = |rows: usize, scores: &[f64]| Group {
        rows,
        scores: scores.to_vec(),
    };
    let of = |groups: Vec<Group>, bounds: Vec<f64>| Conformal {
        groups,
        bounds,
        spread: None,
    };
    let bad = [
        of(vec![group(1, &[1.0, 2.0])], vec![]),
        of(vec![group(0, &[])], vec![]),
        of(vec![group(2, &[2.0, 1.0])], vec![]),
        of(vec![group(2, &[1.0, f64::NAN])], vec![]),
        of(vec![group(1, &[1.0])], vec![3.0]),
        of(vec![], vec![3.0]),
        of(vec![group(usize::MAX, &[1.0, 2.0])], vec![]),
        of(
            vec![group(1, &[1.0]), group(1, &[1.0]), group(1, &[1.0])],
            vec![2.0, 1.0],
        ),
    ];
    assert!(bad.iter().all(|c| !c.is_sound(Task::Regression)));
    let two = of(vec![group(1, &[1.0]), group(1, &[1.0])], vec![2.0]);
    assert!(two.is_sound(Task::Regression) && !two.is_sound(Task::Binary));
}
