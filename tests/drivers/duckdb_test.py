"""DuckDB's postgres scanner: training by postgres_execute, predictions by postgres_query and by tables, joined to DuckDB's own."""

import importlib.util
import json
import os
import pathlib

import duckdb

from checks import BACKGROUND, CANCELLED, FAST, SLOW, WRONG, Checks, equal, until

checks = Checks("DuckDB " + duckdb.__version__)
check = checks.check
duck = duckdb.connect()
# DuckDB checks the extension's signature, wherever the file comes from.
folder = pathlib.Path(importlib.util.find_spec("duckdb_ext").submodule_search_locations[0])
duck.execute(f"LOAD '{next(folder.glob('**/postgres_scanner.duckdb_extension'))}'")
duck.execute("ATTACH '' AS pg (TYPE postgres)")


def one(statement):
    return duck.execute(statement).fetchone()[0]


def execute(statement):
    duck.execute("CALL postgres_execute('pg', ?)", [statement])


def query(statement):
    return duck.execute("SELECT * FROM postgres_query('pg', ?)", [statement])


def train(model, options):
    return f"SELECT insight_train('customers', 'churn', '{model}', '{json.dumps(options)}')"


with check("postgres_execute trains, waiting"):
    execute(train("duckdb", FAST))
    equal(query("SELECT version, metric FROM insight.models WHERE model = 'duckdb'").fetchall(), [(1, "roc_auc")])

with check("postgres_execute trains in the background"):
    execute(train("duckdb", BACKGROUND))
    until("version 2", lambda: query("SELECT max(version) FROM insight.versions WHERE model = 'duckdb'").fetchone()[0] == 2)

with check("types of predictions"):
    risk, label, probabilities, interval, labels, at = query(
        """SELECT insight_predict('duckdb', c), insight_classify('duckdb', c), insight_probabilities('duckdb', c), insight_interval('fee', c),
             insight_classes('duckdb', c), now() FROM customers c WHERE customer_id = 1"""
    ).fetchone()
    assert isinstance(risk, float) and label in ("false", "true") and interval[0] in "[(", (risk, label, interval)
    equal(json.loads(probabilities)["true"], risk)
    assert isinstance(labels, list) and at.tzinfo, (labels, at)

with check("predictions beside a Parquet file"):
    path = os.path.join(os.environ["SCRATCH"], "spent.parquet")
    duck.execute(f"COPY (SELECT i AS customer_id, i * 1.5 AS spent FROM range(1, 1001) t(i)) TO '{path}'")
    rows, weighed = duck.execute(
        f"""SELECT count(*), sum(spent * prediction) FROM '{path}'
            JOIN postgres_query('pg', 'SELECT key::bigint AS customer_id, prediction FROM insight_predict_table(''duckdb'', ''customers'')') USING (customer_id)"""
    ).fetchone()
    equal(rows, 1000)
    assert weighed > 0

with check("a table of scores, scanned as a table"):
    execute("SELECT insight_score('duckdb', 'customers', 'duckdb_scores')")
    duck.execute("CALL pg_clear_cache()")
    equal(one("SELECT count(*) FROM pg.duckdb_scores WHERE prediction BETWEEN 0 AND 1"), 2000)

with check("views of insight, scanned as tables"):
    equal(one("SELECT version FROM pg.insight.models WHERE model = 'duckdb'"), 2)

with check("statement_timeout in the address cancels the training, and DuckDB goes on"):
    # DuckDB's own interrupt() waits for the end of a statement at PostgreSQL.
    duck.execute("ATTACH 'options=''-c statement_timeout=2s''' AS hasty (TYPE postgres)")
    try:
        duck.execute("CALL postgres_execute('hasty', ?)", [train("duckdb_slow", SLOW)])
        raise AssertionError("no error")
    except duckdb.Error as error:
        assert "statement timeout" in str(error), str(error)
    equal(query(CANCELLED.format("duckdb_slow")).fetchone()[0], "cancelled 57014")

with check("errors have message and hint in their text"):
    for act, words in (
        (lambda: query("SELECT insight_predict('nobody', c) FROM customers c").fetchall(), 'model "nobody" does not exist'),
        (lambda: execute(train("duckdb", WRONG)), 'unknown option "epoch"'),
    ):
        try:
            act()
            raise AssertionError("no error")
        except duckdb.Error as error:
            assert words in str(error) and "HINT" in str(error), str(error)
