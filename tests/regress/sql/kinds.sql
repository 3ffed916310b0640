-- Free text, vectors, arrays of categories and documents as features.
SET client_min_messages = warning;
\set VERBOSITY default
CREATE TABLE visits AS
SELECT i AS visit_id,
  'The ' || (ARRAY['room', 'lift', 'food', 'staff', 'price'])[1 + i * 7 % 5] || ' was '
    || CASE WHEN i % 3 = 0 THEN 'not good' ELSE 'good' END || ' on the day of visit ' || i AS review,
  ARRAY[i % 7, (i * 5) % 11, CASE WHEN i % 4 = 0 THEN 1 ELSE 0 END]::real[] AS picture,
  ARRAY['t' || i % 4, 't' || i % 9, CASE WHEN i % 5 = 0 THEN 't0' END] || CASE WHEN i % 6 = 0 THEN ARRAY['t8'] END AS tags,
  jsonb_build_object('plan', 'p' || i % 3, 'use', jsonb_build_object('hours', i % 24, 'ok', i % 2 = 0), 'devices', CASE i % 5 WHEN 0 THEN '[]'::jsonb ELSE '["a", "b"]' END)
    AS details,
  i % 3 = 0 AS complains
FROM generate_series(1, 600) i;
ALTER TABLE visits ALTER review TYPE text;
UPDATE visits SET picture = ARRAY[1, 2]::real[] WHERE visit_id % 50 = 7;
UPDATE visits SET picture = NULL, tags = NULL, details = NULL, review = NULL WHERE visit_id % 50 = 8;
UPDATE visits SET details = '[1, 2]' WHERE visit_id % 50 = 9;
SELECT model, status, score > 0.9 AS good
FROM insight_train('visits', 'complains', options => '{"epochs": 20, "text_features": 20, "test_size": 0.3}');
SELECT name, kind, steps, inputs FROM insight_recipe('visits_complains');
SELECT parameters ->> 'dimension' AS dimension, (parameters ->> 'rows_of_another_length')::int > 0 AS others
FROM insight_recipe('visits_complains') WHERE name = 'picture';
SELECT parameters -> 'terms' ? 'not good' AS found FROM insight_recipe('visits_complains') WHERE name = 'review';
-- A row, the row as JSON and the batch give the same number.
SELECT count(*) AS rows, count(*) FILTER (WHERE row <> json) AS json_differs, count(*) FILTER (WHERE row <> batch) AS batch_differs
FROM (SELECT insight_predict('visits_complains', v) AS row, insight_predict('visits_complains', to_jsonb(v)) AS json, b.prediction AS batch
      FROM visits v JOIN insight_predict_table('visits_complains', 'visits', 'visit_id') b ON b.key = v.visit_id::text) AS all_three;
SELECT round(insight_predict('visits_complains', ROW('The food was not good on the day of visit 7', '{1,2,0}', ARRAY['t1'], '{"plan": "p0"}'::jsonb))) AS complains;
-- Values of the wrong shape.
SELECT insight_predict('visits_complains', '{"picture": [1, 2, 3], "tags": ["t1"], "details": {"plan": 7}, "review": "good"}'::jsonb) IS NOT NULL AS answered;
SELECT insight_predict('visits_complains', '{"picture": {"a": 1}}'::jsonb);
SELECT insight_predict('visits_complains', '{"picture": ["a"]}'::jsonb);
SELECT insight_predict('visits_complains', '{"tags": "t1"}'::jsonb);
SELECT insight_predict('visits_complains', '{"review": [1]}'::jsonb);
SELECT insight_train('visits', 'details');
SELECT insight_train('visits', 'complains', options => '{"standardise": "log"}');
SELECT insight_train('visits', 'complains', options => '{"text_features": -1}');
-- Texts in twenty scripts, and of a megabyte; arrays of any length, documents of any shape, numbers that are none.
CREATE TABLE letters AS
SELECT i AS letter_id, CASE WHEN i % 100 = 50 THEN repeat((ARRAY['good ', 'плохо ', '長い '])[1 + i % 3], 1000000 / 12) ELSE
    (ARRAY['good', 'καλό', 'хорошо', 'լավ', 'טוב', 'جيد', 'ܛܒܐ', 'अच्छा', 'ভাল', 'ਚੰਗਾ', 'સારું', 'நல்ல', 'మంచి', 'ഒള്ളത്', 'ดี', 'ດີ', 'ကောင်း', 'კარგი', '很好', '좋아요 ありがとう'])[1 + i % 20]
    || CASE WHEN i % 3 = 0 THEN ' no ' ELSE ' yes ' END || 'said the customer number ' || i || ' on that day' END AS words,
  ARRAY(SELECT (k * i % 5)::float8 FROM generate_series(1, i % 7) k) AS lengths,
  CASE i % 5 WHEN 0 THEN '{"a": 1}' WHEN 1 THEN '{"a": {"b": [1, {"c": 2}]}}' WHEN 2 THEN '{"a": "x"}' WHEN 3 THEN '[]' ELSE 'null' END::jsonb AS shape,
  CASE i % 11 WHEN 0 THEN 'NaN' WHEN 1 THEN 'Infinity' WHEN 2 THEN '-Infinity' WHEN 3 THEN 1e308::float8 ELSE i END AS amount, i % 3 = 0 AS refuses
