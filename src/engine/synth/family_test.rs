use super::*;
use crate::synth::{Given, Synthesizer};
use serde_json::json;

const DAY: i64 = 86_400_000_000;
const SEGMENTS: [&str; 3] = ["bronze", "gold", "silver"];
/// By segment: what orders are about, and how many there are.
const AMOUNTS: [f64; 3] = [20.0, 200.0, 80.0];
const ORDERS: [usize; 3] = [1, 8, 3];
/// The last day that is seen.
const END: i64 = 4000;

fn column(name: &str, type_name: &str, kind: Kind) -> Column {
    Column::new(name, type_name, kind)
}

/// Customers, their keys as text, and their orders: an order's amount depends on the segment and on the amount before it.
fn shop(customers: usize) -> (Frame, Column, Frame) {
    let mut random = Random::new(11);
    let mut parents = vec![
        column("customer_id", "integer", Kind::Number),
        column("segment", "text", Kind::Category),
        column("since", "date", Kind::Time),
        column("age", "integer", Kind::Number),
    ];
    let mut keys = column(KEY, "text", Kind::Category);
    let mut orders = vec![
        column(KEY, "text", Kind::Category),
        column("order_id", "integer", Kind::Number),
        column("ordered_at", "timestamp without time zone", Kind::Time),
        column("shipped_on", "timestamp without time zone", Kind::Time),
        column("line", "integer", Kind::Number),
        column("amount", "numeric", Kind::Number),
        column("channel", "text", Kind::Category),
    ];
    let mut order = 0.0;
    for id in 1..=customers {
        let segment = [0, 0, 0, 1, 2, 2][random.below(6)];
        let since = random.below(3000) as i64;
        let cells = [
            Cell::Number(id as f64),
            Cell::Text(SEGMENTS[segment]),
            Cell::Time(since * DAY),
            Cell::Number(18.0 + (random.uniform() * 60.0).floor()),
        ];
        parents
            .iter_mut()
            .zip(cells)
            .for_each(|(c, cell)| c.push(cell));
        keys.push(Cell::Text(&id.to_string()));
        let count = ORDERS[segment] + random.below(3) - usize::from(segment == 0);
        let base = AMOUNTS[segment];
        let (mut at, mut before) = (since, 0.0);
        for line in 1..=count {
            at += random.below(60) as i64;
            if at > END {
                break;
            }
            // Far from the base the next is far, too.
            before = 0.8 * before + 0.3 * base * random.normal() * 0.6;
            order += 1.0;
            let amount: f64 = (base + before).max(1.0);
            let cells = [
                Cell::Text(&id.to_string()),
                Cell::Number(order),
                Cell::Time(at * DAY),
                Cell::Time((at + 1 + random.below(4) as i64) * DAY),
                Cell::Number(line as f64),
                Cell::Number((amount * 100.0).round() / 100.0),
                Cell::Text(["shop", "web"][usize::from(random.uniform() < 0.7)]),
            ];
            orders
                .iter_mut()
                .zip(cells)
                .for_each(|(c, cell)| c.push(cell));
        }
    }
    (Frame { columns: parents }, keys, Frame { columns: orders })
}

fn table() -> ChildTable {
    ChildTable {
        name: "orders".into(),
        relation: "orders".into(),
        is_relation: true,
        parent: None,
        key: "customer_id".into(),
        parent_key: "customer_id".into(),
        order: Some("ordered_at".into()),
        columns: Columns {
            unique: vec!["order_id".into()],
            ..Columns::default()
        },
    }
}

fn params(options: serde_json::Value, rows: usize) -> Params {
    Params::from_json(options.as_object().unwrap(), rows).unwrap()
}

fn fit(customers: usize, epochs: u32) -> Synthesizer {
    attempt(customers, epochs, &mut |_| true).unwrap()
}

fn attempt(
    customers: usize,
    epochs: u32,
    report: &mut dyn FnMut(&crate::fit::Progress) -> bool,
) -> Result<Synthesizer, FitError> {
    let (parents, keys, orders) = shop(customers);
    let rows = ChildRows::new(table(), orders, &keys).unwrap();
    let options = |epochs| json!({"algorithm": "tvae", "epochs": epochs, "batch_size": 200});
    // Parents are few.
    let own = params(options(epochs * 4), customers);
    let of_children = params(options(epochs), rows.rows());
    let known = Columns {
        unique: vec!["customer_id".into()],
        ..Columns::default()
    };
    Synthesizer::fit_family(parents, &known, own, vec![(rows, of_children)], report)
}

/// A family that was made: customers with their orders as rows of numbers, by customer.
struct Made {
    segment: String,
    since: f64,
    /// Time, time of shipping, line, amount.
    orders: Vec<[f64; 4]>,
}

