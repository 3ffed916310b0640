-- Why a model answers what it does.
SET client_min_messages = warning;
CREATE TABLE why_shoppers AS SELECT n AS id, (n * 37 % 100) / 10.0 AS spend, (ARRAY['basic', 'pro'])[1 + n % 2] AS plan, n * 13 % 7 AS noise,
  CASE WHEN n % 2 = 0 THEN n * 37 % 100 < 50 ELSE n % 11 = 0 END AS churned, 3 * ((n * 37 % 100) / 10.0) + 20 * (n % 2) AS worth,
  (ARRAY['low', 'middle', 'high'])[1 + (n * 37 % 100) / 34] AS tier FROM generate_series(1, 1500) n;
SELECT status, score > 0.8 AS good FROM insight_train('SELECT spend, plan, noise, churned FROM why_shoppers', 'churned', 'why_churn', '{"algorithm": "gbdt"}');
SELECT feature, value, sign(round(contribution::numeric, 2)) AS sign, typical IS NOT NULL AS typical, error >= 0 AS error
FROM insight_explain('why_churn', '{"spend": 1, "plan": "basic", "noise": 3}') ORDER BY abs(contribution) DESC LIMIT 2;
-- What all columns add is the answer less the base, with one line for the others.
CREATE TABLE why_added AS SELECT id, feature, contribution, base, prediction, insight_predict('why_churn', s) AS answered FROM (SELECT * FROM why_shoppers ORDER BY id LIMIT 40) s, insight_explain('why_churn', s, 1) e;
SELECT count(*), count(*) FILTER (WHERE feature = '(2 others)') AS others, bool_and(prediction = answered) AS same FROM why_added;
SELECT max(abs(sum)) < 1e-6 AS adds_up FROM (SELECT sum(contribution) - max(prediction - base) AS sum FROM why_added GROUP BY id) s;
-- Which column matters, and how.
SELECT feature, importance > 0.01 AS matters, low <= importance AND importance <= high AS inside, share BETWEEN 0 AND 1 AS share, grouped_with, group_importance = importance AS alone FROM insight_importance('why_churn') WHERE feature <> 'noise';
SELECT value, round(partial::numeric, 1) AS partial, low <= high AS spread, accumulated, round(share::numeric, 1) AS share FROM insight_dependence('why_churn', 'plan') ORDER BY value;
SELECT count(*) > 10 AS places, max(partial) - min(partial) > 0.3 AS falls, corr(number, accumulated) < -0.7 AS local FROM insight_dependence('why_churn', 'spend');
-- A number is explained in its own unit; of several labels the one that is answered, or the one named.
SELECT status FROM insight_train('SELECT spend, plan, noise, worth FROM why_shoppers', 'worth', 'why_worth', '{"algorithm": "gbdt"}');
SELECT feature, round(contribution::numeric) BETWEEN 9 AND 11 AS ten FROM insight_explain('why_worth', '{"spend": 5, "plan": "pro", "noise": 3}', 3) WHERE feature = 'plan';
SELECT status FROM insight_train('SELECT spend, plan, noise, tier FROM why_shoppers', 'tier', 'why_tier', '{"algorithm": "linear"}');
SELECT feature, contribution > 0.2 AS much FROM insight_explain('why_tier', '{"spend": 9.9, "plan": "pro", "noise": 3}', 1) LIMIT 1;
SELECT feature, contribution < 0 AS less FROM insight_explain('why_tier', '{"spend": 9.9, "plan": "pro", "noise": 3}', 1, 'low') LIMIT 1;
SELECT count(*) > 10 AS places FROM insight_dependence('why_tier', 'spend', 'high');
-- Rows of NULLs, no row, and errors.
SELECT count(*) FROM insight_explain('why_churn', '{"spend": null}');
SELECT count(*) FROM insight_explain('why_churn', NULL::why_shoppers);
SELECT count(*) FROM insight_explain('why_churn', ROW(1, 'pro', 2));
SELECT * FROM insight_explain('why_churn', '{"spend": 1}', 0);
SELECT * FROM insight_explain('why_churn', '{"spending": 1}');
SELECT * FROM insight_explain('why_churn', '{"spend": 1}', 3, 'yes');
SELECT * FROM insight_explain('why_tier', '{"spend": 1}', 3, 'top');
SELECT count(*) FROM (SELECT insight_explain('why_tier', '{"spend": 1}')) s;
SELECT * FROM insight_dependence('why_tier', 'spend');
SELECT * FROM insight_dependence('why_churn', 'spending');
SELECT * FROM insight_importance('why_not');
-- In words.
SELECT count(*) BETWEEN 6 AND 13 AS lines, bool_or(line LIKE 'What matters most: spend (%more of it less)%') AS matters, bool_and(line LIKE '%.') AS sentences FROM regexp_split_to_table(insight_summary('why_churn'), E'\n') line;
SELECT split_part(insight_summary('why_tier'), E'\n', 1) AS first;
SELECT split_part(insight_summary('why_worth'), E'\n', 1) AS first;
SELECT insight_summary('why_not');
-- What would have to be different.
SELECT alternative, feature, "from", "to", round(cost::numeric) AS cost, prediction > 0.5 AS stays FROM insight_counterfactual('why_churn', '{"spend": 1, "plan": "basic", "noise": 3}', 'false') WHERE feature = 'plan';
SELECT count(*) > 0 AS some, bool_and(feature <> 'plan') AS allowed, bool_and("to"::numeric BETWEEN 0 AND 10) AS seen, bool_and(prediction < 0.3) AS reached
FROM insight_counterfactual('why_churn', '{"spend": 1, "plan": "basic", "noise": 3}', '< 0.3', '{"actionable": ["spend"]}');
SELECT feature, round("to"::numeric) BETWEEN 8 AND 9 AS spends, prediction >= 25 AS reached FROM insight_counterfactual('why_worth', '{"spend": 5, "plan": "basic", "noise": 3}', '> 25', '{"costs": {"plan": 5}, "alternatives": 1}');
SELECT count(*) AS already FROM insight_counterfactual('why_churn', '{"spend": 1, "plan": "pro", "noise": 3}', 'false');
SELECT count(*) AS beyond FROM insight_counterfactual('why_worth', '{"spend": 1}', '> 1000');
SELECT count(*) AS of_many FROM insight_counterfactual('why_tier', '{"spend": 9.9, "plan": "pro", "noise": 3}', 'low', '{"max_changes": 1}');
SELECT * FROM insight_counterfactual('why_churn', '{"spend": 1}', 'perhaps');
SELECT * FROM insight_counterfactual('why_worth', '{"spend": 1}', 'much');
SELECT * FROM insight_counterfactual('why_tier', '{"spend": 1}', '> 3');
SELECT * FROM insight_counterfactual('why_churn', '{"spend": 1}', 'false', '{"action": ["spend"]}');
SELECT * FROM insight_counterfactual('why_churn', '{"spend": 1}', 'false', '{"actionable": ["spending"]}');
SELECT * FROM insight_counterfactual('why_churn', '{"spend": 1}', 'false', '{"costs": {"spend": 0}}');
SELECT * FROM insight_counterfactual('why_churn', '{"spend": 1}', 'false', '{"max_changes": 0}');
