//! Names of relations as users write them.

use crate::error::{Error, Result};
use pgrx::{pg_sys, spi};

/// Whether a text is a query and not a name.
pub(super) fn is_query(text: &str) -> bool {
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, after)| after);
        } else {
            break;
        }
    }
    let word: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
    let follows = rest[word.len()..].chars().next();
    let separated = follows.is_some_and(|c| {
        c.is_whitespace() || c == '(' || c == '*' || c == '/' || c == '-' || c == '\''
    });
    rest.starts_with('(')
        || (separated
            && ["select", "with", "values", "table"].contains(&word.to_lowercase().as_str()))
}

/// The parts of a possibly quoted, possibly qualified name; `None` where it is not one.
pub(super) fn split_name(text: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = text.trim();
    loop {
        let name;
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut out = String::new();
            let mut chars = quoted.char_indices().peekable();
            let end = loop {
                match chars.next()? {
                    (_, '"') if chars.peek().is_some_and(|&(_, c)| c == '"') => {
                        chars.next();
                        out.push('"');
                    }
                    (i, '"') => break i + 1,
                    (_, c) => out.push(c),
                }
            };
            rest = &quoted[end..];
            name = out;
        } else {
            let end = rest
                .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
                .unwrap_or(rest.len());
            let word = &rest[..end];
            if word.is_empty() || word.starts_with(|c: char| c.is_ascii_digit() || c == '$') {
                return None;
            }
            // As PostgreSQL folds: ASCII only.
            name = word.to_ascii_lowercase();
            rest = &rest[end..];
        }
        if name.is_empty() {
            return None;
        }
        names.push(truncate_identifier(&name));
        rest = rest.trim_start();
        match rest.strip_prefix('.') {
            Some(after) => rest = after.trim_start(),
            None if rest.is_empty() => return Some(names),
            None => return None,
        }
    }
}

/// A possibly qualified name as it stands in SQL, quoted where it must be.
pub fn quoted_name(text: &str) -> Result<String> {
    let parts = split_name(text).unwrap_or_else(|| vec![truncate_identifier(text)]);
    if text.trim().is_empty() || parts.len() > 3 {
        return Err(Error::new("42602", format!("invalid name \"{text}\"")));
    }
    let quoted: Vec<String> = parts.iter().map(spi::quote_identifier).collect();
    Ok(quoted.join("."))
}

/// Identifiers hold at most 63 bytes; longer ones are cut as PostgreSQL cuts them.
fn truncate_identifier(name: &str) -> String {
    let mut end = name.len().min(pg_sys::NAMEDATALEN as usize - 1);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].into()
}
