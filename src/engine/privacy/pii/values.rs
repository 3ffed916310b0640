//! Single values: what they look like.

use super::checks::{digits, luhn, mod_97_is_1};
use std::net::{Ipv4Addr, Ipv6Addr};

/// An address of RFC 5321 as people have them: no quotes, a host with a top-level domain of letters.
pub fn is_email(text: &str) -> bool {
    let Some((local, host)) = text.rsplit_once('@') else {
        return false;
    };
    let atom = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let label = |l: &str| {
        !l.is_empty() && l.len() < 64 && l.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    let top = host.rsplit('.').next().unwrap_or_default();
    (1..=64).contains(&local.len())
        && local.chars().all(atom)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && host.len() < 254
        && host.contains('.')
        && host.split('.').all(label)
        && top.chars().count() > 1
        && top
            .chars()
            .all(|c| c.is_alphabetic() || top.starts_with("xn--"))
}

/// A payment card: a known issuer's beginning and length (ISO/IEC 7812), and Luhn's check.
pub fn is_card(text: &str) -> bool {
    let Some(d) = digits(text).filter(|d| (12..=19).contains(&d.len())) else {
        return false;
    };
    let head = |n: usize| d[..n].iter().fold(0u32, |sum, d| sum * 10 + u32::from(*d));
    let issued = match d.len() {
        14 => matches!(head(2), 36 | 38 | 39) || (300..=305).contains(&head(3)),
        15 => matches!(head(2), 34 | 37),
        length => {
            let visa = d[0] == 4 && matches!(length, 13 | 16 | 19);
            let mastercard =
                length == 16 && ((51..=55).contains(&head(2)) || (2221..=2720).contains(&head(4)));
            let discover = length >= 16
                && (head(4) == 6011 || head(2) == 65 || (644..=649).contains(&head(3)));
            let jcb = length >= 16 && (3528..=3589).contains(&head(4));
            let union_pay = length >= 16 && head(2) == 62;
            let maestro = matches!(
                head(4),
                5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763
            );
            visa || mastercard || discover || jcb || union_pay || maestro
        }
    };
    issued && luhn(&d)
}

/// Lengths of IBANs by country (SWIFT's IBAN registry).
const IBANS: &[(&str, usize)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NL", 18),
    ("NO", 15),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("SA", 24),
    ("SC", 31),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
];

/// An international bank account number (ISO 13616).
pub fn is_iban(text: &str) -> bool {
    let plain: String = text.chars().filter(|c| *c != ' ').collect();
    let plain = plain.to_ascii_uppercase();
    plain.is_ascii()
        && plain.len() > 14
        && IBANS.contains(&(&plain[..2], plain.len()))
        && mod_97_is_1(plain[4..].chars().chain(plain[..4].chars()))
}

/// An IPv4 or IPv6 address, also with the length of a network; versions such as 1.2.3 are none.
pub fn is_ip(text: &str) -> bool {
    let (address, length) = text.split_once('/').unwrap_or((text, "0"));
    let fits = length.parse::<u8>().is_ok_and(|n| n <= 128);
    fits && (address.parse::<Ipv4Addr>().is_ok()
        || address.contains(':') && address.parse::<Ipv6Addr>().is_ok() && address.len() > 3)
}

/// A hardware address: six pairs of hexadecimal digits.
pub fn is_mac(text: &str) -> bool {
    let separator = if text.contains('-') { '-' } else { ':' };
    let pair = |p: &str| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit());
    text.len() == 17 && text.split(separator).filter(|p| pair(p)).count() == 6
}

/// How sure a telephone number is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub enum Phone {
    /// Ten digits, or nine behind a 0, and nothing else.
    Digits,
    /// Groups of digits as people write national numbers.
    Grouped,
    /// With + and a country's code (ITU-T E.164).
    International,
}

