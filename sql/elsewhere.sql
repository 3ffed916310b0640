-- insight_train_on: trains on another server of PostgreSQL, such as one with a GPU, and brings the model here. The way there is a connection of
-- dblink to a foreign server, as whoever the caller's user mapping says; nothing here listens for anything, and all rights are the caller's.

CREATE TYPE insight.trained AS (model text, version integer, status text, task text, algorithm text, metric text, score double precision,
  deployed boolean, rows bigint, seconds double precision, job bigint);
COMMENT ON TYPE insight.trained IS 'a row of insight_train_on, as that of insight_train';

CREATE FUNCTION insight_train_on(server text, relation text, target text, model text DEFAULT NULL, options jsonb DEFAULT '{}')
RETURNS SETOF insight.trained LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  connection CONSTANT text := 'insight_train_on';
  -- The schema of dblink here, and that of insight there.
  dblink text;
  place text;
  remote_version text;
  encrypted boolean;
  connected boolean := false;
  -- Whether it is the other server that works: its errors are told as its own.
  there boolean := false;
  busy integer;
  every_row insight.trained[];
  trained insight.trained;
  file bytea;
  code text;
  message text;
  more text;
  way_out text;
BEGIN
  IF current_setting('transaction_read_only')::boolean THEN
    RAISE read_only_sql_transaction USING MESSAGE = insight.translated(format('cannot execute %s in a read-only transaction', 'insight_train_on()'));
  END IF;
  IF server IS NULL THEN
    RAISE null_value_not_allowed USING MESSAGE = insight.translated(format('%s must not be NULL', 'server')),
      HINT = insight.translated('Name a foreign server that leads to the one that trains.');
  END IF;
  IF options -> 'wait' = 'false' THEN
    RAISE feature_not_supported USING MESSAGE = insight.translated('insight_train_on waits for the training'),
      HINT = insight.translated('Leave the option "wait" out. To go on meanwhile, call it in a session of its own, such as a job of pg_cron.');
  END IF;
  SELECT quote_ident(n.nspname) INTO dblink FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'dblink';
  IF dblink IS NULL THEN
    RAISE feature_not_supported USING
      MESSAGE = insight.translated('training on another server needs the extension dblink, which is not in this database'),
      HINT = insight.translated('A superuser runs CREATE EXTENSION dblink.');
  END IF;
  IF NOT EXISTS (SELECT FROM pg_foreign_server s WHERE s.srvname = server) THEN
    RAISE undefined_object USING MESSAGE = insight.translated(format('server "%s" does not exist', server)),
      HINT = insight.translated('CREATE SERVER makes one, see README.md, "Train on another machine".');
  END IF;
  -- Before a password is sent: whoever answers must be who is meant, and nobody else may read along. A socket does not leave the machine.
  IF NOT EXISTS (
    SELECT FROM pg_foreign_server s, LATERAL (
      SELECT bool_or(o.option_name = 'sslmode' AND o.option_value = 'verify-full') AS verified,
        bool_or(o.option_name = 'host' AND o.option_value ~ '^/[^,]*$') AND NOT bool_or(o.option_name IN ('hostaddr', 'service')) AS socket
      FROM pg_options_to_table(s.srvoptions) o) w
    WHERE s.srvname = server AND (w.verified OR w.socket))
  THEN
    RAISE invalid_authorization_specification USING
      MESSAGE = insight.translated(format('connections to server "%s" would not be encrypted and verified', server)),
      DETAIL = insight.translated('Its option sslmode is not verify-full, and its option host is no folder of a Unix-domain socket.'),
      HINT = insight.translated(format(
        'Give it the options: ALTER SERVER %I OPTIONS (ADD sslmode ''verify-full'', ADD sslrootcert ''FILE''); SET instead of ADD changes one.', server));
  END IF;
  PERFORM insight.check_may_train(model);
  BEGIN
    there := true;
    EXECUTE format('SELECT %s.dblink_connect($1, $2)', dblink) USING connection, server;
    connected := true;
    EXECUTE format('SELECT * FROM %s.dblink($1, $2) AS r (encrypted boolean, place text)', dblink) INTO encrypted, place USING connection,
      'SELECT pg_catalog.inet_client_addr() IS NULL OR (SELECT s.ssl FROM pg_catalog.pg_stat_ssl s WHERE s.pid = pg_catalog.pg_backend_pid()),
         (SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = ''insight'')';
    -- The environment of this server (PGHOSTADDR) can lead elsewhere than a folder says.
    IF encrypted IS NOT TRUE THEN
      RAISE invalid_authorization_specification USING MESSAGE = insight.translated('the connection is not encrypted'),
        HINT = insight.translated('Let pg_hba.conf there have hostssl lines alone, and set the server''s option sslmode to verify-full.');
    END IF;
    IF place IS NULL THEN
      RAISE feature_not_supported USING MESSAGE = insight.translated('the extension insight is not there'),
        HINT = insight.translated('A superuser runs CREATE EXTENSION insight in that database.');
    END IF;
    EXECUTE format('SELECT r.version FROM %s.dblink($1, $2) AS r (version text)', dblink) INTO remote_version
      USING connection, format('SELECT %s.insight_version()', place);
    IF remote_version <> @extschema@.insight_version() THEN
      RAISE feature_not_supported USING
        MESSAGE = insight.translated(format('insight is of version %s there and of version %s here', remote_version, @extschema@.insight_version())),
        HINT = insight.translated('Install the same version on both.');
    END IF;

    -- A waiting call: it ends there when this connection does, even where this process is killed.
    EXECUTE format('SELECT %s.dblink_send_query($1, $2)', dblink) INTO busy
      USING connection, format('SELECT * FROM %s.insight_train(%L, %L, %L, %L)', place, relation, target, model, options);
    IF busy = 0 THEN
      EXECUTE format('SELECT %s.dblink_error_message($1)', dblink) INTO message USING connection;
      RAISE connection_failure USING MESSAGE = message;
    END IF;
    there := false;
    LOOP
      EXECUTE format('SELECT %1$s.dblink_is_busy($1), %1$s.dblink_error_message($1)', dblink) INTO busy, message USING connection;
      -- Clients before 14.3 say busy for ever where the connection is lost.
      EXIT WHEN busy = 0 OR message <> 'OK';
      -- A cancel or a timeout comes here.
      PERFORM pg_sleep(0.1);
    END LOOP;
    there := true;
    EXECUTE format('SELECT array_agg(ROW(r.*)::insight.trained) FROM %s.dblink_get_result($1) AS r (model text, version integer, status text, task text,
        algorithm text, metric text, score double precision, deployed boolean, rows bigint, seconds double precision, job bigint)', dblink)
      INTO every_row USING connection;
    -- The end of the results, after which the connection takes the next query.
    EXECUTE format('SELECT FROM %s.dblink_get_result($1) AS r (nothing text)', dblink) USING connection;

    FOREACH trained IN ARRAY every_row LOOP
      -- In pieces: as one text in hexadecimal a file of half a gigabyte would be too long for a value. With the rows it keeps: they come from here.
      EXECUTE format('SELECT string_agg(r.bytes, ''''::bytea ORDER BY r.piece) FROM %s.dblink($1, $2) AS r (piece integer, bytes bytea)', dblink) INTO file
        USING connection, format('WITH file AS MATERIALIZED (SELECT %s.insight_export(%L, keep_rows => true) AS bytes)
          SELECT piece, pg_catalog.substr(bytes, piece * 1048576 + 1, 1048576)
          FROM file, pg_catalog.generate_series(0, (pg_catalog.octet_length(bytes) - 1) / 1048576) AS piece', place, trained.model || '@' || trained.version);
      there := false;
      -- One model has the name it was asked for under, whatever name comes back.
      SELECT i.model, i.version, i.deployed, NULL::bigint INTO trained.model, trained.version, trained.deployed, trained.job
      FROM @extschema@.insight_import(file, CASE WHEN options ? 'targets' THEN trained.model ELSE COALESCE(model, trained.model) END, trained.deployed) i;
      there := true;
      RETURN NEXT trained;
    END LOOP;
  EXCEPTION WHEN query_canceled OR OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, way_out = PG_EXCEPTION_HINT;
    IF connected THEN
      EXECUTE format('SELECT %s.dblink_disconnect($1)', dblink) USING connection;
    END IF;
    IF NOT there THEN
      RAISE;
    END IF;
    more := concat_ws(E'\n', NULLIF(more, ''), insight.translated(format('On server "%s".', server)));
    IF way_out = '' THEN
      RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message, DETAIL = more;
    END IF;
    RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message, DETAIL = more, HINT = way_out;
  END;
  EXECUTE format('SELECT %s.dblink_disconnect($1)', dblink) USING connection;
END $$;
COMMENT ON FUNCTION insight_train_on(text, text, text, text, jsonb) IS
'trains on another server, to which a foreign server leads over TLS, as insight_train does there, and brings the model here as a new version; answers model, version, status, task, algorithm, metric, score, deployed, rows, seconds and job as insight_train does, with job NULL: it is the other server''s';
