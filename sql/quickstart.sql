-- The main job, as an analyst would do it. Run by sql/quickstart.
\pset footer off
CREATE EXTENSION insight;
CREATE TABLE customers AS SELECT * FROM insight_sample_customers(20000, 42);
ANALYZE customers;

\echo
\echo 'What gives the answer away or names its row: SELECT name, advice FROM insight_profile(''customers'', ''churn'');'
SELECT name, split_part(advice, ';', 1) AS advice FROM insight_profile('customers', 'churn') WHERE leak IS NOT NULL OR advice LIKE 'identifier%';

\echo 'Training without it: SELECT * FROM insight_train(''customers'', ''churn'', options => ''{"leakage": "drop"}'');'
SELECT model, version, status, task, metric, round(score::numeric, 4) AS score, rows, round(seconds::numeric, 1) AS seconds
FROM insight_train('customers', 'churn', options => '{"leakage": "drop"}');

\echo The deployed model
SELECT model, version, task, target, metric, round(score::numeric, 4) AS score, device FROM insight.models;

\echo Its scores on customers it has not seen, with 95% intervals, beside a guess without a model
SELECT metric, round(value::numeric, 4) AS value, round(low::numeric, 4) AS low, round(high::numeric, 4) AS high,
       round(baseline::numeric, 4) AS baseline
FROM insight.metrics WHERE model = 'customers_churn';

\echo The ten customers most at risk
SELECT customer_id, plan, contract, monthly_fee, tenure_months, support_tickets, satisfaction, notes,
       round(insight_predict('customers_churn', c)::numeric, 3) AS risk
FROM customers c ORDER BY risk DESC LIMIT 10;

\echo Why the job was safe to run: it ran as this role in a worker of its own, whose child did the training within its limits
SELECT j.job, j.role, j.pid AS worker, j.status, current_setting('insight.isolate_training') AS isolated,
       current_setting('insight.max_memory') AS max_memory, round(extract(epoch FROM finished_at - started_at), 1) AS seconds
FROM insight.jobs j;
