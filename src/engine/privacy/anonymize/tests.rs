use super::*;
use crate::frame::{Cell, Kind};
use crate::privacy::groups::Groups;
use crate::random::Random;
use serde_json::json;

fn params(json: Json) -> AnonymizeParams {
    AnonymizeParams::from_json(&json).unwrap()
}

fn people(rows: usize) -> Frame {
    let mut random = Random::new(4);
    let mut age = Column::new("age", "integer", Kind::Number);
    let mut zip = Column::new("zip", "text", Kind::Category);
    let mut illness = Column::new("illness", "text", Kind::Category);
    for _ in 0..rows {
        match random.below(20) {
            0 => age.push(Cell::Null),
            _ => age.push(Cell::Number(18.0 + random.below(70) as f64)),
        }
        let code = format!("9{:04}", random.below(400));
        zip.push(Cell::Text(&code));
        illness.push(Cell::Text(
            ["flu", "cold", "cancer", "none"][random.below(4)],
        ));
    }
    Frame {
        columns: vec![age, zip, illness],
    }
}

#[test]
fn keys_are_checked() {
    for bad in [
        json!([]),
        json!({"email": "pseudonym"}),
        json!({"columns": {"email": "hash"}}),
        json!({"k": 5}),
        json!({"k": 1, "quasi_identifiers": ["age"]}),
        json!({"quasi_identifiers": ["age"]}),
        json!({"k": 5, "quasi_identifiers": ["age"], "sensitive": ["x"]}),
        json!({"k": 5, "quasi_identifiers": ["age"], "l": 2}),
        json!({"k": 5, "quasi_identifiers": ["age"], "sensitive": ["age"], "l": 2}),
        json!({"k": 5, "quasi_identifiers": ["age", "age"]}),
        json!({"k": 5, "quasi_identifiers": ["age"], "columns": {"age": "keep"}}),
        json!({"k": 5, "quasi_identifiers": ["age"], "l_diversity": "entropy"}),
        json!({"t": 2}),
    ] {
        let error = AnonymizeParams::from_json(&bad).unwrap_err();
        assert!(!error.hint.is_empty(), "{bad}");
    }
}

#[test]
fn what_is_given_out_is_k_anonymous_and_l_diverse() {
    let frame = people(2000);
    let wanted = params(
        json!({"k": 5, "quasi_identifiers": ["age", "zip"], "sensitive": ["illness"], "l": 2, "t": 0.5}),
    );
    let secret = Frame {
        columns: vec![frame.columns[2].clone()],
    };
    let (outputs, report) = wanted
        .classes(&[&frame.columns[0], &frame.columns[1]], &secret, &mut || ())
        .unwrap();
    assert!(
        report.smallest >= 5 && report.classes > 20 && report.lost > 0.0 && report.lost < 0.5,
        "{report:?}"
    );
    // As others see it: the values as text.
    let seen: Vec<Column> = outputs
        .iter()
        .map(|output| {
            let mut column = Column::new("q", "text", Kind::Category);
            for pick in &output.picks {
                match &output.values[*pick as usize] {
                    None => column.push(Cell::Null),
                    Some(value) => {
                        column.push(Cell::Text(&format!("{:?}", value.edit(Target::Text))))
                    }
                }
            }
            column
        })
        .collect();
    let groups = Groups::by(&seen.iter().collect::<Vec<_>>(), 2000, &mut || ());
    assert!(groups.sizes().iter().all(|size| *size >= 5));
    let (rows, ends) = groups.members();
    let own = Sensitive::of(&frame.columns[2]);
    let mut start = 0;
    for end in ends {
        assert!(
            own.diversity(
                &rows[start..end],
                Diversity::Distinct,
                &mut Scratch::default()
            ) >= 2.0
        );
        start = end;
    }
}