fn make(model: &Synthesizer, seed: u64, customers: usize) -> (Vec<Made>, Vec<f64>) {
    let mut rows = model.rows(seed, &[]).unwrap();
    let mut children = model.children_of(0, seed).unwrap();
    let (mut out, mut ids) = (Vec::new(), Vec::new());
    while out.len() < customers {
        let Parents { frame, counts } = rows
            .family(256.min(customers - out.len()), &mut || ())
            .unwrap();
        let of = |name: &str, row| schema::number(frame.column(name).unwrap().cell(row)).unwrap();
        let from = out.len();
        let mut places = HashMap::new();
        for row in 0..frame.rows() {
            places.insert(of("customer_id", row) as i64, from + row);
            out.push(Made {
                segment: crate::fit::label_of(frame.column("segment").unwrap().cell(row)),
                since: of("since", row),
                orders: Vec::new(),
            });
        }
        children.start(frame, counts[0].iter().copied());
        while let Some(made) = children.next() {
            let of =
                |name: &str, row| schema::number(made.column(name).unwrap().cell(row)).unwrap();
            for row in 0..made.rows() {
                let names = ["ordered_at", "shipped_on", "line", "amount"];
                let owner = places[&(of("customer_id", row) as i64)];
                out[owner].orders.push(names.map(|name| of(name, row)));
                ids.push(of("order_id", row));
            }
            children.take(&vec![true; made.rows()]);
        }
        for (row, count) in counts[0].iter().enumerate() {
            assert_eq!(out[from + row].orders.len(), *count as usize);
        }
    }
    (out, ids)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[test]
fn orders_depend_on_their_customer_and_on_the_order_before() {
    let model = fit(1500, 60);
    let (made, ids) = make(&model, 7, 1000);
    let some = |segment: &'static str| made.iter().filter(move |m| m.segment == segment);
    for (at, segment) in SEGMENTS.iter().enumerate() {
        let real = ORDERS[at] as f64 + 1.0 - f64::from(u8::from(at == 0));
        let count = mean(some(segment).map(|m| m.orders.len() as f64));
        assert!(
            (count - real).abs() < 0.5 * real.max(1.0),
            "{segment}: {count} orders"
        );
        let amount = mean(some(segment).flat_map(|m| m.orders.iter().map(|o| o[3])));
        println!("{segment}: {count} orders of {amount}");
        assert!(
            (amount / AMOUNTS[at] - 1.0).abs() < 0.25,
            "{segment}: {amount}"
        );
    }
    // Of gold customers, whose base is one: how an amount hangs together with that before it.
    let pairs: Vec<(f64, f64)> = some("gold")
        .flat_map(|m| m.orders.windows(2).map(|w| (w[0][3], w[1][3])))
        .collect();
    let (mx, my) = (
        mean(pairs.iter().map(|p| p.0)),
        mean(pairs.iter().map(|p| p.1)),
    );
    let of = |f: &dyn Fn(&(f64, f64)) -> f64| mean(pairs.iter().map(f));
    let both = of(&|p| (p.0 - mx) * (p.1 - my));
    let spread = (of(&|p| (p.0 - mx).powi(2)) * of(&|p| (p.1 - my).powi(2))).sqrt();
    assert!(both / spread > 0.45, "{}", both / spread);
    for customer in &made {
        // No order is before the customer, or before the last one, or after the end; lines count on; shipping comes later.
        let mut before = customer.since;
        for (order, line) in customer.orders.iter().zip(1..) {
            assert!(
                order[0] >= before && order[0] <= (END * DAY) as f64,
                "{order:?}"
            );
            assert!(
                order[0] % DAY as f64 == 0.0 && order[2] == f64::from(line),
                "{order:?}"
            );
            assert!(
                order[1] > order[0] && order[1] <= order[0] + 4.0 * DAY as f64,
                "{order:?}"
            );
            before = order[0];
        }
    }
    // Keys are new, and no two are the same.
    let known = model.children[0].rows as f64;
    let different: std::collections::HashSet<u64> = ids.iter().map(|x| x.to_bits()).collect();
    assert!(different.len() == ids.len() && ids.iter().all(|id| *id > known));
    let score = |metric: &str| {
        let found = model
            .metrics
            .iter()
            .find(|m| m.metric == metric && m.class.as_deref() == Some("orders"));
        found.unwrap().value
    };
    assert!(score("cardinality_shape") > 0.85, "{:?}", model.metrics);
    assert!(score("intertable_trends") > 0.7, "{:?}", model.metrics);
}

#[test]
fn a_seed_gives_one_family_and_bytes_keep_it() {
    let model = fit(200, 3);
    let (made, ids) = make(&model, 5, 300);
    let bytes = model.to_bytes();
    let file = crate::export::write(&bytes, &crate::export::Origin::default(), false).unwrap();
    assert_eq!(crate::export::read(&file).unwrap().bytes, bytes);
    let back = Synthesizer::from_bytes(&bytes).unwrap();
    let (again, ids_again) = make(&back, 5, 300);
    assert_eq!(ids, ids_again);
    assert!(
        made.iter()
            .zip(&again)
            .all(|(a, b)| a.orders == b.orders && a.since == b.since)
    );
    assert_ne!(make(&model, 6, 300).1.len(), 0);
    for at in (0..bytes.len()).step_by(bytes.len() / 53) {
        let mut broken = bytes.clone();
        broken[at] ^= 0x55;
        assert!(Synthesizer::from_bytes(&broken).is_err());
    }
    // What is not shown is neither given out nor taken as a condition.
    assert!(
        model
            .columns()
            .all(|(name, ..)| !name.starts_with("number of"))
    );
    assert_eq!(
        model
            .rows(1, &[])
            .unwrap()
            .next(10, &mut || ())
            .unwrap()
            .columns
            .len(),
        4
    );
    let value = json!(3);
    let given = [Given {
        column: "number of orders",
        value: &value,
    }];
    assert_eq!(model.rows(1, &given).err().unwrap().sqlstate, "42703");
}

#[test]
fn children_are_the_same_whatever_the_threads_and_stop_when_told() {
    let train = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| fit(150, 2).children)
    };
    assert_eq!(train(1), train(3));
    // The parents are trained for eight epochs, the children for two.
    let mut trained = 0;
    let stopped = attempt(150, 2, &mut |progress| {
        trained += u32::from(progress.epochs == 8);
        progress.epochs != 2
    });
    assert!(stopped.unwrap_err().sqlstate == "57014" && trained > 0);
}

