"""asyncpg: prepared statements and the binary protocol, codecs, cursors, COPY, timeouts, listeners of notices."""

import asyncio
import datetime
import decimal
import io
import json

import asyncpg

from checks import BACKGROUND, CANCELLED, CUSTOMER, FAST, RUNNING, SLOW, WRONG, Checks, equal

checks = Checks("asyncpg " + asyncpg.__version__)
check = checks.check
TRAIN = "SELECT * FROM insight_train($1, $2, $3, $4)"


async def connect():
    connection = await asyncpg.connect()
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
    return connection


async def play(connection, watcher):
    with check("trains in the background with bound parameters, jsonb through a codec"):
        row = await connection.fetchrow(TRAIN, "customers", "churn", "asyncpg", BACKGROUND)
        equal((row["status"], row["version"]), ("queued", None))
        equal(await connection.fetchval("SELECT insight_wait($1)", row["job"]), "succeeded")

    with check("a prepared statement knows its types"):
        statement = await connection.prepare("SELECT insight_predict($1, $2::jsonb)")
        equal([type_.name for type_ in statement.get_parameters()], ["text", "jsonb"])
        equal(statement.get_attributes()[0].type.name, "float8")
        equal(await statement.fetchval("asyncpg", CUSTOMER), await statement.fetchval("asyncpg", CUSTOMER))
        risks = [await statement.fetchval("asyncpg", CUSTOMER | {"age": age}) for age in range(20, 60)]
        assert all(0 < risk < 1 for risk in risks) and len(set(risks)) > 5, risks

    with check("types of answers"):
        rows = await connection.fetch(
            """SELECT insight_predict($1, c) AS risk, insight_predict($1, c)::text AS written, insight_classify($1, c) AS label,
                 insight_probabilities($1, c) AS probabilities, insight_interval('fee', c) AS interval, insight_classes($1, c, 0.99) AS labels,
                 (SELECT created_at FROM insight.versions WHERE model = $1) AS at
               FROM customers c WHERE customer_id = ANY($2::bigint[]) ORDER BY customer_id""",
            "asyncpg",
            [1, 2, 3],
        )
        equal(len(rows), 3)
        for row in rows:
            equal(row["risk"], float(row["written"]))
            equal(row["probabilities"]["true"], row["risk"])
            assert isinstance(row["interval"], asyncpg.Range) and isinstance(row["interval"].lower, decimal.Decimal), row
            assert isinstance(row["labels"], list) and isinstance(row["at"], datetime.datetime) and row["at"].tzinfo, row

    with check("a parameter that is a whole row"):
        customer = await connection.fetchrow("SELECT c FROM customers c WHERE customer_id = 7")
        risk = await connection.fetchval("SELECT insight_predict('asyncpg', $1::customers)", tuple(customer["c"]))
        equal(risk, await connection.fetchval("SELECT insight_predict('asyncpg', c) FROM customers c WHERE customer_id = 7"))

    with check("a cursor, and COPY of predictions"):
        async with connection.transaction():
            cursor = connection.cursor("SELECT * FROM insight_predict_table($1, 'customers')", "asyncpg", prefetch=100)
            equal(len([row async for row in cursor]), 2000)
        out = io.BytesIO()
        await connection.copy_from_query("SELECT key, prediction FROM insight_predict_table($1, 'customers')", "asyncpg", output=out, format="csv")
        equal(len(out.getvalue().splitlines()), 2000)

    with check("notices of a waiting training"):
        notices = []
        connection.add_log_listener(lambda _, message: notices.append(message.message))
        equal((await connection.fetchrow(TRAIN, "customers", "churn", "asyncpg", FAST))["version"], 2)
        assert any("customer_id" in notice for notice in notices), notices

    with check("a prepared statement sees the version deployed meanwhile"):
        equal(await statement.fetchval("asyncpg", CUSTOMER), await watcher.fetchval("SELECT insight_predict('asyncpg@2', $1::jsonb)", CUSTOMER))

    with check("the driver's timeout cancels the training"):
        try:
            await connection.fetchrow(TRAIN, "customers", "churn", "asyncpg_timeout", SLOW, timeout=3)
            raise AssertionError("no error")
        except TimeoutError:
            pass
        equal(await connection.fetchval("SELECT 1"), 1)
        equal(await watcher.fetchval(CANCELLED.format("asyncpg_timeout")), "cancelled 57014")

    with check("a cancelled task cancels its training"):
        task = asyncio.create_task(connection.fetchrow(TRAIN, "customers", "churn", "asyncpg_task", SLOW))
        while not await watcher.fetchval(RUNNING.format("asyncpg_task")):
            await asyncio.sleep(0.05)
        task.cancel()
        try:
            await task
            raise AssertionError("no error")
        except asyncio.CancelledError:
            pass
        equal(await connection.fetchval("SELECT 1"), 1)
        equal(await watcher.fetchval(CANCELLED.format("asyncpg_task")), "cancelled 57014")

    with check("statement_timeout is error 57014"):
        try:
            async with connection.transaction():
                await connection.execute("SET LOCAL statement_timeout = '2s'")
                await connection.fetchrow(TRAIN, "customers", "churn", "asyncpg_slow", SLOW)
            raise AssertionError("no error")
        except asyncpg.QueryCanceledError as error:
            equal(error.sqlstate, "57014")
        equal(await watcher.fetchval(CANCELLED.format("asyncpg_slow")), "cancelled 57014")

    with check("errors have SQLSTATE, message and hint"):
        try:
            await connection.fetchval("SELECT insight_predict($1, $2::jsonb)", "nobody", CUSTOMER)
            raise AssertionError("no error")
        except asyncpg.UndefinedObjectError as error:
            equal(error.sqlstate, "42704")
            assert '"nobody" does not exist' in error.message and error.hint, error
        try:
            await connection.fetchrow(TRAIN, "customers", "churn", "asyncpg", WRONG)
            raise AssertionError("no error")
        except asyncpg.InvalidParameterValueError as error:
            assert "epochs" in error.hint, error.hint


async def main():
    connection, watcher = await connect(), await connect()
    await play(connection, watcher)
    await connection.close()
    await watcher.close()


asyncio.run(main())
