-- Readers with their loans: tables that are generated together.
SET client_min_messages = warning;
CREATE TABLE readers (reader_id bigint PRIMARY KEY, tier text NOT NULL, joined date NOT NULL, age integer CHECK (age >= 18));
INSERT INTO readers SELECT i, (ARRAY['basic', 'basic', 'plus', 'gold'])[1 + i % 4], date '2023-01-01' + (i * 37) % 300, 18 + (i * 31) % 50 FROM generate_series(1, 600) i;
CREATE TABLE loans (
  loan_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, reader_id bigint NOT NULL REFERENCES readers, bought_at timestamp NOT NULL,
  shipped_at timestamp CHECK (shipped_at > bought_at), item integer NOT NULL, amount numeric(8, 2) NOT NULL CHECK (amount > 0), channel text NOT NULL,
  UNIQUE (reader_id, item));
INSERT INTO loans (reader_id, bought_at, shipped_at, item, amount, channel)
SELECT reader_id, joined + make_interval(days => n * (5 + reader_id % 20)::int), joined + make_interval(days => n * (5 + reader_id % 20)::int + 1 + n % 3), n,
  round(CASE tier WHEN 'gold' THEN 300 WHEN 'plus' THEN 100 ELSE 20 END * (0.8 + (reader_id * 7919 * n % 100) / 250.0), 2), CASE WHEN (reader_id + n) % 3 = 0 THEN 'shop' ELSE 'web' END
FROM readers, generate_series(1, 8) n WHERE n <= CASE tier WHEN 'gold' THEN 6 + reader_id % 3 WHEN 'plus' THEN 2 + reader_id % 2 ELSE reader_id % 2 END;
SELECT model, status, algorithm, metric, score > 0.6 AS good, rows
FROM insight_train('readers', NULL, 'family', '{"algorithm": "tvae", "epochs": 150, "batch_size": 100, "seed": 1, "children": {"loans": {"order": "bought_at"}}}');
SELECT metric, class, value > 0.5 AS good FROM insight.metrics WHERE model = 'family' AND (class = 'loans' OR class IS NULL) ORDER BY position;
CREATE TABLE new_readers (LIKE readers INCLUDING ALL);
CREATE TABLE new_loans (LIKE loans INCLUDING ALL);
ALTER TABLE new_loans ADD FOREIGN KEY (reader_id) REFERENCES new_readers;
-- The second call knows the keys of the first, whether or not they have come into the table since.
INSERT INTO new_readers SELECT * FROM insight_generate('family', 400, NULL::readers, seed => 7);
CREATE TABLE loans_before AS SELECT * FROM insight_generate('family', 400, NULL::loans, seed => 7);
INSERT INTO readers SELECT * FROM new_readers;
INSERT INTO new_loans OVERRIDING SYSTEM VALUE SELECT * FROM insight_generate('family', 400, NULL::loans, seed => 7);
SELECT count(*) AS lost FROM ((TABLE loans_before EXCEPT TABLE new_loans) UNION ALL (TABLE new_loans EXCEPT TABLE loans_before)) d;
SELECT count(*) AS readers, min(reader_id) > 600 AS new_keys FROM new_readers;
SELECT min(loan_id) > (SELECT max(loan_id) FROM loans) AS new_keys, count(*) = count(DISTINCT loan_id) AS different FROM new_loans;
-- Gold readers buy more, and more often; nobody before joining; dates and items go on.
SELECT tier, avg(p.amount) > 180 AS much, count(p.*) * 1.0 / count(DISTINCT m.reader_id) > 4 AS often, count(DISTINCT m.reader_id) > 10 AS some
FROM new_readers m LEFT JOIN new_loans p USING (reader_id) GROUP BY 1 ORDER BY 1;
SELECT bool_and(bought_at >= joined) AS after_joining, bool_and(shipped_at > bought_at) AS shipped, bool_and(bought_at >= earlier OR earlier IS NULL) AS in_order, bool_and(item = place) AS items
FROM (SELECT p.*, m.joined, lag(bought_at) OVER own AS earlier, row_number() OVER own AS place FROM new_loans p JOIN new_readers m USING (reader_id)
      WINDOW own AS (PARTITION BY reader_id ORDER BY item)) p;
