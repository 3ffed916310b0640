-- insight_help: \h of psql, as a function. All it says comes from the catalogs, so that it is as new as the extension; only families and
-- examples stand here. Names are written in full, for a caller's search_path must not lend it other functions.

CREATE VIEW insight.topics AS
SELECT t.position, t.name, t.family, t.example FROM (VALUES
  (101, 'insight_profile', 'Look and prepare', $$SELECT name, nulls, leak, advice FROM insight_profile('customers', 'churn');$$),
  (102, 'insight_features', 'Look and prepare', $$SELECT insight_features('customers', '{"sources": {"orders": {"key": "customer_id"}}}');$$),
  (103, 'insight_clean', 'Look and prepare', $$SELECT * FROM insight_clean(NULL::customers, '{"text": {"trim": true}, "missing": "median"}');$$),
  (104, 'insight_rfm', 'Look and prepare', $$SELECT segment, count(*) FROM insight_rfm('orders', 'customer_id', 'ordered_at', 'amount') GROUP BY 1;$$),
  (105, 'insight_clv', 'Look and prepare', $$SELECT * FROM insight_clv('orders', 'customer_id', 'ordered_at', 'amount', horizon_days => 90);$$),
  (106, 'insight_recipe', 'Look and prepare', $$SELECT name, kind, steps FROM insight_recipe('customers_churn');$$),
  (201, 'insight_train', 'Train', $$SELECT * FROM insight_train('customers', 'churn', options => '{"exclude": ["cancellation_fee"]}');$$),
  (202, 'insight_retrain', 'Train', $$SELECT version, deployed, score FROM insight_retrain('customers_churn');$$),
  (203, 'insight_retrain_if', 'Train', $$SELECT status, reason FROM insight_retrain_if('customers_churn', 'drift > 0.2 or new_rows > 10%');$$),
  (204, 'insight_schedule', 'Train', $$SELECT * FROM insight_schedule('customers_churn', '{"when": "new_rows > 10%", "check": "0 3 * * *"}');$$),
  (205, 'insight_unschedule', 'Train', $$SELECT insight_unschedule('customers_churn');$$),
  (206, 'insight_cross_validate', 'Train', $$SELECT metric, mean, low, high FROM insight_cross_validate('customers', 'churn', 5, '{"algorithm": "gbdt"}');$$),
  (207, 'insight_reproduce', 'Train', $$SELECT same, detail FROM insight_reproduce('customers_churn');$$),
  (208, 'insight_wait', 'Train', $$SELECT insight_wait(max(job), 60) FROM insight.jobs;$$),
  (209, 'insight_cancel', 'Train', $$SELECT insight_cancel(job) FROM insight.jobs WHERE status = 'running';$$),
  (210, 'insight_train_on', 'Train', $$SELECT * FROM insight_train_on('gpu', 'customers', 'churn');$$),
  (301, 'insight_predict', 'Predict', $$SELECT customer_id, insight_predict('customers_churn', c) AS risk FROM customers c ORDER BY risk DESC LIMIT 100;$$),
  (302, 'insight_classify', 'Predict', $$SELECT customer_id, insight_classify('customers_churn', c) FROM customers c;$$),
  (303, 'insight_probabilities', 'Predict', $$SELECT customer_id, insight_probabilities('customers_churn', c) FROM customers c;$$),
  (304, 'insight_interval', 'Predict', $$SELECT customer_id, insight_interval('customers_monthly_fee', c, 0.9) FROM customers c;$$),
  (305, 'insight_classes', 'Predict', $$SELECT customer_id, insight_classes('customers_churn', c, 0.95) FROM customers c;$$),
  (306, 'insight_survival', 'Predict', $$SELECT s.* FROM stays c, insight_survival('churn_when', c, ARRAY[30, 90, 365]) s WHERE customer_id = 7;$$),
  (307, 'insight_predict_table', 'Predict', $$SELECT key, prediction FROM insight_predict_table('customers_churn', 'customers', 'customer_id');$$),
  (308, 'insight_score', 'Predict', $$SELECT * FROM insight_score('customers_churn', 'customers', 'churn_scores', 'customer_id');$$),
  (309, 'insight_predict_logged', 'Predict', $$SELECT insight_predict_logged('customers_churn', c, customer_id) FROM customers c;$$),
  (310, 'insight_log', 'Predict', $$SELECT * FROM insight_log('customers_churn', true, '{"key": "customer_id", "bound": 0.7}');$$),
  (311, 'insight_performance', 'Predict', $$SELECT period, metric, value, trained FROM insight_performance('customers_churn', 'customers');$$),
  (401, 'insight_evaluate', 'Evaluate', $$SELECT metric, value, low, high, baseline FROM insight_evaluate('customers_churn', 'new_customers');$$),
  (402, 'insight_confusion', 'Evaluate', $$SELECT * FROM insight_confusion('customers_churn');$$),
  (403, 'insight_roc', 'Evaluate', $$SELECT * FROM insight_roc('customers_churn');$$),
  (404, 'insight_precision_recall', 'Evaluate', $$SELECT * FROM insight_precision_recall('customers_churn');$$),
  (405, 'insight_lift', 'Evaluate', $$SELECT bin, share, lift, cumulative_gain FROM insight_lift('customers_churn');$$),
  (406, 'insight_calibration', 'Evaluate', $$SELECT mean_predicted, observed_share FROM insight_calibration('customers_churn');$$),
  (407, 'insight_profit', 'Evaluate', $$SELECT contacted, profit FROM insight_profit('customers_churn', profit => '{"tp": 90, "fp": -10}') WHERE best;$$),
  (408, 'insight_compare', 'Evaluate', $$SELECT metric, difference, p_value, better FROM insight_compare('customers_churn@1', 'customers_churn@2');$$),
  (409, 'insight_slices', 'Evaluate', $$SELECT slice, rows, value FROM insight_slices('customers_churn', 'plan', 'customers') WHERE metric = 'recall';$$),
  (410, 'insight_qini', 'Evaluate', $$SELECT fraction, qini, random FROM insight_qini('mail_effect');$$),
  (411, 'insight_fairness', 'Evaluate', $$SELECT feature, "group", value FROM insight_fairness('fair_churn') WHERE metric = 'selection_rate';$$),
  (412, 'insight_leak_test', 'Evaluate', $$SELECT attack, metric, value FROM insight_leak_test('customers_churn');$$),
  (413, 'insight_drift', 'Evaluate', $$SELECT feature, psi, novel FROM insight_drift('customers_churn', 'customers') LIMIT 5;$$),
  (414, 'insight_novelty', 'Evaluate', $$SELECT customer_id FROM customers c WHERE insight_novelty('customers_churn', c) > 0.99;$$),
  (415, 'insight_coefficients', 'Evaluate', $$SELECT feature, level, odds_ratio, p_value FROM insight_coefficients('churn_linear');$$),
  (501, 'insight_explain', 'Understand', $$SELECT e.* FROM customers c, insight_explain('customers_churn', c, 3) e WHERE customer_id = 7;$$),
  (502, 'insight_importance', 'Understand', $$SELECT feature, importance FROM insight_importance('customers_churn') ORDER BY 2 DESC;$$),
  (503, 'insight_dependence', 'Understand', $$SELECT value, partial FROM insight_dependence('customers_churn', 'monthly_fee');$$),
  (504, 'insight_interactions', 'Understand', $$SELECT feature, with_feature, strength FROM insight_interactions('customers_churn');$$),
  (505, 'insight_rules', 'Understand', $$SELECT rule, rows, prediction FROM insight_rules('customers_churn');$$),
  (506, 'insight_counterfactual', 'Understand', $$SELECT * FROM insight_counterfactual('customers_churn', (SELECT c FROM customers c WHERE customer_id = 7), '< 0.2');$$),
  (507, 'insight_summary', 'Understand', $$SELECT insight_summary('customers_churn');$$),
  (508, 'insight_report', 'Understand', $$SELECT insight_report('customers_churn', 'customers');$$),
  (509, 'insight_plot', 'Understand', $$SELECT insight_plot('customers_churn', 'roc');$$),
  (601, 'insight_segments', 'Segments', $$SELECT * FROM insight_segments('customers', '{"target": "churn"}');$$),
  (602, 'insight_segment_profiles', 'Segments', $$SELECT segment, name, rows, target_rate FROM insight_segment_profiles('customers_segments');$$),
  (701, 'insight_next', 'Histories', $$SELECT * FROM insight_next('next_buy', 'events', 3);$$),
  (702, 'insight_recommend', 'Histories', $$SELECT * FROM insight_recommend('next_buy', 7, 5, exclude_seen => true);$$),
  (703, 'insight_sequence_embedding', 'Histories', $$SELECT key, embedding FROM insight_sequence_embedding('next_buy', 'events');$$),
  (801, 'insight_generate', 'Virtual customers', $$SELECT * FROM insight_generate('twins', 1000, NULL::customers, seed => 7);$$),
  (802, 'insight_fidelity', 'Virtual customers', $$SELECT * FROM insight_fidelity('twins', 'customers', options => '{"target": "churn"}');$$),
  (803, 'insight_personas', 'Virtual customers', $$SELECT name, share, description FROM insight_personas('twins');$$),
  (901, 'insight_deploy', 'Versions', $$SELECT insight_deploy('customers_churn', 2);$$),
  (902, 'insight_rollback', 'Versions', $$SELECT insight_rollback('customers_churn');$$),
  (903, 'insight_drop', 'Versions', $$SELECT insight_drop('customers_churn');$$),
  (904, 'insight_export', 'Versions', $$SELECT insight_export('customers_churn');$$),
  (905, 'insight_import', 'Versions', $$SELECT * FROM insight_import(insight_export('customers_churn'), 'copy');$$),
  (1001, 'insight_find_pii', 'Privacy and rights', $$SELECT name, kind, confidence FROM insight_find_pii('customers');$$),
  (1002, 'insight_risk', 'Privacy and rights', $$SELECT * FROM insight_risk('customers', ARRAY['age', 'city']);$$),
  (1003, 'insight_anonymize', 'Privacy and rights', $$SELECT * FROM insight_anonymize('patients', '{"columns": {"email": "suppress"}, "k": 5, "quasi_identifiers": ["age"]}', NULL::anonymous);$$),
  (1004, 'insight_private_profile', 'Privacy and rights', $$SELECT * FROM insight_private_profile('customers', '{"bounds": {"age": [18, 100]}}');$$),
  (1005, 'insight_privacy_budget', 'Privacy and rights', $$SELECT * FROM insight_privacy_budget('customers', 10, 1e-4);$$),
  (1006, 'insight_contains', 'Privacy and rights', $$SELECT * FROM insight_contains('customers_churn', '7');$$),
  (1007, 'insight_forget', 'Privacy and rights', $$SELECT * FROM insight_forget('7');$$),
  (1008, 'insight_grant', 'Privacy and rights', $$SELECT insight_grant('customers_churn', 'app', 'predict');$$),
  (1009, 'insight_revoke', 'Privacy and rights', $$SELECT insight_revoke('customers_churn', 'app');$$),
  (1010, 'insight_rotate_key', 'Privacy and rights', $$SELECT * FROM insight_rotate_key();$$),
  (1101, 'insight_help', 'Sample data and system', $$SELECT insight_help('train');$$),
  (1102, 'insight_sample_customers', 'Sample data and system', $$CREATE TABLE customers AS SELECT * FROM insight_sample_customers(1000);$$),
  (1103, 'insight_sample_orders', 'Sample data and system', $$CREATE TABLE orders AS SELECT * FROM insight_sample_orders(1000);$$),
  (1104, 'insight_sample_events', 'Sample data and system', $$CREATE TABLE events AS SELECT * FROM insight_sample_events(1000);$$),
  (1105, 'insight_devices', 'Sample data and system', $$SELECT * FROM insight_devices();$$),
  (1106, 'insight_version', 'Sample data and system', $$SELECT insight_version();$$)
) AS t (position, name, family, example);
COMMENT ON VIEW insight.topics IS 'family and example of each function, for insight_help';
GRANT SELECT ON insight.topics TO PUBLIC;

