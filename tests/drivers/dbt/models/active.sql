-- What is known of a customer.
{{ config(materialized='table') }}
select customer_id, age, income, contract, plan, monthly_fee, support_tickets, satisfaction, churn
from {{ source('shop', 'customers') }}
