-- What a database has before pg_upgrade: models of several kinds and owners, grants, kept predictions, scores, a privacy budget, a
-- forgotten customer, audit and settings. :place is the schema of the extension; :spent is whether a table gets a privacy budget.
SET client_min_messages = warning;
CREATE SCHEMA IF NOT EXISTS :"place";
CREATE EXTENSION insight SCHEMA :"place";
SET search_path = public, :"place";
GRANT USAGE ON SCHEMA :"place" TO PUBLIC;
GRANT CREATE ON SCHEMA public TO up_analyst;
REVOKE EXECUTE ON FUNCTION insight_export FROM PUBLIC;
GRANT EXECUTE ON FUNCTION insight_export TO up_analyst;
SELECT format('ALTER DATABASE %I SET search_path = public, %I', current_database(), :'place') \gexec
SELECT format('ALTER DATABASE %I SET insight.max_jobs = 3', current_database()) \gexec
SELECT format('ALTER ROLE up_analyst IN DATABASE %I SET insight.threads = 1', current_database()) \gexec

SET ROLE up_analyst;
CREATE TABLE customers AS SELECT * FROM insight_sample_customers(1200, 1);
ALTER TABLE customers ADD PRIMARY KEY (customer_id);
SELECT score FROM insight_train('customers', 'churn', 'churn', '{"algorithm": "gbdt", "key": "customer_id"}');
SELECT score FROM insight_train('customers', 'churn', 'churn', '{"algorithm": "dnn", "epochs": 3, "key": "customer_id", "deploy": false}');
SELECT score FROM insight_train('customers', 'monthly_fee', 'fee', '{"algorithm": "linear"}');
CREATE TABLE people AS SELECT plan, tenure_months, monthly_fee FROM customers;
SELECT status FROM insight_train('people', NULL, 'groups', '{"algorithm": "kmeans"}');
SELECT status FROM insight_train('people', NULL, 'twins', '{"algorithm": "tvae", "epochs": 3}');
SELECT insight_privacy_budget('customers', 10, 1e-4);
SELECT score FROM insight_train('customers', 'churn', 'secret', '{"algorithm": "dnn", "epochs": 2, "exclude": ["cancellation_fee"], "privacy": {"epsilon": 2, "delta": 1e-5}}');
SELECT insight_grant('churn', 'up_app'), insight_grant('churn', 'up Mia''s team', 'explain'), insight_grant('fee', 'public');
SELECT * FROM insight_log('churn', true, '{"key": "customer_id", "bound": 0.9999}');
SELECT rows FROM insight_score('churn', 'customers', 'churn_scores', 'customer_id');
SELECT count(insight_predict_logged('churn', c, customer_id)) FROM customers c WHERE customer_id <= 100;
SELECT count(*) FROM insight_performance('churn', 'customers');
SELECT action FROM insight_forget('7', 'churn');
SELECT insight_deploy('churn', max(version)) FROM insight.versions WHERE model = 'churn';
CREATE VIEW risks AS SELECT customer_id, insight_predict('churn', c) AS risk FROM customers c;
GRANT SELECT ON risks, customers TO up_app, "up Mia's team", up_outsider;
-- A job that failed stays with its words.
\set ON_ERROR_STOP off
SELECT insight_train('SELECT 1 / 0 AS a, churn FROM customers', 'churn', 'broken');
\set ON_ERROR_STOP on
RESET ROLE;
