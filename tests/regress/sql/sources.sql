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
CREATE INDEX ON purchases (buyer_id);
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
-- Purchases as insight_clv counts them, whatever the zone; forecasts are fitted to the training rows, and the same in every form.
CREATE TABLE sales (buyer_id integer, at timestamptz, total numeric);
INSERT INTO sales SELECT b, at, 5 + b % 7 FROM generate_series(1, 600) b, LATERAL (SELECT 1 + b * 37 % 11 AS every, b * 53 % 60 AS start, 1 + b * 17 % 8 AS times) c,
  generate_series(0, times - 1) k, LATERAL (SELECT timestamptz '2025-01-01 22:30+00' + start * interval '1 day' + k * every * interval '31 hours' AS at) d WHERE b % 10 > 0;
SET timezone = 'Asia/Tokyo';
SELECT insight_features('buyers', '{"sources": {"sales": {"key": "buyer_id", "clv": "total"}}, "key": "buyer_id", "as_of": "2025-03-01 00:00+00"}') AS sql \gset
SELECT count(*) AS buyers, count(*) FILTER (WHERE (r."sales.clv.repeat_purchases", r."sales.clv.recency_days", r."sales.clv.age_days")
  IS DISTINCT FROM (c.repeat_purchases, c.recency_days, c.age_days)) AS different
FROM (:sql) r JOIN insight_clv('sales', 'buyer_id', 'at', 'total', as_of => '2025-02-28') c ON c.key = r.buyer_id::text;
SELECT count(*) AS different FROM (:sql) r JOIN (SELECT buyer_id, sum(total) FILTER (WHERE day > first) / nullif(count(DISTINCT day) - 1, 0) AS amount
  FROM (SELECT *, min(day) OVER (PARTITION BY buyer_id) AS first FROM (SELECT *, (at AT TIME ZONE 'UTC')::date AS day FROM sales WHERE at < '2025-03-01 00:00+00') d) f
  GROUP BY buyer_id) h USING (buyer_id) WHERE r."sales.clv.repeat_amount" IS DISTINCT FROM h.amount::float8 AND abs(r."sales.clv.repeat_amount" - h.amount) > 1e-9;
SELECT score IS NOT NULL AS trained FROM insight_train('buyers', 'churn', 'worth', '{"epochs": 2, "as_of": {"column": "seen_on", "lag": "90 days"},
  "sources": {"sales": {"key": "buyer_id", "clv": {"amount": "total", "horizon_days": 90}}}, "key": "buyer_id"}');
SELECT name, inputs > 0 AS used, steps LIKE 'over the next 90 days, by BG/NBD: r %, gamma-gamma: p %' AS said FROM insight_recipe('worth') WHERE kind = 'forecast';
SELECT count(*) AS buyers, count(*) FILTER (WHERE abs(insight_predict('worth', b) - t.prediction) > 1e-9
    OR abs(insight_predict('worth', to_jsonb(b)) - t.prediction) > 1e-9) AS different
FROM insight_predict_table('worth', 'buyers') t JOIN buyers b ON b.buyer_id::text = t.key;
SELECT score IS NOT NULL AS trained FROM insight_train('buyers', 'churn', 'once', '{"epochs": 2, "as_of": "2025-01-02",
  "sources": {"sales": {"key": "buyer_id", "clv": true}}, "key": "buyer_id"}');
