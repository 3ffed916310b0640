use super::*;
use crate::calendar;
use serde_json::json;

fn rule(json: Json) -> Rule {
    Rule::from_json("c", &json).unwrap()
}

#[test]
fn rules_are_checked() {
    for bad in [
        json!("hash"),
        json!(3),
        json!({}),
        json!({"method": "mask", "width": 2}),
        json!({"method": "mask", "with": "xx"}),
        json!({"method": "generalize"}),
        json!({"method": "generalize", "width": 2, "unit": "year"}),
        json!({"method": "generalize", "width": 0}),
        json!({"method": "generalize", "keep": 2, "level": 1}),
        json!({"method": "generalize", "unit": "century"}),
        json!({"method": "generalize", "hierarchy": {"a": []}}),
        json!({"method": "top_code"}),
        json!({"method": "top_code", "max": "soon"}),
        json!({"method": "noise"}),
        json!({"method": "noise", "scale": -1}),
        json!({"method": "pseudonym", "length": 4}),
        json!({"method": "suppress", "value": []}),
    ] {
        let error = Rule::from_json("c", &bad).unwrap_err();
        assert!(!error.hint.is_empty(), "{bad}");
    }
    assert_eq!(rule(json!("keep")), Rule::Keep);
    assert_eq!(rule(json!("suppress")), Rule::Suppress { with: None });
}

#[test]
fn texts_are_masked_and_cut() {
    let masked = |json, text: &str| match rule(json).apply(&Value::Text(text.into())) {
        Value::Text(text) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        masked(json!({"method": "mask", "keep": 2}), "+4915112345"),
        "+4*********"
    );
    assert_eq!(
        masked(
            json!({"method": "mask", "keep_end": 4, "with": "x"}),
            "4111222233334444"
        ),
        "xxxxxxxxxxxx4444"
    );
    // A short text would be given out whole.
    assert_eq!(
        masked(json!({"method": "mask", "keep": 2, "keep_end": 2}), "Anna"),
        "****"
    );
    assert_eq!(
        masked(json!({"method": "generalize", "keep": 3}), "94105"),
        "941**"
    );
    let places =
        json!({"method": "generalize", "level": 1, "hierarchy": {"Rome": ["Italy", "Europe"]}});
    assert_eq!(masked(places.clone(), "Rome"), "Italy");
    assert_eq!(masked(places, "Atlantis"), "*");
}

#[test]
fn numbers_and_times_become_ranges() {
    let width = rule(json!({"method": "generalize", "width": 10}));
    let Value::Range { low, high, .. } = width.apply(&Value::Number(-3.0)) else {
        panic!()
    };
    assert_eq!((low, high), (-10.0, 0.0));
    let at = calendar::days(2024, 12, 31).unwrap() * DAY + 5;
    for (unit, expected, from, to) in [
        ("day", "2024-12-31", (2024, 12, 31), (2025, 1, 1)),
        ("week", "2024-12-30", (2024, 12, 30), (2025, 1, 6)),
        ("month", "2024-12", (2024, 12, 1), (2025, 1, 1)),
        ("quarter", "2024-Q4", (2024, 10, 1), (2025, 1, 1)),
        ("year", "2024", (2024, 1, 1), (2025, 1, 1)),
        ("decade", "2020s", (2020, 1, 1), (2030, 1, 1)),
    ] {
        let Value::Span {
            low, high, label, ..
        } = rule(json!({"method": "generalize", "unit": unit})).apply(&Value::Time(at))
        else {
            panic!()
        };
        let day = |(y, m, d)| calendar::days(y, m, d).unwrap() * DAY;
        assert_eq!((label.as_str(), low, high), (expected, day(from), day(to)));
    }
    let top = rule(json!({"method": "top_code", "max": 100, "min": 10}));
    for (x, expected) in [(500.0, 100.0), (1.0, 10.0), (50.0, 50.0)] {
        assert_eq!(top.apply(&Value::Number(x)), Value::Number(expected));
    }
    let top = rule(json!({"method": "top_code", "min": "1940-01-01"}));
    assert_eq!(
        top.apply(&Value::Time(i64::MIN / 2)),
        Value::Time(calendar::days(1940, 1, 1).unwrap() * DAY)
    );
}

#[test]
fn a_rule_knows_what_it_can_be_used_for() {
    let width = rule(json!({"method": "generalize", "width": 10}));
    assert_eq!(
        width.reading("c", Reading::Number),
        Ok(Some(Reading::Number))
    );
    assert!(width.reading("c", Reading::Text).is_err());
    assert!(
        rule(json!({"method": "noise", "scale": 1}))
            .reading("c", Reading::Boolean)
            .is_err()
    );
    assert!(
        rule(json!({"method": "top_code", "max": 1}))
            .reading("c", Reading::Time)
            .is_err()
    );
    assert_eq!(
        rule(json!("pseudonym")).reading("c", Reading::Number),
        Ok(Some(Reading::Text))
    );
}