pub fn phone(text: &str) -> Option<Phone> {
    let (text, extension) = text
        .split_once(['x', 'X'])
        .map_or((text, ""), |(number, extension)| (number, extension.trim()));
    let text = text.trim_end_matches([' ', '.']);
    let count = text.bytes().filter(u8::is_ascii_digit).count();
    let plain = |c: char| c.is_ascii_digit() || "+()-./ ".contains(c);
    if !(7..=15).contains(&count)
        || !text.chars().all(plain)
        || !extension.bytes().all(|b| b.is_ascii_digit())
        || text.rfind('+').is_some_and(|at| at > 1)
    {
        return None;
    }
    let groups: Vec<&str> = text.split(|c: char| !c.is_ascii_digit()).collect();
    let groups: Vec<&str> = groups.into_iter().filter(|g| !g.is_empty()).collect();
    if let Some(after) = text.trim_start_matches('(').strip_prefix('+') {
        return (count >= 8 && !after.starts_with('0')).then_some(Phone::International);
    }
    if groups.len() == 1 {
        let national =
            text.starts_with('0') && (9..=11).contains(&count) && !text.starts_with("000");
        return (text.len() == count && (count == 10 || national)).then_some(Phone::Digits);
    }
    let lengths: Vec<usize> = groups.iter().map(|g| g.len()).collect();
    // Dates, amounts, network addresses and numbers that other tests know.
    let other = matches!(
        lengths[..],
        [4, 1 | 2, 1 | 2] | [1 | 2, 1 | 2, 4] | [3, 2, 4] | [_, 1]
    ) || (text.contains('.')
        && (lengths.len() == 2 || lengths.iter().all(|n| *n < 4) && lengths.len() == 4))
        || lengths.iter().all(|n| *n == 4)
        || text.starts_with('-');
    let opened = text.matches('(').count();
    let balanced = opened == text.matches(')').count() && opened < 2;
    (balanced && !other && (9..=12).contains(&count) && lengths.len() < 7).then_some(Phone::Grouped)
}

/// Latitude and longitude, such as `48.8583, 2.2945` or `(48.8583,2.2945)`, to a street at least.
pub fn is_coordinates(text: &str) -> bool {
    let text = text
        .trim_start_matches("POINT")
        .trim_matches(['(', ')', ' ']);
    let mut parts = text.split([',', ' ', ';']).filter(|p| !p.is_empty());
    let fine = |part: Option<&str>, most: f64| {
        part.is_some_and(|p| {
            let places = p.split_once('.').map_or(0, |(_, places)| places.len());
            places >= 3 && p.parse::<f64>().is_ok_and(|x| x.abs() <= most)
        })
    };
    fine(parts.next(), 180.0) && fine(parts.next(), 180.0) && parts.next().is_none()
}

/// Days since 2000-01-01 of a date written as ISO 8601, with or without a time of day.
pub fn iso_day(text: &str) -> Option<i64> {
    let date = text.get(..10)?;
    if !matches!(text.as_bytes().get(10), None | Some(b' ' | b'T')) {
        return None;
    }
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let number = |p: &str, length: usize| {
        let digits = p.len() == length && p.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| p.parse::<u32>().ok()).flatten()
    };
    let (year, month, day) = (number(year, 4)?, number(month, 2)?, number(day, 2)?);
    crate::calendar::days(i64::from(year), month, day)
}

/// The codes of the United Kingdom, Canada and the Netherlands, which nothing else looks like, or five digits with four more.
pub fn is_postal_code(text: &str) -> bool {
    let shape: String = text
        .chars()
        .map(|c| match c {
            '0'..='9' => '9',
            'A'..='Z' => 'A',
            other => other,
        })
        .collect();
    let united_kingdom = shape
        .strip_suffix(" 9AA")
        .is_some_and(|out| ["A9", "A99", "AA9", "AA99", "A9A", "AA9A"].contains(&out));
    united_kingdom || ["A9A 9A9", "9999 AA", "99999-9999"].contains(&shape.as_str())
}

/// Four to six digits, as most countries' postal codes are: believed where the column's name says so.
pub fn may_be_postal_code(text: &str) -> bool {
    is_postal_code(text)
        || ((3..=10).contains(&text.len())
            && text.bytes().any(|b| b.is_ascii_digit())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b' ' || b == b'-'))
}

/// The words of a longer text that hold an address or number of a person: e-mail addresses, cards, IBANs and international
/// telephone numbers, written without blanks.
pub fn within(text: &str, test: fn(&str) -> bool) -> bool {
    text.split(|c: char| c.is_whitespace() || "\"<>[]{},;()".contains(c))
        .map(|word| word.trim_matches(['.', ':', '!', '?', '\'']))
        .filter(|word| word.len() > 5)
        .any(test)
}

