-- The same tables, splits and seeds with and without some options: what the options add.
CREATE TABLE subject (name text PRIMARY KEY, relation text, target text, options jsonb, metric text);
INSERT INTO subject VALUES
  ('telco_churn', 'telco', 'Churn', '{}', 'roc_auc'),
  ('adult', 'adult', 'income', '{}', 'roc_auc'),
  ('bank, duration unknown', 'bank', 'y', '{"exclude": ["duration"]}', 'roc_auc'),
  ('online_shoppers', 'shoppers', 'Revenue', '{}', 'roc_auc'),
  ('german_credit', 'german', 'class', '{"positive": 2}', 'roc_auc'),
  ('machine_failure', 'machines', 'machine_failure',
   '{"exclude": ["udi", "product_id", "twf", "hdf", "pwf", "osf", "rnf"]}', 'roc_auc'),
  ('california_housing', 'SELECT *, median_house_value / 1e5 AS value FROM housing', 'value',
   '{"exclude": ["median_house_value"]}', 'rmse');
-- Each of some tables once more, with 20 columns that tell nothing: 15 numbers, 5 categories.
SELECT setseed(0.5);
DO $$
DECLARE t text; noise text;
BEGIN
  SELECT string_agg(CASE WHEN i <= 15 THEN format('random() + random() AS noise%s', i)
                    ELSE format('chr(97 + (random() * %s)::int) AS noise%s', i, i) END, ', ') INTO noise FROM generate_series(1, 20) i;
  FOREACH t IN ARRAY ARRAY['telco', 'adult', 'bank', 'housing'] LOOP
    EXECUTE format('CREATE TABLE noisy_%s AS SELECT *, %s FROM %1$s', t, noise);
  END LOOP;
END $$;
INSERT INTO subject SELECT name || ' and noise', regexp_replace(relation, '\m(telco|adult|bank|housing)$', 'noisy_\1'), target, options, metric
  FROM subject WHERE relation ~ '\m(telco|adult|bank|housing)$';
CREATE TABLE result (name text, options jsonb, seed int, metric text, score float8, validation float8, features int, noise int, seconds float8);

CREATE PROCEDURE trials(seeds int, tables text, base jsonb, variants jsonb[]) LANGUAGE plpgsql AS $$
DECLARE s subject; variant jsonb; seed int; r record; kept int; useless int; validation float8;
BEGIN
  FOR s IN SELECT * FROM subject WHERE tables = '' AND name !~ 'noise' OR name = ANY (string_to_array(tables, ';')) ORDER BY name LOOP
    FOREACH variant IN ARRAY '{}'::jsonb || variants LOOP
      FOR seed IN 1 .. seeds LOOP
        SELECT * INTO r FROM insight_train(s.relation, s.target, s.name,
          s.options || base || variant || jsonb_build_object('seed', seed));
        SELECT count(*), count(*) FILTER (WHERE name ~ '^noise') INTO kept, useless FROM insight_recipe(s.name);
        -- What a default is chosen by: the rows that the score is of are not looked at for that.
        SELECT min(validation_loss) INTO validation FROM insight.history h WHERE h.model = s.name AND h.version = r.version;
        INSERT INTO result SELECT s.name, variant, seed, s.metric, e.value, validation, kept, useless, r.seconds
          FROM insight_evaluate(s.name) e WHERE e.metric = s.metric AND e.class IS NULL;
        COMMIT;
      END LOOP;
    END LOOP;
  END LOOP;
END $$;

-- The gain over the base on the same split, with its standard error over the seeds; of rmse the fall. Beside it by how much of the
-- base's the least validation loss fell.
CREATE VIEW gains AS
SELECT v.name, v.metric, v.options, round(avg(v.score)::numeric, 4) AS score,
       round(avg(d.gain)::numeric, 4) AS gain, round((stddev(d.gain) / sqrt(count(*)))::numeric, 4) AS error,
       round(100 * avg(1 - v.validation / b.validation)::numeric, 2) AS validation,
       round((100 * stddev(1 - v.validation / b.validation) / sqrt(count(*)))::numeric, 2) AS validation_error,
       round(avg(v.features), 1) AS features, round(avg(v.noise), 1) AS noise, round(avg(v.seconds)::numeric, 1) AS seconds
FROM result v JOIN result b ON b.name = v.name AND b.seed = v.seed AND b.options = '{}'
CROSS JOIN LATERAL (SELECT CASE v.metric WHEN 'rmse' THEN b.score - v.score ELSE v.score - b.score END AS gain) d
GROUP BY v.name, v.metric, v.options ORDER BY v.name, v.options;
