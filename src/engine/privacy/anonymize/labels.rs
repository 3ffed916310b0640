//! Security labels of postgresql_anonymizer as rules (postgresql-anonymizer.readthedocs.io, "Declare masking rules").

use serde_json::{Value as Json, json};

/// The rule that a label of the provider `anon` stands for; `None`: it has no counterpart.
pub fn rule(label: &str) -> Option<Json> {
    let label = label.trim();
    let after = |words: &str| {
        let head = label.get(..words.len())?;
        head.eq_ignore_ascii_case(words)
            .then(|| label[words.len()..].trim())
    };
    if label.eq_ignore_ascii_case("NOT MASKED") {
        return Some(json!("keep"));
    }
    if let Some(value) = after("MASKED WITH VALUE") {
        return Some(match value {
            _ if value.eq_ignore_ascii_case("NULL") => json!("suppress"),
            _ => json!({"method": "suppress", "value": literal(value)?}),
        });
    }
    let call = after("MASKED WITH FUNCTION")?;
    let (name, rest) = call.split_once('(')?;
    let name = name.trim().strip_prefix("anon.")?;
    let arguments = arguments(rest.strip_suffix(')')?);
    let argument = |at: usize| arguments.get(at).map(String::as_str);
    let number = |at: usize| argument(at)?.trim().parse::<f64>().ok();
    Some(match name {
        "partial" => {
            let with = literal(argument(2)?)?
                .chars()
                .next()
                .unwrap_or('*')
                .to_string();
            json!({"method": "mask", "keep": number(1)? as u64, "keep_end": number(3)? as u64, "with": with})
        }
        "partial_email" => json!({"method": "mask", "keep": 2}),
        "hash" | "digest" => json!("pseudonym"),
        "generalize_int4range" | "generalize_int8range" | "generalize_numrange" => {
            json!({"method": "generalize", "width": number(1)?})
        }
        "generalize_daterange" | "generalize_tsrange" | "generalize_tstzrange" => {
            json!({"method": "generalize", "unit": literal(argument(1)?)?})
        }
        // Values of nobody: nothing of the column is left.
        _ if ["random_", "fake_", "dummy_", "lorem_"]
            .iter()
            .any(|made| name.starts_with(made)) =>
        {
            json!("suppress")
        }
        _ if name.starts_with("pseudo_") => json!("pseudonym"),
        _ => return None,
    })
}

/// Whether a label of the provider `k_anonymity` declares a quasi-identifier.
pub fn is_quasi_identifier(label: &str) -> bool {
    let label = label.trim();
    ["QUASI IDENTIFIER", "INDIRECT IDENTIFIER"]
        .iter()
        .any(|known| label.eq_ignore_ascii_case(known))
}

/// What stands between commas, but not those within quotes or brackets.
fn arguments(text: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let (mut quoted, mut depth) = (false, 0);
    for c in text.chars() {
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        if c == ',' && !quoted && depth == 0 {
            all.push(String::new());
        } else if let Some(last) = all.last_mut() {
            last.push(c);
        }
    }
    all
}

/// A text in quotes or dollars, or a number.
fn literal(text: &str) -> Option<String> {
    let text = text.trim();
    let inner = |quote: &str| {
        text.strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
    };
    if let Some(inner) = inner("'").filter(|_| text.len() > 1) {
        return Some(inner.replace("''", "'"));
    }
    if let Some(inner) = inner("$$").filter(|_| text.len() > 3) {
        return Some(inner.into());
    }
    text.parse::<f64>().ok().map(|_| text.into())
}

#[cfg(test)]
mod tests {
    use super::super::Rule;
    use super::*;

    #[test]
    fn labels_are_rules() {
        for (label, expected) in [
            ("MASKED WITH VALUE NULL", json!("suppress")),
            (
                "MASKED WITH VALUE 'it''s, hidden'",
                json!({"method": "suppress", "value": "it's, hidden"}),
            ),
            (
                "MASKED WITH VALUE $$CONFIDENTIAL$$",
                json!({"method": "suppress", "value": "CONFIDENTIAL"}),
            ),
            (
                "masked with value 0",
                json!({"method": "suppress", "value": "0"}),
            ),
            ("NOT MASKED", json!("keep")),
            (
                "MASKED WITH FUNCTION anon.partial(phone,2,$$******$$,3)",
                json!({"method": "mask", "keep": 2, "keep_end": 3, "with": "*"}),
            ),
            (
                "MASKED WITH FUNCTION anon.partial_email(mail)",
                json!({"method": "mask", "keep": 2}),
            ),
            ("MASKED WITH FUNCTION anon.hash(id)", json!("pseudonym")),
            (
                "MASKED WITH FUNCTION anon.pseudo_email(seed)",
                json!("pseudonym"),
            ),
            (
                "MASKED WITH FUNCTION anon.generalize_int4range(age, 10)",
                json!({"method": "generalize", "width": 10.0}),
            ),
            (
                "MASKED WITH FUNCTION anon.generalize_daterange(born,'decade')",
                json!({"method": "generalize", "unit": "decade"}),
            ),
            (
                "MASKED WITH FUNCTION anon.fake_last_name()",
                json!("suppress"),
            ),
            (
                "MASKED WITH FUNCTION anon.random_int_between(1, 2)",
                json!("suppress"),
            ),
        ] {
            let found = rule(label);
            assert_eq!(found.as_ref(), Some(&expected), "{label}");
            assert!(Rule::from_json("c", &expected).is_ok(), "{label}");
        }
        for unknown in [
            "",
            "MASKED",
            "MASKED WITH FUNCTION anon.noise(x, 0.2)",
            "MASKED WITH FUNCTION public.mine(x)",
            "MASKED WITH VALUE now()",
            "MASKED WITH FUNCTION anon.partial(x)",
            "ÄÖÜ",
        ] {
            assert_eq!(rule(unknown), None, "{unknown}");
        }
        assert!(is_quasi_identifier("quasi identifier") && !is_quasi_identifier("MASKED"));
    }
}
