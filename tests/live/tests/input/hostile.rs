//! Rows that nobody planned for, through the real border: jsonb, text and composite values made at random. Each is answered, or refused
//! in words; none is an internal error, and the session and the server go on.

use live::*;

/// Rounds of each kind; `INSIGHT_HOSTILE_ROUNDS` says otherwise.
const ROUNDS: u32 = 1500;

const TABLE: &str = r#"
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE every AS SELECT i AS id, i % 7 AS small, (i * 7919 % 1000) / 10.0 AS amount, sin(i)::float8 AS wave, sin(i)::real AS little,
  'plan ' || i % 3 AS plan, i % 2 = 0 AS flag, date '2024-01-01' + i AS day, timestamptz '2024-01-01' + i * interval '7 hours' AS at,
  i * interval '3 hours' AS age, ARRAY['a' || i % 4, 'b'] AS tags, ARRAY[sin(i), cos(i)] AS place, md5(i::text)::uuid AS code,
  jsonb_build_object('device', 'd' || i % 3, 'seconds', i % 50, 'deep', jsonb_build_object('x', i % 5)) AS doc,
  (ARRAY['sad', 'ok', 'happy'])[1 + i % 3]::mood AS mood, (i * 7919 % 1000) > 500 AS label FROM generate_series(1, 300) i;
"#;

const SETUP: &str = r#"
SELECT insight_train('every', 'label', 'every_kind', '{"algorithm": "mlp", "hidden": [4], "epochs": 1, "include": ["small", "amount", "wave", "little", "plan", "flag", "day", "at", "age", "tags", "place", "doc", "mood"]}');
CREATE TABLE name (i serial, name text);
INSERT INTO name (name) SELECT unnest(ARRAY['small', 'amount', 'wave', 'little', 'plan', 'flag', 'day', 'at', 'age', 'tags', 'place', 'doc', 'mood',
  'unknown', '', 'Plan', 'doc.device', 'label', E'two\nlines', 'plan"; DROP TABLE every; --']);
-- A value as jsonb.
CREATE TABLE hostile_json (i serial, value jsonb);
INSERT INTO hostile_json (value) SELECT unnest(ARRAY['null', 'true', '0', '-0', '1e308', '-1e308', '1e400', '1e-400', '9007199254740993', '"NaN"', '"Infinity"', '"-inf"', '""',
  '" "', '"plan 1"', '"2024-02-30"', '"infinity"', '"4714-11-24 BC"', '"294277-01-01"', '"3 hours"', '"178000000 years"', '"sad"', '"\u0001\u202e\uffff"', '[]', '{}',
  '[null]', '[1, "a", null, {}]', '[1e400, 2]', '["a1", "b", "a1"]', '{"device": null}', '{"device": {"device": 1}, "seconds": "x", "deep": []}',
  '{"deep": {"x": 1e400}, "seconds": -1}', '{"": {"": {"": ""}}}']::jsonb[]);
INSERT INTO hostile_json (value) VALUES (to_jsonb(repeat('x', 100000))), ((repeat('[', 200) || repeat(']', 200))::jsonb),
  ((repeat('{"a":', 200) || '1' || repeat('}', 200))::jsonb), (to_jsonb(array_fill(1, ARRAY[3000]))), (to_jsonb(repeat('9', 4000)::numeric));
-- A value as an expression.
CREATE TABLE hostile (i serial, value text);
INSERT INTO hostile (value) SELECT unnest(ARRAY['NULL', 'NULL::text[]', '1', '-32768::smallint', '9223372036854775807', $$'NaN'::numeric$$, $$'Infinity'::numeric$$, '1e131071::numeric',
  $$'NaN'::float8$$, $$'-Infinity'::float4$$, '1e-308', $$''::text$$, $$repeat('ä', 70000)$$, $$E'\u0001'::varchar$$, $$'plan 1'::char(9)$$, $$'plan 1'::name$$, 'true',
  $$'infinity'::date$$, $$'4713-01-01 BC'::date$$, $$'-infinity'::timestamp$$, $$'294276-12-31'::timestamptz$$, $$'-178000000 years'::interval$$, $$'24:00'::time$$,
  $$'{}'::text[]$$, $$ARRAY[NULL, 'a1']$$, $$ARRAY[[1.5, NULL], [2, 3]]$$, $$'[5:6]={1,2}'::float8[]$$, 'array_fill(1e300, ARRAY[5000])', $$'sad'::mood$$, $$'{"device": [1, {}]}'::jsonb$$,
  $$'null'::jsonb$$, $$'[1]'::json$$, $$'\x00ff'::bytea$$, $$'10.0.0.1'::inet$$, $$'(1,2)'::point$$, 'ROW(1, NULL)', $$int4range(1, NULL)$$, $$'<a/>'::xml$$, '$1'::text]);
