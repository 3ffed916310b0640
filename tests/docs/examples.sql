-- Runs every example of insight_help on small tables; prints errors and nothing else. Left out are those of pg_cron, of a key and of another
-- server, which a plain server lacks.
SET client_min_messages = error;
\o /dev/null
SELECT example FROM insight.topics WHERE name LIKE 'insight\_sample\_%' ORDER BY position \gexec
ALTER TABLE customers ADD PRIMARY KEY (customer_id);
CREATE TABLE new_customers AS SELECT * FROM insight_sample_customers(1200) WHERE customer_id > 1000;
CREATE TABLE stays AS SELECT customer_id, age, tenure_months, 1 + tenure_months * 3 AS days, churn AS left FROM customers;
CREATE TABLE mailing AS SELECT customer_id, age, tenure_months, customer_id * 7 % 2 = 0 AS mailed, churn AS bought FROM customers;
CREATE TABLE patients AS SELECT 'p' || customer_id || '@example.org' AS email, age FROM customers;
CREATE TYPE anonymous AS (email text, age int4range);
DROP ROLE IF EXISTS docs_app;
CREATE ROLE docs_app;
-- Roles are the server's, and trees are quick.
SELECT replace(replace(example, '''app''', '''docs_app'''), '["cancellation_fee"]}', '["cancellation_fee"], "algorithm": "gbdt"}') AS example,
  CASE name WHEN 'insight_train' THEN 0 WHEN 'insight_drop' THEN 9999 ELSE position END AS turn
INTO TEMP examples FROM insight.topics WHERE name !~ '^insight_(sample_.*|schedule|unschedule|rotate_key|train_on)$';
SELECT insight_train('customers', 'monthly_fee', options => '{"algorithm": "gbdt", "exclude": ["cancellation_fee"]}');
SELECT insight_train('customers', 'churn', 'fair_churn', '{"algorithm": "gbdt", "exclude": ["cancellation_fee"], "sensitive": ["gender"]}');
SELECT insight_train('customers', 'churn', 'churn_linear', '{"algorithm": "linear", "exclude": ["cancellation_fee"]}');
SELECT insight_train('stays', 'days', 'churn_when', '{"task": "survival", "event": "left", "algorithm": "dnn", "epochs": 2}');
SELECT insight_train('mailing', 'bought', 'mail_effect', '{"task": "uplift", "treatment": "mailed", "algorithm": "gbdt"}');
SELECT insight_train('SELECT customer_id, at, action FROM events', 'action', 'next_buy', '{"algorithm": "gru", "key": "customer_id", "order": "at", "epochs": 1}');
SELECT insight_train('customers', NULL, 'twins', '{"algorithm": "tvae", "epochs": 5}');
SELECT example FROM examples ORDER BY turn \gexec
DROP ROLE docs_app;
