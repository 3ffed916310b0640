-- The main job, as an analyst would do it. Run by sql/quickstart.
\pset footer off
CREATE EXTENSION insight;
SELECT setseed(0.42);
CREATE TABLE customers AS
  SELECT id AS customer_id, age, tenure_months, plan, tickets, monthly_fee,
         random() < 1 / (1 + exp(1.2 + 0.06 * tenure_months - 0.9 * tickets - CASE plan WHEN 'basic' THEN 0.8 ELSE 0 END)) AS churn
  FROM (SELECT id, 18 + (random() * 60)::int AS age, (random() * 72)::int AS tenure_months,
               (ARRAY['basic', 'plus', 'premium'])[1 + (random() * 2.999)::int % 3] AS plan,
               (random() * random() * 6)::int AS tickets, round((10 + random() * 60)::numeric, 2) AS monthly_fee
        FROM generate_series(1, 20000) id) c;
ANALYZE customers;

\echo
\echo Training: SELECT * FROM insight_train(''customers'', ''churn'');
SELECT model, version, status, task, metric, round(score::numeric, 4) AS score, rows, round(seconds::numeric, 1) AS seconds
FROM insight_train('customers', 'churn');

\echo The deployed model
SELECT model, version, task, target, metric, round(score::numeric, 4) AS score, device FROM insight.models;

\echo Its scores on customers it has not seen, with 95% intervals, beside a guess without a model
SELECT metric, round(value::numeric, 4) AS value, round(low::numeric, 4) AS low, round(high::numeric, 4) AS high,
       round(baseline::numeric, 4) AS baseline
FROM insight.metrics WHERE model = 'customers_churn';

\echo The ten customers most at risk
SELECT c.*, round(insight_predict('customers_churn', c)::numeric, 3) AS risk FROM customers c ORDER BY risk DESC LIMIT 10;

\echo Why the job was safe to run: it ran as this role in a worker of its own, whose child did the training within its limits
SELECT j.job, j.role, j.pid AS worker, j.status, current_setting('insight.isolate_training') AS isolated,
       current_setting('insight.max_memory') AS max_memory, round(extract(epoch FROM finished_at - started_at), 1) AS seconds
FROM insight.jobs j;
