use super::*;
use crate::frame;

const TODAY: i64 = 9131;

fn best(name: &str, sort: Sort, values: &[&str]) -> Option<(Kind, f64)> {
    judge(name, sort, values, TODAY)
        .first()
        .map(|f| (f.kind, f.confidence))
}

fn is(name: &str, sort: Sort, values: &[&str], kind: Kind, at_least: f64) {
    let found = judge(name, sort, values, TODAY);
    assert!(
        found
            .first()
            .is_some_and(|f| f.kind == kind && f.confidence >= at_least),
        "{name}: {found:?}"
    );
}

#[test]
fn values_tell_without_a_name() {
    is(
        "a",
        Sort::Text,
        &["ann@example.com", "bob@example.com", "x.y@mail.org"],
        Kind::Email,
        0.9,
    );
    is(
        "a",
        Sort::Text,
        &["4111111111111111", "5555555555554444", "378282246310005"],
        Kind::Card,
        0.9,
    );
    is(
        "a",
        Sort::Text,
        &["GB82WEST12345698765432", "DE89370400440532013000"],
        Kind::Iban,
        0.9,
    );
    is(
        "a",
        Sort::Text,
        &["536-90-4399", "123-45-6789", "219-09-9999"],
        Kind::NationalNumber,
        0.8,
    );
    is(
        "a",
        Sort::Text,
        &["+49 171 1234567", "+1 415 555 2671", "+33 6 12 34 56 78"],
        Kind::Phone,
        0.9,
    );
    is(
        "a",
        Sort::Text,
        &["192.168.0.1", "10.0.0.7"],
        Kind::IpAddress,
        0.9,
    );
    is(
        "a",
        Sort::Text,
        &["12 High Street", "7 Baker St", "Hauptstraße 5"],
        Kind::Address,
        0.85,
    );
    is(
        "a",
        Sort::Text,
        &["48.8583, 2.2945", "52.5200, 13.4050"],
        Kind::Coordinates,
        0.8,
    );
    is(
        "a",
        Sort::Text,
        &["Ann Smith", "Jürgen Müller", "Peter Lang", "Olga Popov"],
        Kind::Name,
        0.8,
    );
}

#[test]
fn names_of_columns_help_where_values_fit() {
    is(
        "phone",
        Sort::Number,
        &["4155552671", "2125550199"],
        Kind::Phone,
        0.7,
    );
    is(
        "lat",
        Sort::Number,
        &["48.85", "-12.5"],
        Kind::Coordinates,
        0.6,
    );
    is(
        "zip",
        Sort::Text,
        &["94105", "10115"],
        Kind::PostalCode,
        0.7,
    );
    is(
        "born",
        Sort::Time,
        &["1980-01-01", "1950-05-06"],
        Kind::DateOfBirth,
        0.8,
    );
    is(
        "birth_year",
        Sort::Number,
        &["1980", "1950"],
        Kind::DateOfBirth,
        0.8,
    );
    is(
        "surname",
        Sort::Text,
        &["Xu", "Okonkwo", "Ivanova"],
        Kind::Name,
        0.7,
    );
    is(
        "passport",
        Sort::Text,
        &["C01X00T47", "P1234567"],
        Kind::Passport,
        0.7,
    );
    is("email", Sort::Text, &[], Kind::Email, 0.3);
}

#[test]
fn ordinary_columns_hold_nothing() {
    let dates = ["2024-01-15", "2024-02-20", "2023-12-01"];
    assert_eq!(best("ordered_at", Sort::Time, &dates), None);
    assert_eq!(
        best("plan", Sort::Text, &["Basic", "Premium", "Basic"]),
        None
    );
    assert_eq!(best("amount", Sort::Number, &["12.5", "100", "7"]), None);
    assert_eq!(best("customer_id", Sort::Number, &["1", "2", "3"]), None);
    assert_eq!(best("phone", Sort::Other, &["true", "false"]), None);
    assert_eq!(best("email_sent", Sort::Number, &["1", "0"]), None);
    let random = [
        "8f14e45f-ceea-4f7a-9c2d-1a2b3c4d5e6f",
        "c9f0f895-fb98-4b91-99f1-7a6b5c4d3e2f",
    ];
    assert_eq!(best("token", Sort::Text, &random), None);
    let ids: Vec<String> = (0..200)
        .map(|i| (100_000_000 + i * 7919).to_string())
        .collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    assert_eq!(best("id", Sort::Number, &ids), None);
}

#[test]
fn a_dozen_of_dates_without_a_name_is_a_guess() {
    let dates: Vec<String> = (0..60).map(|i| format!("{}-03-01", 1940 + i)).collect();
    let dates: Vec<&str> = dates.iter().map(String::as_str).collect();
    let (kind, confidence) = best("d", Sort::Time, &dates).unwrap();
    assert!(kind == Kind::DateOfBirth && confidence < BELIEVED);
}

#[test]
fn texts_are_looked_into_and_values_never_told() {
    let found = judge(
        "note",
        Sort::Text,
        &[
            "please call +14155552671 now",
            "was here",
            "asked for ann@example.com today",
        ],
        TODAY,
    );
    let kinds: Vec<Kind> = found.iter().map(|f| f.kind).collect();
    assert!(kinds.contains(&Kind::Phone) && kinds.contains(&Kind::Email));
    assert!(
        found
            .iter()
            .all(|f| !f.evidence.contains("ann@") && !f.evidence.contains("4155"))
    );
}

#[test]
fn confidence_stays_within_its_range_and_rises_with_the_share() {
    let mixed = |n: usize| {
        let values: Vec<&str> = (0..20)
            .map(|i| if i < n { "ann@example.com" } else { "none" })
            .collect();
        judge("x", Sort::Text, &values, TODAY)
            .first()
            .map_or(0.0, |f| f.confidence)
    };
    assert!(mixed(1) < mixed(5) && mixed(5) < mixed(10) && mixed(20) <= 1.0);
    assert_eq!(mixed(0), 0.0);
}

#[test]
fn columns_of_a_frame_that_name_people_are_found() {
    let mut email = Column::new("contact", "text", frame::Kind::Category);
    let mut age = Column::new("age", "integer", frame::Kind::Number);
    for i in 0..3000 {
        let text = format!("user{i}@example.com");
        email.push(Cell::Text(&text));
        age.push(Cell::Number(f64::from(i % 90)));
    }
    let found = direct([&email, &age].into_iter());
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].0.as_str(), found[0].1.kind),
        ("contact", Kind::Email)
    );
}
