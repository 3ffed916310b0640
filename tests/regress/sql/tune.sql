-- Searching for hyper-parameters.
SET client_min_messages = warning;
\set VERBOSITY default
SELECT status, algorithm, score > 0.9 AS good FROM insight_train('shoppers', 'churn', 'searched',
  '{"algorithm": "gbdt", "tune": {"trials": 9, "space": {"learning_rate": {"min": 0.01, "max": 0.3, "log": true}, "max_leaf_nodes": [4, 8, 16]}}}');
SELECT count(*) AS trials, count(*) FILTER (WHERE best) AS best, min(trial) AS first, bool_and(status IN ('complete', 'stopped')) AS told,
  bool_and(trial = 1 OR options ?& ARRAY['learning_rate', 'max_leaf_nodes']) AS options, bool_and(epochs > 0 AND seconds > 0) AS measured
FROM insight.trials WHERE model = 'searched';
-- The best is the model.
SELECT t.loss = (SELECT min(loss) FROM insight.trials WHERE model = 'searched' AND status = 'complete') AS least,
  abs(t.loss - (SELECT min(validation_loss) FROM insight.history WHERE model = 'searched')) < 1e-5 AS its_history,
  t.options <@ (SELECT provenance -> 'params' -> 'boosting' FROM insight.versions WHERE model = 'searched') AS its_options
FROM insight.trials t WHERE model = 'searched' AND best;
SELECT same FROM insight_reproduce('searched');
SELECT status FROM insight_train('shoppers', 'churn', 'grid', '{"algorithm": "mlp", "epochs": 5, "hidden": [8], "tune": {"strategy": "grid", "space": {"learning_rate": [0.001, 0.01], "activation": ["relu", "silu"]}}}');
SELECT count(*) AS trials, count(DISTINCT options) AS different FROM insight.trials WHERE model = 'grid';
SELECT metric, mean > 0.8 AS good FROM insight_cross_validate('shoppers', 'churn', 2, '{"algorithm": "gbdt", "tune": {"trials": 3}}') WHERE metric = 'roc_auc';
-- Mistakes.
SELECT insight_train('shoppers', 'churn', options => '{"tune": {"trials": 0}}');
SELECT insight_train('shoppers', 'churn', options => '{"tune": {"tries": 5}}');
SELECT insight_train('shoppers', 'churn', options => '{"tune": {"strategy": "grid"}}');
SELECT insight_train('shoppers', 'churn', options => '{"tune": {"space": {"dropout": [0.1, 7]}}}');
SELECT insight_train('shoppers', 'churn', options => '{"validation_size": 0, "tune": true}');
SELECT insight_drop('searched'), insight_drop('grid');
SELECT count(*) AS trials FROM insight.trials;
