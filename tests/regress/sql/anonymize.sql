\set VERBOSITY default
\set SHOW_CONTEXT never
-- Personal data, the risk that rows are found again, and rows that tell less.
CREATE TABLE subject AS SELECT i AS id, (ARRAY['Ann','Peter','Olga','Maria','Paul','Laura','Simon','Julia'])[1 + i % 8] || ' ' ||
    (ARRAY['Smith','Weber','Novak','Garcia','Rossi','Meier','Jones'])[1 + i % 7] AS full_name,
  'user' || i || '@example.com' AS email, '+4917' || (10000000 + i * 7) AS phone, 18 + (i * 37) % 70 AS age,
  lpad(((i * 7919) % 400 + 90000)::text, 5, '0') AS zip, CASE WHEN i % 3 = 0 THEN 'f' ELSE 'm' END AS sex,
  date '1940-01-01' + (i * 13) % 20000 AS born, (ARRAY['flu','cold','cancer','none'])[1 + (i * 31) % 4] AS illness,
  1000.0 + (i * 97) % 5000 AS income, i % 2 = 0 AS active,
  CASE WHEN i % 5 = 0 THEN 'write to user' || i || '@example.com please' ELSE 'nothing' END AS note
  FROM generate_series(1, 3000) i;
SELECT name, kind, identifier, confidence >= 0.5 AS believed, round(share::numeric, 1) AS share, looked_at FROM insight_find_pii('subject')
  ORDER BY name, kind;
SELECT count(*) FROM insight_find_pii('subject') WHERE evidence LIKE '%@%' OR evidence LIKE '%+49%';
SELECT kind FROM insight_find_pii('SELECT ''GB82 WEST 1234 5698 7654 32'' AS a, ''4111 1111 1111 1111'' AS b, inet ''10.0.0.1'' AS c') ORDER BY 1;
SELECT * FROM insight_find_pii('subject', '{"row": 5}');
SELECT * FROM insight_find_pii('subjectt');
-- Risk.
SELECT measure, sensitive, round(value::numeric, 4) AS value FROM insight_risk('subject', ARRAY['age','sex'], '{"sensitive": ["illness","income"]}');
SELECT measure, round(value::numeric, 4) AS value FROM insight_risk('SELECT * FROM subject WHERE id % 4 = 0', ARRAY['age','sex'], '{"population": "subject"}')
  WHERE measure LIKE ANY ('{population%,journalist%,marketer%,classes%}');
SELECT measure, value > 0 AND value < 1 AS between FROM insight_risk('SELECT * FROM subject WHERE id % 4 = 0 AND id <= 500', ARRAY['zip'], '{"sampling_fraction": 0.25}')
  WHERE measure = 'population_unique_share_estimated';
SELECT * FROM insight_risk('subject', ARRAY['agee']);
SELECT * FROM insight_risk('subject', '{}');
SELECT * FROM insight_risk('subject', ARRAY['age'], '{"sensitive": ["age"]}');
SELECT * FROM insight_risk('subject', ARRAY['age'], '{"population": "subject", "sampling_fraction": 0.5}');
-- k-anonymity, l-diversity and t-closeness.
CREATE TYPE anonymous AS (age int4range, zip text, sex text, illness text);
CREATE TABLE safe AS SELECT * FROM insight_anonymize('subject', '{"k": 5, "l": 2, "t": 0.6, "quasi_identifiers": ["age", "zip", "sex"],
  "sensitive": ["illness"]}', NULL::anonymous);
SELECT count(*), count(DISTINCT age) > 5 AS ages, bool_and(upper(age) > lower(age)) AS ranges FROM safe;
SELECT measure, CASE measure WHEN 'k' THEN value >= 5 WHEN 'uniques' THEN value = 0 WHEN 'share_below_5' THEN value = 0
  WHEN 'l_distinct' THEN value >= 2 WHEN 't' THEN value <= 0.6 END AS holds
  FROM insight_risk('safe', ARRAY['age','zip','sex'], '{"sensitive": ["illness"]}')
  WHERE measure IN ('k', 'uniques', 'share_below_5', 'l_distinct', 't');
