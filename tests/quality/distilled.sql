-- Large models and the small networks that learned from them. See tests/quality/distilled.
CREATE TABLE outcome (model text, roc_auc float8, training float8, microseconds float8);
DO $$
DECLARE name text; options jsonb; score float8; took float8; started timestamptz; best float8;
BEGIN
  FOR name, options IN VALUES ('auto', '{}'::jsonb), ('auto, distilled', '{"distill": true}'), ('the network untaught', '{"algorithm": "mlp", "hidden": [64, 32]}') LOOP
    SELECT seconds INTO took FROM insight_train('adult', 'income', 'taught', options);
    COMMIT;
    SELECT value INTO score FROM insight_evaluate('taught', 'adult_unseen') WHERE metric = 'roc_auc';
    best := 'infinity';
    -- The shortest of several: whatever else the machine does only adds to it.
    FOR i IN 1 .. 7 LOOP
      started := clock_timestamp();
      PERFORM sum(insight_predict('taught', a)) FROM adult_unseen a;
      best := least(best, extract(epoch FROM clock_timestamp() - started));
    END LOOP;
    INSERT INTO outcome VALUES (name, score, took, 1e6 * best / (SELECT count(*) FROM adult_unseen));
    COMMIT;
  END LOOP;
END $$;
\pset footer off
SELECT model, round(roc_auc::numeric, 4) AS roc_auc, round(training::numeric, 1) AS training, round(microseconds::numeric, 1) AS "microseconds a row" FROM outcome;
