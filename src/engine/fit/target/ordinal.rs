//! Labels in an order.

use super::{FitError, Request, recode};
use crate::frame::{Column, Kind};

/// Puts the labels into their order: numbers and booleans by value, others as the request says.
pub(super) fn arrange(
    request: &Request,
    target: &Column,
    rows: &[u32],
    names: &mut Vec<String>,
    codes: &mut [u32],
) -> Result<(), FitError> {
    let wanted = &request.of_task.order;
    if wanted.is_empty() {
        return match target.kind {
            Kind::Number | Kind::Duration | Kind::Boolean => Ok(()),
            _ => Err(FitError::new(
                "22023",
                "task ordinal needs to know the order of the labels",
            )
            .hint(format!(
                "Give {} with the labels from the lowest to the highest, or an enum as the target.",
                serde_json::json!({ "order": names })
            ))),
        };
    }
    // 1.0 and 1 are one number.
    let same = |name: &String, wanted: &String| match (name.parse::<f64>(), wanted.parse::<f64>()) {
        (Ok(a), Ok(b)) if target.kind == Kind::Number => a == b,
        _ => name == wanted,
    };
    if let Some(missing) = names.iter().find(|n| !wanted.iter().any(|w| same(n, w))) {
        return Err(FitError::new(
            "22023",
            format!(
                "label \"{missing}\" of target \"{}\" is not in the option order",
                target.name
            ),
        )
        .hint("Name every label that occurs, from the lowest to the highest."));
    }
    let place = |label: &String| names.iter().position(|name| same(name, label));
    let mut order: Vec<usize> = Vec::with_capacity(names.len());
    for found in wanted.iter().filter_map(place) {
        if order.contains(&found) {
            return Err(FitError::new(
                "22023",
                format!("option \"order\" names \"{}\" twice", names[found]),
            ));
        }
        order.push(found);
    }
    recode(codes, rows, &order);
    *names = order.iter().map(|old| names[*old].clone()).collect();
    Ok(())
}
