-- Do intervals and sets of labels hold the truth of unseen rows as often as asked? Four in five rows train, the others are
-- never seen. Chance is three standard errors: of the unseen rows, and of the validation rows that the answers come from.
-- Sets are never empty, so that small ones hold more than asked.
CREATE TABLE numbered_telco AS SELECT *, row_number() OVER () AS row_number FROM telco;
CREATE TABLE numbered_adult AS SELECT *, row_number() OVER () AS row_number FROM adult;
CREATE TABLE numbered_housing AS SELECT *, median_house_value / 1e5 AS value, row_number() OVER (ORDER BY md5(h::text)) AS row_number FROM housing h;
CREATE FUNCTION pg_temp.believe(name text, relation text, target text, options jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  known bigint;
  number boolean := target = 'value';
  held text := CASE WHEN number THEN format('value::numeric <@ insight_interval(%L, t, c)', name)
               ELSE format('%I::text = ANY (insight_classes(%L, t, c))', target, name) END;
BEGIN
  PERFORM insight_train(format('SELECT * FROM %s WHERE row_number %% 5 > 0', relation), target, name, options);
  SELECT (provenance->>'validation_rows')::bigint INTO known FROM insight.versions WHERE model = name;
  EXECUTE format($f$INSERT INTO outcome SELECT %L || ', ' || c, 'coverage', held, c - chance, c + chance, c, NULL,
      held >= c - chance AND (held <= c + chance OR NOT %L)
    FROM (SELECT c, avg((%s)::int) AS held, 3 * sqrt(c * (1 - c) * (1.0 / count(*) + 1.0 / %s)) AS chance
          FROM %s t, unnest(ARRAY[0.8, 0.9, 0.95]) c WHERE row_number %% 5 = 0 GROUP BY c) x$f$,
    name, number, held, known, relation);
END $$;
SELECT pg_temp.believe('churn', 'numbered_telco', 'Churn', '{"exclude": ["row_number"]}');
SELECT pg_temp.believe('contracts', 'numbered_telco', 'Contract', '{"exclude": ["row_number"]}');
SELECT pg_temp.believe('housing', 'numbered_housing', 'value', '{"exclude": ["row_number", "median_house_value"]}');
SELECT pg_temp.believe('adult, gbdt', 'numbered_adult', 'income', '{"exclude": ["row_number"], "algorithm": "gbdt"}');
