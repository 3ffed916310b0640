-- Scores with a model that `dbt run-operation train` has made.
{{ config(materialized='table', enabled=var('scored', false)) }}
select key, prediction, label from insight_predict_table('{{ var("model", "dbt_operation") }}', '{{ ref("active") }}', 'customer_id')