pub fn is_international(text: &str) -> bool {
    phone(text) == Some(Phone::International)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(test: impl Fn(&str) -> bool, yes: &[&str], no: &[&str]) {
        yes.iter().for_each(|text| assert!(test(text), "{text}"));
        no.iter().for_each(|text| assert!(!test(text), "{text}"));
    }

    #[test]
    fn emails() {
        let yes = [
            "ann@example.com",
            "o'neil+x@mail.example.co.uk",
            "jürgen@müller.de",
            "a@b.xn--p1ai",
        ];
        let no = [
            "ann@example",
            "@example.com",
            "ann@.com",
            "a b@example.com",
            "x@1.2",
            "",
            "ann@exa mple.com",
        ];
        all(is_email, &yes, &no);
    }

    #[test]
    fn cards() {
        let yes = [
            "4111 1111 1111 1111",
            "5555555555554444",
            "378282246310005",
            "6011-1111-1111-1117",
            "3530111333300000",
        ];
        let no = [
            "4111111111111112",
            "1234567812345670",
            "4111",
            "411111111111111a",
            "356938035643809",
        ];
        all(is_card, &yes, &no);
    }

    #[test]
    fn ibans() {
        let yes = [
            "GB82 WEST 1234 5698 7654 32",
            "DE89370400440532013000",
            "fr1420041010050500013m02606",
        ];
        let no = [
            "GB82WEST12345698765433",
            "DE8937040044053201300",
            "XX00",
            "",
            "ÄÄ89370400440532013000",
        ];
        all(is_iban, &yes, &no);
    }

    #[test]
    fn network_addresses() {
        all(
            is_ip,
            &["192.168.0.1", "10.0.0.0/8", "2001:db8::1"],
            &["1.2.3", "256.1.1.1", "::", "12:30", "a/b"],
        );
        all(
            is_mac,
            &["00:1A:2b:3c:4d:5e", "00-1A-2b-3c-4d-5e"],
            &["00:1A:2b", "zz:1A:2b:3c:4d:5e", "10:11:12 13:14"],
        );
    }

    #[test]
    fn phones() {
        for (text, expected) in [
            ("+49 171 1234567", Some(Phone::International)),
            ("+14155552671", Some(Phone::International)),
            ("(+44) 20 7946 0958", Some(Phone::International)),
            ("(415) 555-2671", Some(Phone::Grouped)),
            ("415-555-2671 x12", Some(Phone::Grouped)),
            ("0171/1234567", Some(Phone::Grouped)),
            ("06 12 34 56 78", Some(Phone::Grouped)),
            ("415.555.2671", Some(Phone::Grouped)),
            ("4155552671", Some(Phone::Digits)),
            ("0612345678", Some(Phone::Digits)),
            ("2024-01-15", None),
            ("15.01.2024", None),
            ("536-90-4399", None),
            ("12345678.90", None),
            ("192.168.100.200", None),
            ("4111 1111 1111", None),
            ("-1234567890", None),
            ("+0123456789", None),
            ("123", None),
            ("123456789", None),
            ("1234567.1", None),
        ] {
            assert_eq!(phone(text), expected, "{text}");
        }
    }

    #[test]
    fn places_and_days() {
        all(
            is_coordinates,
            &[
                "48.8583, 2.2945",
                "(48.8583,2.2945)",
                "POINT(2.2945 48.8583)",
            ],
            &["48.8, 2.2", "1,2", "200.123,1.123", "1.2345"],
        );
        all(
            is_postal_code,
            &["SW1A 1AA", "M1 1AE", "K1A 0B1", "1012 AB", "94105-1234"],
            &["94105", "ABC", "2024"],
        );
        all(
            may_be_postal_code,
            &["94105", "10115", "SW1A 1AA", "100-0001"],
            &["abc", "1", "12345678901"],
        );
        assert_eq!(iso_day("2000-01-02"), Some(1));
        assert_eq!(iso_day("1999-12-31 10:00"), Some(-1));
        assert_eq!(
            (
                iso_day("1999-13-31"),
                iso_day("2000-1-2"),
                iso_day("üüüüüüüüü")
            ),
            (None, None, None)
        );
    }

    #[test]
    fn longer_texts_are_looked_into() {
        assert!(within("please write to ann@example.com, thanks", is_email));
        assert!(within("call +14155552671!", is_international));
        assert!(within("{\"card\": \"4111111111111111\"}", is_card));
        assert!(!within("nothing to see here", is_email));
    }
}