FROM generate_series(1, 400) i;
SELECT model, status, score > 0.8 AS good FROM insight_train('letters', 'refuses', options => '{"epochs": 15, "text_features": 100}');
SELECT name, kind FROM insight_recipe('letters_refuses') ORDER BY 1;
SELECT count(*) AS rows, count(*) FILTER (WHERE insight_predict('letters_refuses', l) IS DISTINCT FROM b.prediction) AS row_differs,
  count(*) FILTER (WHERE insight_predict('letters_refuses', to_jsonb(l)) IS DISTINCT FROM b.prediction) AS json_differs, count(*) FILTER (WHERE b.prediction BETWEEN 0 AND 1) AS sound
FROM letters l JOIN insight_predict_table('letters_refuses', 'letters', 'letter_id') b ON b.key = l.letter_id::text;
SELECT count(*) AS columns, bool_and(advice IS NOT NULL) AS advised FROM insight_profile('letters', 'refuses') WHERE name NOT LIKE '(%';
-- A gap that cleaning fills may be NaN.
SELECT status FROM insight_train('SELECT amount, letter_id % 7 AS week, refuses FROM letters', 'refuses', 'filled', '{"epochs": 2, "clean": {"missing": "median", "outliers": "clip"}}');
SELECT insight_predict('filled', '{"amount": "NaN", "week": 3}') = insight_predict('filled', '{"week": 3}') AS same,
  insight_predict('filled', ROW('NaN'::float8, 3)) = insight_predict('filled', ROW(NULL::float8, 3)) AS same_in_rows;
-- pgvector's type, by its name and layout.
CREATE TYPE vector;
CREATE FUNCTION vector_in(cstring) RETURNS vector LANGUAGE internal IMMUTABLE STRICT AS 'byteain';
CREATE FUNCTION vector_out(vector) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'byteaout';
CREATE TYPE vector (INPUT = vector_in, OUTPUT = vector_out, ALIGNMENT = int4, STORAGE = external);
CREATE FUNCTION float_bytes(x real) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT substr(h, 7, 2) || substr(h, 5, 2) || substr(h, 3, 2) || substr(h, 1, 2) FROM encode(float4send(x), 'hex') h $$;
CREATE TABLE embedded AS
SELECT i, ('\x02000000' || float_bytes(i % 7) || float_bytes(i % 2))::vector AS v, ARRAY[[i % 5, 1], [i % 2, NULL]] AS grid,
  CASE WHEN i % 3 = 0 THEN NULL ELSE ARRAY[i::float8 / 7, 'NaN'] END AS wide, 'x'::name AS n, i % 2 = 0 AS even
FROM generate_series(1, 400) i;
UPDATE embedded SET v = '\x0500' WHERE i = 9;
SELECT model, score > 0.99 AS good FROM insight_train('embedded', 'even', options => '{"epochs": 20}');
SELECT name, kind, inputs, parameters FROM insight_recipe('embedded_even');
SELECT count(*) AS rows, count(*) FILTER (WHERE insight_predict('embedded_even', e) <> b.prediction) AS batch_differs
FROM embedded e JOIN insight_predict_table('embedded_even', 'embedded', 'i') b ON b.key = e.i::text;
SELECT insight_predict('embedded_even', '{"v": "[1, 0]", "grid": [[1, 1], [0, null]], "wide": [1, "NaN"]}'::jsonb)
  = insight_predict('embedded_even', ROW('[1,0]', '{1,1,0,NULL}', ARRAY[1, 'NaN'::float8])) AS same;
