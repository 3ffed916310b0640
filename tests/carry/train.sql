-- Trains the sample customers on :device with :options and keeps what came out in carried.outcome. Run by run.
SELECT model, version, status FROM insight_train('customers', 'churn', :'name',
  :'options'::jsonb || jsonb_build_object('device', :'device', 'seed', 42)) \gset trained_
INSERT INTO outcome
SELECT :'name', :'device', v.device, v.metric, v.score, v.rows, v.seconds, v.fit_seconds,
       (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY h.rows_per_second) FROM insight.history h
        WHERE h.model = v.model AND h.version = v.version),
       (SELECT count(*) FROM insight.history h WHERE h.model = v.model AND h.version = v.version)
FROM insight.versions v WHERE v.model = :'trained_model' AND v.version = :trained_version;
