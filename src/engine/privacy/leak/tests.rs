use super::membership::by_chance;
use super::*;
use crate::random::Random;
use serde_json::json;

/// Rows of which each shadow has seen half: their statistic is `gain` higher then, and a row's own level `spread` wide.
fn observed(rows: usize, gain: f64, spread: f64) -> Observed {
    let mut random = Random::new(5);
    let levels: Vec<f64> = (0..rows).map(|_| spread * random.normal()).collect();
    let mut observed = Observed::default();
    let mut half = Vec::new();
    for shadow in 0..16 {
        if shadow % 2 == 0 {
            half = (0..rows).map(|row| row % 2 == 0).collect();
            random.shuffle(&mut half);
        }
        let members: Vec<bool> = half.iter().map(|m| *m == (shadow % 2 == 0)).collect();
        let statistics: Vec<f64> = (members.iter().zip(&levels))
            .map(|(m, level)| level + random.normal() + if *m { gain } else { 0.0 })
            .collect();
        observed
            .losses
            .push(statistics.iter().map(|x| (-x).exp().ln_1p()).collect());
        observed.statistics.push(statistics);
        observed.members.push(members);
    }
    observed
}

fn value(found: &[Finding], attack: &str, metric: &str) -> Option<f64> {
    let own = found
        .iter()
        .find(|f| f.attack == attack && f.metric == metric);
    own.unwrap_or_else(|| panic!("no {metric} of {attack}"))
        .value
}

#[test]
fn what_was_seen_is_told_and_hard_rows_do_not_hide_it() {
    let found = membership(&observed(2000, 2.0, 3.0), "");
    let auc = |attack| value(&found, attack, "roc_auc").unwrap();
    // Two standard deviations apart the best area is 0.921; a row's own level hides it from a threshold on the loss.
    assert!((auc("lira") - 0.91).abs() < 0.03, "{found:?}");
    assert!((0.6..0.75).contains(&auc("loss_threshold")), "{found:?}");
    assert!(value(&found, "lira", "tpr_at_fpr_0.001").unwrap() > 0.05);
    let area = &found[3];
    assert!(area.high.unwrap() - area.low.unwrap() < 0.02);
}

#[test]
fn nothing_is_told_where_nothing_is_there() {
    let found = membership(&observed(1000, 0.0, 1.0), "");
    for own in found.iter().filter(|f| f.metric == "roc_auc") {
        assert!((own.value.unwrap() - 0.5).abs() < 0.02, "{own:?}");
        assert!(own.low.unwrap() < 0.5 && own.high.unwrap() > 0.5, "{own:?}");
    }
    assert!(value(&found, "lira", "tpr_at_fpr_0.01").unwrap() < 0.03);
}

/// Models of two halves that have nothing in common differ in opposite ways: that is no trace of a row.
#[test]
fn what_a_pair_of_models_has_opposite_tells_nothing() {
    let mut random = Random::new(6);
    let mut own = observed(1000, 0.0, 1.0);
    for pair in own.statistics.chunks_exact_mut(2) {
        let shift = 3.0 * random.normal();
        pair[0].iter_mut().for_each(|x| *x += shift);
        pair[1].iter_mut().for_each(|x| *x -= shift);
    }
    let found = membership(&own, "");
    let auc = value(&found, "lira", "roc_auc").unwrap();
    assert!((auc - 0.5).abs() < 0.02, "{auc}");
}

#[test]
fn few_rows_cannot_tell_small_rates() {
    let found = membership(&observed(200, 1.0, 1.0), "canary_");
    assert!(value(&found, "canary_lira", "tpr_at_fpr_0.01").is_some());
    assert_eq!(value(&found, "canary_lira", "tpr_at_fpr_0.001"), None);
}

/// One look at each row: the interval is DeLong's.
#[test]
fn intervals_of_rows_seen_once_are_those_of_delong() {
    let mut random = Random::new(9);
    let members: Vec<bool> = (0..400).map(|i| i % 2 == 0).collect();
    let scores: Vec<f64> = (members.iter())
        .map(|m| random.normal() + if *m { 0.5 } else { 0.0 })
        .collect();
    let (area, low, high) = membership::area(&members, &scores, 400).unwrap();
    // Hanley and McNeil's approximation (1982) of the standard error.
    let (q1, q2) = (area / (2.0 - area), 2.0 * area * area / (1.0 + area));
    let error = (area * (1.0 - area) + 199.0 * (q1 + q2 - 2.0 * area * area)) / 200.0 / 200.0;
    let half = 1.96 * error.sqrt();
    assert!(
        ((high - low) / 2.0 / half - 1.0).abs() < 0.1,
        "{low} {high} {half}"
    );
}

#[test]
fn values_are_guessed_by_likelihood_and_frequency() {
    let likelihoods = [vec![0.9, 0.1, 0.5], vec![0.2, 0.8, 0.5]];
    assert_eq!(likeliest(&likelihoods, &[0.5, 0.5])[..2], [0, 1]);
    assert_eq!(likeliest(&likelihoods, &[0.99, 0.01]), [0, 0, 0]);
    let guesses = Guesses {
        seen: vec![true; 100],
        unseen: (0..100).map(|i| i % 2 == 0).collect(),
        without: vec![false; 100],
    };
    let found = attribute("plan", &guesses);
    let figure = |metric| value(&found, "attribute:plan", metric).unwrap();
    assert_eq!(
        (figure("accuracy_members"), figure("advantage")),
        (1.0, 0.5)
    );
    assert!(found[3].low.unwrap() > 0.35);
}

#[test]
fn options_are_checked() {
    let plan = |options: serde_json::Value| Plan::from_json(options.as_object().unwrap());
    assert_eq!(plan(json!({})).unwrap().shadows, 16);
    for (options, words) in [
        (json!({"shadows": 7}), "even"),
        (json!({"shadows": 2}), "from 6 to 256"),
        (json!({"rows": 10}), "from 50"),
        (json!({"columns": "plan"}), "array"),
        (json!({"max_seconds": 0}), "number from 1"),
    ] {
        let error = plan(options).unwrap_err();
        assert!(error.message.contains(words), "{}", error.message);
    }
}

#[test]
fn exposure_counts_the_bits_of_a_rank() {
    // Ranks among two others: 1 and 2; 1.5, for it equals one, and 3. The second pair has learned nothing.
    let observed = Observed {
        members: [[true, true, false, false], [false, false, true, true]]
            .repeat(2)
            .iter()
            .map(|m| m.to_vec())
            .collect(),
        losses: vec![
            vec![0.1, 0.5, 0.4, 0.6],
            vec![1.0, 2.0, 1.0, 3.0],
            vec![1.0; 4],
            vec![1.0; 4],
        ],
        statistics: Vec::new(),
    };
    let all = exposure(&observed, "canary");
    let (found, chance) = (&all[0], &all[1]);
    let bits = [3f64, 1.5, 3.0 / 1.5, 1.0, 1.5, 1.5, 1.5, 1.5].map(f64::log2);
    let mean = bits.iter().sum::<f64>() / 8.0;
    assert!((found.value.unwrap() - mean).abs() < 1e-9, "{found:?}");
    assert!(found.low.unwrap() < mean && found.high.unwrap() > mean);
    assert_eq!(chance.metric, "exposure_by_chance");
    assert_eq!(
        chance.value,
        Some([3f64, 1.5, 1.0].map(f64::log2).iter().sum::<f64>() / 3.0)
    );
    assert!((by_chance(16) - 1.24).abs() < 0.005);
    assert!((by_chance(100) - 1.40).abs() < 0.005);
}
