"""SQLAlchemy 2 through psycopg and asyncpg: text with bound parameters, functions as expressions, errors, cancelling."""

import asyncio
import json
import threading

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import create_async_engine

from checks import BACKGROUND, CANCELLED, CUSTOMER, FAST, RUNNING, SLOW, WRONG, Checks, equal, until

checks = Checks("SQLAlchemy " + sa.__version__)
check = checks.check
engine = sa.create_engine("postgresql+psycopg://")
watcher = sa.create_engine("postgresql+psycopg://", isolation_level="AUTOCOMMIT")
# A cast is written CAST(:options AS jsonb): in :options::jsonb SQLAlchemy sees no parameter.
TRAIN = sa.text("SELECT * FROM insight_train(:relation, :target, :model, CAST(:options AS jsonb))")
WAIT = sa.text("SELECT insight_wait(:job)")


def arguments(model, options):
    return {"relation": "customers", "target": "churn", "model": model, "options": json.dumps(options)}


def one(statement):
    with watcher.connect() as connection:
        return connection.scalar(sa.text(statement))


with check("trains in the background once the transaction is committed"):
    with engine.begin() as connection:
        row = connection.execute(TRAIN, arguments("sqlalchemy", BACKGROUND)).one()
        equal((row.status, row.version), ("queued", None))
    with engine.connect() as connection:
        equal(connection.scalar(WAIT, {"job": row.job}), "succeeded")

with check("a rolled back training leaves no job"):
    with engine.connect() as connection:
        job = connection.execute(TRAIN, arguments("sqlalchemy_never", BACKGROUND)).one().job
        connection.rollback()
    equal(one("SELECT count(*) FROM insight.jobs WHERE model = 'sqlalchemy_never'"), 0)

with check("functions as expressions over a reflected table"):
    customers = sa.Table("customers", sa.MetaData(), autoload_with=engine)
    row = sa.func.to_jsonb(sa.literal_column("customers"), type_=JSONB)
    risk = sa.func.insight_predict("sqlalchemy", row, type_=sa.Float)
    label = sa.func.insight_classify("sqlalchemy", sa.literal_column("customers"))
    with engine.connect() as connection:
        rows = connection.execute(sa.select(customers.c.customer_id, risk, label).order_by(risk.desc()).limit(5)).all()
        equal(len(rows), 5)
        assert all(isinstance(risk, float) and label in ("false", "true") for _, risk, label in rows), rows

with check("insight_predict_table as a table"):
    scores = sa.func.insight_predict_table("sqlalchemy", "customers").table_valued("key", sa.column("prediction", sa.Float), "label")
    join = sa.select(sa.func.count(), sa.func.max(scores.c.prediction)).join_from(
        customers, scores, sa.cast(customers.c.customer_id, sa.Text) == scores.c.key
    )
    with engine.connect() as connection:
        count, most = connection.execute(join).one()
        equal((count, type(most)), (2000, float))

with check("types: jsonb, array, timestamptz"):
    typed = sa.text(
        """SELECT insight_probabilities('sqlalchemy', CAST(:row AS jsonb)) AS probabilities, insight_classes('sqlalchemy', CAST(:row AS jsonb)) AS labels,
           insight_interval('fee', CAST(:row AS jsonb)) AS interval, (SELECT created_at FROM insight.models WHERE model = 'sqlalchemy') AS at"""
    )
    with engine.connect() as connection:
        row = connection.execute(typed, {"row": json.dumps(CUSTOMER)}).one()
        assert abs(sum(row.probabilities.values()) - 1) < 1e-9, row
        assert isinstance(row.labels, list) and row.at.tzinfo and row.interval.lower < row.interval.upper, row

with check("a waiting training is stored by commit"):
    with engine.begin() as connection:
        equal(connection.execute(TRAIN, arguments("sqlalchemy", FAST)).one().version, 2)
    equal(one("SELECT version FROM insight.models WHERE model = 'sqlalchemy'"), 2)

with check("cancelling a training"):
    with engine.connect() as connection:
        failed = []

        def train():
            try:
                connection.execute(TRAIN, arguments("sqlalchemy_slow", SLOW))
            except sa.exc.DBAPIError as error:
                failed.append(error.orig.sqlstate)

        thread = threading.Thread(target=train)
        thread.start()
        until("a running job", lambda: one(RUNNING.format("sqlalchemy_slow")))
        connection.connection.driver_connection.cancel_safe()
        thread.join(20)
        equal(failed, ["57014"])
        connection.rollback()
        equal(connection.scalar(sa.text("SELECT 1")), 1)
    equal(one(CANCELLED.format("sqlalchemy_slow")), "cancelled 57014")

with check("errors have SQLSTATE, message and hint"):
    for statement, parameters, code, words in (
        (sa.text("SELECT insight_predict('nobody', CAST(:row AS jsonb))"), {"row": "{}"}, "42704", '"nobody" does not exist'),
        (TRAIN, arguments("sqlalchemy", WRONG), "22023", 'unknown option "epoch"'),
    ):
        with engine.connect() as connection:
            try:
                connection.execute(statement, parameters)
                raise AssertionError("no error")
            except sa.exc.DBAPIError as error:
                equal(error.orig.sqlstate, code)
                assert words in error.orig.diag.message_primary and error.orig.diag.message_hint, str(error)


async def with_asyncpg():
    pool = create_async_engine("postgresql+asyncpg://")
    with check("through asyncpg: a typed row, and 20 predictions at a time from a pool"):
        statement = sa.select(sa.func.insight_predict("sqlalchemy", sa.cast(sa.bindparam("row", type_=JSONB), JSONB), type_=sa.Float))

        async def risk(age):
            async with pool.connect() as connection:
                return await connection.scalar(statement, {"row": CUSTOMER | {"age": age}})

        risks = await asyncio.gather(*(risk(age) for age in range(30, 50)))
        assert all(0 < risk < 1 for risk in risks), risks
    await pool.dispose()


asyncio.run(with_asyncpg())
