//! What is told of columns, and what is not.

use super::*;
use crate::frame::Kind;
use crate::random::Random;

fn column(type_name: &str, kind: Kind, cells: &[Cell<'_>]) -> Values {
    let mut column = Values::new("c", type_name, kind);
    cells.iter().for_each(|cell| column.push(*cell));
    column
}

fn cost(noise_multiplier: f64) -> Cost {
    Cost {
        noise_multiplier,
        delta: 1e-6,
        rows_per_unit: 1,
    }
}

fn one(column: &Values, asked: Asked, noise: f64) -> Marginals {
    let rows: Vec<u32> = (0..column.len() as u32).collect();
    let columns = [Column {
        column,
        asked,
        listed: &[],
    }];
    let found = ask(&columns, &rows, &cost(noise), &mut Noise::from_seed(5));
    found.expect("there is noise").remove(0)
}

#[test]
fn common_texts_are_found_and_rare_ones_are_not_told() {
    let mut cells = vec![Cell::Text("often"); 3000];
    cells.extend(vec![Cell::Text("at times"); 900]);
    cells.extend(vec![Cell::Null; 700]);
    cells.extend([Cell::Text("canary"), Cell::Text("pair"), Cell::Text("pair")]);
    let found = one(&column("text", Kind::Category, &cells), Asked::Levels, 20.0);
    let names: Vec<&str> = found.levels.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["at times", "often"]);
    assert!((found.levels[1].1 - 3000.0).abs() < 120.0 && (found.missing - 700.0).abs() < 120.0);
}

#[test]
fn levels_that_are_known_are_counted_however_rare_and_no_others() {
    let mut cells = vec![Cell::Text("often"); 3000];
    cells.extend([Cell::Text("seldom"), Cell::Text("canary")]);
    let own = column("text", Kind::Category, &cells);
    let listed = ["never".to_owned(), "often".into(), "seldom".into()];
    let columns = [Column {
        column: &own,
        asked: Asked::Levels,
        listed: &listed,
    }];
    let rows: Vec<u32> = (0..own.len() as u32).collect();
    let found = ask(&columns, &rows, &cost(5.0), &mut Noise::from_seed(5));
    let levels = found.expect("there is noise").remove(0).levels;
    let names: Vec<&str> = levels.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["never", "often", "seldom"]);
    assert!((levels[1].1 - 3000.0).abs() < 40.0 && levels.iter().all(|l| l.1 >= 0.0));
}

#[test]
fn a_text_of_one_row_is_told_with_a_probability_below_delta() {
    let cells = [Cell::Text("canary")];
    let own = column("text", Kind::Category, &cells);
    let cost = Cost {
        noise_multiplier: 3.0,
        delta: 0.05,
        rows_per_unit: 1,
    };
    let mut noise = Noise::from_seed(6);
    let mut told = 0;
    for _ in 0..20_000 {
        let columns = [Column {
            column: &own,
            asked: Asked::Levels,
            listed: &[],
        }];
        let found = ask(&columns, &[0], &cost, &mut noise).expect("there is noise");
        told += usize::from(!found[0].levels.is_empty());
    }
    assert!(told < 1000, "{told} of 20000");
}

#[test]
fn numbers_are_distributed_about_as_they_were() {
    let mut random = Random::new(9);
    let ages: Vec<f64> = (0..5000)
        .map(|_| (45.0 + 12.0 * random.normal()).clamp(18.0, 90.0).floor())
        .collect();
    let amounts: Vec<f64> = (0..5000)
        .map(|_| (6.0 + 1.5 * random.normal()).exp())
        .collect();
    let years: Vec<f64> = (0..5000)
        .map(|_| 1990.0 + (30.0 * random.uniform()).floor())
        .collect();
    for (values, whole, close) in [
        (ages, true, 0.15),
        (amounts, false, 0.5),
        (years, true, 3.0),
    ] {
        let cells: Vec<Cell<'_>> = values.iter().map(|x| Cell::Number(*x)).collect();
        let name = if whole { "integer" } else { "double precision" };
        let found = one(&column(name, Kind::Number, &cells), Asked::Numbers, 10.0);
        let median = |v: &[f64]| {
            let mut v = v.to_vec();
            v.sort_by(f64::total_cmp);
            (v[v.len() / 2], v[v.len() / 4], v[3 * v.len() / 4])
        };
        let (own, was) = (median(&found.values), median(&values));
        let range = was.2 - was.1;
        assert!((own.0 - was.0).abs() < close * range, "{own:?} {was:?}");
        assert_eq!(found.missing, 0.0);
    }
}

#[test]
fn times_are_found_to_a_quarter() {
    let day = 86_400_000_000i64;
    let cells: Vec<Cell<'_>> = (0..2000)
        .map(|i| Cell::Time((7000 + i % 700) * day))
        .collect();
    let found = one(&column("date", Kind::Time, &cells), Asked::Times, 5.0);
    let (first, last) = (found.values[0], found.values[found.values.len() - 1]);
    assert!(
        (first / day as f64 - 7000.0).abs() < 182.0 && (last / day as f64 - 7700.0).abs() < 182.0
    );
}

#[test]
fn too_much_noise_finds_nothing() {
    let cells = vec![Cell::Number(7.0); 50];
    let own = column("integer", Kind::Number, &cells);
    assert_eq!(one(&own, Asked::Numbers, 100.0).values, Vec::<f64>::new());
}

#[test]
fn projected_counts_keep_their_sum_and_are_not_negative() {
    let counts = [10.0, -3.0, 4.0, 0.5, -0.5];
    let made = projected(&counts);
    assert!((made.iter().sum::<f64>() - 11.0).abs() < 1e-9, "{made:?}");
    assert!(made.iter().all(|c| *c >= 0.0) && made[0] > made[2] && made[1] == 0.0);
    assert_eq!(projected(&[-1.0, 0.5]), [0.0, 0.0]);
    assert_eq!(projected(&[1.0, 2.0]), [1.0, 2.0]);
}

#[test]
fn far_quantiles_are_right() {
    assert!((upper_quantile(0.025) - 1.959_964).abs() < 1e-5);
    assert!((upper_quantile(1e-9) - 5.997_807).abs() < 1e-5);
}
