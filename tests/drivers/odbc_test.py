"""psqlODBC through unixODBC and pyodbc: bound parameters, prepared statements, cancelling, timeouts, errors."""

import datetime
import json
import os
import threading

import pyodbc

from checks import BACKGROUND, CANCELLED, CUSTOMER, FAST, RUNNING, SLOW, WRONG, Checks, equal, until

pyodbc.pooling = False


def connect(more=""):
    # UseServerSidePrepare is 1 by default: statements with parameters are prepared on the server.
    address = f"Servername={os.environ['PGHOST']};Port={os.environ['PGPORT']};Database={os.environ['PGDATABASE']};Username={os.environ['PGUSER']}"
    return pyodbc.connect(f"Driver={os.environ['ODBC_DRIVER']};{address};{more}", autocommit=True)


connection, watcher = connect(), connect()
checks = Checks("psqlODBC " + connection.getinfo(pyodbc.SQL_DRIVER_VER))
check = checks.check
TRAIN = "SELECT * FROM insight_train(?, ?, ?, ?::jsonb)"


def one(statement, *arguments, on=connection):
    return on.execute(statement, *arguments).fetchval()


def failure(act):
    """SQLSTATE and text of the error that must come."""
    try:
        act()
    except pyodbc.Error as error:
        return error.args
    raise AssertionError("no error")


with check("trains in the background with bound parameters"):
    row = connection.execute(TRAIN, "customers", "churn", "odbc", json.dumps(BACKGROUND)).fetchone()
    equal((row.status, row.version), ("queued", None))
    equal(one("SELECT insight_wait(?)", row.job), "succeeded")

with check("types of answers"):
    row = connection.execute(
        """SELECT insight_predict(?, c) AS risk, insight_predict(?, c)::text AS written, insight_classify(?, c) AS label,
             insight_probabilities(?, c) AS probabilities, insight_interval('fee', c) AS interval, insight_classes(?, c) AS labels,
             (SELECT created_at FROM insight.models WHERE model = ?) AS at
           FROM customers c WHERE customer_id = ?""",
        *["odbc"] * 6,
        7,
    ).fetchone()
    equal((type(row.risk), row.risk), (float, float(row.written)))
    equal(json.loads(row.probabilities)["true"], row.risk)
    # What ODBC has no type for comes as text.
    assert row.interval[0] in "[(" and row.labels[0] == "{", row
    assert isinstance(row.at, datetime.datetime), row

with check("a bound row, prepared once"):
    cursor = connection.cursor()
    risks = [cursor.execute("SELECT insight_predict(?, ?::jsonb)", "odbc", json.dumps(CUSTOMER | {"age": age})).fetchval() for age in range(20, 60)]
    assert all(0 < risk < 1 for risk in risks) and len(set(risks)) > 5, risks

with check("predictions in batches"):
    cursor = connection.execute("SELECT key, prediction, label FROM insight_predict_table(?, ?)", "odbc", "customers")
    count = 0
    while rows := cursor.fetchmany(300):
        count += len(rows)
    equal(count, 2000)

with check("a waiting training answers its row and notices"):
    cursor = connection.execute(TRAIN, "customers", "churn", "odbc", json.dumps(FAST))
    assert any("customer_id" in message for _, message in cursor.messages), cursor.messages
    equal(cursor.fetchone().version, 2)

with check("Cursor.cancel cancels the training"):
    cursor, codes = connection.cursor(), []
    thread = threading.Thread(
        target=lambda: codes.append(failure(lambda: cursor.execute(TRAIN, "customers", "churn", "odbc_slow", json.dumps(SLOW)))[0])
    )
    thread.start()
    until("a running job", lambda: one(RUNNING.format("odbc_slow"), on=watcher))
    cursor.cancel()
    thread.join(20)
    equal(codes, ["57014"])
    equal(one("SELECT 1"), 1)
    equal(one(CANCELLED.format("odbc_slow"), on=watcher), "cancelled 57014")

with check("statement_timeout cancels the training"):
    # The driver has no timeout of its own.
    hasty = connect("ConnSettings=SET statement_timeout = 2000;")
    code, _ = failure(lambda: hasty.execute(TRAIN, "customers", "churn", "odbc_timeout", json.dumps(SLOW)))
    equal(code, "57014")
    equal(one("SELECT 1", on=hasty), 1)
    equal(one(CANCELLED.format("odbc_timeout"), on=watcher), "cancelled 57014")

with check("errors have SQLSTATE and message"):
    # The driver keeps the hint to itself.
    code, text = failure(lambda: one("SELECT insight_predict('nobody', ?::jsonb)", json.dumps(CUSTOMER)))
    equal(code, "42704")
    assert '"nobody" does not exist' in text, text
    code, text = failure(lambda: connection.execute(TRAIN, "customers", "churn", "odbc", json.dumps(WRONG)))
    equal(code, "22023")
    assert 'unknown option "epoch"' in text, text
