//! What explanations hold to.

use super::*;
use crate::artifact::Artifact;
use crate::fit::{Request, fit};
use crate::frame::{Cell, Column, Frame, Kind};
use crate::infer::Predictor;
use crate::params::Params;
use crate::random::Random;
use serde_json::{Value, json};

/// Of three columns two tell the answer, together, one is noise.
fn shop(rows: usize) -> Frame {
    let mut random = Random::new(3);
    let mut spend = Column::new("spend", "numeric", Kind::Number);
    let mut plan = Column::new("plan", "text", Kind::Category);
    let mut noise = Column::new("noise", "integer", Kind::Number);
    let mut churn = Column::new("churn", "boolean", Kind::Boolean);
    let mut worth = Column::new("worth", "numeric", Kind::Number);
    for row in 0..rows {
        let (x, basic) = (random.uniform() * 10.0, random.uniform() < 0.5);
        spend.push(if row % 17 == 0 {
            Cell::Null
        } else {
            Cell::Number(x)
        });
        plan.push(Cell::Text(if basic { "basic" } else { "pro" }));
        noise.push(Cell::Number((random.uniform() * 5.0).floor()));
        let risk = if basic { 0.09 * (10.0 - x) } else { 0.1 };
        churn.push(Cell::Boolean(random.uniform() < risk));
        worth.push(Cell::Number(
            3.0 * x + if basic { 0.0 } else { 20.0 } + random.uniform(),
        ));
    }
    Frame {
        columns: vec![spend, plan, noise, churn, worth],
    }
}

fn fitted(target: &str, exclude: &str, options: Value) -> Artifact {
    let mut frame = shop(1200);
    frame.columns.retain(|c| c.name != exclude);
    let params = Params::from_json(options.as_object().unwrap()).unwrap();
    fit(Request::new(frame, target, params), &mut |_| true).unwrap()
}

pub(crate) fn predictor(options: Value) -> Predictor {
    Predictor::new(fitted("churn", "worth", options)).unwrap()
}

fn row<'a>(frame: &'a Frame, at: usize) -> Vec<Cell<'a>> {
    frame.columns.iter().map(|c| c.cell(at)).collect()
}

