-- Related tables as features, as they were known at a cut-off.
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE TABLE buyers (buyer_id integer PRIMARY KEY, seen_on date, region text, churn boolean);
CREATE TABLE purchases (purchase_id integer PRIMARY KEY, buyer_id integer REFERENCES buyers, bought_at timestamp,
  category text, amount numeric(10,2), returned boolean);
CREATE TABLE lines (line_id integer PRIMARY KEY, purchase_id integer REFERENCES purchases, quantity integer);
INSERT INTO buyers SELECT i, date '2025-06-01' + i % 30, (ARRAY['north', 'south', 'west'])[1 + i % 3], NULL
  FROM generate_series(1, 600) i;
-- Those whose number is not a multiple of four buy twice a month until they are seen; the others stopped long before.
INSERT INTO purchases
  SELECT row_number() OVER (), b.buyer_id, b.seen_on - (15 * k + CASE WHEN b.buyer_id % 4 = 0 THEN 120 ELSE 0 END) - b.buyer_id % 5,
         (ARRAY['books', 'games'])[1 + (b.buyer_id + k) % 2], 10 + (b.buyer_id * k) % 50, k = 3
  FROM buyers b, generate_series(1, 6) k WHERE b.buyer_id % 50 <> 7;
INSERT INTO lines SELECT row_number() OVER (), purchase_id, 1 + purchase_id % 3 FROM purchases, generate_series(1, 2);
UPDATE buyers SET churn = (buyer_id % 4 = 0) <> (buyer_id % 37 = 0);
-- The SQL in words, and its result beside the same by hand.
SELECT insight_features('buyers', '{"sources": ["purchases"], "as_of": "seen_on", "into": "known"}') LIKE 'SELECT t.buyer_id%' AS sql;
SELECT count(*) AS different FROM known k JOIN (
  SELECT b.buyer_id, count(p) AS n, sum(p.amount)::float8 AS total, avg(p.returned::int)::float8 AS returned,
         extract(epoch FROM min(b.seen_on::timestamptz - p.bought_at::timestamptz)) / 86400 AS since,
         count(p) FILTER (WHERE p.bought_at >= b.seen_on - 30) AS last_30, avg((p.category = 'books')::int)::float8 AS books
  FROM buyers b LEFT JOIN purchases p ON p.buyer_id = b.buyer_id AND p.bought_at < b.seen_on GROUP BY b.buyer_id) h USING (buyer_id)
WHERE (k."purchases.count", k."purchases.amount.sum", k."purchases.returned.share", k."purchases.days_since_last",
       k."purchases.count_30d", k."purchases.category.share.books")
  IS DISTINCT FROM (h.n, coalesce(h.total, 0), h.returned, h.since::float8, h.last_30, h.books);
SELECT "purchases.count", "purchases.amount.sum", "purchases.days_since_last" FROM known WHERE buyer_id = 7;
-- Nothing from the cut-off on may enter.
INSERT INTO purchases SELECT 100000 + buyer_id, buyer_id, seen_on, 'future', 1e6, true FROM buyers;
SELECT insight_features('buyers', '{"sources": ["purchases"], "as_of": "seen_on", "into": "known_later"}') IS NOT NULL AS sql;
SELECT count(*) AS changed FROM known a JOIN known_later b USING (buyer_id)
WHERE (a."purchases.count", a."purchases.amount.max", a."purchases.amount.sum_30d", a."purchases.category.distinct", a."purchases.days_since_last")
  IS DISTINCT FROM (b."purchases.count", b."purchases.amount.max", b."purchases.amount.sum_30d", b."purchases.category.distinct", b."purchases.days_since_last");