-- Every choice of how to standardise and encode.
SELECT s, model, status FROM unnest(ARRAY['auto', 'standard', 'robust', 'minmax', 'quantile', 'none']) s,
  LATERAL insight_train('SELECT visit_id % 50 AS x, complains FROM visits', 'complains', 'scaled_' || s,
    jsonb_build_object('epochs', 1, 'standardise', s));
SELECT model, steps FROM unnest(ARRAY['auto', 'standard', 'robust', 'minmax', 'quantile', 'none']) s,
  LATERAL (SELECT 'scaled_' || s AS model, steps FROM insight_recipe('scaled_' || s)) r;
SELECT s, model, status FROM unnest(ARRAY['auto', 'embedding', 'target', 'one_hot', 'hash']) s,
  LATERAL insight_train('SELECT ''c'' || visit_id % 40 AS c, complains FROM visits', 'complains', 'coded_' || s,
    jsonb_build_object('epochs', 1, 'category_encoding', s));
SELECT model, steps, inputs FROM unnest(ARRAY['auto', 'embedding', 'target', 'one_hot', 'hash']) s,
  LATERAL (SELECT 'coded_' || s AS model, steps, inputs FROM insight_recipe('coded_' || s)) r;
-- Images in bytea: stripes that lie or stand, in two colours.
CREATE TABLE stripes (lying boolean, photo bytea);
INSERT INTO stripes VALUES
  ('f', '\x89504e470d0a1a0a0000000d4948445200000010000000100802000000909168360000001c4944415478da63a8986d0244a7befa0311316c86510da31a86af06007244aa90248e9c740000000049454e44ae426082'),
  ('t', '\x89504e470d0a1a0a0000000d494844520000001000000010080200000090916836000000214944415478da63e03a3b8524c440b206b9c21d24213a68a0bda747436968861200ff4f5910e049812a0000000049454e44ae426082'),
  ('f', '\x89504e470d0a1a0a0000000d4948445200000010000000100802000000909168360000001c4944415478da63306bcbe56ded062220831836c3a886510dc35703005aa32310152aa7a90000000049454e44ae426082'),
  ('t', '\x89504e470d0a1a0a0000000d494844520000001000000010080200000090916836000000214944415478da639837651f498881f61a74d61c23090d460d83305847e3810804006050c71076ea64200000000049454e44ae426082'),
  ('f', '\x89504e470d0a1a0a0000000d4948445200000010000000100802000000909168360000001c4944415478da63e8d79d0944d1759f80881836c3a886510dc3570300a55d9010908033ec0000000049454e44ae426082'),
  ('t', '\x89504e470d0a1a0a0000000d494844520000001000000010080200000090916836000000214944415478da63989f7c9924c440b2861b93ef9084e8a081f69e1e0da5a1194a00b4320e1fbbc7d8e60000000049454e44ae426082'),
  ('f', '\x89504e470d0a1a0a0000000d4948445200000010000000100802000000909168360000001e4944415478da63289fd322a6290e41403604e1116118d530aa61f86a0000db7de271a52dbe350000000049454e44ae426082'),
  ('t', '\x89504e470d0a1a0a0000000d494844520000001000000010080200000090916836000000204944415478da634851ba4c1262f8b8de8b2444ba06929d34ea87513f50c90f009081a1905cd5eb430000000049454e44ae426082'),
  ('f', '\x89504e470d0a1a0a0000000d4948445200000010000000100802000000909168360000001c4944415478da63e88ddb0641f797a442107e1186510da31a86af0600262ac0207961898e0000000049454e44ae426082'),
  ('t', '\x89504e470d0a1a0a0000000d494844520000001000000010080200000090916836000000204944415478da63a8b45b4912622059837c691f4988740da37e18f50395fc000047af4110fd27d8450000000049454e44ae426082'),
  ('f', '\x89504e470d0a1a0a0000000d4948445200000010000000100802000000909168360000001e4944415478da6378cd2b0a44dbb426c11144049738c3a886510dc3570300d8b73f90eb09bab80000000049454e44ae426082'),
  ('t', '\x89504e470d0a1a0a0000000d4948445200000010000000100802000000909168360000001f4944415478da63e05c3a9924c43008352cf1bb44121a8c1a46e36150680000893a8290169f42a00000000049454e44ae426082'),
  ('f', '\x89504e470d0a1a0a0000000d4948445200000010000000100802000000909168360000001e4944415478da639896f41888a6ba364010848b47846154c3a886e1ab010018db9a90f5c8ee750000000049454e44ae426082'),
  ('t', '\x89504e470d0a1a0a0000000d494844520000001000000010080200000090916836000000214944415478da6358c9b28b24c420f6228c2444070d24fb81f61a4643696886120057425c60fbe511940000000049454e44ae426082'),
  ('f', '\x89504e470d0a1a0a0000000d4948445200000010000000100802000000909168360000001c4944415478da639862f80088b26e660111316c86510da31a86af0600bf26a9102d62bef10000000049454e44ae426082'),
  ('t', '\x89504e470d0a1a0a0000000d494844520000001000000010080200000090916836000000204944415478da63909709230931d05e838fc86f92d060d430088375341e884000ffecf601e004942e0000000049454e44ae426082'),
  ('f', '\x89504e470d0a1a0a0000000d4948445200000010000000100802000000909168360000001e4944415478da635822640744532fa64110848b47846154c3a886e1ab0100a2966010bdf61fdc0000000049454e44ae426082'),
  ('t', '\x89504e470d0a1a0a0000000d4948445200000010000000100802000000909168360000001e4944415478da63f82d54401262a0bd86ea0797484274d0301a4a232494002a3cca101d88d9d70000000049454e44ae426082'),
  ('f', '\x89504e470d0a1a0a0000000d4948445200000010000000100802000000909168360000001c4944415478da63f89f200044f5b7f380881836c3a886510dc35703003e7a9b90543974360000000049454e44ae426082'),
  ('t', '\x89504e470d0a1a0a0000000d494844520000001000000010080200000090916836000000204944415478da6328bbda4a1262205943634d164988740da37e18f50395fc000055109b90d497f8430000000049454e44ae426082'),
  ('f', '\x89504e470d0a1a0a0000000d4948445200000010000000100802000000909168360000001c4944415478da63905a680d41e744fe42107e1186510da31a86af0600fdf55c004dcfc76c0000000049454e44ae426082'),
  ('t', '\x89504e470d0a1a0a0000000d494844520000001000000010080200000090916836000000224944415478da63b8931d4212622059c39ae91f4942835103ed4369341e06453c0000cc46e79075422dfc0000000049454e44ae426082'),
  ('f', '\x89504e470d0a1a0a0000000d4948445200000010000000100802000000909168360000001c4944415478da63587be21f105dcfeb042262d80ca31a46350c5f0d00edee209fc28c07860000000049454e44ae426082'),
  ('t', '\x89504e470d0a1a0a0000000d494844520000001000000010080200000090916836000000204944415478da6370ec94230931248a9d220991ae8164278dfa61d40f54f203005cd91490d455da620000000049454e44ae426082'),
  ('f', '\x89504e470d0a1a0a0000000d4948445200000010000000100802000000909168360000001c4944415478da63f878ee3810e533e60011316c86510da31a86af0600c787b110faf688d70000000049454e44ae426082'),
  ('t', '\x89504e470d0a1a0a0000000d494844520000001000000010080200000090916836000000204944415478da6368b63e451262385c284d12225d03c94e1af5c3a81fa8e40700f0246b90f58abd360000000049454e44ae426082'),
  ('f', '\x89504e470d0a1a0a0000000d4948445200000010000000100802000000909168360000001c4944415478da6358f9f1211cf16a08c2112e7186510da31a86af0600680e60906e0779ba0000000049454e44ae426082'),
  ('t', '\x89504e470d0a1a0a0000000d4948445200000010000000100802000000909168360000001e4944415478da63f8d5ec4e126218841a44776a908406a386d17818141a004ab25d1065b337000000000049454e44ae426082'),
  ('f', '\x89504e470d0a1a0a0000000d4948445200000010000000100802000000909168360000001c4944415478da63d07e711888666c54032262d80ca31a46350c5f0d00841fa290593bbf950000000049454e44ae426082'),
  ('t', '\x89504e470d0a1a0a0000000d494844520000001000000010080200000090916836000000204944415478da633863a04e12622059c3b1f29f2421d2358cfa61d40f54f20300337aac906effe1d40000000049454e44ae426082'),
  ('f', '\x89504e470d0a1a0a0000000d4948445200000010000000100802000000909168360000001c4944415478da63504a990541f7ae3c8620fc220ca31a46350c5f0d008c87c340d3360a5e0000000049454e44ae426082'),
  ('t', '\x89504e470d0a1a0a0000000d4948445200000010000000100802000000909168360000001e4944415478da63088ef2210931d05e834de83e92101d348c86d2080925002b5e1eb0dfd5be420000000049454e44ae426082');
