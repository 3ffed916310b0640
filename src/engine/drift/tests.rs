use super::*;
use crate::fit::{Request, fit};
use crate::frame::{Cell, Kind};
use crate::params::Params;
use crate::random::Random;

/// `number` moves by `moved`, `level` has further levels by `new`, and a share `gone` of `gaps` is missing; `same` stays.
fn frame(rows: usize, seed: u64, (moved, new, gone): (f64, usize, f64)) -> Frame {
    let mut columns = [
        Column::new("same", "double precision", Kind::Number),
        Column::new("number", "double precision", Kind::Number),
        Column::new("level", "text", Kind::Category),
        Column::new("gaps", "integer", Kind::Number),
        Column::new("yes", "boolean", Kind::Boolean),
    ];
    let mut random = Random::new(seed);
    for _ in 0..rows {
        let number = random.normal() + moved;
        columns[0].push(Cell::Number(random.normal()));
        columns[1].push(Cell::Number(number));
        let level = format!("level {}", random.below(6 + new));
        columns[2].push(Cell::Text(&level));
        let gap = random.uniform() < gone;
        let value = Cell::Number(random.below(9) as f64);
        columns[3].push(if gap { Cell::Null } else { value });
        columns[4].push(Cell::Boolean(number + 0.5 * random.normal() > 0.0));
    }
    Frame {
        columns: columns.into(),
    }
}

fn model(rows: usize) -> Predictor {
    let options = serde_json::json!({"algorithm": "linear", "seed": 1});
    let params = Params::from_json(options.as_object().unwrap()).unwrap();
    let request = Request::new(frame(rows, 1, (0.0, 0, 0.05)), "yes", params);
    Predictor::new(fit(request, &mut |_| true).unwrap()).unwrap()
}

fn of<'a>(predictor: &Predictor, shifts: &'a [Shift], name: &str) -> &'a Shift {
    let inputs = predictor.artifact().recipe.columns();
    let is = |shift: &&Shift| match shift.of {
        Of::Column(at) => inputs[at].name == name,
        Of::Answers => name == "(prediction)",
        Of::Rows => name == "(rows)",
    };
    shifts.iter().find(is).unwrap()
}

#[test]
fn rows_like_those_of_training_have_not_moved() {
    let predictor = model(4000);
    let (mut below, mut tests, mut auc) = (0, 0, 0.0);
    for seed in 0..40 {
        let new = frame(1000, 100 + seed, (0.0, 0, 0.05));
        for (column, of) in new
            .columns
            .iter()
            .zip(&predictor.artifact().statistics.columns)
        {
            let rows: Vec<u32> = (0..1000).collect();
            let shift = shift(Of::Rows, of, column, &rows);
            assert!(
                shift.psi.unwrap() < 0.1 && shift.js.unwrap() < 0.15,
                "{shift:?}"
            );
            below += usize::from(shift.p_value.unwrap() < 0.1);
            tests += 1;
        }
        if seed < 5 {
            let shifts = drift(&predictor, &new).unwrap();
            auc += of(&predictor, &shifts, "(rows)").statistic.unwrap() / 5.0;
            assert!(
                shifts.iter().all(|s| s.p_value.is_none_or(|p| p > 0.001)),
                "{shifts:?}"
            );
        }
    }
    // One in ten is below 0.1, or fewer, because distances are looked at in few places.
    assert!(tests == 160 && (4..=26).contains(&below), "{below}");
    assert!((0.5..0.53).contains(&auc), "{auc}");
}

#[test]
fn many_levels_have_not_moved_by_being_chosen() {
    let mut random = Random::new(3);
    let mut column = |rows: usize| {
        let mut column = Column::new("city", "text", Kind::Category);
        (0..rows).for_each(|_| column.push(Cell::Text(&format!("{}", random.below(400)))));
        column
    };
    let (before, rows) = (column(40_000), (0..40_000).collect::<Vec<u32>>());
    let of = Distribution::of(&before, &rows, 20);
    let rows: Vec<u32> = (0..20_000).collect();
    let low = (0..40).filter(|_| {
        let shift = shift(Of::Rows, &of, &column(20_000), &rows);
        assert_eq!((shift.novel, shift.missing), (Some(0.0), Some(0.0)));
        shift.p_value.unwrap() < 0.05
    });
    // All are compared with the same rows of training.
    assert!(low.count() < 12);
    let few = Distribution::of(&column(3), &[0, 1, 2], 20);
    assert_eq!(few.before().known(), 3);
}

#[test]
fn the_column_that_moved_is_the_first() {
    let predictor = model(4000);
    let shifts = drift(&predictor, &frame(2000, 7, (0.7, 0, 0.05))).unwrap();
    assert_eq!(shifts.len(), 6);
    let first = &shifts[0];
    assert_eq!(first, of(&predictor, &shifts, "number"));
    assert!(
        first.psi.unwrap() > 0.25 && first.p_value.unwrap() < 1e-6,
        "{first:?}"
    );
    assert!(first.share.unwrap() > 0.8, "{first:?}");
    assert!(of(&predictor, &shifts, "same").psi.unwrap() < 0.05);
    let rows = of(&predictor, &shifts, "(rows)");
    assert!(
        rows.statistic.unwrap() > 0.6 && rows.p_value.unwrap() < 1e-6,
        "{rows:?}"
    );
    // The answers follow the column.
    let answers = of(&predictor, &shifts, "(prediction)");
    assert!(
        answers.psi.unwrap() > 0.2 && answers.p_value.unwrap() < 1e-6,
        "{answers:?}"
    );
}

