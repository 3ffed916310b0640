//! Text without outer blanks, in one case, in one Unicode form.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// Outer blanks go, those of no width too.
    pub trim: bool,
    /// Small letters.
    pub fold: bool,
    /// Unicode's compatibility form: one way to write an accent, no ligatures, no full-width letters (Unicode annex 15).
    pub nfkc: bool,
}

impl Text {
    pub fn is_off(&self) -> bool {
        *self == Text::default()
    }

    /// The text as it should be; borrowed where nothing changes but the ends.
    pub fn normalise<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        if self.nfkc && is_nfkc_quick(text.chars()) != IsNormalized::Yes {
            text = Cow::Owned(text.nfkc().collect());
        }
        if self.fold && text.chars().any(has_small_letter) {
            text = Cow::Owned(text.to_lowercase());
        }
        if self.trim {
            text = match text {
                Cow::Borrowed(text) => Cow::Borrowed(trim(text)),
                Cow::Owned(text) if trim(&text).len() < text.len() => {
                    Cow::Owned(trim(&text).to_owned())
                }
                unchanged => unchanged,
            };
        }
        text
    }
}

fn has_small_letter(c: char) -> bool {
    let mut small = c.to_lowercase();
    small.next() != Some(c) || small.next().is_some()
}

/// Without outer blanks, byte order marks and zero-width spaces.
pub fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{200b}' | '\u{feff}'))
}

/// The value of a decimal digit of any script in common use.
pub fn digit(c: char) -> Option<u8> {
    /// Where the digits from 0 to 9 begin: ASCII, Arabic, Persian, N'Ko, the scripts of India, Thai, Lao, Tibetan, Myanmar,
    /// Khmer, Mongolian, full-width (Unicode's category Nd).
    const ZEROS: [u32; 22] = [
        0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66,
        0xde6, 0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0xff10,
    ];
    let code = u32::from(c);
    if code < 0x80 {
        return c.to_digit(10).map(|d| d as u8);
    }
    ZEROS
        .iter()
        .find(|zero| (**zero..**zero + 10).contains(&code))
        .map(|zero| (code - zero) as u8)
}

/// What people write where there is no value.
pub fn says_nothing(text: &str) -> bool {
    let text = trim(text);
    let marks = [
        "", "-", "--", "–", ".", "?", "n/a", "na", "nan", "null", "none", "#n/a",
    ];
    text.len() <= 4 && marks.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Text = Text {
        trim: true,
        fold: true,
        nfkc: true,
    };

    #[test]
    fn text_is_normalised_in_every_script() {
        for (raw, clean) in [
            ("  Rome\t", "rome"),
            ("\u{feff}Rome\u{200b}", "rome"),
            ("ＡＢＣ１２", "abc12"),
            ("e\u{301}te\u{301}", "été"),
            ("ﬁrst", "first"),
            ("ΣΑΣ", "σας"),
            ("МОСКВА ", "москва"),
            ("İ", "i\u{307}"),
            ("\u{a0}東京\u{3000}", "東京"),
            ("ﻷ", "لأ"),
            ("קפה", "קפה"),
            ("हिन्दी", "हिन्दी"),
            ("ไทย", "ไทย"),
            ("ក្មែរ", "ក្មែរ"),
            ("አማርኛ", "አማርኛ"),
            ("Հայ", "հայ"),
            ("한국", "한국"),
            ("ᄒ\u{1161}\u{11ab}", "한"),
            ("ｶﾞ", "ガ"),
            ("தமிழ்", "தமிழ்"),
            ("বাংলা", "বাংলা"),
            ("ᏣᎳᎩ", "ꮳꮃꭹ"),
            ("", ""),
        ] {
            assert_eq!(ALL.normalise(raw), clean);
            assert_eq!(ALL.normalise(clean), clean, "again, nothing changes");
        }
    }

    #[test]
    fn what_is_not_asked_for_stays() {
        let raw = "  Ａ é ";
        assert_eq!(Text::default().normalise(raw), raw);
        let trim = Text {
            trim: true,
            ..Text::default()
        };
        assert_eq!(trim.normalise(raw), "Ａ é");
        assert!(matches!(trim.normalise(raw), Cow::Borrowed(_)));
    }

    #[test]
    fn digits_of_all_scripts_have_values() {
        let four: Vec<Option<u8>> = "4٤۴४৪໔４x四".chars().map(digit).collect();
        assert_eq!(four[..7], [Some(4); 7]);
        assert_eq!(four[7..], [None; 2]);
    }
}
