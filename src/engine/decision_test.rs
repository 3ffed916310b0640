use super::*;

/// Ten rows: the higher the score, the likelier positive.
fn ranked() -> Ranked {
    let truth = [
        false, false, false, true, false, false, true, false, true, true,
    ];
    let scores = (0..10).map(|i| f64::from(i) / 10.0 + 0.05).collect();
    Ranked::new(scores, |row| truth[row])
}

fn decision(threshold: Option<Threshold>, capacity: Option<u64>) -> Decision {
    Decision {
        threshold,
        capacity,
        profit: Some(Profit {
            tp: 90.0,
            fp: -10.0,
            ..Profit::default()
        }),
    }
}

#[test]
fn a_goal_is_met_by_the_best_cut() {
    let ranked = ranked();
    let at = |goal| decision(Some(Threshold::Best(goal)), None).threshold(&ranked, 10, 0.5);
    // Contacting 7: four found, three in vain: 330; fewer find less.
    assert!((at(Goal::Profit) - 0.3).abs() < 1e-12);
    // Contacting 4: three of four, one in vain: F1 0.75; balanced (0.75 + 5/6) / 2.
    assert!((at(Goal::F1) - 0.6).abs() < 1e-12);
    assert!((at(Goal::BalancedAccuracy) - 0.6).abs() < 1e-12);
}

#[test]
fn a_capacity_bounds_the_share_contacted() {
    let ranked = ranked();
    let profit = Some(Threshold::Best(Goal::Profit));
    let contacted = |threshold: f64| {
        let cuts = ranked.cuts();
        let cut = cuts.iter().filter(|c| c.threshold >= threshold);
        cut.map(|c| c.contacted()).max().unwrap_or(0)
    };
    // Two of ten rows, as 200 of 1000.
    assert_eq!(
        contacted(decision(profit, Some(200)).threshold(&ranked, 1_000, 0.5)),
        2
    );
    assert_eq!(
        contacted(decision(profit, Some(299)).threshold(&ranked, 1_000, 0.5)),
        2
    );
    assert_eq!(
        contacted(decision(profit, Some(9_999)).threshold(&ranked, 1_000, 0.5)),
        7
    );
    // A number, and none at all, are raised where need be.
    let number = Some(Threshold::At(0.0));
    assert_eq!(
        contacted(decision(number, Some(3)).threshold(&ranked, 10, 0.5)),
        3
    );
    assert_eq!(decision(None, Some(9)).threshold(&ranked, 10, 0.5), 0.5);
    assert!((decision(None, Some(3)).threshold(&ranked, 10, 0.5) - 0.7).abs() < 1e-12);
    // Nobody.
    let nobody = decision(profit, Some(1)).threshold(&ranked, 1_000, 0.5);
    assert!(nobody > 1.0 && nobody.is_finite());
}

#[test]
fn without_rows_the_usual_threshold_stands() {
    let nothing = Ranked::new(Vec::new(), |_| false);
    let goal = Some(Threshold::Best(Goal::F1));
    assert_eq!(decision(goal, None).threshold(&nothing, 10, 0.4), 0.4);
    assert_eq!(decision(None, None).threshold(&nothing, 10, 0.4), 0.4);
}

#[test]
fn contacting_nobody_is_best_where_everybody_costs() {
    let costs = Profit {
        tp: -1.0,
        fp: -2.0,
        ..Profit::default()
    };
    let cuts = ranked().cuts();
    assert_eq!(most_profitable(&cuts, cuts.len(), &costs), 0);
}
