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
    Clustering::fit(frame, &wanted(), params(options), None, &mut |_| true).unwrap()
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
            let dense = algorithm == "hdbscan";
            let least = if dense { 0.75 } else { 1.0 };
            // Those whose spending is unknown lie apart, too.
            let most = groups + usize::from(dense);
            let share = has.len() as f64 / own.len() as f64;
            let [own, truth] =
                [&own, &truth].map(|all| has.iter().map(|row| all[*row]).collect::<Vec<usize>>());
            let same = silhouette::adjusted_rand(&truth, &own);
            assert!(
                same > 0.9 && share >= least && (groups..=most).contains(&found.count()),
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
    // Some rows lie between the groups, and far from each other.
    for (name, low, step) in [("spend", 50.0, 3.0), ("visits", 12.0, 0.5)] {
        let at = frame.columns.iter().position(|c| c.name == name).unwrap();
        let old = frame.columns[at].clone();
        frame.columns[at] = Column::new(name, &old.type_name, Kind::Number);
        for row in 0..old.len() {
            frame.columns[at].push(match row % 100 {
                0 => Cell::Number(low + step * (row / 100) as f64),
                _ => old.cell(row),
            });
        }
    }
    let found = fitted(&frame, serde_json::json!({"algorithm": "hdbscan"}));
    let own = of(&found, &frame);
    let alone = (0..1500)
        .step_by(100)
        .filter(|row| own[*row] == NONE)
        .count();
    assert!(
        alone >= 5,
        "{alone} {:?}",
        found.segments().collect::<Vec<_>>()
    );
    let last = found.segments().last().unwrap();
    assert_eq!((last.0, last.1.name.as_str()), (NONE, "none"));
}

#[test]
fn what_cannot_be_grouped_is_refused_in_words() {
    let refused = |frame: &Frame, options| {
        Clustering::fit(
            frame,
            &Wanted::default(),
            params(options),
            None,
            &mut |_| true,
        )
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
        None,
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

#[test]
fn rows_are_alike_where_a_model_says_so() {
    use crate::fit::{Request, fit};
    // Who leaves is told by the visits alone; spending and the plan make groups of their own.
    let (mut frame, _) = planted(1500, 3);
    let at = |name: &str| frame.columns.iter().position(|c| c.name == name).unwrap();
    let (visits, churn) = (at("visits"), at("churn"));
    let mut random = Random::new(9);
    let mut new = Column::new("churn", "boolean", Kind::Boolean);
    let mut leaves = Vec::new();
    for row in 0..1500 {
        let many = matches!(frame.columns[visits].cell(row), Cell::Number(x) if x > 15.0);
        leaves.push(usize::from(many));
        new.push(Cell::Boolean(
            random.uniform() < if many { 0.95 } else { 0.05 },
        ));
    }
    frame.columns[churn] = new;
    for (algorithm, learned) in [("mlp", true), ("dnn", true), ("gbdt", false)] {
        let options = serde_json::json!({"algorithm": algorithm, "epochs": 15});
        let options = match learned {
            true => options,
            false => serde_json::json!({"algorithm": algorithm}),
        };
        let own = crate::params::Params::from_json(options.as_object().unwrap()).unwrap();
        let mut request = Request::new(frame.clone(), "churn", own);
        request.frame.columns.retain(|c| c.name != "id");
        let model = fit(request, &mut |_| true).unwrap();
        let found = Clustering::fit(
            &frame,
            &wanted(),
            params(serde_json::json!({"k": 2})),
            Some(model),
            &mut |_| true,
        );
        let found = found.unwrap();
        assert_eq!(found.is_learned(), learned);
        let found = Clustering::from_bytes(&found.to_bytes()).unwrap();
        let same = silhouette::adjusted_rand(&leaves, &of(&found, &frame));
        assert!(same > 0.9, "{algorithm}: {same}");
        let mut scratch = found.scratch();
        let own = of(&found, &frame);
        for row in 0..50 {
            let inputs = found.columns().iter();
            let cells: Vec<Cell<'_>> = inputs
                .map(|input| frame.column(&input.name).unwrap().cell(row))
                .collect();
            assert_eq!(found.assign(&cells, &mut scratch), own[row]);
        }
    }
}

#[test]
fn nothing_is_told_of_a_segment_of_few_rows() {
    let (frame, _) = planted(60, 2);
    let found = fitted(&frame, serde_json::json!({"k": 20}));
    let few: Vec<&Segment> = found
        .segments()
        .map(|(_, s)| s)
        .filter(|s| s.rows < 5)
        .collect();
    assert!(
        !few.is_empty(),
        "{:?}",
        found.segments().collect::<Vec<_>>()
    );
    for own in few {
        assert_eq!(own.description, "too few rows to say");
        assert!(own.differs.is_empty() && own.target.is_none());
        assert!(
            own.typical.values().all(serde_json::Value::is_null),
            "{own:?}"
        );
    }
}

#[test]
fn a_missing_number_does_not_decide() {
    // The median of visits is that of two groups of three; who lacks it is of the group that the rest says.
    let (mut frame, truth) = planted(1500, 3);
    let at = frame
        .columns
        .iter()
        .position(|c| c.name == "visits")
        .unwrap();
    let old = frame.columns[at].clone();
    frame.columns[at] = Column::new("visits", &old.type_name, Kind::Number);
    (0..1500).for_each(|row| {
        frame.columns[at].push(match row % 20 {
            0 => Cell::Null,
            _ => old.cell(row),
        });
    });
    let found = fitted(&frame, serde_json::json!({"k": 3}));
    let own = of(&found, &frame);
    let missing: Vec<usize> = (0..1500).step_by(20).collect();
    let [own, truth] =
        [&own, &truth].map(|all| missing.iter().map(|r| all[*r]).collect::<Vec<_>>());
    assert!(silhouette::adjusted_rand(&own, &truth) > 0.9);
}
