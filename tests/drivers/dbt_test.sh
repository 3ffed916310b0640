# dbt: a model that trains before it scores, an operation that trains, tests of the scores, errors, Ctrl-C.
set -u
cd "$(dirname "$0")/dbt"
driver="dbt $("$DBT" --version | grep -oE 'installed: *[0-9.]+' | head -1 | grep -oE '[0-9.]+$')"
check() {
  if grep -qE -- "$2" "$SCRATCH/dbt"; then echo "ok $driver: $1"; else echo "not ok $driver: $1: $(tail -8 "$SCRATCH/dbt" | tr '\n' ' ')"; fi
}
dbt() {
  "$DBT" --no-use-colors "$@" --profiles-dir . --target-path "$SCRATCH/dbt-target" --log-path "$SCRATCH/dbt-log" >"$SCRATCH/dbt" 2>&1
}
sql() { psql -X -A -t -q -c "$1" >"$SCRATCH/dbt" 2>&1; }
export DBT_SEND_ANONYMOUS_USAGE_STATS=false DO_NOT_TRACK=1

dbt run
check "dbt run: a pre-hook trains, the model scores" 'PASS=2 WARN=0 ERROR=0'
sql "SELECT count(*) FROM dbt.risk WHERE risk = (SELECT insight_predict('dbt_churn', a) FROM dbt.active a WHERE a.customer_id = risk.customer_id)"
check "the scores are the model's" '^2000$'

dbt run-operation train --args '{relation: active, target: churn, model: dbt_operation}'
check "dbt run-operation trains, and says how good" 'dbt_operation: version 1, roc_auc 0\.[5-9]'
dbt run --select scored --vars '{scored: true}'
check "dbt run: scores of a model that an operation trained" 'PASS=1 WARN=0 ERROR=0'
dbt test --vars '{scored: true}'
check "dbt test" 'PASS=6 WARN=0 ERROR=0'

dbt run --select risk scored --vars '{scored: true, model: nobody, training: "{\"epoch\": 3}"}'
check "an unknown model: message and hint" 'model "nobody" does not exist'
check "its hint" 'HINT: +(Known are|Did you mean)'
check "a wrong option: message" 'unknown option "epoch"'
check "its hint" 'HINT: .*epochs'
sql "SELECT count(*) FROM dbt.risk"
check "the table stays as it was" '^2000$'

python3 -c 'import json, os; print(json.dumps({"training": os.environ["SLOW"]}))' >"$SCRATCH/vars"
sql "SELECT max(job) FROM insight.jobs"
last=$(cat "$SCRATCH/dbt")
# A job in the background of a script ignores Ctrl-C unless it asks for it.
python3 -c 'import os, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); os.execv(sys.argv[1], sys.argv[1:])' "$DBT" run --select risk \
  --vars "$(cat "$SCRATCH/vars")" --profiles-dir . --target-path "$SCRATCH/dbt-target" --log-path "$SCRATCH/dbt-log" >"$SCRATCH/dbt-run" 2>&1 &
dbt=$!
# wait_for WHAT TRUE: asks until it is true.
wait_for() {
  for _ in $(seq 200); do
    sql "$2"
    grep -qx t "$SCRATCH/dbt" && break
    sleep 0.1
  done
  check "$1" '^t$'
}
wait_for "a training that takes long" "SELECT count(*) = 1 FROM insight.jobs WHERE job > $last AND status = 'running'"
kill -INT "$dbt"
wait_for "Ctrl-C cancels the training" "SELECT count(*) = 1 FROM insight.jobs WHERE job > $last AND status = 'cancelled'"
wait "$dbt"
true
