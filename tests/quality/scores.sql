-- Trains with default options and compares with the bound: what gradient boosting libraries reach on such tables untuned,
-- less the noise between splits. The rows scored were never trained on: each table's own random fifth, and adult's
-- official test rows.
CREATE TABLE trial (name text PRIMARY KEY, relation text, target text, options jsonb, metric text, bound float8, unseen text);
INSERT INTO trial VALUES
  ('telco_churn', 'telco', 'Churn', '{}', 'roc_auc', 0.84, NULL),
  ('adult', 'adult', 'income', '{}', 'roc_auc', 0.918, 'adult_unseen'),
  ('bank_marketing', 'bank', 'y', '{}', 'roc_auc', 0.93, NULL),
  ('bank, duration unknown', 'bank', 'y', '{"exclude": ["duration"]}', 'roc_auc', 0.79, NULL),
  ('online_shoppers', 'shoppers', 'Revenue', '{}', 'roc_auc', 0.925, NULL),
  ('german_credit', 'german', 'class', '{"positive": 2}', 'roc_auc', 0.70, NULL),
  ('machine_failure', 'machines', 'machine_failure',
   '{"exclude": ["udi", "product_id", "twf", "hdf", "pwf", "osf", "rnf"]}', 'roc_auc', 0.95, NULL),
  ('california_housing', 'SELECT *, median_house_value / 1e5 AS value FROM housing', 'value',
   '{"exclude": ["median_house_value"]}', 'rmse', 0.46, NULL);
CREATE TABLE outcome (name text, metric text, score float8, low float8, high float8, bound float8, seconds float8, passed boolean);
DO $$
DECLARE t trial; r record; s record;
BEGIN
  FOR t IN SELECT * FROM trial ORDER BY name LOOP
    SELECT * INTO r FROM insight_train(t.relation, t.target, t.name, t.options);
    SELECT * INTO s FROM insight_evaluate(t.name, t.unseen) e WHERE e.metric = t.metric AND e.class IS NULL;
    INSERT INTO outcome VALUES (t.name, t.metric, s.value, s.low, s.high, t.bound, r.seconds,
      CASE WHEN t.metric = 'rmse' THEN s.value <= t.bound ELSE s.value >= t.bound END);
  END LOOP;
END $$;
