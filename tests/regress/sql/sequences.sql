-- What customers do next: histories learned by networks with a memory.
SET client_min_messages = warning;
-- Each customer goes through the same circle of pages, at another pace, some twice.
CREATE TABLE page_views AS
SELECT c AS customer_id, timestamptz '2024-01-01 00:00+00' + make_interval(days => s * (1 + c % 3), hours => c % 7) AS at,
  (ARRAY['home', 'list', 'item', 'cart', 'paid'])[1 + (s + c) % 5] AS page, ((s + c) % 5) * 10 + c % 3 AS seconds, c % 2 = 0 AS mobile
FROM generate_series(1, 120) c, generate_series(1, 14 + c % 5) s;
ALTER TABLE page_views ADD visit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
CREATE INDEX ON page_views (customer_id);
SELECT model, version, status, task, algorithm, metric, score > 0.9 AS good, rows
FROM insight_train('SELECT customer_id, at, page, mobile FROM page_views', 'page', 'next_page', '{"algorithm": "lstm", "key": "customer_id", "order": "at", "hidden": [24], "epochs": 25, "learning_rate": 0.01}');
SELECT metric, class, value > 0.9 AS good FROM insight.metrics WHERE model = 'next_page' AND metric = 'hit_rate_at_1' ORDER BY position;
SELECT key, rank, label, probability > 0.5 AS likely, value FROM insight_next('next_page', 'SELECT 7 AS customer_id, timestamp ''2024-06-01'' + make_interval(days => n) AS at, (ARRAY[''home'', ''list'', ''item''])[n] AS page, true AS mobile FROM generate_series(1, 3) n', 1);
SELECT count(*), count(DISTINCT key), bool_and(probability BETWEEN 0 AND 1) FROM insight_next('next_page', 'page_views', 3);
-- One customer, whose history is read by itself.
CREATE TABLE guessed AS SELECT c AS customer_id, (SELECT page FROM page_views v WHERE v.customer_id = c ORDER BY at DESC LIMIT 1) AS last_page, insight_classify('next_page', c) AS next_page FROM generate_series(1, 120) c;
SELECT avg((next_page = (ARRAY['list', 'item', 'cart', 'paid', 'home'])[array_position(ARRAY['home', 'list', 'item', 'cart', 'paid'], last_page)])::int) > 0.9 AS right FROM guessed;
SELECT rank, probability > 0 AS some FROM insight_recommend('next_page', 7, 3);
SELECT count(*) AS unseen FROM insight_recommend('next_page', 7, 3, exclude_seen => true);
SELECT count(*) AS for_a_stranger FROM insight_recommend('next_page', 100000, 3);
SELECT insight_classify('next_page', 100000) AS stranger;
SELECT insight_predict('next_page', '7'::text);
SELECT (SELECT count(*) FROM jsonb_object_keys(insight_probabilities('next_page', 7))) AS labels;
SELECT count(*), min(cardinality(embedding)), max(cardinality(embedding)) FROM insight_sequence_embedding('next_page', 'page_views');
-- The next number, the time to the next row, a label for each customer.
SELECT task, algorithm, metric, score < 5 AS good FROM insight_train('page_views', 'seconds', 'next_seconds', '{"algorithm": "gru", "key": "customer_id", "order": "at", "hidden": [24], "epochs": 20, "learning_rate": 0.01, "exclude": ["visit_id"]}');
SELECT insight_predict('next_seconds', 7) BETWEEN -10 AND 60 AS a_number, insight_predict('next_seconds', 100000) AS stranger;
SELECT task, score / 86400 < 1 AS good FROM insight_train('page_views', 'at', 'next_visit', '{"key": "customer_id", "order": "at", "hidden": [16], "epochs": 15, "include": ["page"]}');
SELECT key, round(value / 86400) AS days FROM insight_next('next_visit', 'page_views') WHERE key IN ('3', '4', '5') ORDER BY key;
CREATE TABLE page_viewers AS SELECT c AS customer_id, c % 3 = 0 AS quick, c % 3 + 1 AS pace FROM generate_series(1, 120) c;
SELECT task, metric, score > 0.8 AS good FROM insight_train('page_views', 'quick', 'is_quick', '{"algorithm": "lstm", "key": "customer_id", "order": "at", "label_relation": "page_viewers", "hidden": [16], "epochs": 40, "learning_rate": 0.01, "test_size": 0.3}');
SELECT avg(((insight_predict('is_quick', customer_id) > 0.5) = quick)::int) > 0.9 AS right FROM page_viewers;
SELECT task, metric FROM insight_train('page_views', 'pace', 'pace', '{"algorithm": "gru", "key": "customer_id", "order": "at", "label_relation": "page_viewers", "hidden": [16], "epochs": 3}');
SELECT version, status FROM insight_retrain('next_seconds', '{"epochs": 2}');
-- What is known of each customer whatever the step: two pages follow each other in one region, stay in the other.
CREATE TABLE homes AS SELECT c AS customer_id, (ARRAY['north', 'south'])[1 + c % 2] AS region, 20 + c AS age, 'of ' || c AS note FROM generate_series(1, 120) c;
CREATE VIEW walks AS SELECT c AS customer_id, date '2024-01-01' + s AS at, (ARRAY['left', 'right'])[1 + CASE WHEN c % 2 = 0 THEN (s + c / 2) % 2 ELSE (c / 2) % 2 END] AS side FROM generate_series(1, 120) c, generate_series(1, 4 + c % 3) s;
SELECT status, score > 0.9 AS good FROM insight_train('walks', 'side', 'walks', '{"algorithm": "lstm", "key": "customer_id", "order": "at", "static_relation": "homes", "hidden": [16], "epochs": 40, "learning_rate": 0.02, "mixture": false}');
SELECT count(*) FROM insight_next('walks', 'walks');
-- One step says nothing of what follows, but the region does.
SELECT key, label FROM insight_next('walks', 'SELECT c AS customer_id, date ''2024-03-01'' AS at, ''left'' AS side FROM generate_series(1, 4) c') ORDER BY key;
SELECT insight_classify('walks', 8) IN ('left', 'right') AS one, version FROM insight_retrain('walks', '{"epochs": 1}');
SELECT insight_train('walks', 'side', 'x', '{"algorithm": "lstm", "key": "customer_id", "order": "at", "static_relation": "walk"}');
SELECT insight_train('walks', 'side', 'x', '{"algorithm": "lstm", "key": "customer_id", "order": "at", "static_relation": "SELECT customer_id FROM homes"}');
-- How often customers will come: some come each third day, some each twelfth, and some came only long ago.
CREATE TABLE visits_of_shop AS SELECT c AS customer_id, date '2024-01-01' + d AS day, 10 + c % 4 AS spent
FROM generate_series(1, 150) c, generate_series(c % 20, CASE WHEN c % 5 = 0 THEN 70 ELSE 200 END) d WHERE (d * 7 + c * 13) % CASE WHEN c % 2 = 0 THEN 3 ELSE 12 END = 0;
SELECT status, task, metric, score > 0.8 AS good FROM insight_train('visits_of_shop', 'day', 'visits_to_come', '{"key": "customer_id", "order": "day", "horizon": "30 days", "epochs": 15}');
SELECT string_agg(class, ', ' ORDER BY class COLLATE "C") FROM insight.metrics WHERE model = 'visits_to_come' AND metric = 'rmse';
SELECT avg(value) FILTER (WHERE key::int % 10 IN (2, 4, 6, 8)) BETWEEN 6 AND 14 AS frequent, avg(value) FILTER (WHERE key::int % 10 IN (1, 3, 7, 9)) BETWEEN 1 AND 5 AS rare,
  avg(value) FILTER (WHERE key::int % 5 = 0) < 2 AS gone FROM insight_next('visits_to_come', 'visits_of_shop');
