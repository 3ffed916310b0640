"""pandas: a data frame becomes a table, is trained on, and predictions come back as a data frame."""

import json

import numpy
import pandas
import sqlalchemy as sa

from checks import CUSTOMER, FAST, Checks, equal

checks = Checks("pandas " + pandas.__version__)
check = checks.check
engine = sa.create_engine("postgresql+psycopg://")
TRAIN = sa.text("SELECT * FROM insight_train(:relation, :target, NULL, CAST(:options AS jsonb))")

with check("read_sql: types of a table and of predictions"):
    frame = pandas.read_sql(
        sa.text("SELECT c.*, insight_predict(:model, c) AS risk, insight_classify(:model, c) AS label FROM customers c"), engine, params={"model": "churn"}
    )
    equal((len(frame), frame.risk.dtype, frame.churn.dtype), (2000, numpy.dtype("float64"), numpy.dtype("bool")))
    assert frame.risk.between(0, 1).all() and set(frame.label) <= {"false", "true"}
    assert isinstance(frame.first_seen_at.dtype, pandas.DatetimeTZDtype), frame.first_seen_at.dtype

# What a notebook has: names of columns that need quotes, categories, missing numbers.
customers = frame.drop(columns=["risk", "label", "vector"]).rename(columns={"monthly_fee": "Monthly fee", "churn": "Churn"})
customers["plan"] = customers["plan"].astype("category")
customers["half"] = numpy.where(customers.index % 2 == 0, customers["age"] / 2, numpy.nan)

with check("to_sql, then train on it, in another transaction"):
    customers.to_sql("Notebook", engine, index=False, if_exists="replace", chunksize=1000)
    with engine.begin() as connection:
        answer = pandas.read_sql(TRAIN, connection, params={"relation": '"Notebook"', "target": "Churn", "options": json.dumps(FAST | {"epochs": 40})})
    equal((answer.status[0], answer.rows[0], answer.task[0]), ("succeeded", 2000, "binary"))
    assert 0.7 < answer.score[0] < 1, answer.score[0]

with check("to_sql and training in one transaction is error 55000 with a hint"):
    with engine.connect() as connection, connection.begin() as transaction:
        customers.to_sql("uncommitted", connection, index=False)
        try:
            connection.execute(TRAIN, {"relation": "uncommitted", "target": "Churn", "options": json.dumps(FAST)})
            raise AssertionError("no error")
        except sa.exc.DBAPIError as error:
            equal(error.orig.sqlstate, "55000")
            assert "COMMIT" in error.orig.diag.message_hint.upper(), error.orig.diag.message_hint
        transaction.rollback()

with check("predictions of a data frame's rows, as JSON, are those of the table"):
    model = answer.model[0]
    records = json.loads(customers.head(50).to_json(orient="records", date_format="iso"))
    with engine.connect() as connection:
        one = sa.text("SELECT insight_predict(:model, CAST(:row AS jsonb))")
        by_json = [connection.scalar(one, {"model": model, "row": json.dumps(record)}) for record in records]
    table = pandas.read_sql(
        sa.text('SELECT insight_predict(:model, n) AS risk FROM "Notebook" n WHERE customer_id <= 50 ORDER BY customer_id'), engine, params={"model": model}
    )
    assert numpy.allclose(table.risk, by_json, rtol=0, atol=1e-9), numpy.abs(table.risk - by_json).max()

with check("one statement scores a data frame that is no table"):
    risks = pandas.read_sql(
        sa.text("SELECT r->>'age' AS age, insight_predict('churn', r) AS risk FROM jsonb_array_elements(CAST(:rows AS jsonb)) r"),
        engine,
        params={"rows": json.dumps([CUSTOMER | {"age": age} for age in range(20, 70)])},
    )
    equal((len(risks), risks.risk.dtype), (50, numpy.dtype("float64")))

with check("scores come as a data frame"):
    scores = pandas.read_sql("SELECT metric, value, low, high FROM insight_evaluate('churn')", engine, index_col="metric")
    assert 0.5 < scores.value["roc_auc"] < 1 and scores.low["roc_auc"] < scores.high["roc_auc"], scores

with check("errors come through with SQLSTATE and hint"):
    try:
        pandas.read_sql("SELECT insight_predict('nobody', c) FROM customers c", engine)
        raise AssertionError("no error")
    except (sa.exc.DBAPIError, pandas.errors.DatabaseError) as error:
        # pandas puts an error of its own before that of SQLAlchemy.
        driver = getattr(error, "orig", None) or error.__cause__.orig
        equal(driver.sqlstate, "42704")
        assert driver.diag.message_hint, str(error)
