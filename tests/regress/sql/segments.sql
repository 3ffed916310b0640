-- Customers in segments that nobody named before.
SET client_min_messages = warning;
CREATE TABLE seg_customers AS SELECT n AS id, (ARRAY['basic', 'pro', 'team'])[1 + n % 3] AS plan, (ARRAY[20, 200, 110])[1 + n % 3] + (n * 37 % 11) AS spend,
  CASE WHEN n % 29 <> 0 THEN (ARRAY[5, 5, 30])[1 + n % 3] + n * 13 % 4 END AS visits, (n * 7919 % 1000) / 1000.0 AS noise, n % 3 = 0 AND n % 2 = 0 OR n % 10 = 1 AS churned
  FROM generate_series(1, 900) n;
ALTER TABLE seg_customers ADD PRIMARY KEY (id);
CREATE TABLE seg_found AS SELECT * FROM insight_segments('seg_customers', '{"target": "churned"}');
SELECT count(*), count(DISTINCT segment), count(DISTINCT name), min(segment) FROM seg_found;
-- Each plan is a segment.
SELECT count(*) FROM (SELECT DISTINCT plan, segment FROM seg_found f JOIN seg_customers c ON c.id::text = f.key) s;
SELECT name, rows, round(share::numeric, 2) AS share, description LIKE '%' || (typical->>'plan') || '%' AS told, typical ? 'noise' AS of_all, typical ? 'id' AS of_keys,
  jsonb_array_length(differs) > 0 AS figures FROM insight_segment_profiles('seg_customers_segments') ORDER BY rows DESC, typical->>'plan';
SELECT bool_and(abs(p.target_rate - s.rate) < 1e-9) AS rates, bool_and(abs((p.target_shares->>'true')::float8 - s.rate) < 1e-9) AS shares FROM insight_segment_profiles('seg_customers_segments') p
  JOIN (SELECT segment, avg(churned::int)::float8 AS rate FROM seg_found f JOIN seg_customers c ON c.id::text = f.key GROUP BY segment) s USING (segment);