SELECT illness, count(*) FROM safe GROUP BY 1 ORDER BY 1;
-- In the table's own row type a number stays a number: the median of its class.
CREATE TYPE numbers AS (age integer, born date, sex text);
CREATE TABLE coarse AS SELECT * FROM insight_anonymize('subject', '{"k": 10, "quasi_identifiers": ["age", "born", "sex"],
  "columns": {"born": {"method": "generalize", "unit": "year"}}}', NULL::numbers);
SELECT value >= 10 AS holds FROM insight_risk('coarse', ARRAY['age','born','sex']) WHERE measure = 'k';
SELECT bool_and(age BETWEEN 18 AND 87) AS ages, bool_and(extract(month FROM born) = 1 AND extract(day FROM born) = 1) AS years FROM coarse;
SELECT count(*) FROM insight_anonymize('SELECT * FROM subject WHERE id < 4', '{"k": 5, "quasi_identifiers": ["age"]}', NULL::numbers);
SELECT count(*) FROM insight_anonymize('subject', '{"k": 5, "l": 9, "quasi_identifiers": ["age"], "sensitive": ["illness"]}', NULL::anonymous);
-- A hierarchy of categories.
CREATE TABLE trip (city text, paid integer);
INSERT INTO trip SELECT (ARRAY['Rome','Milan','Paris','Lyon'])[1 + i % 4], i FROM generate_series(1, 8) i;
CREATE TYPE place AS (city text);
SELECT city, count(*) FROM insight_anonymize('trip', '{"k": 4, "quasi_identifiers": ["city"], "columns": {"city": {"method": "generalize",
  "hierarchy": {"Rome": ["Italy"], "Milan": ["Italy"], "Paris": ["France"], "Lyon": ["France"]}}}}', NULL::place) GROUP BY 1 ORDER BY 1;
-- Rules by column.
CREATE TYPE masked AS (full_name text, phone text, email text, age int4range, born text, zip text, income numeric, active boolean, id integer);
SELECT * FROM insight_anonymize('SELECT * FROM subject WHERE id = 7', '{"columns": {"full_name": "suppress", "phone": {"method": "mask", "keep": 4},
  "email": {"method": "suppress", "value": "hidden"}, "age": {"method": "generalize", "width": 10}, "born": {"method": "generalize", "unit": "decade"},
  "zip": {"method": "generalize", "keep": 3}, "income": {"method": "top_code", "max": 1200}}}', NULL::masked);
SELECT sum(m.income) = (SELECT sum(income) FROM subject) AS same_sum, count(*) FILTER (WHERE m.income = p.income) < 300 AS moved
  FROM insight_anonymize('subject', '{"columns": {"full_name": "suppress", "phone": "suppress", "email": "suppress", "age": "suppress", "born": "suppress",
  "zip": "suppress", "income": "shuffle"}}', NULL::masked) m JOIN subject p USING (id);
SELECT abs(avg(m.income - p.income)) < 10 AS centred, stddev(m.income - p.income) BETWEEN 20 AND 40 AS spread
  FROM insight_anonymize('subject', '{"columns": {"full_name": "suppress", "phone": "suppress", "email": "suppress", "age": "suppress", "born": "suppress",
  "zip": "suppress", "income": {"method": "noise", "scale": 20}}}', NULL::masked) m JOIN subject p USING (id);
