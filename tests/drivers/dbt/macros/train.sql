{# dbt run-operation train --args '{relation: active, target: churn, model: churn}' #}
{% macro train(relation, target, model, options=none) %}
  {% set answer = run_query("select version, metric, score from insight_train('" ~ target_schema() ~ "." ~ relation ~ "', '" ~ target ~ "', '" ~ model ~ "', '"
    ~ (options or var('training')) ~ "')") %}
  {% do run_query('commit') %}
  {{ log(model ~ ': version ' ~ answer.rows[0][0] ~ ', ' ~ answer.rows[0][1] ~ ' ' ~ answer.rows[0][2], info=true) }}
{% endmacro %}

{% macro target_schema() %}{{ return(target.schema) }}{% endmacro %}
