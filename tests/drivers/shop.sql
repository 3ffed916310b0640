-- What every driver finds: customers with many types of columns, a model of two labels and a model of a number.
CREATE EXTENSION insight;
CREATE TABLE customers AS
  SELECT customer_id, age, income, tenure_months, contract, plan, monthly_fee, support_tickets, satisfaction, signup_date,
         (signup_date + time '08:00') AT TIME ZONE 'UTC' AS first_seen_at, ARRAY[age, monthly_fee]::float8[] AS vector, churn
  FROM insight_sample_customers(2000);
ALTER TABLE customers ADD PRIMARY KEY (customer_id);
ANALYZE customers;
SELECT count(*) FROM insight_train('customers', 'churn', 'churn', :'FAST') \g /dev/null
SELECT count(*) FROM insight_train('customers', 'monthly_fee', 'fee', :'FAST') \g /dev/null