-- It is a model like others: rows are assigned, also one by one and new ones.
SELECT model, task, algorithm, target, metric, score > 0.5 AS apart, rows FROM insight.models WHERE model = 'seg_customers_segments';
SELECT count(*) FILTER (WHERE class IS NOT NULL) AS tried, count(*) FILTER (WHERE class IS NULL) AS chosen FROM insight.metrics WHERE model = 'seg_customers_segments';
SELECT count(*) AS others FROM seg_found f JOIN seg_customers c ON c.id::text = f.key WHERE insight_predict('seg_customers_segments', c) <> f.segment OR insight_classify('seg_customers_segments', c) <> f.name;
SELECT count(*) AS others FROM seg_found f JOIN insight_predict_table('seg_customers_segments', 'seg_customers') p USING (key) WHERE p.prediction <> f.segment OR p.label <> f.name;
SELECT insight_classify('seg_customers_segments', '{"plan": "team", "spend": 112, "visits": 31, "noise": 0.5}') = f.name AS same FROM seg_found f WHERE key = '2';
SELECT insight_classify('seg_customers_segments', NULL::seg_customers) IS NULL AS null_row, insight_classify('seg_customers_segments', '{"plan": null}') IS NOT NULL AS row_of_nulls;
SELECT same, detail FROM insight_reproduce('seg_customers_segments');
SELECT version, status, deployed FROM insight_retrain('seg_customers_segments', '{"k": 2}');
SELECT count(*) FROM insight_segment_profiles('seg_customers_segments');
SELECT count(*) FROM insight_segment_profiles('seg_customers_segments@1');
-- The other algorithms.
SELECT count(DISTINCT segment), count(DISTINCT name) FROM insight_segments('seg_customers', '{"algorithm": "gmm", "name": "seg_gmm", "exclude": ["noise"]}');
SELECT (SELECT round(sum(value::float8)::numeric, 6) FROM jsonb_each_text(p)) AS sum, (SELECT key FROM jsonb_each_text(p) ORDER BY value::float8 DESC LIMIT 1) = insight_classify('seg_gmm', c) AS likeliest
FROM seg_customers c, insight_probabilities('seg_gmm', c) p WHERE id = 7;
SELECT count(DISTINCT segment) FILTER (WHERE segment > 0) FROM insight_segments('SELECT (ARRAY[20, 200, 110])[1 + id % 3] + 10 * sin(id * 12.9898) AS spend, (ARRAY[5, 5, 30])[1 + id % 3] + 2 * sin(id * 78.233) AS visits FROM seg_customers', '{"algorithm": "hdbscan", "name": "seg_dense"}');
SELECT model, version, status, task, algorithm, metric FROM insight_train('seg_customers', NULL, 'seg_trained', '{"algorithm": "kmeans", "k": 4, "include": ["spend", "visits"]}');
SELECT count(*), sum(rows), bool_and(target_rate IS NULL) AS no_target FROM insight_segment_profiles('seg_trained');
SELECT feature, kept, reason FROM insight.features WHERE model = 'seg_trained' ORDER BY 1;
SELECT name, steps FROM insight_recipe('seg_trained');
SELECT split_part(insight_summary('seg_trained'), E'\n', 1) AS first;
SELECT insight_drop('seg_trained');
-- A label of many, a mean of numbers, without a key.
SELECT DISTINCT name IS NOT NULL AS named FROM insight_segments('SELECT spend, visits, plan FROM seg_customers', '{"name": "seg_plans", "target": "plan", "positive": "pro", "k": 3}');
SELECT round(sum(target_rate * share)::numeric, 3) AS third, count(*) FILTER (WHERE jsonb_array_length(differs) = 0) AS plain FROM insight_segment_profiles('seg_plans');
SELECT count(*) FROM insight_segments('SELECT spend, visits FROM seg_customers', '{"name": "seg_spend", "target": "spend"}');
SELECT bool_and(target_shares IS NULL) AS none, round(sum(target_rate * share)::numeric, 1) = (SELECT round(avg(spend), 1) FROM seg_customers) AS mean FROM insight_segment_profiles('seg_spend');
-- By what a model knows of the rows: those are alike of which it says the same.
SELECT status FROM insight_train('SELECT plan, spend, visits, noise, visits > 20 AS leaves FROM seg_customers WHERE visits IS NOT NULL', 'leaves', 'seg_leaves', '{"algorithm": "dnn", "epochs": 10, "max_seconds": 20}');
CREATE TABLE seg_alike AS SELECT c.*, visits > 20 AS leaves FROM seg_customers c WHERE visits IS NOT NULL;
SELECT count(*), count(DISTINCT segment) FROM insight_segments('seg_alike', '{"model": "seg_leaves", "k": 2, "name": "seg_by_dnn"}');
SELECT round(target_rate::numeric, 1) AS leave FROM insight_segment_profiles('seg_by_dnn') ORDER BY 1;
SELECT status FROM insight_train('SELECT plan, spend, visits, noise, visits > 20 AS leaves FROM seg_customers WHERE visits IS NOT NULL', 'leaves', 'seg_trees', '{"algorithm": "gbdt"}');
SELECT count(*), count(DISTINCT segment) FROM insight_segments('seg_alike', '{"model": "seg_trees", "k": 2, "name": "seg_by_trees"}');
SELECT round(target_rate::numeric, 1) AS leave FROM insight_segment_profiles('seg_by_trees') ORDER BY 1;
SELECT provenance->>'model' AS model, provenance->'learned' AS learned FROM insight.versions WHERE model IN ('seg_by_dnn', 'seg_by_trees') ORDER BY 1;
SELECT * FROM insight_segments('seg_alike', '{"model": "seg_leaves", "exclude": ["spend"]}');
SELECT * FROM insight_segments('seg_alike', '{"model": "seg_leaves", "target": "plan"}');
SELECT * FROM insight_segments('SELECT spend FROM seg_alike', '{"model": "seg_leaves", "name": "seg_x"}');
SELECT * FROM insight_segments('seg_alike', '{"model": "seg_gmm"}');
-- What cannot be grouped.
CREATE TABLE seg_nulls AS SELECT NULL::int AS a, NULL::text AS b FROM generate_series(1, 50);
SELECT * FROM insight_segments('seg_nulls');
SELECT * FROM insight_segments('SELECT 1 AS a');
SELECT * FROM insight_segments('SELECT 1 AS a WHERE false');
SELECT * FROM insight_segments('SELECT n % 2 AS a FROM generate_series(1, 100) n', '{"k": 3}');
SELECT * FROM insight_segments('seg_customers', '{"k": 1}');
SELECT * FROM insight_segments('seg_customers', '{"algorithm": "dbscan"}');
SELECT * FROM insight_segments('seg_customers', '{"algorithm": "hdbscan", "k": 3}');
SELECT * FROM insight_segments('seg_customers', '{"clusters": 3}');
SELECT * FROM insight_segments('seg_customers', '{"wait": false}');
SELECT * FROM insight_segments('seg_customers', '{"target": "churn"}');
SELECT * FROM insight_segments('seg_customers', '{"positive": "yes"}');
SELECT * FROM insight_segments('seg_customers', '[]');
SELECT * FROM insight_segments(NULL);
SELECT * FROM insight_segment_profiles('seg_none');
SELECT insight_probabilities('seg_customers_segments', '{"spend": 1}');
SELECT insight_classify('seg_customers_segments', '{"spending": 1}');
SELECT insight_interval('seg_customers_segments', '{"spend": 1}', 0.9);
SELECT * FROM insight_evaluate('seg_customers_segments');
BEGIN READ ONLY;
SELECT * FROM insight_segments('seg_customers');
ROLLBACK;
