use super::*;
use crate::frame::{Cell, Kind};

/// Rows of two groups: of a, 100 with 50 positives; of b, 50 with 10; and NULLs.
fn rows() -> (Column, Vec<u32>, Vec<f64>) {
    let mut column = Column::new("sex", "text", Kind::Category);
    let (mut truth, mut p) = (Vec::new(), Vec::new());
    let mut add = |cell: Cell<'_>, count: usize, positive: u32, probability: f64| {
        for _ in 0..count {
            column.push(cell);
            truth.push(positive);
            p.push(probability);
        }
    };
    add(Cell::Text("a"), 40, 1, 0.9);
    add(Cell::Text("a"), 10, 1, 0.2);
    add(Cell::Text("a"), 20, 0, 0.8);
    add(Cell::Text("a"), 30, 0, 0.1);
    add(Cell::Text("b"), 5, 1, 0.9);
    add(Cell::Text("b"), 5, 1, 0.2);
    add(Cell::Text("b"), 4, 0, 0.8);
    add(Cell::Text("b"), 36, 0, 0.1);
    add(Cell::Null, 3, 0, 0.9);
    (column, truth, p)
}

fn lines(task: Task, threshold: f64) -> Vec<Line> {
    let (column, truth, predictions) = rows();
    let all: Vec<u32> = (0..column.len() as u32).collect();
    let fairness = Fairness {
        groupings: vec![Grouping::new(&column, &all, &[]).unwrap()],
        ..Fairness::default()
    };
    let truth = match task {
        Task::Regression => Truth::Values(truth.iter().map(|t| f64::from(*t)).collect()),
        _ => Truth::Classes(truth),
    };
    let outcomes = Outcomes { truth, predictions };
    fairness.lines(task, threshold, &outcomes, &[&column], &all, 1)
}

fn value(lines: &[Line], group: Option<&str>, metric: &str) -> f64 {
    let own = lines
        .iter()
        .find(|l| l.group.as_deref() == group && l.metric == metric);
    let own = own.unwrap_or_else(|| panic!("no {metric} of {group:?}"));
    assert!(own.low.is_none_or(|low| low <= own.value) && own.high.is_none_or(|h| h >= own.value));
    own.value
}

/// The differences are what fairlearn 0.12 says of these rows without the NULLs.
#[test]
fn rates_and_differences_are_those_of_the_definitions() {
    let found = lines(Task::Binary, 0.5);
    let near = |group, metric, expected: f64| {
        let own = value(&found, group, metric);
        assert!(
            (own - expected).abs() < 1e-12,
            "{metric} of {group:?}: {own}"
        );
    };
    near(Some("a"), "base_rate", 0.5);
    near(Some("a"), "selection_rate", 0.6);
    near(Some("b"), "selection_rate", 9.0 / 50.0);
    near(Some("b"), "true_positive_rate", 0.5);
    near(Some("a"), "false_positive_rate", 0.4);
    near(Some("a"), "precision", 40.0 / 60.0);
    near(Some("b"), "accuracy", 41.0 / 50.0);
    near(
        Some("b"),
        "calibration",
        (5.0 * 0.9 + 5.0 * 0.2 + 3.2 + 3.6 - 10.0) / 50.0,
    );
    near(None, "demographic_parity_difference", 0.6 - 0.18);
    near(None, "demographic_parity_ratio", 0.18 / 0.6);
    near(None, "equal_opportunity_difference", 0.8 - 0.5);
    near(None, "equalized_odds_difference", 0.3f64.max(0.4 - 0.1));
    // Three rows are told of, and decide nothing.
    near(Some("NULL"), "selection_rate", 1.0);
    assert!(found.iter().all(|l| l.group.as_deref() != Some("(others)")));
}

#[test]
fn the_threshold_decides_whom_is_answered_positive() {
    let found = lines(Task::Binary, 0.85);
    assert_eq!(value(&found, Some("a"), "selection_rate"), 0.4);
    // The order of the rows stays as it is.
    let before = lines(Task::Binary, 0.5);
    let auc = |of: &[Line]| value(of, Some("a"), "roc_auc");
    assert_eq!(auc(&found), auc(&before));
}

