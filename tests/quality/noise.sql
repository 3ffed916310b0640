-- What differential privacy costs generated rows and histories. See tests/quality/noise.
CREATE TABLE outcome (epsilon float8, seed integer, roc_auc float8, shapes float8, seconds float8);
CREATE TABLE dealt AS SELECT *, ntile(4) OVER (ORDER BY md5('private' || "customerID")) = 4 AS unseen FROM telco;
ALTER TABLE dealt DROP COLUMN "customerID";
CREATE TABLE learned AS SELECT * FROM dealt WHERE NOT unseen;
CREATE TABLE asked AS SELECT * FROM dealt WHERE unseen;
ALTER TABLE learned DROP COLUMN unseen;
ALTER TABLE asked DROP COLUMN unseen;
DO $$
DECLARE e float8; s integer; started timestamptz; took float8; score float8; shapes float8; options jsonb;
BEGIN
  FOR s IN 1 .. 3 LOOP
    FOREACH e IN ARRAY ARRAY[1, 3, 8, 'infinity', NULL]::float8[] LOOP
      CONTINUE WHEN e IS NULL AND s > 1;
      DROP TABLE IF EXISTS made;
      shapes := NULL;
      took := NULL;
      IF e IS NULL THEN
        CREATE TABLE made AS SELECT * FROM learned;
      ELSE
        options := jsonb_build_object('algorithm', 'gan', 'seed', s)
          || CASE WHEN e < 'infinity' THEN jsonb_build_object('privacy', jsonb_build_object('epsilon', e, 'delta', 1e-5)) ELSE '{}' END;
        started := clock_timestamp();
        PERFORM insight_train('learned', NULL, 'twins', options);
        took := extract(epoch FROM clock_timestamp() - started);
        COMMIT;
        CREATE TABLE made AS SELECT * FROM insight_generate('twins', (SELECT count(*)::int FROM learned), NULL::learned, seed => s);
        SELECT m.value INTO shapes FROM insight.metrics m JOIN insight.versions v USING (model, version)
          WHERE m.model = 'twins' AND v.deployed AND m.metric = 'column_shapes' AND m.class IS NULL;
      END IF;
      COMMIT;
      PERFORM insight_train('made', 'Churn', 'trees', jsonb_build_object('algorithm', 'gbdt', 'seed', s));
      COMMIT;
      SELECT value INTO score FROM insight_evaluate('trees', 'asked') WHERE metric = 'roc_auc';
      INSERT INTO outcome VALUES (e, s, score, shapes, took);
      COMMIT;
    END LOOP;
  END LOOP;
END $$;
\pset footer off
SELECT CASE WHEN epsilon < 'infinity' THEN epsilon::text WHEN epsilon IS NULL THEN 'real rows' ELSE 'no privacy' END AS epsilon, round(avg(roc_auc)::numeric, 3) AS roc_auc,
  round(min(roc_auc)::numeric, 3) AS least, round(max(roc_auc)::numeric, 3) AS most, round(avg(shapes)::numeric, 2) AS column_shapes, round(avg(seconds)::numeric, 1) AS seconds
FROM outcome GROUP BY outcome.epsilon ORDER BY outcome.epsilon NULLS LAST;

CREATE TABLE early AS SELECT * FROM purchases WHERE at <= '1997-09-30';
CREATE TABLE buys_again AS SELECT customer, bool_or(at > '1997-09-30') AS again FROM purchases GROUP BY customer;
CREATE TABLE labelled (epsilon float8, seed integer, roc_auc float8, log_loss float8, seconds float8);
DO $$
DECLARE e float8; s integer; started timestamptz; options jsonb;
BEGIN
  FOR s IN 1 .. 3 LOOP
    FOREACH e IN ARRAY ARRAY[1, 3, 8, 'infinity']::float8[] LOOP
      options := jsonb_build_object('algorithm', 'gru', 'key', 'customer', 'order', 'at', 'label_relation', 'buys_again', 'test_size', 0.2, 'seed', s)
        || CASE WHEN e < 'infinity' THEN jsonb_build_object('privacy', jsonb_build_object('epsilon', e, 'delta', 1e-5)) ELSE '{}' END;
      started := clock_timestamp();
      PERFORM insight_train('early', 'again', 'again', options);
      INSERT INTO labelled SELECT e, s, max(m.value) FILTER (WHERE m.metric = 'roc_auc'), max(m.value) FILTER (WHERE m.metric = 'log_loss'),
        extract(epoch FROM clock_timestamp() - started)
      FROM insight.metrics m JOIN insight.versions v USING (model, version) WHERE m.model = 'again' AND v.deployed AND m.class IS NULL;
      COMMIT;
    END LOOP;
  END LOOP;
END $$;
SELECT CASE WHEN epsilon < 'infinity' THEN epsilon::text ELSE 'no privacy' END AS epsilon, round(avg(roc_auc)::numeric, 3) AS roc_auc,
  round(min(roc_auc)::numeric, 3) AS least, round(max(roc_auc)::numeric, 3) AS most, round(avg(log_loss)::numeric, 3) AS log_loss, round(avg(seconds)::numeric, 1) AS seconds
FROM labelled GROUP BY labelled.epsilon ORDER BY labelled.epsilon;
