-- How good a model is, how far it can be believed, and what follows from it.
SET client_min_messages = warning;
\set VERBOSITY default
CREATE TABLE visitors AS
  SELECT i AS visitor_id, (i * 7919) % 997 / 100.0 AS visits, (ARRAY['web', 'app', 'shop'])[1 + i % 3] AS channel, i % 7 = 0 AS member,
         (i * 104729) % 1009 / 1009.0 < 1 / (1 + exp(5 - (i * 7919) % 997 / 100.0)) AS buys,
         (ARRAY['none', 'little', 'much'])[1 + least(2, ((i * 7919) % 997 / 300.0 + (i * 104729) % 1009 / 2000.0)::int)] AS spending,
         (i * 7919) % 997 / 50.0 + (i * 104729) % 1009 / 250.0 * (1 + (i * 7919) % 997 / 500.0) AS amount
  FROM generate_series(1, 4000) i;
CREATE VIEW visited AS SELECT * FROM visitors WHERE visitor_id <= 3000;
CREATE VIEW fresh AS SELECT * FROM visitors WHERE visitor_id > 3000;
SELECT score > 0.9 AS good FROM insight_train('visited', 'buys', 'buys',
  '{"algorithm": "gbdt", "exclude": ["spending", "amount"], "profit": {"tp": 90, "fp": -60}, "capacity": 900}');
SELECT score > 0.9 AS good FROM insight_train('visited', 'buys', 'blind',
  '{"algorithm": "gbdt", "exclude": ["spending", "amount"], "include": ["channel", "member"]}');
SELECT score > 0.7 AS good FROM insight_train('visited', 'spending', 'spending', '{"algorithm": "gbdt", "exclude": ["buys", "amount"]}');
SELECT score < 5 AS good FROM insight_train('visited', 'amount', 'amount', '{"algorithm": "gbdt", "exclude": ["buys", "spending"]}');
-- Every metric of each task, inside its interval.
SELECT task, string_agg(m.metric, ', ' ORDER BY position), bool_and(value BETWEEN low AND high) AS inside
FROM insight.metrics m JOIN insight.versions v USING (model, version) WHERE class IS NULL AND model IN ('buys', 'spending', 'amount') GROUP BY task ORDER BY task;
-- Curves end where they should, on the rows kept and on others.
SELECT where_, min(recall), max(recall), count(*) BETWEEN 10 AND 200 AS points FROM (
  SELECT 'kept' AS where_, * FROM insight_precision_recall('buys') UNION ALL
  SELECT 'fresh', * FROM insight_precision_recall('buys', 'fresh')) x GROUP BY 1 ORDER BY 1;
SELECT min(false_positive_rate), max(true_positive_rate), count(DISTINCT label) FROM insight_roc('spending');
SELECT count(*), sum(rows), max(cumulative_gain), max(lift) = (array_agg(lift ORDER BY bin))[1] AS falling FROM insight_lift('buys', 'fresh', 5);
SELECT count(*), sum(rows), bool_and(low <= observed_share AND observed_share <= high) AS inside,
       count(*) FILTER (WHERE mean_predicted BETWEEN low - 0.05 AND high + 0.05) >= 4 AS believed FROM insight_calibration('buys', 'fresh', 5);
-- Decisions: the threshold is used, the share stays within the capacity, and the version's profit is the default.
SELECT provenance->'params'->>'threshold' AS goal, (provenance->>'threshold')::float8 > 0.5 AS high FROM insight.versions WHERE model = 'buys';
SELECT count(*) FROM fresh u, insight.versions v WHERE model = 'buys'
  AND (insight_classify('buys', u) = 'true') <> (insight_predict('buys', u) >= (provenance->>'threshold')::float8);
SELECT share <= 900 / 3000.0 AS within, profit > 0 AS earns, contacted = true_positives + false_positives AS adds_up FROM insight_profit('buys') WHERE best;
SELECT bool_and(profit = 90 * true_positives - 60 * false_positives) AS as_said, min(contacted), max(contacted),
       count(*) FILTER (WHERE best) AS best FROM insight_profit('buys', 'fresh');
SELECT contacted FROM insight_profit('buys', 'fresh', '{"fp": -1}', 10) WHERE best;
-- Intervals and sets hold what they should about as often as asked.
SELECT coverage, avg((amount::numeric <@ insight_interval('amount', u, coverage))::int) BETWEEN coverage - 0.04 AND coverage + 0.04 AS held
FROM fresh u, (VALUES (0.8), (0.9)) c (coverage) GROUP BY 1 ORDER BY 1;
SELECT coverage, avg((spending = ANY (insight_classes('spending', u, coverage)))::int) >= coverage - 0.03 AS held
FROM fresh u, (VALUES (0.8), (0.95)) c (coverage) GROUP BY 1 ORDER BY 1;
SELECT bool_and((insight_classes('buys', u))[1] = (insight_classes('buys', to_jsonb(u)))[1]) AS same,
       bool_and((insight_classes('spending', u))[1] = insight_classify('spending', u)) AS likeliest FROM fresh u;