SELECT abs(insight_predict('visits_to_come', 4) - value) < 1e-6 AS same, insight_predict('visits_to_come', 100000) AS stranger FROM insight_next('visits_to_come', 'visits_of_shop') WHERE key = '4';
SELECT insight_train('visits_of_shop', 'day', 'x', '{"key": "customer_id", "order": "day", "horizon": "9 years"}');
SELECT insight_train('visits_of_shop', 'day', 'x', '{"key": "customer_id", "order": "day", "horizon": "soon"}');
SELECT insight_train('visits_of_shop', 'day', 'x', '{"key": "customer_id", "order": "day", "horizon": -3}');
SELECT insight_train('visits_of_shop', 'spent', 'x', '{"key": "customer_id", "order": "day", "horizon": 30}');
-- Errors.
SELECT insight_train('page_views', 'page', 'x', '{"algorithm": "lstm", "order": "at"}');
SELECT insight_train('page_views', 'page', 'x', '{"algorithm": "lstm", "key": "customer_id"}');
SELECT insight_train('page_views', 'page', 'x', '{"algorithm": "lstm", "key": "customer_id", "order": "page"}');
SELECT insight_train('page_views', 'pages', 'x', '{"algorithm": "lstm", "key": "customer_id", "order": "at"}');
SELECT insight_train('page_views', 'page', 'x', '{"algorithm": "lstm", "key": "customer_id", "order": "at", "units": 3}');
SELECT insight_train('page_views', 'page', 'x', '{"algorithm": "lstm", "key": "customer_id", "order": "at", "exclude": ["at"]}');
SELECT insight_train('page_views', 'quack', 'x', '{"algorithm": "lstm", "key": "customer_id", "order": "at", "label_relation": "page_viewers"}');
-- One row for each key, no rows at all, equal times.
SELECT insight_train('SELECT DISTINCT ON (customer_id) * FROM page_views', 'page', 'x', '{"algorithm": "lstm", "key": "customer_id", "order": "at"}');
SELECT insight_train('SELECT * FROM page_views WHERE false', 'page', 'x', '{"algorithm": "lstm", "key": "customer_id", "order": "at"}');
SELECT status FROM insight_train('SELECT customer_id, date ''2024-01-01'' AS at, page FROM page_views', 'page', 'same_day', '{"algorithm": "lstm", "key": "customer_id", "order": "at", "hidden": [8], "epochs": 2}');
SELECT insight_predict('next_page', v) FROM page_views v LIMIT 1;
SELECT * FROM insight_next('next_page', 'SELECT customer_id, at FROM page_views');
SELECT * FROM insight_next('next_page', 'page_views', 0);
SELECT * FROM insight_recommend('next_seconds', 7);
SELECT count(*) FROM insight_generate('next_page', 1, NULL::page_views);
SELECT insight_predict('next_page', 'seven'::text);
