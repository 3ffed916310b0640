-- What somebody who may ask a model learns of the rows it was trained on.
SET client_min_messages = warning;
CREATE TABLE chances AS
  SELECT n AS id, (n * 7919 % 997) / 99.0 AS a, (n * 104729 % 1009) / 99.0 AS b, (n * 31337 % 787) / 99.0 AS c, (ARRAY['x', 'y', 'z'])[1 + n * 6151 % 3] AS kind,
         hashint4(n) % 2 = 0 AS label, (n * 7919 % 997) / 99.0 + hashint4(n) % 100 / 100.0 AS amount FROM generate_series(1, 400) n;
-- Labels are chance, and learned by heart.
SELECT status FROM insight_train('SELECT a, b, c, kind, label FROM chances', 'label', 'by_heart',
  '{"algorithm": "mlp", "hidden": [128, 64], "epochs": 300, "early_stopping": false, "dropout": 0, "l2": 0, "learning_rate": 0.005, "validation_size": 0, "calibration": "none"}');
CREATE TABLE attacked AS SELECT * FROM insight_leak_test('by_heart', '{"shadows": 8, "canaries": 10, "seed": 1}');
SELECT attack, metric, value IS NOT NULL AS known, low <= value AND value <= high AS inside FROM attacked ORDER BY attack COLLATE "C", metric;
SELECT attack, value > 0.65 AS found_out FROM attacked WHERE metric = 'roc_auc' AND attack IN ('lira', 'loss_threshold') ORDER BY 1;
SELECT m.value > u.value AS by_heart FROM attacked m, attacked u WHERE m.metric = 'accuracy_members' AND u.metric = 'accuracy_non_members';
-- It is kept, and shown to those it is for.
SELECT count(*) AS same, min(shadows) AS shadows, min(rows) AS rows, min(version) AS version FROM insight.leaks l JOIN attacked a USING (attack, metric)
WHERE model = 'by_heart' AND l.value IS NOT DISTINCT FROM a.value;
SELECT page LIKE '%What it may reveal%' AS section, page LIKE '%8 models trained as this one was, on halves of 400 rows%' AS told FROM insight_report('by_heart') page;
-- A model that answers the same for all reveals nothing.
SELECT status FROM insight_train('SELECT a, b, c, kind, label FROM chances', 'label', 'dull', '{"algorithm": "linear", "l1": 10, "calibration": "none"}');
SELECT attack, abs(value - 0.5) < 0.05 AS guess FROM insight_leak_test('dull', '{"shadows": 6, "canaries": 0, "columns": []}') WHERE metric = 'roc_auc' ORDER BY 1;
-- Numbers; a version's job is a job as others are.
SELECT status FROM insight_train('SELECT a, b, kind, amount FROM chances', 'amount', 'amounts', '{"algorithm": "linear"}');
SELECT attack, metric FROM insight_leak_test('amounts@1', '{"shadows": 6, "rows": 300, "canaries": 0, "columns": ["kind"]}') WHERE attack LIKE 'attribute%' ORDER BY 2;
SELECT model, status, phase FROM insight.jobs j WHERE job = (SELECT min(job) FROM insight.leaks WHERE model = 'amounts');
SELECT count(*) AS rows, count(DISTINCT measured_at) AS tests FROM insight.leaks WHERE model = 'amounts';
-- A private model is tested by models that are as private; what there is of chance it does not learn by heart.
SELECT status FROM insight_train('SELECT a, b, c, kind, label FROM chances', 'label', 'leak_private', '{"algorithm": "mlp", "hidden": [16], "epochs": 20, "privacy": {"epsilon": 2, "delta": 0.001, "bounds": {"a": [0, 10.1], "b": [0, 10.2], "c": [0, 8]}, "categories": {"kind": ["x", "y", "z"]}}}');
CREATE TABLE of_private AS SELECT * FROM insight_leak_test('leak_private', '{"shadows": 8, "canaries": 10, "columns": []}');
SELECT attack, abs(value - 0.5) < 0.12 AS guess FROM of_private WHERE metric = 'roc_auc' AND attack NOT LIKE 'canary%' ORDER BY 1;
SELECT attack, value BETWEEN 0 AND log(2, 11.0) AS inside FROM of_private WHERE metric = 'exposure';
-- What cannot be tested says why.
SELECT * FROM insight_leak_test('by_hart');
SELECT * FROM insight_leak_test(NULL);
SELECT * FROM insight_leak_test('by_heart', '{"shadow": 4}');
SELECT * FROM insight_leak_test('by_heart', '{"shadows": 5}');
SELECT * FROM insight_leak_test('by_heart', '{"shadows": 6, "columns": ["kinds"]}');
SELECT * FROM insight_leak_test('by_heart', '{"shadows": 6, "columns": ["a"]}');
SELECT status FROM insight_train('SELECT a, b, kind FROM chances', NULL, 'leak_twins', '{"algorithm": "tvae", "epochs": 1}');
SELECT * FROM insight_leak_test('leak_twins');
SELECT status FROM insight_train('SELECT a, b, c, kind, label FROM chances', 'label', 'by_heart', '{"algorithm": "mlp", "epochs": 1, "warm_start": true}');
SELECT * FROM insight_leak_test('by_heart');
SELECT status FROM insight_train('SELECT a, b, c, ARRAY[kind, CASE WHEN label THEN ''t'' END] AS tags FROM chances', 'tags', 'leak_tags', '{"algorithm": "gbdt"}');
SELECT * FROM insight_leak_test('leak_tags', '{"shadows": 6}');
-- Only members of the owner may test and see, and only what they may read.
CREATE ROLE leak_stranger;
CREATE ROLE leak_member;
GRANT USAGE ON SCHEMA public TO leak_stranger, leak_member;
SELECT insight_grant('by_heart', 'leak_stranger', 'explain');
SET ROLE leak_stranger;
SELECT * FROM insight_leak_test('amounts');
SELECT count(*) FROM insight.leaks;
SELECT insight_report('by_heart@1') LIKE '%What it may reveal%' AS section;
RESET ROLE;
GRANT postgres TO leak_member;
SET ROLE leak_member;
SELECT count(*) > 0 AS seen FROM insight.leaks;
RESET ROLE;
DROP OWNED BY leak_stranger, leak_member;
DROP ROLE leak_stranger, leak_member;
BEGIN READ ONLY;
SELECT * FROM insight_leak_test('amounts');
ROLLBACK;
