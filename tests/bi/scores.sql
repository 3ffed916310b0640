CREATE EXTENSION insight;
CREATE TABLE customers AS SELECT * FROM insight_sample_customers(5000);
ALTER TABLE customers ADD PRIMARY KEY (customer_id);
SELECT count(*) FROM insight_train('customers', 'churn', options => '{"algorithm": "linear"}') \g /dev/null
SELECT count(*) FROM insight_score('customers_churn', 'customers', 'churn_scores') \g /dev/null
CREATE ROLE superset_insight_reader LOGIN;
GRANT SELECT ON churn_scores TO superset_insight_reader;
