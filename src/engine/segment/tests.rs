use super::*;

/// Customers of `groups` kinds that differ in numbers and a category, with columns that tell nothing; and the kind of each.
fn planted(rows: usize, groups: usize) -> (Frame, Vec<usize>) {
    let mut random = Random::new(5);
    let mut columns = vec![
        Column::new("id", "integer", Kind::Number),
        Column::new("spend", "numeric", Kind::Number),
        Column::new("visits", "integer", Kind::Number),
        Column::new("plan", "text", Kind::Category),
        Column::new("noise", "numeric", Kind::Number),
        Column::new("more_noise", "numeric", Kind::Number),
        Column::new("weekday", "text", Kind::Category),
        Column::new("churn", "boolean", Kind::Boolean),
    ];
    let spend = [20.0, 200.0, 110.0, 20.0, 200.0];
    let visits = [5.0, 5.0, 30.0, 50.0, 50.0];
    let mut of = Vec::new();
    for row in 0..rows {
        let group = random.below(groups);
        of.push(group);
        let cells = [
            Cell::Number(row as f64 + 1.0),
            match random.uniform() < 0.05 {
                true => Cell::Null,
                false => Cell::Number(spend[group] + 8.0 * random.normal()),
            },
            Cell::Number((visits[group] + 2.0 * random.normal()).round()),
            Cell::Text(["basic", "pro", "team", "team", "pro"][group]),
            Cell::Number(random.normal()),
            Cell::Number(random.normal()),
            Cell::Text(["mon", "tue", "wed"][random.below(3)]),
            Cell::Boolean(random.uniform() < 0.1 + 0.15 * group as f64),
        ];
        columns
            .iter_mut()
            .zip(cells)
            .for_each(|(c, cell)| c.push(cell));
    }
    (Frame { columns }, of)
}

fn params(json: serde_json::Value) -> Params {
    Params::from_json(json.as_object().unwrap()).unwrap()
}

fn wanted() -> Wanted {
    Wanted {
        target: Some("churn".into()),
        ..Wanted::default()
    }
}

fn fitted(frame: &Frame, options: serde_json::Value) -> Clustering {
    Clustering::fit(frame, &wanted(), params(options), &mut |_| true).unwrap()
}

fn of(found: &Clustering, frame: &Frame) -> Vec<usize> {
    let rows: Vec<u32> = (0..frame.rows() as u32).collect();
    found.assign_frame(frame, &rows)
}

#[test]
fn planted_groups_are_found_by_every_algorithm() {
    for groups in [3, 5] {
        let (frame, truth) = planted(1500, groups);
        for algorithm in ["kmeans", "gmm", "hdbscan"] {
            let found = fitted(&frame, serde_json::json!({"algorithm": algorithm}));
            let own = of(&found, &frame);
            // By density some rows have no segment.
            let has: Vec<usize> = (0..own.len()).filter(|row| own[*row] != NONE).collect();
            let least = if algorithm == "hdbscan" { 0.75 } else { 1.0 };
            let share = has.len() as f64 / own.len() as f64;
            let [own, truth] =
                [&own, &truth].map(|all| has.iter().map(|row| all[*row]).collect::<Vec<usize>>());
            let same = silhouette::adjusted_rand(&truth, &own);
            assert!(
                same > 0.95 && share >= least && found.count() == groups,
                "{algorithm}: {same} {share} {:?}",
                found.counts
            );
            let excluded: Vec<&str> = found.excluded.iter().map(|(c, _)| c.as_str()).collect();
            assert_eq!(excluded, ["id"]);
        }
    }
}