#[test]
fn errors_of_numbers_have_a_sign() {
    let found = lines(Task::Regression, 0.5);
    let own = value(&found, Some("NULL"), "mean_error");
    assert!((own - 0.9).abs() < 1e-12);
    assert!(value(&found, None, "mae_difference") > 0.0);
}

#[test]
fn numbers_fall_into_bands_and_unseen_values_are_others() {
    let mut age = Column::new("age", "integer", Kind::Number);
    (0..400).for_each(|i| age.push(Cell::Number(f64::from(i % 100))));
    age.push(Cell::Null);
    let all: Vec<u32> = (0..401).collect();
    let quarters = Grouping::new(&age, &all, &[]).unwrap().of(&age, &all);
    assert_eq!(quarters.counts(), [100, 100, 100, 100, 0, 1]);
    assert_eq!(quarters.names[0], "< 25");
    let given = Grouping::new(&age, &all, &[18.0, 65.0]).unwrap();
    let given = given.of(&age, &all);
    assert_eq!(given.names[..3], ["< 18", "[18,65)", ">= 65"]);
    assert_eq!(given.counts()[..3], [72, 188, 140]);
    let (column, ..) = rows();
    let rows: Vec<u32> = (0..150).collect();
    let sex = Grouping::new(&column, &rows, &[]).unwrap();
    let mut other = Column::new("sex", "text", Kind::Category);
    ["b", "c"].iter().for_each(|x| other.push(Cell::Text(x)));
    let found = sex.of(&other, &[0, 1]);
    let names: Vec<&str> = found
        .of
        .iter()
        .map(|g| found.names[*g as usize].as_str())
        .collect();
    assert_eq!(names, ["b", "(others)"]);
}

#[test]
fn columns_together_make_groups_of_enough_rows() {
    let groups = |feature: &str, of: Vec<u32>| Groups {
        feature: feature.into(),
        names: vec!["x".into(), "y".into()],
        of,
    };
    let first = groups("a", (0..200).map(|i| i % 2).collect());
    let second = groups("b", (0..200).map(|i| u32::from(i >= 190)).collect());
    let both = together(&[first, second]);
    assert_eq!(both.feature, "a, b");
    assert_eq!(both.names, ["x, x", "y, x", "(others)"]);
    assert_eq!(both.counts(), [95, 95, 10]);
}

#[test]
fn thresholds_by_group_make_groups_alike() {
    let mut random = crate::random::Random::new(4);
    let (mut of, mut truth, mut predictions) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..2000 {
        let group = i % 2;
        let p = (random.uniform() + 0.3 * f64::from(group)) / 1.3;
        of.push(group);
        truth.push(u32::from(random.uniform() < p));
        predictions.push(p);
    }
    let groups = Groups {
        feature: "sex".into(),
        names: vec!["a".into(), "b".into(), "c".into()],
        of,
    };
    let found = thresholds::thresholds(&truth, &predictions, 0.5, &groups);
    assert_eq!(found.len(), 4);
    let rate = |group: usize, metric: &str, counts: fn(u32) -> bool| {
        let name = groups.names[group].as_str();
        let bound = value(&found, Some(name), metric);
        let own = (0..2000).filter(|i| groups.of[*i] as usize == group && counts(truth[*i]));
        let own: Vec<usize> = own.collect();
        own.iter().filter(|i| predictions[**i] >= bound).count() as f64 / own.len() as f64
    };
    let parity = |group| rate(group, "threshold_demographic_parity", |_| true);
    assert!((parity(0) - parity(1)).abs() < 0.002);
    let chance = |group| rate(group, "threshold_equal_opportunity", |t| t == 1);
    assert!((chance(0) - chance(1)).abs() < 0.005);
    assert!(value(&found, Some("a"), "threshold_equal_opportunity") < 0.5);
}
