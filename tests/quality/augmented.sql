-- What generated rows add: two models of the same parts and seed, without them and with the offer of them.
CREATE TABLE gains (name text, seed integer, loss_without float8, loss_with float8, kept boolean, metric text, score_without float8, score float8);
CREATE PROCEDURE trials(name text, target text, left_out text, seeds integer, options jsonb) LANGUAGE plpgsql AS $$
DECLARE
  own jsonb;
  metric text;
  without float8;
  score float8;
  found jsonb;
BEGIN
  FOR seed IN 1 .. seeds LOOP
    DROP TABLE IF EXISTS dealt;
    EXECUTE format('CREATE TABLE dealt AS SELECT *, CASE WHEN place <= 0.6 THEN ''train'' WHEN place <= 0.8 THEN ''validation'' ELSE ''test'' END AS part '
      'FROM (SELECT t.*, percent_rank() OVER (ORDER BY md5(t::text || %s)) AS place FROM %I t) t', seed, name);
    EXECUTE format('ALTER TABLE dealt DROP COLUMN place %s', left_out);
    COMMIT;
    PERFORM insight_train('SELECT * FROM dealt WHERE part = ''train''', NULL, 'twins', jsonb_build_object('algorithm', 'tvae', 'exclude', '{part}'::text[], 'seed', seed));
    COMMIT;
    own := options || jsonb_build_object('split', 'part', 'seed', seed);
    SELECT t.metric, t.score INTO metric, without FROM insight_train('dealt', target, 'plain', own) t;
    COMMIT;
    SELECT t.score INTO score FROM insight_train('dealt', target, 'augmented', own || '{"augment": {"gan": "twins"}}') t;
    COMMIT;
    SELECT v.provenance -> 'augmentation' INTO found FROM insight.versions v WHERE v.model = 'augmented' AND v.deployed;
    INSERT INTO gains VALUES (name, seed, (found ->> 'loss_without')::float8, (found ->> 'loss_with')::float8, (found ->> 'kept')::boolean, metric, without, score);
    COMMIT;
  END LOOP;
END $$;
CALL trials('german', 'class', '', :seeds, :'options');
CALL trials('telco', 'Churn', ', DROP COLUMN "customerID"', :seeds, :'options');
\pset footer off
SELECT name, seed, round(loss_without::numeric, 4) AS loss_without, round(loss_with::numeric, 4) AS loss_with, kept, metric,
  round(score_without::numeric, 4) AS without, round(score::numeric, 4) AS score FROM gains ORDER BY name, seed;
SELECT name, count(*) FILTER (WHERE kept) AS kept, round(avg(score_without)::numeric, 4) AS without, round(avg(score)::numeric, 4) AS score,
  round((stddev(score - score_without) / sqrt(count(*)))::numeric, 4) AS standard_error FROM gains GROUP BY name ORDER BY name;