#[test]
fn segments_are_told_in_words_and_figures() {
    let (frame, truth) = planted(2000, 3);
    let found = fitted(&frame, serde_json::json!({}));
    let own = of(&found, &frame);
    assert_eq!(found.segments().map(|(_, s)| s.rows).sum::<u64>(), 2000);
    for (number, segment) in found.segments() {
        let rows: Vec<usize> = (0..2000).filter(|row| own[*row] == number).collect();
        assert_eq!(rows.len() as u64, segment.rows);
        let kind = truth[rows[0]];
        assert_eq!(segment.typical["plan"], ["basic", "pro", "team"][kind]);
        assert!(!segment.description.contains("noise"), "{segment:#?}");
        let rate = segment.target.as_ref().unwrap();
        assert!((rate.value.unwrap() - (0.1 + 0.15 * kind as f64)).abs() < 0.06);
        assert!((rate.shares.values().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(!segment.typical.contains_key("churn"));
    }
    let mut names: Vec<&str> = found.segments().map(|(_, s)| s.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 3);
}

#[test]
fn a_row_alone_has_the_segment_it_has_among_others() {
    let (frame, _) = planted(600, 5);
    for algorithm in ["kmeans", "gmm", "hdbscan"] {
        let found = fitted(&frame, serde_json::json!({"algorithm": algorithm}));
        let bytes = found.to_bytes();
        let file = crate::export::write(&bytes, &crate::export::Origin::default(), false).unwrap();
        assert_eq!(crate::export::read(&file).unwrap().bytes, bytes);
        let read = Clustering::from_bytes(&bytes).unwrap();
        let mut scratch = read.scratch();
        let all = of(&found, &frame);
        for row in 0..600 {
            let cells: Vec<Cell<'_>> = read
                .columns()
                .iter()
                .map(|input| frame.column(&input.name).unwrap().cell(row))
                .collect();
            assert_eq!(read.assign(&cells, &mut scratch), all[row]);
            if let Some(p) = read.probabilities(&cells, &mut scratch) {
                assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            }
        }
    }
}

#[test]
fn a_seed_gives_the_same_segments_whatever_the_threads() {
    let (frame, _) = planted(800, 4);
    for algorithm in ["kmeans", "gmm", "hdbscan"] {
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.unwrap().install(|| {
                let mut found = fitted(&frame, serde_json::json!({"algorithm": algorithm}));
                found.fit_seconds = 0.0;
                found.to_bytes()
            })
        };
        assert!(with(1) == with(4), "{algorithm}");
    }
}

#[test]
fn rows_that_lie_alone_have_no_segment_by_density() {
    let (mut frame, _) = planted(1500, 3);
    let spend = frame.columns.iter().position(|c| c.name == "visits");
    // Some rows are far from all others, and from each other.
    let old = frame.columns[spend.unwrap()].clone();
    let mut new = Column::new("visits", "integer", Kind::Number);
    for row in 0..old.len() {
        match row % 100 {
            0 => new.push(Cell::Number(200.0 + 40.0 * (row / 100) as f64)),
            _ => new.push(old.cell(row)),
        }
    }
    frame.columns[spend.unwrap()] = new;
    let found = fitted(&frame, serde_json::json!({"algorithm": "hdbscan"}));
    let own = of(&found, &frame);
    let alone = (0..1500)
        .step_by(100)
        .filter(|row| own[*row] == NONE)
        .count();
    assert!(
        alone > 10,
        "{alone} {:?}",
        found.segments().collect::<Vec<_>>()
    );
    let last = found.segments().last().unwrap();
    assert_eq!((last.0, last.1.name.as_str()), (NONE, "none"));
}

#[test]
fn what_cannot_be_grouped_is_refused_in_words() {
    let refused = |frame: &Frame, options| {
        Clustering::fit(frame, &Wanted::default(), params(options), &mut |_| true)
            .err()
            .map(|e| (e.sqlstate, e.message))
    };
    let column = |cells: Vec<Cell<'_>>| {
        let mut column = Column::new("x", "numeric", Kind::Number);
        cells.into_iter().for_each(|cell| column.push(cell));
        Frame {
            columns: vec![column],
        }
    };
    let none = serde_json::json!({});
    let told = |message: &str| Some(("22023".to_owned(), message.to_owned()));
    assert_eq!(
        refused(&column(vec![Cell::Null; 50]), none.clone()),
        told("there is no column to compare rows by")
    );
    assert_eq!(
        refused(&column(vec![Cell::Number(1.0)]), none.clone()),
        told("1 rows are too few for segments")
    );
    assert_eq!(
        refused(&column(Vec::new()), none.clone()),
        told("0 rows are too few for segments")
    );
    let two: Vec<Cell<'_>> = (0..40).map(|i| Cell::Number(f64::from(i % 2))).collect();
    assert_eq!(
        refused(&column(two.clone()), serde_json::json!({"k": 3})),
        told("there are no 3 different rows")
    );
    assert_eq!(refused(&column(two), none), None);
    let canceled = planted(100, 2).0;
    let canceled = Clustering::fit(
        &canceled,
        &wanted(),
        params(serde_json::json!({})),
        &mut |_| false,
    );
    assert_eq!(canceled.err().unwrap().sqlstate, "57014");
}

#[test]
fn damage_is_noticed() {
    let (frame, _) = planted(200, 3);
    let bytes = fitted(&frame, serde_json::json!({})).to_bytes();
    assert!(Clustering::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    let mut found = fitted(&frame, serde_json::json!({}));
    if let Rule::Centres { centres } = &mut found.rule {
        centres.pop();
    }
    assert!(Clustering::from_bytes(&found.to_bytes()).is_err());
}