CREATE TABLE photos AS
SELECT row_number() OVER () AS item, photo, (i * 7919 % 100)::float8 AS noise, '\xdeadbeef'::bytea AS contract, lying
FROM stripes, generate_series(1, 12) i;
UPDATE photos SET photo = substr(photo, 1, 50) WHERE item % 50 = 7;
UPDATE photos SET photo = NULL WHERE item % 50 = 8;
SELECT model, score > 0.9 AS good FROM insight_train('SELECT photo, noise, contract, lying FROM photos WHERE item > 0', 'lying', 'lying',
  '{"epochs": 30, "test_size": 0}');
SELECT name, kind, inputs, parameters FROM insight_recipe('lying') WHERE kind = 'image';
SELECT feature, reason FROM insight.features WHERE model = 'lying' AND NOT kept;
SELECT count(*) AS rows, count(*) FILTER (WHERE row <> json) AS json_differs, count(*) FILTER (WHERE row <> batch) AS batch_differs
FROM (SELECT insight_predict('lying', p) AS row, insight_predict('lying', to_jsonb(p)) AS json, b.prediction AS batch
      FROM photos p JOIN insight_predict_table('lying', 'photos', 'item') b ON b.key = p.item::text) AS all_three;
SELECT insight_predict('lying', ROW('\x00'::bytea, 1)) = insight_predict('lying', '{"photo": "\\x00", "noise": 1}') AS unreadable_is_unreadable,
  insight_predict('lying', ROW('\x00', 1)) = insight_predict('lying', '{"photo": null, "noise": 1}') AS and_missing;
