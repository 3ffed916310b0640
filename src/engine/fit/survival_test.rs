//! Times until an event, some of which are cut short.

use super::tasks_test::{WAYS, fitted, numbers, quick};
use super::tests::request;
use super::*;
use crate::artifact::Task;
use crate::frame::{Cell, Column, Frame, Kind};
use crate::infer::Predictor;
use crate::random::Random;

/// Customers leave at a rate of 0.1 e^x a month; they are watched for up to 24 months.
fn leaving(rows: usize) -> Frame {
    let mut random = Random::new(21);
    let [mut x, mut noise, mut months] = numbers(["x", "noise", "months"]);
    let mut left = Column::new("left", "boolean", Kind::Boolean);
    for row in 0..rows {
        let value = random.normal();
        x.push(Cell::Number(value));
        noise.push(Cell::Number(random.normal()));
        let time = -(1.0 - random.uniform()).ln() / (0.1 * value.exp());
        let watched = 24.0 * random.uniform().sqrt();
        months.push(match row {
            3 => Cell::Null,
            _ => Cell::Number(time.min(watched)),
        });
        left.push(match row {
            4 => Cell::Null,
            _ => Cell::Boolean(time <= watched),
        });
    }
    Frame {
        columns: vec![x, noise, months, left],
    }
}

fn event(name: &str) -> TaskOptions {
    TaskOptions {
        event: Some(name.into()),
        ..TaskOptions::default()
    }
}

#[test]
fn times_until_an_event_are_learned_although_some_are_cut_short() {
    for algorithm in WAYS {
        let task = Task::Survival;
        let artifact = fitted(
            leaving(3000),
            "months",
            task,
            event("left"),
            quick(algorithm),
        );
        assert_eq!(artifact.provenance.null_target_rows, 2);
        let columns: Vec<&str> = artifact
            .recipe
            .columns()
            .iter()
            .map(|c| c.name.as_str())
            .collect();
        assert_eq!(columns, ["x", "noise"]);
        // What knowing x allows is about 0.735.
        let headline = artifact.evaluation.headline().unwrap();
        assert_eq!(headline.metric, "concordance_index");
        assert!(headline.value > 0.70, "{algorithm}: {headline:?}");
        let brier = artifact
            .evaluation
            .metrics
            .iter()
            .find(|m| m.metric == "integrated_brier_score");
        let brier = brier.unwrap();
        assert!(
            brier.value < 0.9 * brier.baseline.unwrap(),
            "{algorithm}: {brier:?}"
        );
        let (_, truth) = truth_of(task, &artifact.target, &leaving(100)).unwrap();
        assert!(
            matches!(truth, crate::evaluate::Truth::Survival { times, .. } if times.len() == 98)
        );
        let predictor = Predictor::new(artifact).unwrap();
        let mut scratch = predictor.scratch();
        let mut last = f64::INFINITY;
        for x in [-1.0f64, 0.0, 1.0] {
            let cells = [Cell::Number(x), Cell::Number(0.0)];
            let hazards = predictor.predict(&cells, &mut scratch);
            let curve = predictor.artifact().curve(hazards);
            for time in [3.0, 10.0] {
                let want = (-0.1 * x.exp() * time).exp();
                let found = curve.at(time).unwrap().survival;
                // Trees learn each interval by itself, from the few events in it.
                let far = if algorithm == "gbdt" { 0.17 } else { 0.1 };
                assert!(
                    (found - want).abs() < far,
                    "{algorithm} {x} {time}: {found}, not {want}"
                );
            }
            let mean = predictor.artifact().value(hazards).unwrap();
            assert!(mean < last);
            last = mean;
        }
    }
}

#[test]
fn survival_needs_events_and_times() {
    let refused = |change: &dyn Fn(&mut Frame), target: &str, of_task: TaskOptions| {
        let mut frame = leaving(200);
        change(&mut frame);
        let mut request = request(frame, target, quick("mlp"));
        request.task = Some(Task::Survival);
        request.of_task = of_task;
        fit(request, &mut |_| true).unwrap_err().message
    };
    let none = TaskOptions::default();
    let as_it_is = |_: &mut Frame| {};
    assert_eq!(
        refused(&as_it_is, "months", none),
        "task survival needs the option event"
    );
    assert_eq!(
        refused(&as_it_is, "months", event("noise")),
        "column \"noise\" does not say yes or no"
    );
    let never = |frame: &mut Frame| {
        let mut left = Column::new("left", "boolean", Kind::Boolean);
        (0..200).for_each(|_| left.push(Cell::Boolean(false)));
        frame.columns[3] = left;
    };
    assert_eq!(
        refused(&never, "months", event("left")),
        "the event of \"left\" happened in 0 rows"
    );
    let negative = refused(&as_it_is, "x", event("left"));
    assert!(negative.contains("is negative in "), "{negative}");
}
