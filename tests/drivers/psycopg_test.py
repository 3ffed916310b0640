"""psycopg 3: parameters, binary results, pipelines, COPY, cancelling, asyncio."""

import asyncio
import datetime
import decimal
import json
import threading

import psycopg
from psycopg.types.json import Jsonb
from psycopg.types.range import Range

from checks import BACKGROUND, CANCELLED, CUSTOMER, FAST, RUNNING, SLOW, WRONG, Checks, equal, until

checks = Checks("psycopg " + psycopg.__version__)
check = checks.check
TRAIN = "SELECT * FROM insight_train(%s, %s, %s, %s)"
connection = psycopg.connect("", autocommit=True)
watcher = psycopg.connect("", autocommit=True)


def one(statement, *arguments, on=connection, binary=False):
    return on.execute(statement, arguments or None, binary=binary).fetchone()[0]


with check("trains in the background with bound parameters"):
    cursor = connection.execute(TRAIN, ("customers", "churn", "psycopg", Jsonb(BACKGROUND)))
    row = dict(zip([c.name for c in cursor.description], cursor.fetchone()))
    equal((row["status"], row["version"]), ("queued", None))
    equal(one("SELECT insight_wait(%s)", row["job"]), "succeeded")

TYPES = """SELECT insight_predict('psycopg', c), insight_predict('psycopg', c)::text, insight_classify('psycopg', c),
  insight_probabilities('psycopg', c), insight_interval('fee', c), insight_classes('psycopg', c, 0.99),
  (SELECT created_at FROM insight.versions WHERE model = 'psycopg') FROM customers c WHERE customer_id = ANY(%s) ORDER BY customer_id"""
for binary in (False, True):
    with check(f"types of answers, {'binary' if binary else 'text'}"):
        rows = connection.execute(TYPES, ([1, 2, 3],), binary=binary, prepare=True).fetchall()
        equal(len(rows), 3)
        for risk, written, label, probabilities, interval, labels, at in rows:
            equal((type(risk), risk), (float, float(written)))
            assert label in ("false", "true"), label
            equal(probabilities["true"], risk)
            assert isinstance(interval, Range) and isinstance(interval.lower, decimal.Decimal), interval
            assert isinstance(labels, list) and set(labels) <= {"false", "true"}, labels
            assert isinstance(at, datetime.datetime) and at.tzinfo, at

with check("a row as bound jsonb"):
    as_text = one("SELECT insight_predict(%s, %s::jsonb)", "psycopg", json.dumps(CUSTOMER))
    as_jsonb = one("SELECT insight_predict(%s, %s)", "psycopg", Jsonb(CUSTOMER))
    equal(as_text, as_jsonb)
    assert 0 < as_text < 1

with check("a pipeline of prepared predictions"):
    with connection.pipeline():
        cursors = [
            connection.execute("SELECT insight_predict(%s, c) FROM customers c WHERE customer_id = %s", ("psycopg", key), prepare=True)
            for key in range(1, 101)
        ]
    piped = [cursor.fetchone()[0] for cursor in cursors]
    equal(piped, [row[0] for row in connection.execute("SELECT insight_predict('psycopg', c) FROM customers c WHERE customer_id <= 100 ORDER BY customer_id")])

with check("COPY of predictions, text and binary"):
    for form in ("text", "binary"):
        copied = f"COPY (SELECT customer_id::int8, insight_predict('psycopg', c) FROM customers c) TO STDOUT (FORMAT {form})"
        with connection.cursor().copy(copied) as copy:
            copy.set_types(["int8", "float8"])
            rows = list(copy.rows())
        equal(len(rows), 2000)
        if form == "binary":
            equal(dict(rows)[7], one("SELECT insight_predict('psycopg', c) FROM customers c WHERE customer_id = 7"))

with check("notices of a waiting training"):
    notices = []
    connection.add_notice_handler(lambda diagnostic: notices.append(diagnostic.message_primary))
    row = connection.execute(TRAIN, ("customers", "churn", "psycopg", Jsonb(FAST))).fetchone()
    equal(row[1:3], (2, "succeeded"))
    assert any("customer_id" in notice for notice in notices), notices

with check("cancelling a training"):
    failed = []

    def train():
        try:
            connection.execute(TRAIN, ("customers", "churn", "psycopg_slow", Jsonb(SLOW)))
        except psycopg.Error as error:
            failed.append(error.sqlstate)

    thread = threading.Thread(target=train)
    thread.start()
    until("a running job", lambda: one(RUNNING.format("psycopg_slow"), on=watcher))
    connection.cancel_safe()
    thread.join(20)
    equal(failed, ["57014"])
    equal(one("SELECT 1"), 1)
    equal(one(CANCELLED.format("psycopg_slow"), on=watcher), "cancelled 57014")

with check("errors have SQLSTATE, message and hint"):
    try:
        one("SELECT insight_predict(%s, %s::jsonb)", "nobody", Jsonb(CUSTOMER))
        raise AssertionError("no error")
    except psycopg.errors.UndefinedObject as error:
        equal(error.sqlstate, "42704")
        assert '"nobody" does not exist' in error.diag.message_primary, error.diag.message_primary
        assert error.diag.message_hint, "no hint"
    try:
        connection.execute(TRAIN, ("customers", "churn", "psycopg", Jsonb(WRONG)))
        raise AssertionError("no error")
    except psycopg.errors.InvalidParameterValue as error:
        assert "epochs" in error.diag.message_hint, error.diag.message_hint

with check("a failed prediction ends its transaction only"):
    with psycopg.connect("") as other:
        try:
            one("SELECT insight_predict('nobody', '{}'::jsonb)", on=other)
        except psycopg.Error:
            other.rollback()
        assert one("SELECT insight_predict('psycopg', %s)", Jsonb(CUSTOMER), on=other) > 0


async def with_asyncio():
    async with await psycopg.AsyncConnection.connect("", autocommit=True) as one_of_them:
        with check("asyncio: a cancelled task cancels its training"):
            task = asyncio.create_task(one_of_them.execute(TRAIN, ("customers", "churn", "psycopg_task", Jsonb(SLOW))))
            while not one(RUNNING.format("psycopg_task"), on=watcher):
                await asyncio.sleep(0.05)
            task.cancel()
            try:
                await task
                raise AssertionError("no error")
            except asyncio.CancelledError:
                pass
            until("its end", lambda: one(CANCELLED.format("psycopg_task"), on=watcher) == "cancelled 57014")
            cursor = await one_of_them.execute("SELECT insight_classify(%s, %s::jsonb)", ("psycopg", Jsonb(CUSTOMER)))
            assert (await cursor.fetchone())[0] in ("false", "true")
        with check("asyncio: rows from the server as they are asked for"):
            async with one_of_them.transaction(), one_of_them.cursor("scores") as cursor:
                await cursor.execute("SELECT key, prediction FROM insight_predict_table(%s, 'customers')", ("psycopg",))
                equal(len([row async for row in cursor]), 2000)


asyncio.run(with_asyncio())
