-- Trains on another model before it scores it, in one transaction: other sessions see version and scores at once.
-- In a hook ref() has braces and quotes of its own, else dbt takes it for this model.
{{ config(materialized='table', pre_hook="select insight_train('{{ ref(\"active\") }}', 'churn', 'dbt_churn', '{{ var(\"training\") }}')") }}
select customer_id, insight_predict('dbt_churn', a) as risk, insight_classify('dbt_churn', a) as label
from {{ ref('active') }} a
