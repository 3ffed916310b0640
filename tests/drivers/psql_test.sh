# psql: variables, descriptions of results, COPY, Ctrl-C, errors and notices.
set -u
driver="psql $(psql --version | grep -oE '[0-9]+\.[0-9]+' | head -1)"
# check WHAT PATTERN: whether the answer on standard input has it.
check() {
  local answer
  answer=$(cat)
  if grep -qE -- "$2" <<<"$answer"; then echo "ok $driver: $1"; else echo "not ok $driver: $1: $(tr '\n' ' ' <<<"$answer")"; fi
}
sql() { psql -X -A -t -q "$@" 2>&1; }

sql -v relation=customers -v target=churn -v name="psql's" -v options="{\"wait\": false, ${FAST#\{}" <<'END_SQL' | check "trains in the background with variables" '^succeeded psql.s$'
SELECT job FROM insight_train(:'relation', :'target', :'name', :'options') \gset
SELECT insight_wait(:job) AS status \gset
SELECT :'status' || ' ' || model FROM insight.models WHERE model = :'name';
END_SQL

sql -v customer="$CUSTOMER" <<'END_SQL' | check "a row in a variable" '^(true|false) t$'
SELECT insight_classify('churn', :'customer') || ' ' || (insight_predict('churn', :'customer'::jsonb) BETWEEN 0 AND 1)::text::char;
END_SQL

sql <<'END_SQL' | tr '\n' ' ' | check '\gdesc knows the types' 'p\|double precision k\|text j\|jsonb i\|numrange s\|text\[\] '
SELECT insight_predict('churn', c) p, insight_classify('churn', c) k, insight_probabilities('churn', c) j, insight_interval('fee', c) i,
  insight_classes('churn', c) s FROM customers c \gdesc
END_SQL
sql <<'END_SQL' | tr '\n' ' ' | check '\gdesc knows the columns of insight_train, and trains nothing' 'model\|text version\|integer status\|text .* job\|bigint 0'
SELECT * FROM insight_train('customers', 'churn', 'never') \gdesc
SELECT count(*) FROM insight.jobs WHERE model = 'never';
END_SQL

sql -c '\d insight.models' | check '\d shows a view of insight' 'deployed_at\|timestamp with time zone'
sql -c '\df+ insight_predict' | check '\df+ shows its comment' 'insight_predict\|double precision.*[a-z]{4}'

sql -c "COPY (SELECT * FROM insight_predict_table('churn', 'customers')) TO STDOUT (FORMAT csv)" | wc -l | check "COPY of predictions" '^2000$'
sql -c "\\copy (SELECT key, prediction FROM insight_predict_table('churn', 'customers')) TO '$SCRATCH/scores.csv' csv header" | check '\copy of predictions to a file' '^COPY 2000$|^$'
wc -l <"$SCRATCH/scores.csv" | check "the file has a line for each" '^2001$'

sql <<'END_SQL' | tail -1 | check "PREPARE and EXECUTE" '^t$'
PREPARE score (text, jsonb) AS SELECT insight_predict($1, $2);
SELECT insight_predict('churn', to_jsonb(c)) AS first, to_jsonb(c) AS customer FROM customers c WHERE customer_id = 1 \gset
EXECUTE score('churn', :'customer') \gset
SELECT :insight_predict = :first;
END_SQL

sql -v options="$FAST" <<'END_SQL' | check "notices of a waiting training" '^NOTICE:.*customer_id'
SELECT score FROM insight_train('customers', 'churn', 'psql', :'options');
END_SQL

# A cancelled statement leaves the session as it was: the next command runs (psql prints no more answers then).
psql -X -A -t -q -v VERBOSITY=verbose -c "SELECT score FROM insight_train('customers', 'churn', 'psql_slow', '$SLOW')" \
  -c "CREATE TABLE psql_after AS SELECT status || ' ' || sqlstate FROM insight.jobs WHERE model = 'psql_slow'" >"$SCRATCH/cancelled" 2>&1 &
psql=$!
for _ in $(seq 200); do
  [ "$(sql -c "SELECT count(*) FROM insight.jobs WHERE model = 'psql_slow' AND status = 'running'")" = 1 ] && break
  sleep 0.1
done
kill -INT "$psql"
wait "$psql"
check "Ctrl-C: SQLSTATE" 'ERROR:  57014: canceling' <"$SCRATCH/cancelled"
sql -c "TABLE psql_after" | check "Ctrl-C: the session goes on, the job is cancelled" '^cancelled 57014$'

sql -v VERBOSITY=verbose -v c="$CUSTOMER" <<<"SELECT insight_predict('nobody', :'c'::jsonb);" >"$SCRATCH/error"
check "an unknown model: SQLSTATE and message" 'ERROR:  42704: model "nobody" does not exist' <"$SCRATCH/error"
check "an unknown model: hint" '^HINT:  ' <"$SCRATCH/error"
sql -v VERBOSITY=verbose -v ON_ERROR_STOP=1 -c "SELECT * FROM insight_train('customers', 'churn', 'psql', '{\"epoch\": 3}')" >"$SCRATCH/error"
echo $? | check "a wrong option ends psql with an error" '^1$'
check "a wrong option: SQLSTATE and message" 'ERROR:  22023: unknown option "epoch"' <"$SCRATCH/error"
check "a wrong option: hint" '^HINT:  .*epochs' <"$SCRATCH/error"
