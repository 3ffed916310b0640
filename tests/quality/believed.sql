-- Do intervals and sets of labels hold the truth of unseen rows as often as asked? Four in five rows train, the others are
-- never seen. Chance is three standard errors: of the unseen rows, and of the validation rows that the answers come from.
CREATE FUNCTION pg_temp.believe(name text, relation text, target text, options jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  known bigint;
  held text := CASE WHEN target = 'value' THEN 'value::numeric <@ insight_interval(%L, t, c)'
               ELSE format('%I::text = ANY (insight_classes(%%L, t, c))', target) END;
BEGIN
  EXECUTE format('CREATE TABLE numbered AS SELECT *, row_number() OVER () AS row_number FROM (SELECT * FROM %s) x', relation);
  PERFORM insight_train('SELECT * FROM numbered WHERE row_number % 5 > 0', target, name, options || '{"exclude": ["row_number"]}');
  SELECT (provenance->>'validation_rows')::bigint INTO known FROM insight.versions WHERE model = name;
  EXECUTE format($f$INSERT INTO outcome SELECT %L || ' ' || c, 'coverage', held, c - by_chance, c + by_chance, c, NULL,
      held >= c - by_chance AND (held <= c + by_chance OR %L)
    FROM (SELECT c, avg((%s)::int) AS held, 3 * sqrt(c * (1 - c) * (1.0 / count(*) + 1.0 / %s)) AS by_chance
          FROM numbered t, unnest(ARRAY[0.8, 0.9, 0.95]) c WHERE row_number %% 5 = 0 GROUP BY c) x$f$,
    name, target <> 'value', format(held, name), known);
  DROP TABLE numbered;
END $$;
SELECT pg_temp.believe('telco', 'telco', 'Churn', '{}');
SELECT pg_temp.believe('contracts', 'telco', 'Contract', '{}');
SELECT pg_temp.believe('housing', '(SELECT *, median_house_value / 1e5 AS value FROM housing) h', 'value', '{"algorithm": "gbdt"}');
SELECT pg_temp.believe('adult', 'adult', 'income', '{"algorithm": "gbdt"}');
