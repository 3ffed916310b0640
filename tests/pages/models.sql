-- Models of every kind with names as wild as users make them, their pages and pictures.
CREATE EXTENSION insight;
CREATE TABLE wild AS SELECT n AS id, (n * 37 % 100) / 10.0 AS "الإنفاق", (ARRAY['<script>alert(1)</script>', '東京 & "大阪"', 'Zürich'])[1 + n % 3] AS "tier/<b>",
  n * 13 % 7 AS noise, CASE WHEN n % 10 = 0 THEN NULL ELSE n % 50 END AS "a ''quoted'' one",
  CASE WHEN n % 3 = 0 THEN n * 37 % 100 < 50 ELSE n % 11 = 0 END AS churned, 1e7 * ((n * 37 % 100) / 10.0) + n % 2 AS worth,
  (ARRAY['не важно', '<i>middle</i>', 'high'])[1 + (n * 37 % 100) / 34] AS label, 1 + n * 37 % 100 AS days, n % 4 <> 0 AS happened, n % 2 = 0 AS treated
FROM generate_series(1, 2000) n;
CREATE VIEW wild_churn AS SELECT "الإنفاق", "tier/<b>", noise, "a ''quoted'' one", churned FROM wild;
CREATE VIEW wild_worth AS SELECT "الإنفاق", "tier/<b>", noise, worth FROM wild;
CREATE VIEW wild_label AS SELECT "الإنفاق", "tier/<b>", noise, label FROM wild;
CREATE VIEW wild_days AS SELECT "الإنفاق", "tier/<b>", noise, days, happened FROM wild;
CREATE VIEW wild_effect AS SELECT "الإنفاق", "tier/<b>", noise, treated, churned FROM wild;
SELECT insight_train('wild_churn', 'churned', 'عملاء <b>', '{"algorithm": "dnn", "epochs": 5, "profit": {"tp": 90, "fp": -10}}');
SELECT insight_train('wild_worth', 'worth', 'worth', '{"algorithm": "gbdt"}');
SELECT insight_train('wild_label', 'label', 'label', '{"algorithm": "linear"}');
SELECT insight_train('wild_days', 'days', 'days', '{"task": "survival", "event": "happened"}');
SELECT insight_train('wild_effect', 'churned', 'effect', '{"task": "uplift", "treatment": "treated", "algorithm": "gbdt"}');
SELECT insight_train('wild_label', NULL, 'twins', '{"algorithm": "tvae", "epochs": 3}');
CREATE TABLE visits AS SELECT (i - 1) / 8 AS person, '2026-01-01'::timestamptz + i * interval '1 hour' AS at, (ARRAY['home', 'shop', '<u>cart</u>'])[1 + i % 3] AS place FROM generate_series(1, 800) i;
SELECT insight_train('visits', 'place', 'next', '{"algorithm": "gru", "key": "person", "order": "at", "epochs": 2}');

CREATE TABLE looked_at (name text PRIMARY KEY, made text);
INSERT INTO looked_at SELECT 'churn.html', insight_report('عملاء <b>', 'wild_churn');
INSERT INTO looked_at SELECT m || '.html', insight_report(m) FROM unnest(ARRAY['worth', 'label', 'days', 'effect', 'twins', 'next']) m;
INSERT INTO looked_at SELECT kind || '.svg', insight_plot('عملاء <b>', kind)
FROM unnest(ARRAY['roc', 'precision_recall', 'gains', 'lift', 'calibration', 'confusion', 'profit', 'importance', 'history']) kind;
INSERT INTO looked_at SELECT kind || '.svg', insight_plot('worth', kind) FROM unnest(ARRAY['predicted', 'residuals']) kind;
INSERT INTO looked_at VALUES ('dependence.svg', insight_plot('عملاء <b>', 'dependence', 'tier/<b>')), ('survival.svg', insight_plot('days', 'survival')), ('qini.svg', insight_plot('effect', 'qini'));
