//! What a page says of the people in the rows: whom the model treats how, and what it may reveal of them.

use super::html::Page;
use super::picture::Table;
use super::words::{counted, grouped, short};
use crate::evaluate::fairness::{FEWEST, Fairness, Line};
use crate::privacy::leak::Findings;

/// Figures of groups that a page shows, in columns.
const SHOWN: [&str; 8] = [
    "base_rate",
    "selection_rate",
    "true_positive_rate",
    "false_positive_rate",
    "accuracy",
    "roc_auc",
    "calibration",
    "mae",
];

fn interval(low: Option<f64>, high: Option<f64>) -> String {
    match low.zip(high) {
        Some((low, high)) => format!("{} to {}", short(low), short(high)),
        None => String::new(),
    }
}

/// Groups side by side, then how far they are apart.
pub(super) fn treated(page: &mut Page, fairness: &Fairness) {
    page.section("people", "Whom it treats how");
    let names: Vec<&str> = fairness
        .groupings
        .iter()
        .map(|g| g.column.as_str())
        .collect();
    page.say(&format!(
        "The model does not know {}. {}These are the rows its scores are of.",
        names.join(", "),
        match fairness.reweighted {
            true => "Its training rows were weighted so that groups and labels are independent. ",
            false => "",
        }
    ));
    let of_groups = || fairness.lines.iter().filter(|line| line.group.is_some());
    let shown = SHOWN
        .into_iter()
        .filter(|m| of_groups().any(|l| l.metric == *m));
    let shown: Vec<&str> = shown.collect();
    let mut table = Table::new(["column", "group", "rows"]);
    table
        .head
        .extend(shown.iter().map(|metric| (*metric).into()));
    let mut last: Option<(&str, &Option<String>)> = None;
    for line in of_groups() {
        let own = (line.feature.as_str(), &line.group);
        let known = |l: &&Line| (l.feature.as_str(), &l.group) == own;
        if last == Some(own) || !shown.contains(&line.metric.as_str()) {
            continue;
        }
        last = Some(own);
        let mut row = vec![
            line.feature.clone(),
            line.group.clone().unwrap_or_default(),
            grouped(line.rows),
        ];
        row.extend(shown.iter().map(|metric| {
            let found = of_groups().filter(known).find(|l| l.metric == *metric);
            found.map_or(String::new(), |l| short(l.value))
        }));
        table.rows.push(row);
    }
    page.table("Rates and errors by group", &table);
    let mut table = Table::new(["column", "between groups", "value", "95% interval"]);
    table.rows = (fairness.lines.iter())
        .filter(|line| line.group.is_none())
        .map(|line| {
            vec![
                line.feature.clone(),
                line.metric.clone(),
                short(line.value),
                interval(line.low, line.high),
            ]
        })
        .collect();
    page.table(
        &format!("How far groups of {FEWEST} rows or more are apart"),
        &table,
    );
}

/// What attackers found.
pub(super) fn revealed(page: &mut Page, found: &Findings) {
    if found.findings.is_empty() {
        return;
    }
    page.section("reveal", "What it may reveal");
    page.say(
        "An area of 0.5 is a guess; an attacker who is certain of few rows shows in the true positive rates at small shares of false \
         positives. A test that finds nothing does not prove that there is nothing.",
    );
    let mut table = Table::new(["attack", "figure", "value", "95% interval"]);
    table.rows = (found.findings.iter())
        .map(|own| {
            vec![
                own.attack.clone(),
                own.metric.clone(),
                own.value.map_or("too few rows".into(), short),
                interval(own.low, own.high),
            ]
        })
        .collect();
    let models = counted(found.shadows, "model");
    let rows = counted(found.rows, "row");
    page.table(
        &format!("Attacks on {models} trained as this one was, on halves of {rows}"),
        &table,
    );
}
