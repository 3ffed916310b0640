-- Trains a small model and predicts, in a database without the extension.
CREATE EXTENSION insight;
CREATE TABLE customers AS SELECT * FROM insight_sample_customers(1000, 1);
SELECT status, score > 0.6 AS better_than_chance FROM insight_train('customers', 'churn', 'churn', '{"algorithm": "gbdt"}') \gset
\if :better_than_chance
\else
  \echo the model is no better than chance
  SELECT 1 / 0;
\endif
SELECT bool_and(insight_predict('churn', c) BETWEEN 0 AND 1) AND count(DISTINCT insight_predict('churn', c)) > 10 AS predicts FROM customers c \gset
\if :predicts
\else
  \echo the predictions are no probabilities
  SELECT 1 / 0;
\endif