-- Pseudonyms: keyed, the same in every table, others in another domain.
CREATE TYPE contacts AS (id bigint, email text);
SELECT count(*) FROM insight_anonymize('subject', '{"columns": {"id": "pseudonym", "email": "pseudonym"}}', NULL::contacts);
SET insight.key_command = 'echo 1:1111111111111111111111111111111111111111111111111111111111111111; echo 2:2222222222222222222222222222222222222222222222222222222222222222';
CREATE TABLE mail AS SELECT email, count(*) AS sent FROM subject WHERE id <= 100 GROUP BY 1;
CREATE TYPE mails AS (email text, sent bigint);
SELECT count(*) AS joined, count(*) FILTER (WHERE c.email LIKE '%@%' OR length(c.email) <> 32) AS plain, count(DISTINCT c.id) AS ids, bool_and(c.id > 0) AS positive
  FROM insight_anonymize('subject', '{"columns": {"id": "pseudonym", "email": "pseudonym"}}', NULL::contacts) c
  JOIN insight_anonymize('mail', '{"columns": {"email": "pseudonym"}}', NULL::mails) m USING (email);
SELECT count(*) AS joined FROM insight_anonymize('subject', '{"columns": {"id": "pseudonym", "email": {"method": "pseudonym", "domain": "other"}}}', NULL::contacts) c
  JOIN insight_anonymize('mail', '{"columns": {"email": "pseudonym"}}', NULL::mails) m USING (email);
SELECT count(*) AS joined FROM insight_anonymize('subject', '{"columns": {"id": "pseudonym", "email": "pseudonym"}, "key_version": 1}', NULL::contacts) c
  JOIN insight_anonymize('mail', '{"columns": {"email": "pseudonym"}}', NULL::mails) m USING (email);
SELECT count(*) FROM insight_anonymize('subject', '{"columns": {"id": "pseudonym", "email": "pseudonym"}, "key_version": 3}', NULL::contacts);
SELECT * FROM insight_anonymize('subject', '{"columns": {"id": "pseudonym"}}', NULL::subject);
RESET insight.key_command;
-- The order of the rows tells nothing.
SELECT count(*) < 30 AS mixed FROM (SELECT id, row_number() OVER () AS place FROM
  insight_anonymize('subject', '{"columns": {"full_name": "suppress", "phone": "suppress", "email": "suppress", "age": "suppress", "born": "suppress"}}', NULL::masked)) m
  WHERE m.id = place;
-- Rules that security labels of postgresql_anonymizer declare; without it only the catalog can be made to hold some.
SELECT count(*) FROM insight_anonymize('subject', NULL, NULL::masked);
BEGIN;
SET LOCAL allow_system_table_mods = on;
INSERT INTO pg_seclabel SELECT 'subject'::regclass, 'pg_class'::regclass, a.attnum, l.provider, l.label FROM pg_attribute a JOIN (VALUES
  ('full_name', 'anon', 'MASKED WITH FUNCTION anon.fake_last_name()'), ('phone', 'anon', 'MASKED WITH FUNCTION anon.partial(phone,3,$$****$$,2)'),
  ('email', 'anon', 'MASKED WITH VALUE NULL'), ('age', 'anon', 'MASKED WITH FUNCTION anon.generalize_int4range(age,10)'),
  ('born', 'anon', 'MASKED WITH VALUE ''unknown'''), ('zip', 'k_anonymity', 'QUASI IDENTIFIER'), ('age', 'k_anonymity', 'QUASI IDENTIFIER')) l (name, provider, label)
  ON a.attname = l.name AND a.attrelid = 'subject'::regclass;
