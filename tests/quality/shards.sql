-- Forgetting with and without shards. See tests/quality/shards.
ALTER TABLE adult ADD COLUMN customer integer GENERATED ALWAYS AS IDENTITY;
CREATE TABLE outcome (shards integer, algorithm text, roc_auc float8, seconds float8, forgotten integer, again float8);
DO $$
DECLARE n integer; a text; model text; options jsonb; started timestamptz; score float8; took float8; of record; sum float8; key integer;
BEGIN
  FOREACH a IN ARRAY ARRAY['dnn', 'gbdt'] LOOP
    FOREACH n IN ARRAY ARRAY[1, 4, 8, 16] LOOP
      model := format('shards_%s_%s', a, n);
      options := jsonb_build_object('algorithm', a, 'key', 'customer') || CASE n WHEN 1 THEN '{}' ELSE jsonb_build_object('shards', n) END;
      started := clock_timestamp();
      PERFORM insight_train('adult', 'income', model, options);
      took := extract(epoch FROM clock_timestamp() - started);
      COMMIT;
      SELECT value INTO score FROM insight_evaluate(model, 'adult_unseen') WHERE metric = 'roc_auc';
      sum := 0;
      FOR key IN SELECT 1000 * i FROM generate_series(1, 8) i LOOP
        started := clock_timestamp();
        PERFORM insight_forget(key::text, model);
        sum := sum + extract(epoch FROM clock_timestamp() - started);
        COMMIT;
      END LOOP;
      INSERT INTO outcome VALUES (n, a, score, took, 8, sum / 8);
      COMMIT;
    END LOOP;
  END LOOP;
END $$;
\pset footer off
SELECT algorithm, shards, round(roc_auc::numeric, 4) AS roc_auc, round(seconds::numeric, 1) AS training, round(again::numeric, 1) AS forgetting,
  round((again / seconds)::numeric, 2) AS share FROM outcome ORDER BY algorithm, shards;