#[test]
fn what_cannot_be_reached_is_an_error() {
    let frame = people(20);
    let quasi = [&frame.columns[0]];
    let few = params(json!({"k": 50, "quasi_identifiers": ["age"]}));
    assert!(matches!(
        few.classes(&quasi, &Frame::default(), &mut || ()),
        Err(AnonymizeError::TooFew { .. })
    ));
    let diverse =
        params(json!({"k": 2, "quasi_identifiers": ["age"], "sensitive": ["illness"], "l": 9}));
    let secret = Frame {
        columns: vec![frame.columns[2].clone()],
    };
    assert!(matches!(
        diverse.classes(&quasi, &secret, &mut || ()),
        Err(AnonymizeError::NotDiverse { .. })
    ));
}

#[test]
fn rules_first_then_classes() {
    let frame = people(300);
    let wanted = params(
        json!({"k": 3, "quasi_identifiers": ["zip"], "columns": {"zip": {"method": "generalize", "keep": 4}}}),
    );
    let (outputs, _) = wanted
        .classes(&[&frame.columns[1]], &Frame::default(), &mut || ())
        .unwrap();
    let fine =
        |value: &Option<Value>| matches!(value, Some(Value::Text(text)) if text.ends_with('*'));
    assert!(outputs[0].values.iter().all(fine));
}

fn made(rule: Json, column: &Column, target: Target) -> Output {
    let pseudonyms = Pseudonyms::new([7; 32].into());
    let wanted = Wanted {
        column,
        target,
        pseudonyms: Some(&pseudonyms),
    };
    let rule = Rule::from_json("c", &rule).unwrap();
    rule.outputs(&wanted, &mut Noise::from_seed(1), &mut || ())
        .unwrap()
}

#[test]
fn shuffling_keeps_the_values_and_moves_them() {
    let frame = people(500);
    let before = Distinct::of(&frame.columns[1], None);
    let after = made(json!("shuffle"), &frame.columns[1], Target::Text);
    assert_eq!(before.values, after.values);
    let same = before
        .codes
        .iter()
        .zip(&after.picks)
        .filter(|(a, b)| a == b)
        .count();
    assert!(same < 50, "{same}");
    let sorted = |mut codes: Vec<u32>| {
        codes.sort_unstable();
        codes
    };
    assert_eq!(sorted(before.codes), sorted(after.picks));
}

#[test]
fn noise_has_its_scale() {
    let mut zero = Column::new("x", "float8", Kind::Number);
    (0..20_000).for_each(|_| zero.push(Cell::Number(0.0)));
    for (shape, expected) in [("laplace", 2.0), ("normal", 1.596), ("uniform", 1.0)] {
        let found = made(
            json!({"method": "noise", "scale": 2, "distribution": shape}),
            &zero,
            Target::Real,
        );
        let size = |v: &Option<Value>| match v {
            Some(Value::Number(x)) => x.abs(),
            _ => panic!(),
        };
        let mean = found.values.iter().map(size).sum::<f64>() / 20_000.0;
        assert!((mean / expected - 1.0).abs() < 0.05, "{shape}: {mean}");
    }
}

#[test]
fn pseudonyms_fit_their_column() {
    let frame = people(50);
    let zip = &frame.columns[1];
    let text =
        |target| match &made(json!({"method": "pseudonym", "length": 12}), zip, target).values[0] {
            Some(Value::Text(text)) => text.clone(),
            other => panic!("{other:?}"),
        };
    assert_eq!(text(Target::Text).len(), 12);
    assert!(text(Target::Long).parse::<i64>().is_ok());
    assert_eq!(text(Target::Uuid).len(), 36);
    let without = Wanted {
        column: zip,
        target: Target::Text,
        pseudonyms: None,
    };
    let rule = Rule::from_json("c", &json!("pseudonym")).unwrap();
    let found = rule
        .outputs(&without, &mut Noise::from_seed(1), &mut || ())
        .unwrap();
    assert!(found.values.iter().all(Option::is_none));
}