#[test]
fn new_levels_gaps_and_values_out_of_range_are_counted() {
    let predictor = model(2000);
    let shifts = drift(&predictor, &frame(3000, 8, (0.0, 2, 0.4))).unwrap();
    let level = of(&predictor, &shifts, "level");
    assert!((level.novel.unwrap() - 0.25).abs() < 0.03, "{level:?}");
    assert!(level.psi.unwrap() > 0.25 && level.test.as_deref() == Some("chi2"));
    let gaps = of(&predictor, &shifts, "gaps");
    assert!((gaps.missing.unwrap() - 0.4).abs() < 0.03, "{gaps:?}");
    assert!(
        (gaps.missing_change.unwrap() - 0.35).abs() < 0.03,
        "{gaps:?}"
    );
    assert!(
        gaps.psi.unwrap() > 0.5 && gaps.p_value.unwrap() > 0.001,
        "{gaps:?}"
    );
    let far = drift(&predictor, &frame(3000, 8, (100.0, 0, 1.0))).unwrap();
    let number = of(&predictor, &far, "number");
    assert_eq!((number.novel, number.statistic), (Some(1.0), Some(1.0)));
    assert!(number.js.unwrap() > 0.9, "{number:?}");
    let gaps = of(&predictor, &far, "gaps");
    assert_eq!(
        (gaps.missing, gaps.statistic, gaps.novel),
        (Some(1.0), None, None)
    );
}

#[test]
fn few_values_beyond_the_range_move_little_and_other_values_much() {
    let column = |values: &mut dyn Iterator<Item = f64>| {
        let mut column = Column::new("x", "integer", Kind::Number);
        values.for_each(|x| column.push(Cell::Number(x)));
        column
    };
    let rows: Vec<u32> = (0..1000).collect();
    let of = Distribution::of(&column(&mut (0..1000).map(f64::from)), &rows, 20);
    let wider = column(&mut (0..1000).map(|i| f64::from(i) * 1.03));
    let wider = shift(Of::Rows, &of, &wider, &rows);
    assert!(
        wider.novel.unwrap() > 0.02 && wider.psi.unwrap() < 0.02,
        "{wider:?}"
    );
    let of = Distribution::of(&column(&mut (0..1000).map(|_| 1.0)), &rows, 20);
    let other = shift(Of::Rows, &of, &column(&mut (0..1000).map(|_| 2.0)), &rows);
    assert!(
        other.psi.unwrap() > 5.0 && other.statistic == Some(1.0),
        "{other:?}"
    );
    let same = shift(Of::Rows, &of, &column(&mut (0..1000).map(|_| 1.0)), &rows);
    assert_eq!((same.psi, same.p_value), (Some(0.0), Some(1.0)));
}

#[test]
fn rows_unlike_all_are_novel() {
    let predictor = model(2000);
    let cells = |number: f64, level| {
        [
            Cell::Number(0.1),
            Cell::Number(number),
            Cell::Text(level),
            Cell::Number(4.0),
        ]
    };
    let names: Vec<_> = predictor
        .artifact()
        .recipe
        .columns()
        .iter()
        .map(|c| &*c.name)
        .collect();
    assert_eq!(names, ["same", "number", "level", "gaps"]);
    let usual = predictor.novelty(&cells(0.1, "level 3")).unwrap();
    let new = predictor.novelty(&cells(0.1, "another")).unwrap();
    let far = predictor.novelty(&cells(50.0, "level 3")).unwrap();
    assert!(
        usual < 0.5 && new > 0.9 && far == 1.0,
        "{usual} {new} {far}"
    );
    // Rows of the same kind have every novelty equally often.
    let more = frame(1000, 9, (0.0, 0, 0.05));
    let rows = (0..1000).map(|row| {
        let cells: Vec<Cell<'_>> = more.columns[..4].iter().map(|c| c.cell(row)).collect();
        predictor.novelty(&cells).unwrap()
    });
    let mean = rows.sum::<f64>() / 1000.0;
    assert!((0.4..0.6).contains(&mean), "{mean}");
}

#[test]
fn statistics_are_kept_with_the_model_and_are_small() {
    let predictor = model(2000);
    let artifact = predictor.artifact();
    let bytes = serde_json::to_vec(&artifact.statistics).unwrap();
    assert!(bytes.len() < 4000, "{}", bytes.len());
    let back = crate::artifact::Artifact::from_bytes(&artifact.to_bytes()).unwrap();
    assert_eq!(back.statistics, artifact.statistics);
    let mut broken = back;
    broken.statistics.columns.pop();
    assert!(broken.check().is_err());
    broken.statistics = Statistics::default();
    let old = Predictor::new(broken).unwrap();
    assert_eq!(drift(&old, &frame(100, 2, (0.0, 0, 0.0))), None);
    assert_eq!(old.novelty(&[]), None);
}

