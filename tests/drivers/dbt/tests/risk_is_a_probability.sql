select * from {{ ref('risk') }} where risk is null or risk not between 0 and 1
