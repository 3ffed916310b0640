-- Models of three kinds of two tables, attacked. See tests/quality/leaks.
CREATE TABLE adult_some AS SELECT * FROM adult ORDER BY hashtext(adult::text) LIMIT 10000;
CREATE TABLE kind (position integer, name text, options jsonb);
INSERT INTO kind VALUES
  (1, 'auto', '{}'),
  (2, 'dnn', '{"algorithm": "dnn"}'),
  (3, 'gbdt', '{"algorithm": "gbdt"}'),
  (4, 'linear', '{"algorithm": "linear"}'),
  (6, 'private', '{"algorithm": "dnn", "privacy": {"epsilon": 3, "delta": 1e-5}}'),
  (5, 'overfitted', '{"algorithm": "mlp", "hidden": [256, 128], "epochs": 100, "early_stopping": false, "dropout": 0, "l2": 0, "validation_size": 0, "calibration": "none"}');
CREATE TABLE outcome (relation text, position integer, name text, attack text, metric text, value float8, low float8, high float8, score float8, seconds float8);
SELECT set_config('leaks.options', :'options', false) \g /dev/null
DO $$
DECLARE t record; k kind; model text; own float8; started timestamptz;
BEGIN
  FOR t IN SELECT * FROM (VALUES ('telco', 'Churn', '{"exclude": ["customerID"]}'::jsonb), ('adult_some', 'income', '{}')) v (relation, target, options) LOOP
    FOR k IN SELECT * FROM kind ORDER BY position LOOP
      model := t.relation || '_' || k.name;
      SELECT score INTO own FROM insight_train(t.relation, t.target, model, k.options || t.options);
      COMMIT;
      started := clock_timestamp();
      INSERT INTO outcome SELECT t.relation, k.position, k.name, l.*, own, extract(epoch FROM clock_timestamp() - started)
      FROM insight_leak_test(model, current_setting('leaks.options')::jsonb) l;
      COMMIT;
    END LOOP;
  END LOOP;
END $$;
\pset footer off
SELECT relation, name AS model, round(min(score)::numeric, 3) AS roc_auc,
  max(format('%s (%s to %s)', round(value::numeric, 3), round(low::numeric, 3), round(high::numeric, 3))) FILTER (WHERE attack = 'loss_threshold' AND metric = 'roc_auc') AS loss_threshold,
  max(format('%s (%s to %s)', round(value::numeric, 3), round(low::numeric, 3), round(high::numeric, 3))) FILTER (WHERE attack = 'lira' AND metric = 'roc_auc') AS lira,
  max(round(value::numeric, 4)) FILTER (WHERE attack = 'lira' AND metric = 'tpr_at_fpr_0.01') AS lira_at_1,
  max(round(value::numeric, 4)) FILTER (WHERE attack = 'lira' AND metric = 'tpr_at_fpr_0.001') AS lira_at_01,
  max(round(value::numeric, 3)) FILTER (WHERE attack = 'canary_lira' AND metric = 'roc_auc') AS canaries,
  max(round(value::numeric, 2)) FILTER (WHERE metric = 'exposure') AS exposure,
  max(round(value::numeric, 3)) FILTER (WHERE metric = 'advantage') AS attribute, round(max(seconds)::numeric) AS seconds
FROM outcome GROUP BY relation, position, name ORDER BY relation DESC, position;