SELECT e->>0 AS left_out, e->>1 AS why FROM insight.versions, jsonb_array_elements(provenance->'excluded') e WHERE model = 'once' AND e->>0 LIKE '%clv';
SET timezone = 'UTC';
SELECT insight_features('buyers', '{"sources": {"sales": {"key": "buyer_id", "clv": "totals"}}}');
SELECT insight_features('buyers', '{"sources": {"sales": {"key": "buyer_id", "clv": {"horizon_days": 0}}}}');
SELECT insight_features('buyers', '{"sources": {"account": {"key": "buyer_id", "clv": "kind"}}, "key": "region"}');
SELECT insight_features('buyers', '{"sources": {"lines": {"key": "purchase_id", "clv": true}}, "key": "buyer_id"}');
-- One look at the sources, now, and outcomes of different times do not go together.
SELECT insight_train('buyers', 'churn', options => '{"sources": ["purchases"], "outcome_time": "seen_on"}');
-- An index that is missing is told.
SET client_min_messages = notice;
SELECT insight_train('buyers', 'churn', options => '{"sources": {"sales": {"key": "buyer_id"}, "purchases": {}}, "device": "tpu"}');
CREATE INDEX ON sales (buyer_id);
SELECT insight_train('buyers', 'churn', options => '{"sources": {"sales": {"key": "buyer_id"}}, "device": "tpu"}');
SET client_min_messages = warning;
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
-- Tables that refer to one another in a circle, and one that refers to itself.
CREATE TABLE teams (team_id integer PRIMARY KEY, lead integer, founded date);
CREATE TABLE members (member_id integer PRIMARY KEY, team_id integer REFERENCES teams, mentor integer REFERENCES members, joined date, grade real);
ALTER TABLE teams ADD FOREIGN KEY (lead) REFERENCES members;
INSERT INTO teams SELECT i, NULL, date '2020-01-01' + i FROM generate_series(1, 50) i;
INSERT INTO members SELECT i, 1 + i % 50, NULL, date '2021-01-01' + i, i % 5 FROM generate_series(1, 200) i;
UPDATE teams SET lead = team_id;
UPDATE members SET mentor = 1 + member_id % 7;
SELECT insight_features('teams', '{"sources": "auto", "as_of": "2022-01-01", "into": "of_teams"}') IS NOT NULL AS sql;
SELECT insight_features('members', '{"sources": "auto", "as_of": "2022-01-01", "into": "of_members"}') IS NOT NULL AS sql;
SELECT insight_features('teams', '{"sources": {"members": {"parent": "members"}}}');
SELECT insight_features('teams', '{"sources": {"members": {"parent": "teams"}, "teams": {"parent": "members"}}}');
SELECT (SELECT sum("members.count") FROM of_teams) AS members, (SELECT sum("teams.count") FROM of_members) AS teams;
-- Rows of nobody we know and of nobody at all, no rows, none before the cut-off, numbers that are none, times with and without a zone.
CREATE TABLE stray (buyer_id integer, at timestamp, amount float8, kind text);
SELECT insight_features('buyers', '{"sources": {"stray": {"key": "buyer_id"}}, "key": "buyer_id", "as_of": "seen_on", "into": "of_none"}') IS NOT NULL AS sql;
SELECT count(*), max("stray.count") AS rows, count("stray.amount.mean") AS means FROM of_none;
INSERT INTO stray VALUES (NULL, '2025-01-01', 1, 'a'), (NULL, '2025-01-02', 2, 'a'), (7000000, '2025-01-01', 3, 'b'), (1, NULL, 4, 'c'),
  (2, '2025-01-01', 'NaN', NULL), (3, '2025-01-01', 'Infinity', ''), (3, '2025-01-02', '-Infinity', ''), (4, '2025-06-04 20:00', 5, 'd'), (5, 'infinity', 6, 'e');
SELECT insight_features('buyers', '{"sources": {"stray": {"key": "buyer_id"}}, "key": "buyer_id", "as_of": "seen_on", "into": "of_stray"}') IS NOT NULL AS sql;
SELECT buyer_id, "stray.count", "stray.amount.sum", "stray.amount.max", "stray.kind.distinct" FROM of_stray WHERE "stray.count" > 0 OR buyer_id IN (1, 5) ORDER BY 1;
SELECT insight_features('buyers', '{"sources": {"stray": {"key": "buyer_id"}}, "key": "buyer_id", "as_of": "1999-01-01", "into": "of_before"}') IS NOT NULL AS sql;
SELECT sum("stray.count") AS rows, (SELECT count(*) FROM pg_attribute WHERE attrelid = 'of_before'::regclass AND attname LIKE 'stray.kind.%') AS kinds FROM of_before;
SELECT score IS NOT NULL AS trained FROM insight_train('buyers', 'churn', 'strays', '{"epochs": 2, "sources": {"stray": {"key": "buyer_id"}}, "key": "buyer_id", "as_of": "seen_on"}');
SELECT count(*) AS buyers, count(*) FILTER (WHERE abs(insight_predict('strays', b) - t.prediction) < 1e-9) AS same FROM insight_predict_table('strays', 'buyers') t JOIN buyers b ON b.buyer_id::text = t.key;
-- A time without a zone is one of the session's: 20:00 on the day before is past midnight of the next in another zone.
SET timezone = 'America/New_York';
SELECT insight_features('SELECT buyer_id, timestamptz ''2025-06-04 23:00+00'' AS moment FROM buyers WHERE buyer_id = 4', '{"sources": {"stray": {"key": "buyer_id"}}, "key": "buyer_id", "as_of": "moment"}') AS sql \gset
SELECT "stray.count" AS late FROM (:sql) r;
SET timezone = 'UTC';
SELECT "stray.count" AS early, "stray.days_since_last" * 24 AS hours FROM (:sql) r;
-- A key of a domain: its check is its owner's code, which nobody who predicts shall run.
CREATE FUNCTION told(integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'checked by %', current_user; RETURN true; END $$;
CREATE DOMAIN number_of_buyer AS integer CHECK (told(VALUE));
SET client_min_messages = warning;
CREATE TABLE domain_buyers AS SELECT buyer_id::number_of_buyer AS buyer_id, seen_on, region, churn FROM buyers;
SELECT score IS NOT NULL AS trained FROM insight_train('domain_buyers', 'churn', 'of_domain', '{"epochs": 2, "sources": {"stray": {"key": "buyer_id"}}, "key": "buyer_id", "as_of": "seen_on"}');
SET client_min_messages = notice;
SELECT insight_predict('of_domain', b) IS NOT NULL AS predicted FROM domain_buyers b WHERE buyer_id = 3;