-- Nor into the list of a category's values, wherever the rows lie; a value that is new counts as one other.
CREATE TABLE calls (buyer_id integer, at timestamptz, topic text, note text);
INSERT INTO calls SELECT 1, timestamptz '2025-07-01' + i * interval '1 second', 'late ' || i % 30, 'n' FROM generate_series(1, 120000) i;
INSERT INTO calls SELECT i, timestamptz '2025-06-01' + i * interval '1 minute', (ARRAY['bill', 'move', NULL])[1 + i % 3], 'n' || i FROM generate_series(1, 400) i;
SELECT insight_features('buyers', '{"sources": {"calls": {"key": "buyer_id"}}, "key": "buyer_id", "as_of": "2025-06-10"}') AS sql \gset
SELECT array_agg(k ORDER BY k) AS calls FROM (SELECT to_jsonb(r) AS r FROM (:sql) r LIMIT 1) r, jsonb_object_keys(r) k WHERE k LIKE 'calls.%.%';
INSERT INTO calls VALUES (1, '2025-05-02', 'fax', 'n'), (1, '2025-05-03', 'fax', 'n'), (1, '2025-05-04', 'move', 'n');
SELECT "calls.topic.distinct", "calls.topic.most_frequent", "calls.topic.share.bill", "calls.note.distinct" FROM (:sql) r WHERE buyer_id = 1;
-- Nor may another time of an earlier row that lies after the cut-off, nor infinity.
CREATE TABLE deliveries AS SELECT purchase_id, buyer_id, bought_at AS at, bought_at + CASE purchase_id % 3 WHEN 0 THEN interval '1 day'
  WHEN 1 THEN interval '1 year' END AS arrived_at FROM purchases WHERE purchase_id < 100000;
UPDATE deliveries SET at = '-infinity' WHERE purchase_id = 1;
SELECT insight_features('buyers', '{"sources": {"deliveries": {"key": "buyer_id", "time": "at"}}, "as_of": "seen_on", "into": "arrivals"}') IS NOT NULL AS sql;
SELECT count("deliveries.arrived_at.days_since_last") > 100 AS some, min("deliveries.arrived_at.days_since_last") > 0 AS past,
       count(*) FILTER (WHERE "deliveries.days_since_first" > 1000) AS infinite FROM arrivals;
-- One row per customer, the latest, however many there are; its times are known in every form.
CREATE VIEW holders AS SELECT buyer_id::text::character(6) AS buyer_id, seen_on, region, churn FROM buyers;
CREATE TABLE account AS SELECT buyer_id::text::character(6) AS buyer_id, date '2019-01-01' AS known_on,
  CASE WHEN churn THEN date '2018-01-01' ELSE '2018-12-01' END AS opened_on, (ARRAY['silver', 'gold'])[1 + buyer_id % 2] AS kind FROM buyers;
INSERT INTO account SELECT buyer_id, known_on - 1, opened_on, kind FROM account WHERE buyer_id = '7';
SELECT insight_train('holders', 'churn', 'accounts', '{"sources": {"account": {"time": "known_on", "one_to_one": true}}, "key": "buyer_id"}');
SELECT insight_train('holders', 'churn', 'accounts', '{"sources": {"account": {"key": "buyer_id", "time": "known_on", "one_to_one": true}}, "key": "buyer_id"}');
DELETE FROM account WHERE known_on < '2019-01-01';
SELECT score > 0.95 AS found FROM insight_train('holders', 'churn', 'accounts',
  '{"sources": {"account": {"key": "buyer_id", "time": "known_on", "one_to_one": true}}, "key": "buyer_id", "as_of": "seen_on", "epochs": 20, "learning_rate": 0.01}');
INSERT INTO account SELECT buyer_id, known_on - 1, opened_on, kind FROM account WHERE buyer_id = '7';
SELECT count(*) AS rows, count(*) FILTER (WHERE abs(insight_predict('accounts', h) - t.prediction) > 1e-9
    OR abs(insight_predict('accounts', to_jsonb(h)) - t.prediction) > 1e-9) AS different
FROM insight_predict_table('accounts', 'holders', 'buyer_id') t JOIN holders h ON h.buyer_id = t.key::character(6);
-- A lag looks earlier; two joins reach the lines of the purchases.
SELECT insight_features('buyers', '{"sources": {"purchases": {"windows": [60]}, "lines": {"parent": "purchases"}},
  "as_of": {"column": "seen_on", "lag": "100 days"}, "into": "deep"}') IS NOT NULL AS sql;
