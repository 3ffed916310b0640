//! How long training takes on tables of many columns, phase by phase: numbers of several shapes, some with NULLs, and every tenth
//! column a category; or `repeated`, numbers of which most are others again. Prints a hash of the model as well: it must not change with
//! the number of threads.
//!
//! `cargo run --release --package insight-engine --example wide_speed -- [ROWS] [COLUMNS] [OPTIONS] [DEVICE] [repeated]`

use insight_engine::fit::{Request, fit};
use insight_engine::frame::{Cell, Column, Frame, Kind};
use insight_engine::params::Params;
use insight_engine::random::Random;
use insight_engine::train::{Place, resolve_device};
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, otherwise: usize| {
        let given = arguments.get(at).and_then(|text| text.parse().ok());
        given.unwrap_or(otherwise)
    };
    let (rows, columns) = (number(0, 100_000), number(1, 300));
    let options = arguments
        .get(2)
        .map_or(r#"{"algorithm": "gbdt"}"#, String::as_str);
    let params = serde_json::from_str(options).map(|own| Params::from_json(&own));
    let params = match params {
        Ok(Ok(params)) => params,
        Ok(Err(error)) => return println!("{error}"),
        Err(error) => return println!("{options}: {error}"),
    };
    let device = arguments.get(3).map_or("cpu", String::as_str);
    let device = match resolve_device(device, None) {
        Ok(device) => device,
        Err(error) => return println!("{error}"),
    };
    let table = match arguments.get(4).map(String::as_str) {
        Some("repeated") => repeated(rows, columns),
        _ => table(rows, columns),
    };
    let mut request = Request::new(table, "target", params);
    request.device = Place::on(device);
    let started = Instant::now();
    let mut phases: Vec<(String, f64)> = Vec::new();
    let mut rounds = 0;
    let artifact = fit(request, &mut |progress| {
        if phases
            .last()
            .is_none_or(|(name, _)| *name != progress.phase)
        {
            phases.push((progress.phase.clone(), started.elapsed().as_secs_f64()));
        }
        rounds = rounds.max(progress.epoch);
        true
    });
    let end = started.elapsed().as_secs_f64();
    let mut artifact = match artifact {
        Ok(artifact) => artifact,
        Err(error) => return println!("{error}"),
    };
    let speeds = artifact.history.iter().map(|epoch| epoch.rows_per_second);
    let fastest = speeds.fold(0.0, f64::max);
    let losses = artifact.history.iter().filter_map(|e| e.validation_loss);
    let loss = losses.fold(f64::INFINITY, f64::min);
    // All but the times.
    let provenance = &mut artifact.provenance;
    (provenance.fit_seconds, provenance.predict_seconds) = (0.0, 0.0);
    for epoch in &mut artifact.history {
        (epoch.seconds, epoch.rows_per_second) = (0.0, 0.0);
    }
    print!("{rows} rows, {columns} columns, {options}:");
    for (at, (name, from)) in phases.iter().enumerate() {
        let to = phases.get(at + 1).map_or(end, |(_, from)| *from);
        print!(" {name} {:.2} s,", to - from);
    }
    println!(
        " {rounds} rounds, {fastest:.0} rows/s at most, validation loss {loss:.6}, model {:016x}",
        hash(&artifact.to_bytes())
    );
}

fn table(rows: usize, columns: usize) -> Frame {
    let mut random = Random::new(1);
    let mut sums = vec![0.0; rows];
    let mut frame = Frame::default();
    for at in 0..columns {
        let category = at % 10 == 9;
        let kind = if category {
            Kind::Category
        } else {
            Kind::Number
        };
        let type_name = if category { "text" } else { "double precision" };
        let mut column = Column::new(format!("c{at}"), type_name, kind);
        let levels = [3, 12, 150][at / 10 % 3];
        for sum in &mut sums {
            let (normal, level) = (random.normal(), random.below(levels));
            if at < 20 {
                *sum += if category {
                    level as f64 / levels as f64
                } else {
                    normal
                };
            }
            let name = format!("level {level}");
            column.push(match at % 10 {
                9 => Cell::Text(&name),
                8 | 7 if random.uniform() < 0.1 => Cell::Null,
                8 | 6 => Cell::Number((normal + 5.0).exp()),
                5 => Cell::Number((4.0 * normal).round()),
                _ => Cell::Number(normal),
            });
        }
        frame.columns.push(column);
    }
    let mut target = Column::new("target", "boolean", Kind::Boolean);
    let noisy = sums.iter().map(|sum| sum + 3.0 * random.normal() > 0.0);
    noisy.for_each(|yes| target.push(Cell::Boolean(yes)));
    frame.columns.push(target);
    frame
}

/// Column n is the same as column n + 97.
fn repeated(rows: usize, columns: usize) -> Frame {
    let mut frame = Frame::default();
    for at in 1..=columns {
        let mut column = Column::new(format!("c{at}"), "real", Kind::Number);
        (1..=rows).for_each(|row| column.push(Cell::Number((row * at % 97) as f64)));
        frame.columns.push(column);
    }
    let mut target = Column::new("target", "boolean", Kind::Boolean);
    (1..=rows).for_each(|row| target.push(Cell::Boolean(row % 97 > 40)));
    frame.columns.push(target);
    frame
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
