-- A model in a few rules, and what columns tell together.
SET client_min_messages = warning;
CREATE TABLE rule_shoppers AS SELECT n AS id, (n * 37 % 100) / 10.0 AS spend, (ARRAY['basic', 'pro'])[1 + n % 2] AS plan, n * 13 % 7 AS noise,
  CASE WHEN n % 2 = 0 THEN n * 37 % 100 < 50 ELSE n % 11 = 0 END AS churned, 3 * ((n * 37 % 100) / 10.0) + 20 * (n % 2) AS worth,
  (ARRAY['low', 'middle', 'high'])[1 + (n * 37 % 100) / 34] AS tier FROM generate_series(1, 1500) n;
SELECT status FROM insight_train('SELECT spend, plan, noise, churned FROM rule_shoppers', 'churned', 'rule_churn', '{"algorithm": "gbdt"}');
SELECT rule, label, prediction BETWEEN low AND high AS inside, abs(actual - prediction) < 0.2 AS true, fidelity > 0.7 AS faithful, agreement > 0.9 AS agrees FROM insight_rules('rule_churn', 2);
SELECT sum(share) BETWEEN 0.999 AND 1.001 AS all_rows, sum(rows), bool_and(rule NOT LIKE '%noise%') AS no_noise FROM insight_rules('rule_churn');
SELECT feature, with_feature, strength > 0.1 AS much, h_squared BETWEEN 0 AND 1.001 AS share FROM insight_interactions('rule_churn') LIMIT 1;
SELECT count(*) FROM insight_interactions('rule_churn', 2);
-- Of a number in its unit; of several labels all together, or one.
SELECT status FROM insight_train('SELECT spend, plan, noise, worth FROM rule_shoppers', 'worth', 'rule_worth', '{"algorithm": "linear"}');
SELECT rule, label, abs(actual - prediction) < 1 AS true, agreement FROM insight_rules('rule_worth', 1);
SELECT max(strength) < 1e-4 AS adds_up FROM insight_interactions('rule_worth');
SELECT status FROM insight_train('SELECT spend, plan, noise, tier FROM rule_shoppers', 'tier', 'rule_tier', '{"algorithm": "gbdt"}');
SELECT rule, label, agreement > 0.95 AS agrees FROM insight_rules('rule_tier', 2) ORDER BY label;
SELECT count(*) AS rules, bool_and(label IS NULL) AS numbers, max(prediction) > 0.9 AS sure FROM insight_rules('rule_tier', 2, 'middle');
SELECT count(*) FROM insight_interactions('rule_tier', 3, 'low');
-- Errors.
SELECT * FROM insight_rules('rule_churn', 0);
SELECT * FROM insight_rules('rule_churn', 7);
SELECT * FROM insight_rules('rule_churn', 3, 'true');
SELECT * FROM insight_rules('rule_tier', 3, 'top');
SELECT * FROM insight_rules('rule_none');
SELECT * FROM insight_rules(NULL);
SELECT * FROM insight_interactions('rule_churn', 1);
SELECT * FROM insight_interactions('rule_none');
