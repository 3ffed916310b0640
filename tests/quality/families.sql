-- Two logs of purchases, a row per order; what a category is, each log says in its own way.
CREATE TABLE cdnow_orders AS SELECT customer, at, amount::float8 AS amount, disks,
  CASE WHEN disks = 1 THEN 'one' WHEN disks = 2 THEN 'two' WHEN disks < 5 THEN 'few' ELSE 'many' END AS size FROM cdnow;
CREATE TABLE retail_orders AS SELECT customer::integer AS customer, min(at) AS at, sum(quantity * price)::float8 AS amount, sum(quantity) AS items,
  CASE WHEN invoice LIKE 'C%' THEN 'return' WHEN count(*) = 1 THEN 'single' WHEN count(*) < 10 THEN 'small' WHEN count(*) < 30 THEN 'middle' ELSE 'large' END AS size
  FROM lines WHERE customer IS NOT NULL GROUP BY customer, invoice;
CREATE INDEX ON cdnow_orders (customer);
CREATE INDEX ON retail_orders (customer);
-- Customers who have bought before a moment, and whether they do so within the 90 days that follow.
CREATE FUNCTION customers_at(log text, cut_off timestamp) RETURNS TABLE (customer integer, moment timestamp, again boolean) LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY EXECUTE format('SELECT customer, $1, bool_or(at >= $1) FROM %I WHERE at < $1 + interval ''90 days'' AND amount > 0
    GROUP BY customer HAVING bool_or(at < $1)', log) USING cut_off;
END $$;
-- Each adds its features to those before.
CREATE TABLE family (position integer, name text, pattern text, alone boolean DEFAULT false);
INSERT INTO family VALUES
  (1, 'recency, frequency', '^orders\.(count|days_since_last|days_since_first)$'),
  (2, '+ monetary', '^orders\.(amount|items|disks)\.(sum|mean|min|max|stddev)$'),
  (3, '+ trends, gaps', '^orders\.(mean_gap_days|(count|recent_share)_\d+d|(amount|items|disks)\.(trend|sum_\d+d))$'),
  (4, '+ categories', '^orders\.size\.'),
  (5, '+ CLV', '^orders\.clv\.');
INSERT INTO family VALUES (6, 'CLV alone', '^orders\.clv\.', true);
CREATE TABLE outcome (log text, position integer, families text, features bigint, auc float8, low float8, high float8, customers bigint, again float8);
DO $$
DECLARE l record; f family; s record; sources jsonb; names text[]; chosen jsonb;
BEGIN
  FOR l IN SELECT * FROM (VALUES ('cdnow', timestamp '1997-07-01', timestamp '1997-10-01'), ('retail', '2011-06-01', '2011-09-01')) v (log, learned, scored) LOOP
    EXECUTE format('CREATE TABLE %I AS SELECT * FROM customers_at(%L, %L)', l.log || '_learned', l.log || '_orders', l.learned);
    EXECUTE format('CREATE TABLE %I AS SELECT * FROM customers_at(%L, %L)', l.log || '_scored', l.log || '_orders', l.scored);
    sources := jsonb_build_object('key', 'customer', 'as_of', 'moment', 'sources', jsonb_build_object('orders',
      jsonb_build_object('relation', l.log || '_orders', 'key', 'customer', 'time', 'at', 'clv', '{"amount": "amount", "horizon_days": 90}'::jsonb)));
    PERFORM insight_features(l.log || '_learned', sources || jsonb_build_object('into', l.log || '_features'));
    -- Training sees only what is committed.
    COMMIT;
    SELECT array_agg(attname) INTO names FROM pg_attribute WHERE attrelid = (l.log || '_features')::regclass AND attname LIKE 'orders.%';
    FOR f IN SELECT * FROM family ORDER BY position LOOP
      SELECT jsonb_agg(n) INTO chosen FROM unnest(names) n WHERE n ~ f.pattern
        OR NOT f.alone AND EXISTS (SELECT FROM family g WHERE g.position < f.position AND n ~ g.pattern);
      PERFORM insight_train(l.log || '_learned', 'again', l.log, sources || jsonb_build_object('include', chosen));
      SELECT * INTO s FROM insight_evaluate(l.log, l.log || '_scored') WHERE metric = 'roc_auc' AND class IS NULL;
      EXECUTE format('INSERT INTO outcome SELECT %L, %s, %L, %s, %s, %s, %s, count(*), round(avg(again::int), 3) FROM %I', l.log, f.position, f.name,
        jsonb_array_length(chosen), s.value, s.low, s.high, l.log || '_scored');
      COMMIT;
    END LOOP;
  END LOOP;
END $$;
