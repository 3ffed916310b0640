//! When a model is to be trained again, in words: `drift > 0.2 or new_rows > 10%`.
//!
//! Comparisons of a quantity with a number, joined by `and`, which binds, and `or`.

use std::fmt;

/// What is asked about the rows there are now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// The largest population stability index of a column.
    Drift,
    /// Rows more than there were, as a number or in percent.
    NewRows,
}

impl Quantity {
    const ALL: [Quantity; 2] = [Quantity::Drift, Quantity::NewRows];

    pub fn name(self) -> &'static str {
        match self {
            Quantity::Drift => "drift",
            Quantity::NewRows => "new_rows",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    /// The longer ones first.
    const ALL: [(&'static str, Order); 4] = [
        ("<=", Order::LessOrEqual),
        (">=", Order::GreaterOrEqual),
        ("<", Order::Less),
        (">", Order::Greater),
    ];
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    pub quantity: Quantity,
    order: Order,
    bound: f64,
    pub percent: bool,
}

impl Comparison {
    fn holds(&self, value: f64) -> bool {
        match self.order {
            Order::Less => value < self.bound,
            Order::LessOrEqual => value <= self.bound,
            Order::Greater => value > self.bound,
            Order::GreaterOrEqual => value >= self.bound,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = Order::ALL.iter().find(|(_, order)| *order == self.order);
        let order = order.map_or("", |(sign, _)| sign);
        let percent = if self.percent { "%" } else { "" };
        write!(
            f,
            "{} {order} {}{percent}",
            self.quantity.name(),
            self.bound
        )
    }
}

/// One of several groups of comparisons that must hold together.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition(Vec<Vec<Comparison>>);

impl Condition {
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Condition, String> {
        let words = words(text);
        let groups = words.split(|word| word.eq_ignore_ascii_case("or"));
        let groups = groups.map(|group| {
            let parts = group.split(|word| word.eq_ignore_ascii_case("and"));
            parts.map(comparison).collect()
        });
        groups.collect::<Result<_, String>>().map(Condition)
    }

    pub fn asks_for(&self, quantity: Quantity) -> bool {
        self.0.iter().flatten().any(|c| c.quantity == quantity)
    }

    /// Whether it holds; asks for no more values than it takes to know.
    ///
    /// # Errors
    /// Those of `value`.
    pub fn holds<E>(
        &self,
        mut value: impl FnMut(&Comparison) -> Result<f64, E>,
    ) -> Result<bool, E> {
        for group in &self.0 {
            let mut all = true;
            for comparison in group {
                if !comparison.holds(value(comparison)?) {
                    all = false;
                    break;
                }
            }
            if all {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Names, signs and numbers; blanks between them are not needed.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut kind = 0;
    for c in text.chars() {
        let own = match c {
            c if c.is_whitespace() => 0,
            '<' | '>' | '=' => 1,
            _ => 2,
        };
        match words.last_mut().filter(|_| own == kind) {
            Some(word) if own > 0 => word.push(c),
            _ if own > 0 => words.push(c.to_string()),
            _ => {}
        }
        kind = own;
    }
    words
}

fn comparison(words: &[String]) -> Result<Comparison, String> {
    let [name, order, bound] = words else {
        return Err(match words {
            [] => "a comparison is missing".to_owned(),
            _ => format!("\"{}\" is no comparison", words.join(" ")),
        });
    };
    let quantity = Quantity::ALL
        .into_iter()
        .find(|q| q.name().eq_ignore_ascii_case(name))
        .ok_or_else(|| format!("\"{name}\" is not known"))?;
    let order = Order::ALL
        .into_iter()
        .find_map(|(sign, own)| (sign == order).then_some(own))
        .ok_or_else(|| format!("\"{order}\" is no comparison"))?;
    let percent = bound.ends_with('%');
    let number = bound.trim_end_matches('%').parse::<f64>().ok();
    let number = number.filter(|x| x.is_finite() && bound.matches('%').count() <= 1);
    let Some(number) = number else {
        return Err(format!("\"{bound}\" is no number"));
    };
    if percent && quantity == Quantity::Drift {
        return Err("drift is not in percent".to_owned());
    }
    Ok(Comparison {
        quantity,
        order,
        bound: number,
        percent,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &str, drift: f64, rows: f64) -> bool {
        let condition = Condition::parse(text).unwrap();
        let value = |c: &Comparison| {
            Ok::<f64, ()>(match (c.quantity, c.percent) {
                (Quantity::Drift, _) => drift,
                (Quantity::NewRows, false) => rows,
                (Quantity::NewRows, true) => rows / 10.0,
            })
        };
        condition.holds(value).unwrap()
    }

    #[test]
    fn comparisons_hold_or_not_and_and_binds() {
        let text = "drift > 0.2 or new_rows>10%";
        assert!(holds(text, 0.3, 0.0) && holds(text, 0.1, 200.0));
        assert!(!holds(text, 0.2, 100.0));
        let text = "drift >= .1 AND new_rows < 50 OR new_rows >= 1e3";
        assert!(holds(text, 0.1, 49.0) && holds(text, 0.0, 1000.0));
        assert!(!holds(text, 0.1, 50.0) && !holds(text, 0.0, 49.0));
        assert!(holds("new_rows <= -5", 0.0, -5.0));
    }

    #[test]
    fn no_more_is_asked_than_needed() {
        let condition = Condition::parse("new_rows > 5 or drift > 0.1").unwrap();
        let mut asked = Vec::new();
        let value = |c: &Comparison| {
            asked.push(c.to_string());
            Ok::<f64, ()>(6.0)
        };
        assert!(condition.holds(value).unwrap());
        assert_eq!(asked, ["new_rows > 5"]);
        assert!(condition.asks_for(Quantity::Drift));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, what) in [
            ("", "a comparison is missing"),
            ("drift > 0.2 or", "a comparison is missing"),
            ("drift", "\"drift\" is no comparison"),
            (
                "drift > 0.2 new_rows > 3",
                "\"drift > 0.2 new_rows > 3\" is no comparison",
            ),
            ("age > 3", "\"age\" is not known"),
            ("drift == 3", "\"==\" is no comparison"),
            ("drift > many", "\"many\" is no number"),
            ("drift > inf", "\"inf\" is no number"),
            ("new_rows > 5%%", "\"5%%\" is no number"),
            ("drift > 5%", "drift is not in percent"),
        ] {
            assert_eq!(Condition::parse(text).unwrap_err(), what, "{text}");
        }
    }
}