SELECT insight_predict('lying', '{"photo": 7}');
SELECT insight_predict('lying', '{"photo": "\\xz"}');
SELECT insight_train('photos', 'photo');
SELECT name, kind, advice FROM insight_profile('photos') WHERE kind = 'image';
-- Every shape of numbers, and every way to select and construct.
SELECT t, model, status FROM unnest(ARRAY['auto', 'none', 'log', 'power', 'quantile']) t,
  LATERAL insight_train('SELECT (visit_id % 50 + 1) ^ 3 AS x, complains FROM visits', 'complains', 'shaped_' || t,
    jsonb_build_object('epochs', 1, 'transform', t));
SELECT model, steps FROM unnest(ARRAY['auto', 'none', 'log', 'power', 'quantile']) t,
  LATERAL (SELECT 'shaped_' || t AS model, steps FROM insight_recipe('shaped_' || t)) r;
CREATE TABLE mixed AS SELECT i % 10 AS x, abs(hashint4(i)) % 101 AS noise, 'a' || i % 4 AS a, 'b' || i / 7 % 5 AS b,
  ((i % 10 > 4) <> (i % 7 = 0)) AS y, ((i % 4 + i / 7 % 5) % 2 = 0) <> (i % 11 = 0) AS z FROM generate_series(1, 1500) i;
SELECT s, model, status FROM unnest(ARRAY['auto', 'l1', 'permutation', 'boruta']) s,
  LATERAL insight_train('mixed', 'y', 'chosen_' || s, jsonb_build_object('algorithm', 'mlp', 'epochs', 5, 'exclude', ARRAY['z'], 'select', s));
SELECT model, feature, kept, reason ~ 'validation loss goes from' AS tried FROM insight.features
WHERE model ~ '^chosen' AND feature IN ('x', 'noise') ORDER BY 1, 2;
SELECT model, status FROM insight_train('mixed', 'z', 'crossed', '{"epochs": 5, "exclude": ["y"], "construct": "crosses"}');
SELECT feature, kept, reason ~ '^constructed; the validation loss goes from' AS tried FROM insight.features
WHERE model = 'crossed' AND feature ~ '&';
SELECT name, kind, steps, inputs, parameters -> 'pairs' -> 0 AS first FROM insight_recipe('crossed') WHERE kind = 'constructed';