SELECT * FROM insight_anonymize('subject', NULL, NULL::masked) WHERE id = 7;
SELECT min(rows) >= 5 AS holds FROM (SELECT count(*) AS rows FROM insight_anonymize('subject', '{"labels": true, "k": 5, "columns": {"phone": "suppress"}}', NULL::masked) GROUP BY age, zip) c;
UPDATE pg_seclabel SET label = 'MASKED WITH FUNCTION anon.noise(age, 0.2)' WHERE provider = 'anon' AND label LIKE '%generalize%';
SELECT * FROM insight_anonymize('subject', NULL, NULL::masked);
ROLLBACK;
-- What is not spoken of and seems to name people is not given out.
SELECT * FROM insight_anonymize('subject', '{}', NULL::subject);
SELECT count(*) FROM insight_anonymize('subject', '{"columns": {"full_name": "keep", "email": "keep", "phone": "keep", "note": "keep"}}', NULL::subject);
CREATE TABLE keyed (id integer PRIMARY KEY, age integer);
SELECT * FROM insight_anonymize('keyed', '{}', NULL::keyed);
-- What cannot be done is refused before a row is read.
SELECT * FROM insight_anonymize('subject', '{"email": "pseudonym"}', NULL::subject);
SELECT * FROM insight_anonymize('subject', '{"columns": {"email": "hash"}}', NULL::subject);
SELECT * FROM insight_anonymize('subject', '{"columns": {"emial": "suppress"}}', NULL::subject);
SELECT * FROM insight_anonymize('subject', '{"columns": {"email": {"method": "mask", "keeps": 2}}}', NULL::subject);
SELECT * FROM insight_anonymize('subject', '{"columns": {"email": {"method": "noise", "scale": 2}}}', NULL::subject);
SELECT * FROM insight_anonymize('subject', '{"columns": {"active": {"method": "mask"}}}', NULL::subject);
SELECT * FROM insight_anonymize('subject', '{"k": 5}', NULL::subject);
SELECT * FROM insight_anonymize('subject', '{"k": 5, "quasi_identifiers": ["age"], "columns": {"age": "keep"}}', NULL::subject);
SELECT * FROM insight_anonymize('subject', '{}', 1);
SELECT insight_anonymize('subject', '{}', NULL::subject);
CREATE TYPE other AS (colour text);
SELECT * FROM insight_anonymize('subject', '{}', NULL::other);
-- The caller's rights hold.
CREATE ROLE regress_anonymous;
SET ROLE regress_anonymous;
SELECT count(*) FROM insight_find_pii('subject');
SELECT count(*) FROM insight_anonymize('subject', '{}', NULL::other);
RESET ROLE;
DROP ROLE regress_anonymous;
-- A model is warned of.
CREATE TABLE contact AS SELECT CASE WHEN id % 3 = 0 THEN 'user' || id % 20 || '@example.com' ELSE 'friend' || id % 25 || '@example.org' END AS contact, age, active
  FROM subject;
SET client_min_messages = warning;
SELECT status FROM insight_train('contact', 'active', 'contact_active', '{"algorithm": "linear"}');
RESET client_min_messages;
SELECT insight_drop('contact_active');
-- Figures that hide each customer.
SELECT name, category, statistic, CASE statistic WHEN 'rows' THEN abs(value - 3000) < 100 WHEN 'count' THEN abs(value - (SELECT count(*) FROM subject WHERE sex = category OR category IS NULL)) < 100
  WHEN 'mean' THEN abs(value - (SELECT avg(age) FROM subject)) < 5 WHEN 'q50' THEN abs(value - 52) < 8 ELSE value > 0 END AS near, low <= value AND value <= high AS within,
  round(epsilon::numeric, 3) AS epsilon
  FROM insight_private_profile('subject', '{"epsilon": 4, "bounds": {"age": [0, 120]}, "columns": ["age", "sex"], "quantiles": [0.5]}');
SELECT by, statistic, abs(value - 1500) < 100 AS near FROM insight_private_profile('subject', '{"by": ["active"], "categories": {"active": ["true", "false"]}}');
SELECT * FROM insight_private_profile('subject', '{"columns": ["age"]}');
SELECT * FROM insight_private_profile('subject', '{"bounds": {"sex": [0, 1]}}');
SELECT * FROM insight_private_profile('subject', '{"rows_per_unit": 2}');
SELECT * FROM insight_private_profile('subject', '{"epsilon": 0}');
-- It spends from the budget of the table.
SELECT insight_privacy_budget('subject', 7, 1e-5);
SELECT statistic FROM insight_private_profile('subject', '{"epsilon": 1.5}');
SELECT statistic FROM insight_private_profile('subject', '{"epsilon": 1}');
DROP TABLE subject, safe, coarse, trip, contact, mail, keyed;
DROP TYPE anonymous, numbers, place, masked, other, contacts, mails;
