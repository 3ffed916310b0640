//! Modules of the engine that need little of other crates, and none of threads, files or vector instructions, which Miri cannot
//! run or takes hours for: `cargo +nightly miri test --manifest-path tests/miri/Cargo.toml -- --skip of_many`.

#![allow(dead_code, unused_imports)]

#[path = "../../../src/engine/calendar.rs"]
pub mod calendar;
#[path = "../../../src/engine/condition.rs"]
pub mod condition;
#[path = "../../../src/engine/frame.rs"]
pub mod frame;
#[path = "../../../src/engine/members.rs"]
pub mod members;
#[path = "../../../src/engine/random.rs"]
pub mod random;

/// The size of a picture is all that a frame knows of it.
pub mod picture {
    pub const BYTES: usize = 32 * 32 * 3;
}

#[path = "../../../src/engine/clean"]
pub mod clean {
    pub mod dates;
    pub mod numbers;
    pub mod text;
}

#[cfg(test)]
mod tests {
    use crate::clean::{dates, numbers, text};
    use crate::condition::Condition;

    /// Every piece of these, and pieces of pieces.
    const TEXTS: [&str; 12] = [
        "2024-02-29T12:30:00.123456+02:00",
        "29.02.2024",
        "02/29/24 11:59 pm",
        "1.234.567,89 €",
        "(12,5 %)",
        "-1e308",
        "12k",
        "\u{fb01}ne \u{0130}stanbul",
        "drift > 0.2 or new_rows >= 10% and drift<=1e9",
        "9999999999999999999999",
        "+00000-00-00",
        "\u{200b}n/a\u{feff}",
    ];

    #[test]
    fn texts_of_any_kind_are_read_without_a_fault() {
        let rules = text::Text {
            trim: true,
            fold: true,
            nfkc: true,
        };
        let (mut read, mut conditions) = (0, 0);
        for whole in TEXTS {
            let ends: Vec<usize> = whole.char_indices().map(|(i, _)| i).collect();
            for &start in ends.iter().step_by(3) {
                for &end in ends.iter().filter(|end| **end >= start).step_by(2) {
                    let part = &whole[start..end];
                    let _ = rules.normalise(part);
                    let one = std::iter::once((part, 1));
                    read += dates::Format::find(one.clone()).and_then(|f| f.read(part)).map_or(0, |_| 1);
                    read += numbers::Format::find(one).and_then(|f| f.read(part)).map_or(0, |_| 1);
                    conditions += usize::from(Condition::parse(part).is_ok());
                }
            }
        }
        assert!(read > 20 && conditions > 0, "{read} {conditions}");
    }
}
