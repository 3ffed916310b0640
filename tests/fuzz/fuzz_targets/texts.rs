//! Columns of texts: numbers with units, dates, spellings, JSON and prose, cleaned and made into inputs.

#![no_main]

use insight_engine::clean::{Clean, CleanParams, dates, numbers, table::Table};
use insight_engine::frame::{Cell, Column, Frame, Kind};
use insight_engine::recipe::Recipe;
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|data: &[u8]| {
    let Some((how, text)) = data.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(text).replace('\0', "");
    let texts: Vec<&str> = text.split('\n').take(200).collect();
    let counted = texts.iter().map(|t| (*t, 1));
    if let Some(format) = dates::Format::find(counted.clone()) {
        texts.iter().for_each(|t| drop(format.read(t)));
    }
    if let Some(format) = numbers::Format::find(counted) {
        texts.iter().for_each(|t| drop(format.read(t)));
    }
    let missing = ["auto", "mode", "drop", "model", "keep"][usize::from(*how) % 5];
    let duplicates = ["near", "exact", "keep"][usize::from(*how) % 3];
    let options = json!({"missing": missing, "duplicates": duplicates, "variants": true, "numbers": true, "dates": true,
        "outliers": "robust", "text": {"trim": true, "case": "fold", "unicode": "nfkc"}});
    let params = CleanParams::from_json(&options, "").expect("options that exist");
    let kinds = [
        ("text", Kind::Category),
        ("jsonb", Kind::Json),
        ("text[]", Kind::Tags),
    ];
    let mut columns = kinds.map(|(type_name, kind)| Column::new(type_name, type_name, kind));
    for text in &texts {
        let tag = format!("{text}\0{}\0", text.len());
        columns[0].push(Cell::Text(text));
        columns[1].push(Cell::Json(text));
        columns[2].push(Cell::Tags(&tag));
    }
    let frame = Frame {
        columns: columns.into(),
    };
    let rows: Vec<u32> = (0..frame.rows() as u32).collect();
    let mut clean = Clean::learn(&frame, &[0, 1, 2], &rows, &[], &params);
    let (mut cleaned, counted) = (frame.clone(), vec![true; rows.len()]);
    let (mut before, _) = clean.replace(&mut cleaned, &counted);
    clean.learn_fills(&cleaned, &rows, &[], &params);
    clean.fill(&mut cleaned, &counted, &mut before);
    for frame in [&frame, &cleaned] {
        let recipe = Recipe::fit(frame, &[0, 1, 2], &rows);
        let _ = recipe.transform(frame, &rows);
        let mut features = recipe.scratch();
        for row in rows.iter().take(3) {
            let cells: Vec<Cell<'_>> = frame
                .columns
                .iter()
                .map(|c| c.cell(*row as usize))
                .collect();
            recipe.apply(&cells, &mut features);
        }
    }
    let table = Table {
        frame,
        keys: Vec::new(),
        identifiers: Vec::new(),
        opaque: Vec::new(),
    };
    let _ = table.clean(&params);
});
