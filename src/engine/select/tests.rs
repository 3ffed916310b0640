use super::*;
use crate::frame::{Cell, Column, Kind};
use crate::random::Random;

/// Two numbers and a category that matter, by a rule that is a sum, and five that do not.
fn table(rows: usize, classes: usize) -> (Frame, Truth) {
    let mut random = Random::new(17);
    let number = |name: &str| Column::new(name, "float8", Kind::Number);
    let mut columns = vec![
        number("a"),
        number("b"),
        Column::new("c", "text", Kind::Category),
    ];
    columns.extend((0..4).map(|i| number(&format!("noise {i}"))));
    columns.push(Column::new("noise 4", "text", Kind::Category));
    let mut sums = Vec::new();
    for _ in 0..rows {
        let (a, b, c) = (random.normal(), random.normal(), random.below(3));
        columns[0].push(Cell::Number(a));
        columns[1].push(Cell::Number(b));
        columns[2].push(Cell::Text(["x", "y", "z"][c]));
        (3..7).for_each(|i| columns[i].push(Cell::Number(random.normal())));
        columns[7].push(Cell::Text(&format!("level {}", random.below(40))));
        sums.push(a - 0.7 * b + c as f64 + 0.7 * random.normal());
    }
    let truth = match classes {
        0 => Truth::Values(sums),
        _ => Truth::Classes(
            sums.iter()
                .map(|sum| ((sum + 0.5) as i64).clamp(0, classes as i64 - 1) as u32)
                .collect(),
        ),
    };
    (Frame { columns }, truth)
}

/// Which columns a method keeps.
fn kept(classes: usize, method: impl Fn(&Sample<'_>) -> Vec<Judgement>) -> Vec<bool> {
    let (frame, truth) = table(3000, classes);
    let (train, validation): (Vec<u32>, Vec<u32>) = (0..3000).partition(|row| row % 4 > 0);
    let of = |rows: &[u32]| match &truth {
        Truth::Classes(codes) => Truth::Classes(rows.iter().map(|r| codes[*r as usize]).collect()),
        Truth::Values(values) => Truth::Values(rows.iter().map(|r| values[*r as usize]).collect()),
        other => other.clone(),
    };
    let judgements = method(&Sample {
        frame: &frame,
        columns: &[0, 1, 2, 3, 4, 5, 6, 7],
        train: &train,
        validation: &validation,
        truth: &of(&train),
        held_out: &of(&validation),
        classes,
        how: &Preparation::default(),
        seed: 5,
    });
    assert!(
        judgements
            .iter()
            .all(|j| !j.reason.is_empty() && j.score.is_finite())
    );
    judgements.iter().map(|j| j.keep).collect()
}

#[test]
fn every_method_keeps_what_matters_and_little_else() {
    for classes in [0, 2, 4] {
        let found = [
            kept(classes, l1),
            kept(classes, permutation),
            kept(classes, |sample| boruta(sample, &mut || true)),
        ];
        for (method, kept) in ["l1", "permutation", "boruta"].iter().zip(found) {
            assert_eq!(
                kept[..3],
                [true; 3],
                "{method}, {classes} classes: {kept:?}"
            );
            let noise = kept[3..].iter().filter(|kept| **kept).count();
            // A coefficient for one of several classes is enough to stay.
            let allowed = 1 + usize::from(*method == "l1" && classes > 2);
            assert!(noise <= allowed, "{method}, {classes} classes: {kept:?}");
        }
    }
}

#[test]
fn stopping_early_leaves_nothing_out() {
    assert_eq!(kept(2, |sample| boruta(sample, &mut || false)), [true; 8]);
}