/// The figures are scipy's: `ks_2samp(method="asymp")`, `chi2_contingency(correction=False)`, `jensenshannon(base=2)`.
#[test]
fn measures_are_those_of_scipy() {
    let before = [0, 250, 250, 250, 250, 0];
    let (d, p) = measures::kolmogorov_smirnov(&before, &[10, 190, 200, 230, 350, 20]).unwrap();
    assert!(
        (d - 0.12).abs() < 1e-12 && (p / 9.884e-7 - 1.0).abs() < 0.05,
        "{d} {p}"
    );
    let (d, p) = measures::kolmogorov_smirnov(&before, &[0, 60, 48, 45, 47, 0]).unwrap();
    assert!(
        (d - 0.05).abs() < 1e-12 && (p - 0.7787).abs() < 0.02,
        "{d} {p}"
    );
    let cells = measures::pooled(&[500, 300, 150, 2, 0], &[400, 350, 250, 3, 40], false);
    assert_eq!(
        cells,
        [[500.0, 400.0], [300.0, 350.0], [150.0, 250.0], [2.0, 43.0]]
    );
    let (chi, p) = measures::chi_square(&cells).unwrap();
    assert!((chi - 73.314_484_383_066_6).abs() < 1e-9 && (p / 8.323e-16 - 1.0).abs() < 1e-3);
    let js = measures::jensen_shannon(&cells);
    assert!((js - 0.173_210_701_748_907_76).abs() < 1e-12, "{js}");
    let alike = [[500.0, 480.0], [300.0, 330.0], [150.0, 160.0], [12.0, 13.0]];
    let (chi, p) = measures::chi_square(&alike).unwrap();
    assert!((chi - 1.972_810_097_665_356_9).abs() < 1e-9, "{chi}");
    assert!((p - 0.578_069_206_521_992_8).abs() < 1e-9, "{p}");
}

#[test]
fn p_values_are_corrected_by_holm() {
    let mut p = [0.01, 0.04, 0.03, 0.005];
    let mut all: Vec<&mut f64> = p.iter_mut().collect();
    measures::holm(&mut all);
    let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
    assert!(
        close(p[0], 0.03) && close(p[1], 0.06) && close(p[2], 0.06) && close(p[3], 0.02),
        "{p:?}"
    );
}

#[test]
fn few_rows_are_counted_together() {
    let cells = measures::pooled(&[100, 100, 100, 100], &[1, 2, 9, 8], true);
    assert_eq!(cells, [[200.0, 3.0], [100.0, 9.0], [100.0, 8.0]]);
    assert_eq!(measures::pooled(&[0, 3], &[0, 1], true), [[3.0, 1.0]]);
    assert!(measures::pooled(&[0], &[0], false).is_empty());
}

#[test]
fn levels_beyond_those_that_are_kept_are_the_rest() {
    let mut random = Random::new(5);
    let mut column = |rows: usize| {
        let mut column = Column::new("street", "text", Kind::Category);
        (0..rows).for_each(|_| column.push(Cell::Text(&format!("{}", random.below(5000)))));
        column
    };
    let (before, rows) = (column(40_000), (0..40_000).collect::<Vec<u32>>());
    let of = Distribution::of(&before, &rows, 20);
    let same = shift(Of::Rows, &of, &before, &rows);
    let other = shift(Of::Rows, &of, &column(20_000), &rows[..20_000]);
    for shift in [same, other] {
        assert!(shift.psi.unwrap() < 0.1, "{shift:?}");
        assert_eq!(shift.novel, None);
    }
}

#[test]
fn texts_that_are_not_kept_make_no_row_novel() {
    // Many cities have so few rows that they are not kept with the model.
    let town = |rows: usize, seed: u64| {
        let mut frame = frame(rows, seed, (0.0, 0, 0.05));
        let mut random = Random::new(seed);
        let mut city = Column::new("city", "text", Kind::Category);
        for _ in 0..rows {
            let place = (300.0 * random.uniform().powi(3)).floor();
            city.push(Cell::Text(&format!("city {place}")));
        }
        frame.columns.insert(0, city);
        frame
    };
    let options = serde_json::json!({"algorithm": "linear", "seed": 1});
    let params = Params::from_json(options.as_object().unwrap()).unwrap();
    let request = Request::new(town(3000, 1), "yes", params);
    let predictor = Predictor::new(fit(request, &mut |_| true).unwrap()).unwrap();
    let new = town(1000, 9);
    let shifts = drift(&predictor, &new).unwrap();
    let rows = of(&predictor, &shifts, "(rows)");
    assert!(rows.p_value.unwrap() > 0.001, "{rows:?}");
    let names = predictor.artifact().recipe.columns();
    let novel = (0..1000).filter(|row| {
        let cells = names
            .iter()
            .map(|c| new.column(&c.name).unwrap().cell(*row));
        predictor.novelty(&cells.collect::<Vec<_>>()).unwrap() > 0.99
    });
    assert!(novel.count() < 50);
}
