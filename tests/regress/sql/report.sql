-- Models as pages and pictures.
SET client_min_messages = warning;
CREATE TABLE told_rows AS SELECT (n * 37 % 100) / 10.0 AS spend, (ARRAY['basic', 'pro'])[1 + n % 2] AS plan, n * 13 % 7 AS noise,
  CASE WHEN n % 2 = 0 THEN n * 37 % 100 < 50 ELSE n % 11 = 0 END AS churned, 3 * ((n * 37 % 100) / 10.0) AS worth FROM generate_series(1, 1500) n;
SELECT status FROM insight_train('SELECT spend, plan, noise, churned FROM told_rows', 'churned', 'told_churn', '{"algorithm": "gbdt"}');
SELECT status FROM insight_train('SELECT spend, plan, noise, worth FROM told_rows', 'worth', 'told_worth', '{"algorithm": "linear"}');
SELECT status FROM insight_train('SELECT spend, plan, noise FROM told_rows', NULL, 'told_twins', '{"algorithm": "tvae", "epochs": 2}');
SELECT page LIKE '<!DOCTYPE html>%' AS html, page LIKE '%Not measured for this page%' AS no_drift, page LIKE '%roc_auc%' AS scores, page ILIKE '%<script%' AS script FROM insight_report('told_churn') page;
-- With rows as they are now: their scores and their drift.
SELECT page LIKE '%No column of told_rows has moved far%' AS still, page LIKE '%Scores on the rows of told_rows whose churned is known: 1,500 rows%' AS scores FROM insight_report('told_churn', 'told_rows') page;
SELECT page LIKE '%Moved far from the training rows (PSI above 0.2): spend%' AS moved, page LIKE '%on rows the model has not seen%' AS held_out
FROM insight_report('told_churn', 'SELECT spend + 5 AS spend, plan, noise FROM told_rows') page;
SELECT m, insight_report(m) LIKE '%Where it comes from%' AS page FROM unnest(ARRAY['told_worth', 'told_twins']) m;
SELECT kind, svg LIKE '<svg role="img" aria-label="%</svg>%' AS svg FROM unnest(ARRAY['roc', 'precision_recall', 'gains', 'lift', 'calibration', 'confusion', 'importance', 'history']) kind, insight_plot('told_churn', kind) svg;
SELECT insight_plot('told_worth', 'predicted') LIKE '%off by%' AS predicted, insight_plot('told_worth', 'residuals') LIKE '%Nine of ten errors%' AS residuals,
  insight_plot('told_churn', 'dependence', 'spend') LIKE '%If every row had the value%' AS dependence, insight_plot('told_churn', 'roc', relation => 'told_rows') LIKE '%ROC curve%' AS roc,
  insight_plot('told_twins', 'history') LIKE '%loss%' AS history;
-- What there is no picture or page of.
SELECT insight_plot('told_churn', 'pie');
SELECT insight_plot('told_churn', 'residuals');
SELECT insight_plot('told_churn', 'profit');
SELECT insight_plot('told_churn', 'dependence');
SELECT insight_plot('told_churn', 'dependence', 'spending');
SELECT insight_plot('told_churn', 'roc', 'spend');
SELECT insight_plot('told_churn', 'importance', relation => 'told_rows');
SELECT insight_plot('told_churn', 'roc', relation => 'SELECT * FROM told_rows WHERE churned');
SELECT insight_plot('told_churn', 'roc', relation => 'SELECT spend FROM told_rows');
SELECT insight_plot('told_twins', 'roc');
SELECT insight_report('told_twins', 'told_rows');
SELECT insight_report(NULL);
SELECT insight_report('told_churn', 'SELECT plan, noise FROM told_rows');
SELECT insight_report('told_churn', 'SELECT * FROM told_rows LIMIT 0');