#[test]
fn a_key_that_gives_the_order_goes_on_and_is_no_gap() {
    let (mut parents, keys, orders) = shop(80);
    let mut own = table();
    own.order = Some("order_id".into());
    // The table need not say that it is one.
    own.columns.unique.clear();
    let rows = ChildRows::new(own, orders, &keys).unwrap();
    let prepared = Prepared::new(rows, &mut parents);
    let mut known = Columns::default();
    let Prepared { rows, sorted, .. } = &prepared;
    let (columns, frame) = running::plan(&rows.table, &rows.frame, sorted, &parents, &mut known);
    let part = |name: &str| &columns.iter().find(|c| c.name == name).unwrap().part;
    assert!(matches!(part("order_id"), Part::Own { .. }));
    assert!(part("line").is_running() && part("ordered_at").is_running());
    assert_eq!(frame.rows(), prepared.rows());
}

#[test]
fn rows_that_are_refused_are_drawn_again_for_the_same_parent() {
    let model = fit(200, 3);
    let Parents { frame, counts } = model.rows(3, &[]).unwrap().family(100, &mut || ()).unwrap();
    let wanted: u32 = counts[0].iter().sum();
    let mut children = model.children_of(0, 3).unwrap();
    children.start(frame, counts[0].iter().copied());
    let (mut taken, mut refused) = (0, 0);
    while let Some(made) = children.next() {
        let shop = made.column("channel").unwrap();
        let accepted: Vec<bool> = (0..made.rows())
            .map(|row| shop.cell(row) == Cell::Text("web"))
            .collect();
        let own = accepted.iter().filter(|a| **a).count();
        (taken, refused) = (taken + own, refused + made.rows() - own);
        children.take(&accepted);
    }
    assert!(taken == wanted as usize && refused > 0);
    // What is refused again and again is given up.
    let Parents { frame, counts } = model.rows(3, &[]).unwrap().family(100, &mut || ()).unwrap();
    children.start(frame, counts[0].iter().copied());
    let mut missing = 0;
    while let Some(made) = children.next() {
        let given_up = children.take(&vec![false; made.rows()]);
        missing += given_up.iter().map(|(_, rows)| rows).sum::<u32>();
    }
    assert_eq!(missing, wanted);
}

#[test]
fn parents_that_cannot_be_told_apart_and_children_without_parents_say_so() {
    let (_, keys, orders) = shop(50);
    let mut same = column(KEY, "text", Kind::Category);
    (0..50).for_each(|_| same.push(Cell::Text("1")));
    let error = ChildRows::new(table(), orders.clone(), &same)
        .err()
        .unwrap();
    assert!(
        error.message.contains("does not tell parents apart"),
        "{error:?}"
    );
    let mut others = column(KEY, "text", Kind::Category);
    (0..50).for_each(|i| others.push(Cell::Text(&format!("x{i}"))));
    let error = ChildRows::new(table(), orders.clone(), &others)
        .err()
        .unwrap();
    assert!(
        error.message.starts_with("0 rows of \"orders\""),
        "{error:?}"
    );
    let none = Frame {
        columns: orders
            .columns
            .iter()
            .map(|c| column(&c.name, &c.type_name, c.kind))
            .collect(),
    };
    assert!(ChildRows::new(table(), none, &keys).is_err());
    // Some without a parent are left out, and said.
    let (mut parents, keys, mut orders) = shop(60);
    let count = orders.rows();
    for own in &mut orders.columns {
        let kind = own.kind;
        own.push(if own.name == KEY {
            Cell::Text("nobody")
        } else {
            running::cell(kind, 1.0)
        });
    }
    let rows = ChildRows::new(table(), orders, &keys).unwrap();
    let prepared = Prepared::new(rows, &mut parents);
    assert_eq!(prepared.rows(), count);
    assert!(
        prepared
            .remarks()
            .unwrap()
            .starts_with("1 rows of \"orders\" left out")
    );
}