-- Which is better, and for whom.
SELECT metric, better, p_value < 0.01 AS surely, low <= difference AND difference <= high AS inside
FROM insight_compare('blind', 'buys') WHERE metric IN ('roc_auc', 'log_loss');
SELECT count(*) > 10 AS metrics, bool_and(difference = 0 AND p_value = 1 AND better IS NULL) AS same FROM insight_compare('buys', 'buys@1', 'fresh');
SELECT slice, rows FROM insight_slices('buys', 'channel', 'fresh') WHERE metric = 'roc_auc' ORDER BY slice;
SELECT slice, rows FROM insight_slices('amount', 'visits', 'fresh') WHERE metric = 'rmse';
-- Each of many labels by itself.
SELECT insight_train('visited', 'spending', 'vector', '{"algorithm": "gbdt", "exclude": ["buys", "amount"], "calibration": "vector"}') IS NOT NULL AS trained;
SELECT provenance->>'calibration' AS calibration FROM insight.versions WHERE model = 'vector';
-- Calibration can be asked for, and keeps the order.
SELECT insight_train('visited', 'buys', 'plain', '{"algorithm": "gbdt", "exclude": ["spending", "amount"], "calibration": "none"}') IS NOT NULL AS trained;
SELECT insight_train('visited', 'buys', 'beta', '{"algorithm": "gbdt", "exclude": ["spending", "amount"], "calibration": "beta"}') IS NOT NULL AS trained;
SELECT provenance->>'calibration' AS calibration, provenance->>'threshold' AS threshold FROM insight.versions WHERE model = 'beta';
SELECT metric, abs(difference) < 1e-9 AS same FROM insight_compare('plain', 'beta') WHERE metric IN ('roc_auc', 'average_precision', 'log_loss') ORDER BY 1;
-- What cannot be answered says why.
SELECT * FROM insight_lift('byus');
SELECT * FROM insight_lift('buys', 'fresj');
SELECT * FROM insight_lift('buys', bins => 1);
SELECT * FROM insight_lift('buys', bins => NULL);
SELECT * FROM insight_roc('amount');
SELECT * FROM insight_calibration('buys', 'SELECT visits, channel, member FROM visitors');
SELECT * FROM insight_calibration('buys', 'SELECT * FROM visitors WHERE visitor_id = 0');
SELECT label, rows FROM insight_calibration('buys', 'SELECT * FROM visitors WHERE visitor_id = 1');
SELECT metric FROM insight_evaluate('buys', 'SELECT * FROM visitors WHERE visitor_id = 1') ORDER BY 1 LIMIT 2;
SELECT * FROM insight_profit('plain');
SELECT * FROM insight_profit('plain', profit => '{"tpp": 3}');
SELECT * FROM insight_profit('plain', capacity => 0);
SELECT * FROM insight_profit('amount');
SELECT * FROM insight_compare('buys', 'amount');
SELECT * FROM insight_compare('buys', NULL);
SELECT insight_train('visited', 'buys', 'other', '{"algorithm": "gbdt", "exclude": ["spending", "amount"], "seed": 7, "validation_size": 0}') IS NOT NULL AS trained;
SELECT * FROM insight_compare('buys', 'other');
SELECT insight_classes('other', u) FROM fresh u LIMIT 1;
SELECT insight_interval('buys', u) FROM fresh u LIMIT 1;
SELECT insight_classes('amount', u) FROM fresh u LIMIT 1;
SELECT insight_interval('amount', u, 1) FROM fresh u LIMIT 1;
SELECT insight_interval('amount', u, NULL) FROM fresh u LIMIT 1;
SELECT * FROM insight_slices('buys', 'chanel', 'fresh');
SELECT * FROM insight_slices('buys', 'channel', NULL);
SELECT * FROM insight_train('visited', 'buys', options => '{"threshold": "profit"}');
SELECT * FROM insight_train('visited', 'amount', options => '{"capacity": 5}');
SELECT * FROM insight_train('visited', 'buys', options => '{"threshold": "f1", "validation_size": 0}');
SELECT * FROM insight_train('visited', 'spending', options => '{"calibration": "isotonic"}');
SELECT * FROM insight_train('visited', 'buys', options => '{"calibration": "vector"}');
