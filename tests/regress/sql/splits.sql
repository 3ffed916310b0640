-- Splits by time, by group and as a column says; cross-validation; training again.
SET client_min_messages = warning;
\set VERBOSITY default
CREATE TABLE households AS
SELECT i AS person_id, (i * 7919) % 150 AS household, date '2024-01-01' + i / 10 AS joined,
  CASE WHEN i % 4 = 0 THEN 'test' ELSE 'train' END AS part, (i * 7919) % 61 AS age, ((i * 104729) % 1000) / 10.0 AS spend,
  ((i * 7919) % 61 > 30) AND ((i * 104729) % 1000 > 300) AS leaves
FROM generate_series(1, 1000) i;
ALTER TABLE households ADD PRIMARY KEY (person_id);
-- What the rows are split by is no feature.
SELECT status, score > 0.9 AS good FROM insight_train('households', 'leaves', 'by_group', '{"algorithm": "gbdt", "group": "household", "exclude": ["joined", "part"]}');
SELECT status, score > 0.9 AS good FROM insight_train('households', 'leaves', 'by_time', '{"algorithm": "gbdt", "time": "joined", "exclude": ["household", "part"]}');
SELECT status, score > 0.9 AS good FROM insight_train('households', 'leaves', 'by_part', '{"algorithm": "gbdt", "split": "part", "exclude": ["household", "joined", "part"]}');
SELECT model, feature, kept, reason FROM insight.features WHERE model LIKE 'by_%' AND NOT kept AND feature <> 'person_id' ORDER BY 1, 2;
SELECT model, provenance ->> 'test_rows' AS test_rows FROM insight.versions WHERE model IN ('by_part', 'by_time') ORDER BY 1;
-- Asked for by name, it is one.
SELECT count(*) FROM insight_train('households', 'leaves', 'by_time', '{"algorithm": "gbdt", "time": "joined", "include": ["joined", "age", "spend"]}');
SELECT feature FROM insight.features WHERE model = 'by_time' AND version = 2 AND kept ORDER BY 1;
-- Mistakes.
SELECT insight_train('households', 'leaves', options => '{"time": "joined", "group": "household"}');
SELECT insight_train('households', 'leaves', options => '{"time": "joint"}');
SELECT insight_train('households', 'leaves', options => '{"time": "part"}');
SELECT insight_train('households', 'leaves', options => '{"group": 7}');
SELECT insight_train('households', 'leaves', options => '{"split": "leaves"}');
SELECT insight_train('SELECT age, spend, leaves, CASE WHEN age > 3 THEN part END AS part FROM households', 'leaves', 'm', '{"split": "part"}');
SELECT insight_train('SELECT age, spend, leaves, ''evaluation'' AS part FROM households', 'leaves', 'm', '{"split": "part"}');
SELECT insight_train('SELECT age, spend, leaves, 1 AS g FROM households', 'leaves', 'm', '{"group": "g", "algorithm": "gbdt"}');
-- Cross-validation: every row is predicted once in each repeat, by a model that has not seen it.
SELECT metric, mean > 0.9 AS good, low <= mean AND mean <= high AS inside, baseline, cardinality(folds) AS folds
FROM insight_cross_validate('households', 'leaves', 3, '{"algorithm": "gbdt", "repeats": 2, "into": "unseen", "exclude": ["household", "joined", "part"]}')
WHERE metric IN ('roc_auc', 'accuracy');
SELECT repeat, count(*) AS rows, count(DISTINCT key) AS keys, count(DISTINCT fold) AS folds, avg((label = actual)::int) > 0.9 AS good,
  bool_and(prediction BETWEEN 0 AND 1) AS sound FROM unseen GROUP BY 1 ORDER BY 1;
SELECT count(*) AS rows, min(key) IS NOT NULL AS keyed FROM unseen u JOIN households h ON h.person_id = u.key::int AND h.leaves = u.actual::boolean;
SELECT count(*) FROM insight_cross_validate('households', 'leaves', 3, '{"algorithm": "gbdt", "group": "household", "key": "part", "into": "grouped"}') WHERE metric = 'roc_auc';
SELECT count(*) > 5 AS metrics FROM insight_cross_validate('households', 'leaves', 3, '{"algorithm": "gbdt", "group": "household", "into": "whole"}');
SELECT count(*) AS split_households FROM (SELECT h.household FROM whole u JOIN households h ON h.person_id = u.key::int GROUP BY 1 HAVING count(DISTINCT u.fold) > 1) AS s;
SELECT insight_cross_validate('households', 'leaves', 3, '{"into": "unseen"}');
SELECT insight_cross_validate('households', 'leaves', 1);
SELECT insight_cross_validate('households', 'leaves', 3, '{"repeats": 0}');
SELECT insight_cross_validate('households', 'leaves', 3, '{"deploy": false}');
SELECT insight_cross_validate('households', 'leaves', 500, '{"time": "joined"}');
SELECT count(*) AS models FROM insight.models WHERE model = 'households_leaves';
-- Again: the same data gives the same model; other data another.
SELECT same, score = score_again AS same_score, detail FROM insight_reproduce('by_time@2');
SELECT model, version, status, algorithm FROM insight_retrain('by_group');
SELECT model, version, status, algorithm FROM insight_retrain('by_group', '{"algorithm": "mlp", "epochs": 2}');
-- Going on from a version.
SELECT version, status FROM insight_train('households', 'leaves', 'net', '{"algorithm": "mlp", "hidden": [8], "epochs": 3, "time": "joined", "exclude": ["household", "part"]}');
SELECT version, status FROM insight_retrain('net', '{"warm_start": true, "epochs": 2}');
SELECT options ->> 'warm_start' AS warm_start, provenance ->> 'started_from' AS started_from FROM insight.versions WHERE model = 'net' ORDER BY version;
SELECT (SELECT min(validation_loss) FROM insight.history WHERE model = 'net' AND version = 2) < (SELECT min(validation_loss) FROM insight.history WHERE model = 'net' AND version = 1) AS better;
SELECT same FROM insight_reproduce('net');
SELECT insight_retrain('net', '{"warm_start": "net@7"}');
SELECT insight_retrain('net', '{"warm_start": 1}');
SELECT insight_retrain('net', '{"warm_start": true, "algorithm": "gbdt", "epochs": null, "hidden": null}');
SELECT insight_train('SELECT age, leaves FROM households', 'leaves', 'net2', '{"algorithm": "mlp", "warm_start": "net"}');
UPDATE households SET spend = spend + 1 WHERE person_id = 77;
SELECT same, detail ~ '^the data is not the same: 1000 rows then, 1000 now' AS why FROM insight_reproduce('by_time@2');
SELECT version FROM insight.versions WHERE model = 'by_time' ORDER BY 1;
\set VERBOSITY terse
SELECT insight_retrain('nobody');
\set VERBOSITY default
SELECT insight_retrain('by_group', '[]');
SELECT insight_reproduce('by_time@7');
SELECT insight_reproduce(NULL);
DROP TABLE households;
\set VERBOSITY terse
SELECT insight_retrain('by_group');
