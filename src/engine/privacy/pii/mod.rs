//! What columns hold about people: told by their values, and by their names.
//!
//! Values never leave this room: what is answered are kinds, shares and counts.

mod checks;
mod hints;
mod judge;
mod national;
mod people;
mod values;

use crate::frame::{Cell, Column};
pub use judge::judge;
use serde::{Deserialize, Serialize};
pub(super) use values::iso_day;

/// What a value tells about a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Name,
    Email,
    Phone,
    Card,
    Iban,
    NationalNumber,
    Passport,
    Address,
    PostalCode,
    IpAddress,
    MacAddress,
    DateOfBirth,
    Coordinates,
    Username,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Name => "name",
            Kind::Email => "email",
            Kind::Phone => "phone",
            Kind::Card => "card",
            Kind::Iban => "iban",
            Kind::NationalNumber => "national_number",
            Kind::Passport => "passport",
            Kind::Address => "address",
            Kind::PostalCode => "postal_code",
            Kind::IpAddress => "ip_address",
            Kind::MacAddress => "mac_address",
            Kind::DateOfBirth => "date_of_birth",
            Kind::Coordinates => "coordinates",
            Kind::Username => "username",
        }
    }

    /// Whether it names a person by itself; the others do so together (quasi-identifiers).
    pub fn is_direct(self) -> bool {
        !matches!(
            self,
            Kind::PostalCode | Kind::DateOfBirth | Kind::Coordinates
        )
    }
}

/// How a column's values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Text,
    Number,
    /// A date or a time stamp.
    Time,
    Other,
}

/// What a column seems to hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub kind: Kind,
    /// From 0 to 1.
    pub confidence: f64,
    /// Of the values looked at, those that have the form.
    pub share: f64,
    /// Why, in words, without any value.
    pub evidence: String,
}

/// From here on a column is believed to hold what was found.
pub const BELIEVED: f64 = 0.5;
/// Rows of a frame that are looked at.
const LOOKED_AT: usize = 500;

/// What the columns of a frame hold, told by rows spread over it: those believed to name a person by themselves.
pub fn direct<'a>(columns: impl Iterator<Item = &'a Column>) -> Vec<(String, Finding)> {
    let mut all = Vec::new();
    for column in columns {
        let step = column.len().div_ceil(LOOKED_AT).max(1);
        let mut sort = Sort::Other;
        let mut texts = Vec::new();
        for row in (0..column.len()).step_by(step) {
            match column.cell(row) {
                Cell::Text(text) | Cell::Json(text) => {
                    sort = Sort::Text;
                    texts.push(text.to_owned());
                }
                Cell::Number(x) => {
                    sort = Sort::Number;
                    texts.push(x.to_string());
                }
                _ => {}
            }
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let found = judge(&column.name, sort, &texts, 0);
        let direct = found
            .into_iter()
            .find(|f| f.kind.is_direct() && f.confidence >= BELIEVED);
        all.extend(direct.map(|finding| (column.name.clone(), finding)));
    }
    all
}

#[cfg(test)]
mod tests;
