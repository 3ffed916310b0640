"""Predictions per second over a whole table: insight against scikit-learn, in PL/Python row by row and in a client at once."""

from common import ROWS, connect, head, median_seconds, note, one, speeds
from points import COLUMNS, NAMES, prepare

SUM = "SELECT sum(insight_predict('points', p)) FROM points p"
TABLE = "SELECT sum(prediction) FROM insight_predict_table('points', 'points')"
# A row by row function is slow enough for few rows to tell.
FEW = min(ROWS, 5000)

server = connect()
model, plpython = prepare(server)


def rate(query, rows=ROWS, processes=0):
    server.execute(f"SET max_parallel_workers_per_gather = {processes}")
    server.execute(query)
    return rows / median_seconds(lambda: server.execute(query).fetchall())


def fetch_and_predict():
    import pandas
    import sqlalchemy

    with sqlalchemy.create_engine("postgresql+psycopg2://").connect() as connection:
        frame = pandas.read_sql(sqlalchemy.text(f"SELECT {', '.join(NAMES)} FROM points"), connection)
    # The model was fitted on plain arrays.
    return model.predict_proba(frame.to_numpy())[:, 1].sum()


head(f"predicting, {COLUMNS}-64-32-1, rows/s")
single = rate(SUM)
parallel = rate(SUM, processes=2)
table = rate(TABLE)
server.execute("SET max_parallel_workers_per_gather = 0")
if plpython:
    theirs = rate(f"SELECT sum(scikit_predict(p)) FROM (SELECT * FROM points LIMIT {FEW}) AS p", FEW)
    speeds("sum(insight_predict(m, t)), 1 process", single, "scikit-learn in PL/Python", theirs, ">= 300,000")
else:
    speeds("sum(insight_predict(m, t)), 1 process", single, "PL/Python or scikit-learn missing", None, ">= 300,000")
if model is not None:
    try:
        client = ROWS / median_seconds(fetch_and_predict)
        what = "pandas.read_sql, then predict_proba"
    except ImportError as missing:
        client, what = None, f"{missing.name} is not installed"
    speeds("", single, what, client)
    speeds("the same, 2 workers and the leader", parallel, what, client)
    speeds("insight_predict_table", table, what, client)
    sample = server.execute(f"SELECT {', '.join(NAMES)} FROM points LIMIT 100000").fetchall()
    import numpy

    sample = numpy.array(sample)
    alone = len(sample) / median_seconds(lambda: model.predict_proba(sample))
    speeds("", table, "predict_proba alone, rows in memory", alone)
else:
    speeds("the same, 2 workers and the leader", parallel, "scikit-learn is not installed", None)
    speeds("insight_predict_table", table, "scikit-learn is not installed", None)
a, b = one(server, SUM), one(server, TABLE)
if abs(a - b) > 1e-5 * ROWS:
    note(f"row by row and by table disagree: sums {a} and {b}")