SELECT sum("purchases.count") AS purchases, sum("lines.count") AS lines, sum("lines.quantity.sum") AS quantity FROM deep;
SELECT count(*) AS purchases FROM buyers b JOIN purchases p USING (buyer_id) WHERE p.bought_at < b.seen_on - 100;
-- Training and predicting with them.
SELECT metric, score > 0.9 AS found FROM insight_train('buyers', 'churn', 'plain', '{"exclude": ["buyer_id"], "epochs": 5}');
SELECT metric, score > 0.9 AS found
FROM insight_train('buyers', 'churn', 'deep', '{"sources": "auto", "as_of": "seen_on", "epochs": 30, "learning_rate": 0.01}');
SELECT count(*) AS different
FROM buyers b JOIN insight_predict_table('deep', 'buyers') t ON t.key = b.buyer_id::text
WHERE abs(insight_predict('deep', b) - t.prediction) > 1e-9 OR abs(insight_predict('deep', to_jsonb(b)) - t.prediction) > 1e-9;
SELECT insight_predict('deep', '{"buyer_id": 8, "region": "north", "seen_on": "2025-06-09"}') > 0.5 AS gone,
       insight_predict('deep', '{"buyer_id": 9, "region": "north", "seen_on": "2025-06-10"}') > 0.5 AS stays;
SELECT metric, value > 0.9 AS found FROM insight_evaluate('deep', 'buyers') WHERE metric = 'roc_auc';
-- Rows, JSON and tables agree on when to look: the cut-off's own column, else a column as_of, else the fixed time, else now.
SELECT score IS NOT NULL AS trained FROM insight_train('buyers', 'churn', 'fixed', '{"sources": ["purchases"], "as_of": "2025-06-20", "epochs": 2}');
SELECT score IS NOT NULL AS trained FROM insight_train('buyers', 'churn', 'lagged',
  '{"sources": ["purchases"], "as_of": {"column": "seen_on", "lag": "20 days"}, "epochs": 2}');
SET timezone = 'Asia/Tokyo';
SELECT model, rows, count(*) AS customers, count(*) FILTER (WHERE abs(insight_predict(model, b) - t.prediction) > 1e-9
    OR abs(insight_predict(model, to_jsonb(b)) - t.prediction) > 1e-9) AS different
FROM (VALUES ('fixed', 'SELECT *, NULL::date AS as_of FROM buyers'), ('fixed', 'SELECT *, date ''2025-06-10'' AS as_of FROM buyers'),
    ('lagged', 'SELECT buyer_id, region, date ''2025-06-10'' AS as_of FROM buyers'),
    ('lagged', 'SELECT buyer_id, region, NULL::date AS seen_on, timestamp ''2025-06-10 12:00'' AS as_of FROM buyers')) v (model, rows)
CROSS JOIN LATERAL insight_predict_table(model, rows, 'buyer_id') t
CROSS JOIN LATERAL (SELECT b.buyer_id, b.region, CASE WHEN rows NOT LIKE '%NULL::date AS seen_on%' AND model = 'fixed' THEN b.seen_on END AS seen_on,
    CASE WHEN rows LIKE '%12:00%' THEN timestamp '2025-06-10 12:00' WHEN rows LIKE '%2025-06-10%' THEN timestamp '2025-06-10' END AS as_of
  FROM buyers b WHERE b.buyer_id::text = t.key) b
GROUP BY model, rows ORDER BY model, rows;
SET timezone = 'UTC';
-- Bad input.
SELECT insight_predict('deep', '{"region": "north"}');
\set VERBOSITY terse
SELECT insight_train('buyers', 'churn', options => '{"sources": ["nowhere"]}');
\set VERBOSITY default
SELECT insight_train('buyers', 'churn', options => '{"sources": {"purchases": {"keys": "buyer_id"}}}');
SELECT insight_train('buyers', 'churn', options => '{"sources": {"purchases": {"key": "byer_id"}}}');
SELECT insight_train('buyers', 'churn', options => '{"sources": {"purchases": {"key": "category"}}}');
SELECT insight_train('buyers', 'churn', options => '{"sources": {"purchases": {"time": "amount"}}}');
SELECT insight_train('buyers', 'churn', options => '{"sources": {"purchases": {"one_to_one": true}}}');
SELECT insight_train('buyers', 'churn', options => '{"sources": {"lines": {}}}');
SELECT insight_train('buyers', 'churn', options => '{"sources": {"lines": {"parent": "buyers"}}}');
SELECT insight_train('buyers', 'churn', options => '{"sources": "auto", "as_of": "yesterday morning"}');
SELECT insight_train('buyers', 'churn', options => '{"as_of": "seen_on"}');
SELECT insight_train('lines', 'quantity', options => '{"sources": "auto"}');
SELECT insight_predict('deep', ROW(1, 'north'));
SELECT insight_predict('deep', r) FROM (SELECT region, seen_on FROM buyers LIMIT 1) r;
SELECT insight_features('buyers');