-- What an option that nobody knows is told: the list of those that there are. Each call ends in that error before it has done anything; should
-- one not, what it did is undone.
CREATE FUNCTION insight.known_options(name text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  asked record;
  told text;
  lines text[] := '{}';
BEGIN
  FOR asked IN
    SELECT p.whose, p.statement FROM (VALUES
      ('insight_train', '', $q$insight_train('-', '-', '-', '{"?": 0}')$q$),
      ('insight_train', ' with algorithm lstm, gru or transformer and the option key', $q$insight_train('-', '-', '-', '{"algorithm": "lstm", "key": "-", "?": 0}')$q$),
      ('insight_train', ' with algorithm gan or tvae', $q$insight_train('-', NULL, '-', '{"algorithm": "gan", "?": 0}')$q$),
      ('insight_train', ' with algorithm kmeans, gmm or hdbscan', $q$insight_train('-', NULL, '-', '{"algorithm": "kmeans", "?": 0}')$q$),
      ('insight_segments', '', $q$insight_segments('-', '{"?": 0}')$q$),
      ('insight_train_on', ': those of insight_train, but not "wait": false.', NULL),
      ('insight_retrain', ': those of insight_train, and promote.', NULL),
      ('insight_retrain_if', ': those of insight_train, and promote.', NULL),
      ('insight_schedule', ': those of insight_train, and promote.', NULL),
      ('insight_cross_validate', ': into, repeats, and those of insight_train but deploy, test_size, wait and warm_start.', NULL),
      ('insight_features', '', $q$insight_features('-', '{"?": 0}')$q$),
      ('insight_clean', '', $q$insight_clean(NULL::pg_catalog.pg_class, '{"?": 0}')$q$),
      ('insight_find_pii', '', $q$insight_find_pii('pg_catalog.pg_class', '{"?": 0}')$q$),
      ('insight_risk', '', $q$insight_risk('pg_catalog.pg_class', ARRAY['relname'], '{"?": 0}')$q$),
      ('insight_anonymize', '', $q$insight_anonymize('pg_catalog.pg_class', '{"?": 0}', NULL::pg_catalog.pg_class)$q$),
      ('insight_private_profile', '', $q$insight_private_profile('pg_catalog.pg_class', '{"?": 0}')$q$),
      ('insight_score', '', $q$insight_score('-', '-', '-', '-', 'full', '{"?": 0}')$q$),
      ('insight_log', '', $q$insight_log('-', true, '{"?": 0}')$q$),
      ('insight_performance', '', $q$insight_performance('-', '-', '{"?": 0}')$q$),
      ('insight_leak_test', '', $q$insight_leak_test('-', '{"?": 0}')$q$),
      -- These need a model before they look at options.
      ('insight_fidelity', ': holdout, target and others, see README.md, "Virtual customers".', NULL),
      ('insight_counterfactual', ': actionable, costs, max_changes, alternatives, see README.md, "Understand".', NULL)
    ) AS p (name, whose, statement) WHERE p.name = known_options.name
  LOOP
    IF asked.statement IS NULL THEN
      lines := lines || ('Options' || asked.whose);
      CONTINUE;
    END IF;
    BEGIN
      EXECUTE 'SELECT @extschema@.' || asked.statement;
      RAISE EXCEPTION 'nothing was refused' USING HINT = '';
    EXCEPTION WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS told = PG_EXCEPTION_HINT;
    END;
    -- The hint is in the language of lc_messages.
    told := COALESCE(substring(told FROM replace(insight.translated(format('Known options are: %s.', '?')), '?', '([^.]*)')),
      substring(told FROM replace(insight.translated(format('Known are: %s.', '?')), '?', '([^.]*)')));
    IF told IS NOT NULL THEN
      lines := lines || pg_catalog.format('Options%s: %s.', asked.whose, told);
    END IF;
  END LOOP;
  RETURN pg_catalog.array_to_string(lines, E'\n');
END $$;
COMMENT ON FUNCTION insight.known_options(text) IS 'the options that a function takes, for insight_help';

-- Functions, views and settings, each with all there is to say; one row for each kind, as a name can be that of a function and of a view.
CREATE FUNCTION insight.help_texts() RETURNS TABLE (name text, family text, "position" integer, summary text, body text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT p.proname::text, COALESCE(min(t.family), 'Others'), COALESCE(min(t.position), 2000),
    (array_agg(obj_description(p.oid, 'pg_proc') ORDER BY p.oid))[1],
    string_agg(format(E'%s(%s)\n  returns %s', p.proname, regexp_replace(pg_get_function_arguments(p.oid), '(, )?OUT [^,]*', '', 'g'), pg_get_function_result(p.oid)), E'\n' ORDER BY p.oid)
      || E'\n\n' || (array_agg(obj_description(p.oid, 'pg_proc') ORDER BY p.oid))[1]
      || COALESCE(E'\n\nExample:\n  ' || min(t.example), '')
  FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'insight'
  LEFT JOIN insight.topics t ON t.name = p.proname
  WHERE p.pronamespace = e.extnamespace AND p.proname <> 'insight_survival_points'
  GROUP BY p.proname
  UNION ALL
  SELECT 'insight.' || c.relname, 'Views', 3000, obj_description(c.oid, 'pg_class'),
    format(E'insight.%s (view)\n\n%s\n\nColumns: %s', c.relname, obj_description(c.oid, 'pg_class'),
      (SELECT string_agg(format('%s %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
       FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0))
  FROM pg_class c WHERE c.relnamespace = 'insight'::regnamespace AND c.relkind = 'v' AND c.relname <> 'topics'
  UNION ALL
  SELECT s.name, 'Settings', 4000, s.short_desc,
    format(E'%s (setting, %s)\n\n%s %s\n\nNow: %s. Default: %s.%s Who sets it: %s.', s.name, s.vartype, s.short_desc, s.extra_desc,
      quote_literal(current_setting(s.name)), quote_literal(s.boot_val || COALESCE(' ' || s.unit, '')),
      ' Range: ' || s.min_val || ' to ' || s.max_val || COALESCE(' ' || s.unit, '') || '.',
      CASE s.context WHEN 'user' THEN 'anybody' WHEN 'superuser' THEN 'superusers' ELSE 'the server''s configuration file' END)
  FROM pg_settings s WHERE s.name LIKE 'insight.%'
$$;
COMMENT ON FUNCTION insight.help_texts() IS 'what there is to say of each function, view and setting, for insight_help';

CREATE FUNCTION insight_help(topic text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  wanted text := lower(trim(BOTH E' \t\n();' FROM topic));
  answer text;
BEGIN
  -- The settings are known once the library is loaded.
  PERFORM @extschema@.insight_version();
  IF wanted IS NULL OR wanted = '' THEN
    RETURN E'SELECT insight_help(''train'') tells more of insight_train; views and settings are topics, too.\n' || (
      SELECT string_agg(f.family_text, E'\n' ORDER BY f.first)
      FROM (SELECT min(h.position) AS first,
              format(E'\n%s\n%s', h.family, string_agg(format('  %s  %s', rpad(h.name, 26), substring(regexp_replace(h.summary, ' \([^()]*\)', '', 'g') FROM '^.*?(?=[.;:] |\.?$)')), E'\n' ORDER BY h.position, h.name)) AS family_text
            FROM insight.help_texts() h GROUP BY h.family) f);
  END IF;
  SELECT string_agg(h.body || COALESCE(E'\n\n' || NULLIF(insight.known_options(h.name), '') || E'\nWhat each takes stands in README.md.', ''), E'\n\n' ORDER BY h.position) INTO answer
  FROM insight.help_texts() h
  WHERE h.name IN (wanted, 'insight_' || wanted, 'insight.' || wanted);
  IF answer IS NOT NULL THEN
    RETURN answer;
  END IF;
  SELECT format('"%s" stands among the options of %s, see there, and README.md.', wanted, string_agg(t.name, ', ' ORDER BY t.position)) INTO answer
  FROM insight.topics t WHERE wanted ~ '^\w+$' AND insight.known_options(t.name) ~ ('\m' || wanted || '\M') HAVING count(*) > 0;
  IF answer IS NOT NULL THEN
    RETURN answer;
  END IF;
  -- The nearest names have most pairs of letters in common with what was asked for.
  RETURN format('There is no topic "%s". Near it: %s.', topic, (
    SELECT string_agg(n.name, ', ' ORDER BY n.likeness DESC, n.name)
    FROM (SELECT h.name, 2.0 * count(*) FILTER (WHERE position(substr(k.word, i, 2) IN w.short) > 0) / (length(k.word) + length(w.short)) AS likeness
          FROM insight.help_texts() h, LATERAL (SELECT regexp_replace(h.name, '^insight[._]', '') AS short) w,
            LATERAL (SELECT regexp_replace(wanted, '^insight[._]', '') AS word) k, LATERAL generate_series(1, greatest(length(k.word) - 1, 1)) i
          GROUP BY h.name, k.word, w.short ORDER BY likeness DESC, h.name LIMIT 4) n))
    || E'\nSELECT insight_help() names all.';
END $$;
COMMENT ON FUNCTION insight_help(text) IS 'help on a function, view or setting; without a topic, all of them by family';
