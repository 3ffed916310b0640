use super::*;
use crate::sample;

/// Columns of the sample whose truth is known, the target last.
fn frame(rows: i64) -> Frame {
    let mut id = Column::new("customer_id", "bigint", Kind::Number);
    let mut signup = Column::new("signup_date", "date", Kind::Time);
    let mut tenure = Column::new("tenure_months", "integer", Kind::Number);
    let mut colour = Column::new("favourite_colour", "text", Kind::Category);
    let mut income = Column::new("income", "double precision", Kind::Number);
    let mut again = Column::new("months", "integer", Kind::Number);
    let mut fee = Column::new("cancellation_fee", "numeric", Kind::Number);
    let mut churn = Column::new("churn", "boolean", Kind::Boolean);
    for c in sample::customers(rows, 42) {
        id.push(Cell::Number(c.customer_id as f64));
        signup.push(Cell::Time(i64::from(c.signup_date) * 86_400_000_000));
        tenure.push(Cell::Number(f64::from(c.tenure_months)));
        colour.push(Cell::Text(c.favourite_colour));
        income.push(c.income.map_or(Cell::Null, Cell::Number));
        again.push(Cell::Number(f64::from(c.tenure_months)));
        fee.push(Cell::Number(c.cancellation_fee as f64));
        churn.push(Cell::Boolean(c.churn));
    }
    Frame {
        columns: vec![id, signup, tenure, colour, income, again, fee, churn],
    }
}

fn of<'a>(profile: &'a Profile, name: &str) -> &'a ColumnProfile {
    profile.columns.iter().find(|c| c.name == name).unwrap()
}

#[test]
fn the_truth_about_the_sample_is_found() {
    let profile = profile(&frame(5000), Some(7), Some(1));
    let p = |name: &str| of(&profile, name).association.unwrap().p_value;
    assert!(matches!(
        of(&profile, "customer_id").unfit,
        Some(Unfit::Identifier(_))
    ));
    assert_eq!(p("tenure_months"), 0.005);
    assert!(p("favourite_colour") > 0.05, "the colour is useless");
    assert!(of(&profile, "cancellation_fee").leak.is_some());
    assert!(of(&profile, "tenure_months").leak.is_none());
    assert_eq!(
        of(&profile, "months").duplicate_of.as_deref(),
        Some("tenure_months")
    );
    assert!(of(&profile, "income").advice.contains("missing"));
    assert!(
        of(&profile, "tenure_months").drift.unwrap() > 1.0,
        "it is the time since"
    );
    assert!(of(&profile, "favourite_colour").drift.unwrap() < 0.05);
    assert_eq!(of(&profile, "churn").association, None);
    assert!(profile.columns.iter().all(|c| !c.advice.is_empty()));
}

#[test]
fn rows_that_differ_only_in_an_identifier_are_duplicates() {
    let mut id = Column::new("id", "integer", Kind::Number);
    let mut city = Column::new("city", "text", Kind::Category);
    let mut rare = Column::new("rare", "boolean", Kind::Boolean);
    for i in 0..200 {
        id.push(Cell::Number(f64::from(i)));
        city.push(Cell::Text(["Rome", "rome", "Oslo", "Bonn"][i as usize % 4]));
        rare.push(Cell::Boolean(i % 50 == 0));
    }
    let frame = Frame {
        columns: vec![id, city, rare],
    };
    let profile = profile(&frame, Some(2), None);
    let rows = |name: &str| profile.findings.iter().find(|f| f.name == name).unwrap();
    assert_eq!(rows("duplicate rows").rows, 194);
    assert_eq!(rows("near-duplicate rows").rows, 1);
    assert_eq!(rows("class balance").rows, 4);
    assert!(rows("class balance").advice.contains("class_weight"));
}

#[test]
fn nothing_and_next_to_nothing_can_be_profiled() {
    assert_eq!(profile(&Frame::default(), None, None).rows, 0);
    for cells in [vec![], vec![Cell::Null], vec![Cell::Number(1.0)]] {
        let mut column = Column::new("x", "integer", Kind::Number);
        cells.iter().for_each(|c| column.push(*c));
        let frame = Frame {
            columns: vec![
                column.clone(),
                Column {
                    name: "y".into(),
                    ..column
                },
            ],
        };
        let profile = profile(&frame, Some(1), None);
        assert_eq!((profile.rows, profile.columns.len()), (cells.len(), 2));
    }
}

#[test]
fn what_repeats_itself_every_few_rows_hides_no_leak() {
    let mut paid = Column::new("paid", "numeric", Kind::Number);
    let mut churn = Column::new("churn", "boolean", Kind::Boolean);
    // A sample of each fifth row would have but one of both answers.
    for i in 0..250_000 {
        paid.push(Cell::Number(f64::from(i % 5)));
        churn.push(Cell::Boolean(i % 5 == 0));
    }
    let frame = Frame {
        columns: vec![paid, churn],
    };
    let profile = profile(&frame, Some(1), None);
    assert!(of(&profile, "paid").leak.is_some());
    assert_eq!(of(&profile, "paid").association.unwrap().p_value, 0.005);
}
