use super::testing::{folder, tiny_bert};
use super::*;
use std::fs;

/// A copy of the fixture without some of its files, to be changed.
struct Copy(PathBuf);

impl Copy {
    fn new(name: &str, without: &[&str]) -> Copy {
        let copy = std::env::temp_dir().join(format!("insight-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&copy);
        fs::create_dir_all(&copy).unwrap();
        for file in fs::read_dir(folder()).unwrap().map(Result::unwrap) {
            if !without.contains(&file.file_name().to_str().unwrap()) {
                fs::copy(file.path(), copy.join(file.file_name())).unwrap();
            }
        }
        Copy(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Texts with the vectors that `transformers` gave.
fn expected() -> Vec<(String, Vec<f32>)> {
    let text = fs::read_to_string(folder().join("expected.json")).unwrap();
    let list: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let one = |v: &serde_json::Value| {
        let numbers = v["vector"].as_array().unwrap();
        let numbers = numbers.iter().map(|x| x.as_f64().unwrap() as f32);
        (v["text"].as_str().unwrap().to_owned(), numbers.collect())
    };
    list.iter().map(one).collect()
}

fn encoded(encoder: &Encoder, text: &str) -> Vec<f32> {
    let mut out = vec![0.0; encoder.dimension()];
    encoder.encode(text, &mut out);
    out
}

#[track_caller]
fn equals_the_reference(encoder: &Encoder) {
    let mut worst = 0f32;
    for (text, vector) in expected() {
        let ours = encoded(encoder, &text);
        assert_eq!(ours.len(), vector.len());
        for (a, b) in ours.iter().zip(&vector) {
            worst = worst.max((a - b).abs());
        }
        assert!(worst < 1e-4, "{text:?} is off by {worst}");
        // From the memo: the same bits.
        assert_eq!(encoded(encoder, &text), ours);
    }
    println!("largest difference from transformers: {worst:e}");
}

#[test]
fn vectors_are_those_of_transformers() {
    assert!(expected().len() > 10);
    equals_the_reference(&tiny_bert());
}

#[test]
fn a_list_of_word_pieces_does_as_well() {
    let copy = Copy::new("vocab", &["tokenizer.json"]);
    let encoder = open(&copy.0).unwrap();
    equals_the_reference(&encoder);
    assert_ne!(encoder.fingerprint(), tiny_bert().fingerprint());
}

#[test]
fn nothing_depends_on_what_is_remembered() {
    let copy = Copy::new("memo", &[]);
    let encoder = open(&copy.0).unwrap();
    assert_eq!(encoder.fingerprint(), tiny_bert().fingerprint());
    for bytes in [0, 300, 5000] {
        encoder.remember(bytes);
        equals_the_reference(&encoder);
    }
}

#[test]
fn other_weights_have_another_fingerprint_and_are_read_again() {
    let copy = Copy::new("weights", &[]);
    let before = open(&copy.0).unwrap();
    let file = copy.0.join(WEIGHTS);
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    // The time of the file tells; it may be as coarse as a clock tick.
    let later = SystemTime::now() + std::time::Duration::from_secs(5);
    let opened = fs::File::options().write(true).open(&file).unwrap();
    opened.set_modified(later).unwrap();
    assert_ne!(open(&copy.0).unwrap().fingerprint(), before.fingerprint());
}

#[test]
fn what_is_wrong_with_a_folder_is_said() {
    let said = |folder: &Path| {
        let error = open(folder).unwrap_err();
        assert!(!matches!(check(folder), Err(other) if other != error));
        error.to_string()
    };
    assert!(
        said(Path::new("/nowhere")).starts_with("text model file \"/nowhere/model.safetensors\"")
    );
    let copy = Copy::new("no-vocabulary", &["tokenizer.json", "vocab.txt"]);
    assert!(said(&copy.0).contains("neither it nor vocab.txt is there"));
    let copy = Copy::new("no-config", &["config.json"]);
    assert!(said(&copy.0).contains("config.json\" cannot be read: it is not there"));
    let copy = Copy::new("odd", &[]);
    let config = fs::read_to_string(copy.0.join(CONFIG)).unwrap();
    let with = |from: &str, to: &str| {
        assert!(config.contains(from));
        fs::write(copy.0.join(CONFIG), config.replace(from, to)).unwrap();
    };
    with("\"bert\"", "\"mpnet\"");
    assert!(said(&copy.0).contains("model_type is mpnet"));
    with("\"gelu\"", "\"swish\"");
    assert!(said(&copy.0).contains("hidden_act is swish"));
    with("\"num_attention_heads\": 4", "\"num_attention_heads\": 5");
    assert!(said(&copy.0).contains("the heads"));
    with("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3");
    assert!(said(&copy.0).contains("it has no tensor encoder.layer.2"));
    with("\"intermediate_size\": 64", "\"intermediate_size\": 63");
    assert!(said(&copy.0).contains("has the shape [64, 32], not [63, 32]"));
    with("{", "[");
    assert!(said(&copy.0).contains("is damaged"));
    fs::write(copy.0.join(CONFIG), &config).unwrap();
    let weights = fs::read(copy.0.join(WEIGHTS)).unwrap();
    for cut in [0, 7, 500, weights.len() - 1] {
        fs::write(copy.0.join(WEIGHTS), &weights[..cut]).unwrap();
        assert!(said(&copy.0).contains("is damaged"), "{cut}");
    }
}
