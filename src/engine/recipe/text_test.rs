use super::*;

fn most(text_features: usize) -> Preparation {
    Preparation {
        text_features,
        ..Preparation::default()
    }
}

use crate::frame::Kind;
use crate::random::Random;

fn column(texts: impl IntoIterator<Item = String>) -> Column {
    let mut column = Column::new("notes", "text", Kind::Category);
    texts
        .into_iter()
        .for_each(|text| column.push(Cell::Text(&text)));
    column
}

fn rows(column: &Column) -> Vec<u32> {
    (0..column.len() as u32).collect()
}

/// Texts of random words; those of class 1 are "not good", the others "good".
fn reviews(count: usize) -> (Column, Vec<u32>) {
    let mut random = Random::new(3);
    let mut classes = Vec::new();
    let texts: Vec<String> = (0..count)
        .map(|_| {
            let class = u32::from(random.uniform() < 0.3);
            classes.push(class);
            let noise = |random: &mut Random| format!("word{}", random.below(50));
            let said = if class == 1 { "not good" } else { "good" };
            format!("{} {said} {}", noise(&mut random), noise(&mut random))
        })
        .collect();
    (column(texts), classes)
}

#[test]
fn the_words_that_tell_are_kept() {
    let (column, classes) = reviews(500);
    let text = Text::fit(
        &column,
        &rows(&column),
        Some(&Truth::Classes(classes)),
        &most(2),
    );
    let mut terms: Vec<&str> = text.terms().collect();
    terms.sort_unstable();
    assert_eq!(terms, ["not", "not good"]);
}

#[test]
fn with_a_number_as_the_target_too() {
    let (column, classes) = reviews(500);
    let values = classes.iter().map(|c| f64::from(*c) * 3.0 + 7.0).collect();
    let text = Text::fit(
        &column,
        &rows(&column),
        Some(&Truth::Values(values)),
        &most(1),
    );
    assert!(text.terms().all(|term| term.starts_with("not")));
}

#[test]
fn without_a_target_the_frequent_words_are_kept() {
    let (column, _) = reviews(500);
    let text = Text::fit(&column, &rows(&column), None, &most(1));
    assert_eq!(text.terms().collect::<Vec<_>>(), ["good"]);
}

#[test]
fn rare_words_are_not_kept_and_none_are_where_none_are_wanted() {
    let (column, classes) = reviews(500);
    let truth = Truth::Classes(classes);
    let text = Text::fit(&column, &rows(&column), Some(&truth), &most(10_000));
    assert!(
        text.terms.len() > 20 && text.terms.len() < 200,
        "{}",
        text.terms.len()
    );
    let none = Text::fit(&column, &rows(&column), Some(&truth), &most(0));
    assert_eq!(none.width(), none.length.width());
}

#[test]
fn the_vector_has_one_length_and_grows_with_the_logarithm_of_the_count() {
    let (column, classes) = reviews(500);
    let text = Text::fit(
        &column,
        &rows(&column),
        Some(&Truth::Classes(classes)),
        &most(1000),
    );
    let mut out = vec![9.0; text.width()];
    for given in ["good", "not good word1 word2", "Good GOOD good"] {
        text.write(Cell::Text(given), &mut out);
        let length: f32 = out[..text.terms.len()].iter().map(|x| x * x).sum();
        assert!((length.sqrt() - SCALE).abs() < 1e-4, "{given}");
    }
    text.write(Cell::Text("unknown things"), &mut out);
    assert!(out[..text.terms.len()].iter().all(|x| *x == 0.0));
    text.write(Cell::Null, &mut out);
    assert!(out[..text.terms.len()].iter().all(|x| *x == 0.0));
}

#[test]
fn long_texts_and_many_scripts_work() {
    let samples = [
        "The quick brown fox jumps",
        "Быстрая коричневая лиса прыгает",
        "Η γρήγορη καφέ αλεπού",
        "الثعلب البني السريع يقفز",
        "השועל החום המהיר קופץ",
        "तेज़ भूरी लोमड़ी कूदती है",
        "দ্রুত বাদামী শিয়াল লাফায়",
        "வேகமான பழுப்பு நரி",
        "త్వరిత గోధుమ నక్క",
        "ವೇಗದ ಕಂದು ನರಿ",
        "വേഗതയുള്ള തവിട്ട് കുറുക്കൻ",
        "สุนัขจิ้งจอกสีน้ำตาล",
        "ໝາຈອກສີນ້ຳຕານ",
        "မြန်ဆန်သော အညိုရောင်",
        "សត្វកញ្ជ្រោងពណ៌ត្នោត",
        "敏捷的棕色狐狸跳过",
        "素早い茶色の狐が跳ぶ",
        "빠른 갈색 여우가 뛴다",
        "სწრაფი ყავისფერი მელა",
        "արագ շագանակագույն աղվեսը",
        "ፈጣን ቡናማ ቀበሮ ይዘላል",
        "👩‍👩‍👧 🇮🇹🇫🇷 👍🏽 ok",
    ];
    let column = column((0..220).map(|i| format!("{} {i}", samples[i % samples.len()])));
    let text = Text::fit(&column, &rows(&column), None, &most(256));
    assert!(text.terms.len() > 100, "{}", text.terms.len());
    let mut out = vec![0.0; text.width()];
    for sample in samples.iter().chain(&["x", "🇮🇹", "\u{300}", " "]) {
        let long = sample.repeat((1 << 20) / sample.len());
        let started = std::time::Instant::now();
        text.write(Cell::Text(&long), &mut out);
        assert!(started.elapsed().as_secs() < 5, "{sample}");
        assert!(out.iter().all(|x| x.is_finite()), "{sample}");
    }
}
