//! Free text with a text model: sentence vectors in training and prediction, and what happens without it.

use live::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

/// The tiny text model where the server's user can read it.
fn text_model() -> TempDir {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/tiny_bert");
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        fs::copy(from.join(file), folder.path().join(file)).unwrap();
        fs::set_permissions(folder.path().join(file), fs::Permissions::from_mode(0o644)).unwrap();
    }
    folder
}

#[test]
fn sentence_vectors_need_the_text_model_they_were_trained_with() {
    let db = shared().database();
    let mut s = db.session();
    let folder = text_model();
    let name = literal(folder.path().to_str().unwrap());
    s.exec(
        "LOAD 'insight';
         CREATE TABLE reviews AS SELECT i AS id, 'The ' || (ARRAY['room', 'food', 'staff', 'price'])[1 + i * 7 % 4] || ' was '
           || CASE WHEN i % 3 = 0 THEN 'bad and dirty' ELSE 'good and clean' END || ', visit ' || i AS review, i % 3 = 0 AS unhappy
         FROM generate_series(1, 300) i;
         UPDATE reviews SET review = NULL WHERE id % 40 = 1",
    );
    s.exec(&format!("SET insight.text_model = {name}"));
    // No word enters: what is learned comes from the sentence vectors.
    let train = "SELECT score FROM insight_train('SELECT id, review, unhappy FROM reviews', 'unhappy', 'm', \
         '{\"text_features\": 0, \"include\": [\"review\"]}')";
    let score: f64 = s.one(train);
    assert!(score > 0.95, "{score}");
    let steps: String = s.one("SELECT steps FROM insight_recipe('m')");
    assert!(
        steps.contains("its sentence vector of 32 numbers by the text model "),
        "{steps}"
    );
    let differ: i64 = s.one(
        "SELECT count(*) FROM reviews r JOIN insight_predict_table('m', 'reviews', 'id') b ON b.key = r.id::text
         WHERE insight_predict('m', r) IS DISTINCT FROM b.prediction
            OR insight_predict('m', to_jsonb(r)) IS DISTINCT FROM b.prediction",
    );
    assert_eq!(differ, 0);
    let calls = [
        "SELECT insight_predict('m', r) FROM reviews r",
        "SELECT insight_predict('m', '{\"review\": \"good\"}')",
        "SELECT count(*) FROM insight_predict_table('m', 'reviews')",
        "SELECT count(*) FROM insight_evaluate('m', 'reviews')",
    ];
    // Another session knows what the server's configuration says, here nothing.
    let mut other = db.session();
    for call in calls {
        let error = other.fails_with("55000", call);
        assert!(
            error.message().contains("needs the text model"),
            "{error:?}"
        );
        assert!(error.hint().unwrap().contains("insight.text_model"));
    }
    let known: i64 = other.one("SELECT count(*) FROM insight_recipe('m')");
    assert_eq!(known, 1, "what needs no text goes on");
    // The folder goes away, then comes back with other weights.
    let weights = folder.path().join("model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::remove_file(&weights).unwrap();
    for call in calls {
        let error = s.fails_with("55000", call);
        assert!(error.message().contains("cannot be read"), "{error:?}");
    }
    s.fails_with("55000", train);
    let mut changed = bytes.clone();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(&weights, changed).unwrap();
    for call in calls {
        let error = s.fails_with("55000", call);
        assert!(error.message().contains("another text model"), "{error:?}");
    }
    fs::write(&weights, b"not weights").unwrap();
    let error = s.fails_with("55000", train);
    assert!(error.message().contains("is damaged"), "{error:?}");
    fs::write(&weights, bytes).unwrap();
    let rows: i64 = s.one("SELECT count(insight_predict('m', r)) FROM reviews r");
    assert_eq!(rows, 300);
}

#[test]
fn the_folder_is_a_superusers_choice() {
    let db = shared().database();
    let mut s = db.session();
    let role = format!("{}_reader", db.name);
    s.exec(&format!("CREATE ROLE {role} LOGIN"));
    let mut reader = db.session_of(&role);
    reader.exec("SELECT insight_version()");
    reader.fails_with("42501", "SET insight.text_model = '/etc'");
}