SELECT count(*) > 5 AS measured, bool_and(value BETWEEN 0 AND 1) AS shares FROM insight_fidelity('family', 'readers', 'new_readers');
-- Conditions are those of the parents; fewer parents are the first ones.
SELECT bool_and(m.tier = 'gold') AS met, count(*) > 50 AS some FROM insight_generate('family', 20, NULL::loans, 3, '{"tier": "gold"}') p
JOIN insight_generate('family', 20, NULL::readers, 3, '{"tier": "gold"}') m USING (reader_id);
-- Another row type is for the table with which it has most columns in common.
CREATE TABLE receipt (reader_id bigint, amount numeric, bought_at date);
SELECT count(*) > 50 AS rows, bool_and(amount > 0) AS amounts FROM insight_generate('family', 100, NULL::receipt, 1);
-- Rows that cannot be are missing: there are two channels.
CREATE TABLE channels (reader_id bigint, channel text, UNIQUE (reader_id, channel));
SELECT max(n) AS most, count(*) > 20 AS some FROM (SELECT count(*) AS n FROM insight_generate('family', 100, NULL::channels, 1) GROUP BY reader_id) c;
CREATE TABLE dear (reader_id bigint, channel text, amount numeric CHECK (amount < 0));
SELECT count(*) FROM insight_generate('family', 100, NULL::dear, 1);
CREATE TABLE person (reader_id bigint, tier text);
SELECT count(*) FROM insight_generate('family', 30, NULL::person, 1);
-- A query as a child's table, without an order; keys that are uuids and texts.
CREATE TABLE hirers (guest uuid UNIQUE, name text, town text);
INSERT INTO hirers SELECT md5(i::text)::uuid, 'G-' || i, (ARRAY['Rome', 'Oslo'])[1 + i % 2] FROM generate_series(1, 60) i;
CREATE TABLE stays (guest text, nights integer);
INSERT INTO stays SELECT guest, 1 + i % 5 FROM hirers, generate_series(1, 3) i;
INSERT INTO stays VALUES ('nobody', 3), (NULL, 2);
CREATE TYPE stay AS (guest text, nights integer);
SELECT status FROM insight_train('hirers', NULL, 'hirers_family',
  '{"algorithm": "gan", "epochs": 2, "children": {"stays": {"relation": "SELECT guest, nights FROM stays WHERE nights < 5", "key": "guest", "parent_key": "guest"}}}');
SELECT provenance->>'notes' LIKE '%2 rows of%left out: they have no parent%' AS said FROM insight.versions WHERE model = 'hirers_family';
SELECT count(*) = 150 AS all, count(DISTINCT s.guest) = 50 AS hirers FROM insight_generate('hirers_family', 50, NULL::stay, 1) s
JOIN insight_generate('hirers_family', 50, NULL::hirers, 1) g ON g.guest::text = s.guest;
SELECT status, version FROM insight_retrain('hirers_family', '{"wait": true}');
-- Errors.
SELECT count(*) FROM insight_generate('family', 5, NULL::loans);
SELECT insight_train('readers', NULL, 'x', '{"algorithm": "tvae", "children": {"stays": {}}}');
SELECT insight_train('readers', NULL, 'x', '{"algorithm": "tvae", "children": {"loans": {"key": "member"}}}');
SELECT insight_train('readers', NULL, 'x', '{"algorithm": "tvae", "children": {"loans": {"order": "channel"}}}');
SELECT insight_train('readers', NULL, 'x', '{"algorithm": "tvae", "children": {"loans": {"keys": "reader_id"}}}');
SELECT insight_train('readers', NULL, 'x', '{"algorithm": "tvae", "children": {"loan": {}}}');
SELECT insight_train('readers', NULL, 'x', '{"algorithm": "tvae", "children": ["loans"]}');
SELECT insight_train('readers', NULL, 'x', '{"algorithm": "tvae", "exclude": ["reader_id"], "children": {"loans": {}}}');
SELECT insight_train('hirers', NULL, 'x', '{"algorithm": "tvae", "children": {"stays": {"key": "guest"}}}');
SELECT insight_train('hirers', NULL, 'x', '{"algorithm": "tvae", "children": {"stays": {"key": "guest", "parent_key": "town"}}}');
SELECT insight_train('hirers', NULL, 'x', '{"algorithm": "tvae", "children": {"stays": {"key": "nights", "parent_key": "guest"}}}');
CREATE TABLE nobodies (reader_id bigint REFERENCES readers, n integer);
SELECT insight_train('readers', NULL, 'x', '{"algorithm": "tvae", "children": {"nobodies": {}}}');
SELECT count(*) FROM insight_generate('family', 5, NULL::readers, 1, '{"number of loans": 3}');
-- The child's table is read as who asks.
CREATE ROLE family_reader LOGIN;
GRANT SELECT ON readers TO family_reader;
GRANT CREATE ON SCHEMA public TO family_reader;
SET ROLE family_reader;
SELECT insight_train('readers', NULL, 'y', '{"algorithm": "tvae", "children": {"loans": {}}}');
RESET ROLE;
REVOKE CREATE ON SCHEMA public FROM family_reader;
REVOKE SELECT ON readers FROM family_reader;
DROP ROLE family_reader;