/// The Shapley values by all sets of the first three columns, against the first rows that are kept.
fn exact(predictor: &Predictor, own: &[Cell<'_>], rows: usize) -> [f64; 3] {
    let background = predictor.background();
    let mut scratch = predictor.scratch();
    let mut worth = |set: usize| -> f64 {
        let each = (0..rows).map(|b| {
            let mixed: Vec<Cell<'_>> = (0..3)
                .map(|i| {
                    if set >> i & 1 == 1 {
                        own[i]
                    } else {
                        background.columns[i].cell(b)
                    }
                })
                .collect();
            predictor.predict(&mixed, &mut scratch)[0]
        });
        each.sum::<f64>() / rows as f64
    };
    let worths: Vec<f64> = (0..8).map(&mut worth).collect();
    std::array::from_fn(|column| {
        let without = (0..8usize).filter(|set| set >> column & 1 == 0);
        let added = without.map(|set| {
            let weight = [1.0 / 3.0, 1.0 / 6.0, 1.0 / 3.0][set.count_ones() as usize];
            weight * (worths[set | 1 << column] - worths[set])
        });
        added.sum()
    })
}

#[test]
fn contributions_add_up_to_the_answer_and_are_near_the_shapley_values() {
    for options in [
        json!({"algorithm": "gbdt"}),
        json!({"algorithm": "random_forest"}),
        json!({"algorithm": "linear"}),
        json!({"algorithm": "mlp", "epochs": 5}),
        json!({"max_seconds": 5}),
    ] {
        let predictor = predictor(options.clone());
        let mut scratch = predictor.scratch();
        for at in [0, 5] {
            let own = row(predictor.background(), at);
            let found = explain(&predictor, 16, None, &own, &mut scratch, &mut || ());
            let sum: f64 = found.contributions.iter().map(|c| c.value).sum();
            assert!(
                (sum - (found.prediction - found.base)).abs() < 1e-6,
                "{options} {found:?}"
            );
            for (own, exact) in found.contributions.iter().zip(exact(&predictor, &own, 16)) {
                assert!(
                    (own.value - exact).abs() < 4.0 * own.error + 0.03,
                    "{options} {own:?} {exact}"
                );
            }
        }
    }
}

#[test]
fn trees_of_a_number_are_explained_exactly() {
    let predictor = Predictor::new(fitted("worth", "churn", json!({"algorithm": "gbdt"}))).unwrap();
    let mut scratch = predictor.scratch();
    for at in [0, 3, 17] {
        let own = row(predictor.background(), at);
        let found = explain(&predictor, 64, None, &own, &mut scratch, &mut || ());
        for (own, exact) in found.contributions.iter().zip(exact(&predictor, &own, 64)) {
            assert_eq!(own.error, 0.0);
            assert!((own.value - exact).abs() < 1e-3, "{own:?} {exact}");
        }
    }
}

#[test]
fn what_tells_is_important_and_noise_is_not() {
    let predictor = predictor(json!({"algorithm": "gbdt"}));
    let columns = predictor.artifact().recipe.columns().to_vec();
    let found = importance(&predictor, &mut || true).unwrap();
    let of = |name: &str| {
        found
            .iter()
            .find(|i| columns[i.column].name == name)
            .unwrap()
    };
    assert!(of("plan").low > 0.0 && of("spend").low > 0.0, "{found:?}");
    assert!(of("noise").importance < of("spend").importance / 3.0);
    assert!(of("noise").with.is_empty());
    assert!(importance(&predictor, &mut || false).is_none());
}

#[test]
fn columns_that_say_the_same_are_grouped() {
    let mut frame = shop(1200);
    frame.columns.retain(|c| c.name != "worth");
    let mut cents = Column::new("cents", "numeric", Kind::Number);
    for row in 0..frame.rows() {
        cents.push(match frame.columns[0].cell(row) {
            Cell::Number(x) => Cell::Number((100.0 * x).round()),
            other => other,
        });
    }
    frame.columns.push(cents);
    let options = json!({"algorithm": "gbdt"});
    let params = Params::from_json(options.as_object().unwrap()).unwrap();
    let artifact = fit(Request::new(frame, "churn", params), &mut |_| true).unwrap();
    let predictor = Predictor::new(artifact).unwrap();
    let columns = predictor.artifact().recipe.columns();
    let found = importance(&predictor, &mut || true).unwrap();
    let at = |name: &str| columns.iter().position(|c| c.name == name);
    // One of the two may have been left out as the other's copy; together they are never worth less than one.
    if let (Some(spend), Some(cents)) = (at("spend"), at("cents")) {
        let own = found.iter().find(|i| i.column == spend).unwrap();
        assert_eq!(own.with, [cents]);
        assert!(own.of_group > own.importance - 0.01, "{own:?}");
    }
}

#[test]
fn dependence_follows_the_model() {
    let predictor = Predictor::new(fitted("worth", "churn", json!({"algorithm": "gbdt"}))).unwrap();
    let columns = predictor.artifact().recipe.columns().to_vec();
    let at = |name: &str| columns.iter().position(|c| c.name == name).unwrap();
    let spend = dependence(&predictor, at("spend"), 0, &mut || true).unwrap();
    let (first, last) = (spend.first().unwrap(), spend.last().unwrap());
    // Three for each unit, from about 0 to about 10.
    assert!(
        (last.partial - first.partial - 30.0).abs() < 4.0,
        "{spend:?}"
    );
    let local = last.accumulated.unwrap() - first.accumulated.unwrap();
    assert!((local - 30.0).abs() < 4.0, "{local}");
    assert!(spend.windows(2).all(|pair| pair[0].number < pair[1].number));
    let plan = dependence(&predictor, at("plan"), 0, &mut || true).unwrap();
    assert_eq!(plan.len(), 2);
    let of = |name: &str| plan.iter().find(|d| d.value == name).unwrap().partial;
    assert!((of("pro") - of("basic") - 20.0).abs() < 2.0, "{plan:?}");
    assert!(plan.iter().all(|d| d.accumulated.is_none()));
    assert!(dependence(&predictor, at("plan"), 0, &mut || false).is_none());
}

#[test]
fn the_cheapest_change_reaches_the_goal() {
    let predictor = Predictor::new(fitted("worth", "churn", json!({"algorithm": "gbdt"}))).unwrap();
    let columns = predictor.artifact().recipe.columns();
    let at = |name: &str| columns.iter().position(|c| c.name == name).unwrap();
    let (spend, plan, noise) = (at("spend"), at("plan"), at("noise"));
    let mut own = vec![Cell::Null; 3];
    (own[spend], own[plan], own[noise]) =
        (Cell::Number(4.0), Cell::Text("basic"), Cell::Number(2.0));
    let mut scratch = predictor.scratch();
    let mut ways = Ways {
        costs: vec![Some(1.0); 3],
        changes: 2,
        ways: 3,
    };
    // It is worth 12: six units more of spending are 18 more, another plan 20.
    let find = |goal: Goal, ways: &Ways, scratch: &mut crate::infer::Scratch| {
        counterfactuals(&predictor, &own, goal, ways, scratch, &mut || true).unwrap()
    };
    let found = find(Goal::Above(20.0), &ways, &mut scratch);
    assert_eq!(found[0].changes.len(), 1);
    assert_eq!(found[0].changes[0].column, spend);
    let to: f64 = found[0].changes[0].to.parse().unwrap();
    assert!(
        (6.0..8.0).contains(&to) && found[0].prediction >= 20.0,
        "{found:?}"
    );
    assert!(found[0].cost < found[1].cost);
    // Beyond what spending alone can reach, and where it costs too much.
    let both = find(Goal::Above(40.0), &ways, &mut scratch);
    assert!(both[0].changes.len() == 2, "{both:?}");
    ways.costs[spend] = Some(50.0);
    let cheap = find(Goal::Above(20.0), &ways, &mut scratch);
    assert_eq!(cheap[0].changes[0].to, "pro");
    // What cannot be changed is not; what is reached already, or never, has no way.
    ways.costs = vec![None; 3];
    assert!(find(Goal::Above(20.0), &ways, &mut scratch).is_empty());
    ways.costs = vec![Some(1.0); 3];
    assert!(find(Goal::Below(20.0), &ways, &mut scratch).is_empty());
    assert!(find(Goal::Above(1e9), &ways, &mut scratch).is_empty());
    assert!(
        counterfactuals(
            &predictor,
            &own,
            Goal::Above(20.0),
            &ways,
            &mut scratch,
            &mut || false
        )
        .is_none()
    );
}

#[test]
fn another_label_is_reached() {
    let predictor = predictor(json!({"algorithm": "gbdt"}));
    let own = [Cell::Number(0.5), Cell::Text("basic"), Cell::Number(2.0)];
    let mut scratch = predictor.scratch();
    let predictions = predictor.predict(&own, &mut scratch);
    assert_eq!(predictor.class(predictions), 1);
    let ways = Ways {
        costs: vec![Some(1.0); 3],
        changes: 3,
        ways: 5,
    };
    let found = counterfactuals(
        &predictor,
        &own,
        Goal::Label(0),
        &ways,
        &mut scratch,
        &mut || true,
    );
    let found = found.unwrap();
    assert!(
        found
            .iter()
            .any(|way| way.changes.len() == 1 && way.changes[0].to == "pro"),
        "{found:?}"
    );
    assert!(found.iter().all(|way| way.prediction > 0.5));
}

#[test]
fn rows_are_kept_as_they_were() {
    let artifact = fitted("churn", "worth", json!({"algorithm": "gbdt"}));
    let bytes = artifact.to_bytes();
    let again = Artifact::from_bytes(&bytes).unwrap();
    assert_eq!(again.sample(), artifact.sample());
    assert!(artifact.sample().rows > 100);
    let frame = artifact.sample().frame(artifact.recipe.columns());
    let whole = shop(1200);
    let nulls = frame.columns[0].nulls.count() as f64 / frame.rows() as f64;
    assert!((nulls - 1.0 / 17.0).abs() < 0.05, "{nulls}");
    // A row of the sample is one of the table.
    let own = row(&frame, 7);
    let there = (0..whole.rows()).any(|at| (0..3).all(|i| whole.columns[i].cell(at) == own[i]));
    assert!(there);
    // What does not fit the model is none.
    let mut cut = again;
    let mut sample = cut.sample();
    sample.rows = 600;
    cut.kept = Kept::new(&sample);
    let cut = Artifact::from_bytes(&cut.to_bytes()).unwrap();
    assert_eq!(cut.sample(), Sample::default());
}

/// An answer that two columns make together, or each by itself.
fn made(together: bool) -> Predictor {
    let mut random = Random::new(12);
    let mut columns: Vec<Column> = ["a", "b", "c", "y"]
        .map(|name| Column::new(name, "numeric", Kind::Number))
        .into();
    for _ in 0..1500 {
        let [a, b, c] = std::array::from_fn(|_| 2.0 * random.uniform() - 1.0);
        let y = if together { a * b + c } else { a + b + c };
        for (column, x) in columns.iter_mut().zip([a, b, c, y]) {
            column.push(Cell::Number(x));
        }
    }
    // A linear model of an answer that adds up adds up; trees find what is multiplied.
    let options = match together {
        true => json!({"algorithm": "gbdt"}),
        false => json!({"algorithm": "linear"}),
    };
    let params = Params::from_json(options.as_object().unwrap()).unwrap();
    let artifact = fit(Request::new(Frame { columns }, "y", params), &mut |_| true).unwrap();
    Predictor::new(artifact).unwrap()
}

#[test]
fn what_is_multiplied_interacts_and_what_is_added_does_not() {
    let found = interactions(&made(true), None, 3, &mut || true).unwrap();
    let mut first = found[0].columns;
    first.sort_unstable();
    assert_eq!((found.len(), first), (3, [0, 1]));
    assert!(found[0].h_squared > 0.7, "{found:?}");
    // The standard deviation of a product of two uniform numbers is a third; trees come short of it.
    assert!((found[0].strength - 1.0 / 3.0).abs() < 0.15, "{found:?}");
    assert!(
        found[1].strength < 0.15 && found[1].h_squared < 0.15,
        "{found:?}"
    );
    for own in interactions(&made(false), None, 3, &mut || true).unwrap() {
        assert!(own.h_squared < 1e-6 && own.strength < 1e-4, "{own:?}");
    }
    assert!(interactions(&made(false), None, 3, &mut || false).is_none());
}

#[test]
fn interactions_are_the_same_whatever_the_threads() {
    let predictor = predictor(json!({"algorithm": "gbdt"}));
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap()
            .install(|| interactions(&predictor, None, 3, &mut || true))
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn rules_say_what_a_model_does_and_how_far() {
    let predictor = predictor(json!({"algorithm": "gbdt"}));
    let found = rules(&predictor, None, 3, &mut || true).unwrap();
    assert!(found.fidelity > 0.6, "{found:#?}");
    assert!(found.agreement.unwrap() > 0.85, "{found:#?}");
    let rows: usize = found.rules.iter().map(|r| r.rows).sum();
    assert_eq!(rows, predictor.background().rows());
    assert!((found.rules.iter().map(|r| r.share).sum::<f64>() - 1.0).abs() < 1e-9);
    let falls = found
        .rules
        .windows(2)
        .all(|w| w[0].prediction >= w[1].prediction);
    assert!(falls);
    let (first, last) = (&found.rules[0], found.rules.last().unwrap());
    assert!(
        first.rule.contains("plan = basic") || first.rule.contains("plan not pro"),
        "{found:#?}"
    );
    assert!(
        first.rule.contains("spend <") && !first.rule.contains("noise"),
        "{found:#?}"
    );
    assert!(first.low <= first.prediction && first.prediction <= first.high);
    // What was true lies near what is answered.
    assert!(
        (first.actual.unwrap() - first.prediction).abs() < 0.25,
        "{found:#?}"
    );
    assert!(first.actual > last.actual);
    assert_eq!(first.label.as_deref(), Some("true"));
    assert!(rules(&predictor, None, 3, &mut || false).is_none());
}

#[test]
fn rules_of_a_number_and_of_one_condition() {
    let artifact = fitted("worth", "churn", json!({"algorithm": "gbdt"}));
    let predictor = Predictor::new(artifact).unwrap();
    let found = rules(&predictor, None, 1, &mut || true).unwrap();
    assert_eq!(
        (found.rules.len(), found.agreement),
        (2, None),
        "{found:#?}"
    );
    let deeper = rules(&predictor, None, 5, &mut || true).unwrap();
    assert!(
        deeper.fidelity > found.fidelity && deeper.fidelity > 0.9,
        "{deeper:#?}"
    );
    let near = deeper
        .rules
        .iter()
        .all(|r| (r.actual.unwrap() - r.prediction).abs() < 3.0);
    assert!(near, "{deeper:#?}");
}
