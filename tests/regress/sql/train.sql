-- Training and predicting, as a new user would.
SET client_min_messages = warning;
CREATE EXTENSION insight;
CREATE TABLE shoppers AS
  SELECT i AS shopper_id, (i * 7919) % 60 + 18 AS age, ((i * 104729) % 1000) / 10.0 AS spend,
         CASE WHEN i % 9 = 0 THEN NULL ELSE (ARRAY['basic', 'plus', 'premium'])[1 + i % 3] END AS plan,
         ((i * 7919) % 60 > 30) AND ((i * 104729) % 1000 > 300) AS churn
  FROM generate_series(1, 1000) i;
SELECT model, version, status, task, algorithm, metric, score > 0.95 AS good, deployed, rows
FROM insight_train('shoppers', 'churn', options => '{"epochs": 40, "learning_rate": 0.01}');
SELECT model, version, task, target, versions FROM insight.models;
SELECT metric, value >= low AND value <= high AS inside, baseline IS NOT NULL AS compared
FROM insight.metrics WHERE metric IN ('accuracy', 'roc_auc', 'f1') ORDER BY metric;
SELECT job, model, version, status, phase, error FROM insight.jobs;
SELECT count(*) > 5 AS epochs, bool_and(train_loss > 0) AS losses FROM insight.history;
-- A row, ROW(...) in feature order and jsonb agree.
SELECT count(*) FROM shoppers s
WHERE abs(insight_predict('shoppers_churn', s) - insight_predict('shoppers_churn', ROW(s.age, s.spend, s.plan))) > 1e-9
   OR abs(insight_predict('shoppers_churn', s) - insight_predict('shoppers_churn', to_jsonb(s))) > 1e-9;
SELECT avg((insight_classify('shoppers_churn', s) = s.churn::text)::int) > 0.9 AS agrees FROM shoppers s;
SELECT insight_probabilities('shoppers_churn', s) ?& ARRAY['true', 'false'] AS both FROM shoppers s LIMIT 1;
-- Versions.
SELECT version FROM insight_train('shoppers', 'churn', options => '{"epochs": 2, "hidden": [4]}');
SELECT insight_rollback('shoppers_churn');
SELECT insight_deploy('shoppers_churn', 2);
BEGIN;
SELECT version FROM insight_train('shoppers', 'churn', options => '{"epochs": 2}');
ROLLBACK;
SELECT model, version, versions FROM insight.models;
SELECT insight_drop('shoppers_churn');
SELECT count(*) FROM insight.models;
-- Later, in the background.
SELECT status, job > 0 AS job FROM insight_train('shoppers', 'churn', 'later', '{"wait": false, "epochs": 2}');
SELECT insight_wait(max(job)) FROM insight.jobs;
SELECT model, version FROM insight.models;