DELETE FROM hostile WHERE value = '$1' OR value LIKE '%xml%' AND NOT EXISTS (SELECT FROM pg_proc WHERE proname = 'xmlparse');
CREATE TABLE outcome (kind text, sqlstate text, message text, given text);
CREATE FUNCTION one(kind text, call text, given text, value jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE call USING value;
  INSERT INTO outcome VALUES (kind, '00000', NULL, NULL);
EXCEPTION WHEN OTHERS THEN
  INSERT INTO outcome VALUES (kind, SQLSTATE, SQLERRM, left(given, 2000));
END $$;
CREATE FUNCTION pick_name() RETURNS text LANGUAGE sql VOLATILE AS 'SELECT name FROM name ORDER BY random() LIMIT 1';
CREATE FUNCTION pick_value() RETURNS text LANGUAGE sql VOLATILE AS 'SELECT value FROM hostile ORDER BY random() LIMIT 1';
CREATE PROCEDURE attack(rounds int) LANGUAGE plpgsql AS $$
DECLARE doc jsonb; fields text; call text; calls text[] := ARRAY['insight_predict', 'insight_classify', 'insight_probabilities', 'insight_explain'];
BEGIN
  FOR r IN 1..rounds LOOP
    call := calls[1 + floor(random() * 4)::int];
    SELECT CASE WHEN random() < 0.05 THEN (SELECT value FROM hostile_json ORDER BY random() LIMIT 1) ELSE jsonb_object_agg(pick_name(), value) END INTO doc
    FROM (SELECT value FROM hostile_json ORDER BY random() LIMIT floor(random() * 8)::int) v;
    PERFORM one('jsonb ' || call, format('SELECT count(x) FROM %I(''every_kind'', $1) x', call), doc::text, doc);
    IF r % 5 = 0 THEN
      PERFORM one('text ' || call, format('SELECT count(x) FROM %I(''every_kind'', left($1::text, %s)) x', call, floor(random() * 200)), doc::text, doc);
    END IF;
    -- A row of the table, with other values here and there, or now and then without a column.
    SELECT string_agg(format('%s AS %I', CASE WHEN random() < 0.9 THEN format('e.%I', name) ELSE pick_value() END, name), ', ') INTO fields
    FROM name WHERE i <= 13 AND random() < 0.995;
    PERFORM one('row ' || call, format('SELECT count(x) FROM (SELECT %s FROM every e WHERE id = 7) t, %I(''every_kind'', t) x', fields, call), fields, NULL);
    IF r % 100 = 0 THEN COMMIT; END IF;
  END LOOP;
END $$;
"#;

#[test]
fn rows_made_at_random_are_answered_or_refused_in_words() {
    let cluster = shared();
    let database = cluster.database();
    let mut session = database.session();
    session.exec(TABLE);
    session.exec(SETUP);
    let rounds = std::env::var("INSIGHT_HOSTILE_ROUNDS").ok();
    let rounds = rounds.and_then(|r| r.parse().ok()).unwrap_or(ROUNDS);
    let seed: f64 = session.one("SELECT round(random()::numeric, 6)::float8");
    println!("seed {seed}");
    session.exec(&format!("SELECT setseed({seed})"));
    session.exec(&format!("CALL attack({rounds})"));
    // What broke inside, or was said in Rust's words.
    let broken: Vec<String> = session.all(
        "SELECT DISTINCT ON (sqlstate, left(message, 40)) format('%s: %s %s with %s', kind, sqlstate, message, left(given, 300)) FROM outcome
         WHERE sqlstate LIKE 'XX%' OR sqlstate = '58000' OR message ~ 'panicked|unwrap|index out of|RefCell|src/' LIMIT 20",
    );
    assert!(broken.is_empty(), "seed {seed}: {broken:#?}");
    let kinds: Vec<String> = session.all(
        "SELECT split_part(kind, ' ', 1) FROM outcome GROUP BY 1
         HAVING count(*) FILTER (WHERE sqlstate = '00000') > 0 AND count(*) FILTER (WHERE sqlstate <> '00000') > 0 ORDER BY 1",
    );
    assert_eq!(
        kinds,
        ["jsonb", "row", "text"],
        "each kind is answered now and then, and refused"
    );
    let pid: i32 = session.one("SELECT pg_backend_pid()");
    assert_eq!(pid, session.pid);
    assert_eq!(cluster.restarts(), 0);
}
