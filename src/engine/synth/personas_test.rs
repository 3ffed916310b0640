use super::*;
use crate::frame::{Cell, Kind};
use crate::random::Random;
use crate::synth::{Columns, Params};
use serde_json::json;

/// Three groups of customers, with shares of 0.5, 0.3 and 0.2, and a column that tells nothing.
fn planted(rows: usize) -> (Frame, Vec<usize>) {
    let mut random = Random::new(8);
    let mut columns = vec![
        Column::new("id", "integer", Kind::Number),
        Column::new("spend", "numeric", Kind::Number),
        Column::new("plan", "text", Kind::Category),
        Column::new("active", "boolean", Kind::Boolean),
        Column::new("since", "date", Kind::Time),
        Column::new("noise", "integer", Kind::Number),
    ];
    let day = 86_400_000_000i64;
    let mut groups = Vec::new();
    for row in 0..rows {
        let group = [0, 0, 0, 0, 0, 1, 1, 1, 2, 2][random.below(10)];
        groups.push(group);
        let usual = random.uniform() < 0.9;
        let plan = ["basic", "pro", "team"][if usual { group } else { random.below(3) }];
        let spend = [20.0, 200.0, 100.0][group] + 10.0 * random.normal();
        let cells = [
            Cell::Number(row as f64 + 1.0),
            match group == 2 && random.uniform() < 0.8 {
                true => Cell::Null,
                false => Cell::Number((spend * 100.0).round() / 100.0),
            },
            Cell::Text(plan),
            Cell::Boolean(group != 0),
            Cell::Time(day * ([8000, 4000, 6000][group] + random.below(300) as i64)),
            Cell::Number(random.below(30) as f64),
        ];
        columns
            .iter_mut()
            .zip(cells)
            .for_each(|(c, cell)| c.push(cell));
    }
    (Frame { columns }, groups)
}

#[test]
fn planted_groups_are_found_and_described() {
    let (frame, groups) = planted(3000);
    let found = personas(&frame, &frame, None).unwrap();
    assert_eq!(found.len(), 3, "{found:#?}");
    for (persona, (group, share)) in found.iter().zip([(0, 0.5), (1, 0.3), (2, 0.2)]) {
        assert!((persona.share - share).abs() < 0.03, "{persona:#?}");
        // The row in the middle is one of the group, and a real one.
        let id = persona.typical["id"].as_u64().unwrap() as usize;
        assert_eq!(groups[id - 1], group, "{persona:#?}");
        let plan = ["basic", "pro", "team"][group];
        assert_eq!(persona.typical["plan"], plan);
        assert!(!persona.description.contains("noise"), "{persona:#?}");
        assert!(!persona.description.contains("id "), "{persona:#?}");
        let own = persona.differs.iter().find(|d| d["column"] == "plan");
        let own = own.unwrap();
        assert!(own["value"] == plan && own["share"].as_f64() > own["share_of_all"].as_f64());
    }
    let [basic, pro, team] = &found[..] else {
        panic!("three");
    };
    assert!(basic.description.contains("no active") || basic.description.contains("active false"));
    let spend = pro.differs.iter().find(|d| d["column"] == "spend").unwrap();
    assert!(
        (spend["value"].as_f64().unwrap() - 200.0).abs() < 10.0,
        "{spend}"
    );
    assert!(spend["typical"].as_f64().unwrap() < 100.0, "{spend}");
    assert!(pro.description.contains("spend 2") || pro.description.contains("spend 19"));
    assert!(team.description.contains("spend unknown"), "{team:#?}");
    let mut names: Vec<&str> = found.iter().map(|p| p.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 3);
    // The same rows give the same answer; as many groups as are asked for.
    let again = personas(&frame, &frame, None).unwrap();
    assert_eq!(format!("{found:?}"), format!("{again:?}"));
    let five = personas(&frame, &frame, Some(5)).unwrap();
    assert_eq!(five.len(), 5);
    let whole: f64 = five.iter().map(|p| p.share).sum();
    assert!((whole - 1.0).abs() < 1e-9);
}

#[test]
fn a_synthesizer_has_personas_of_the_rows_it_makes() {
    let (frame, _) = planted(1500);
    let options = json!({"algorithm": "tvae", "epochs": 60, "batch_size": 100});
    let params = Params::from_json(options.as_object().unwrap(), 1500).unwrap();
    let model = Synthesizer::fit(&frame, &Columns::default(), params, &mut |_| true).unwrap();
    let found = model.personas(None, Some(3)).unwrap();
    let plans: std::collections::BTreeSet<String> = found
        .iter()
        .map(|p| p.typical["plan"].to_string())
        .collect();
    assert_eq!(plans.len(), 3, "{found:#?}");
    assert!((found[0].share - 0.5).abs() < 0.12, "{found:#?}");
    let of_rows = model.personas(Some(frame), Some(3)).unwrap();
    assert!((of_rows[0].share - 0.5).abs() < 0.03, "{of_rows:#?}");
}

#[test]
fn rows_that_cannot_be_grouped_are_refused_or_alike() {
    let (frame, _) = planted(200);
    for k in [0, 1, 51, 1000] {
        let error = personas(&frame, &frame, Some(k)).unwrap_err();
        assert!(error.message.contains("from 2 to 50"), "{error}");
    }
    let (few, _) = planted(4);
    assert!(personas(&few, &few, None).is_err());
    let only = |name: &str, frame: &Frame| Frame {
        columns: vec![frame.column(name).unwrap().clone()],
    };
    let ids = only("id", &frame);
    assert!(
        personas(&ids, &ids, None)
            .unwrap_err()
            .message
            .contains("no column")
    );
    // All alike.
    let mut same = Column::new("plan", "text", Kind::Category);
    (0..50).for_each(|_| same.push(Cell::Text("x")));
    let same = Frame {
        columns: vec![same],
    };
    let found = personas(&same, &same, Some(3)).unwrap();
    assert_eq!((found.len(), found[0].share), (1, 1.0));
    assert_eq!(
        (found[0].name.as_str(), found[0].description.as_str()),
        ("typical", "like most")
    );
}
