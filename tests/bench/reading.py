"""Rows per second from a table into memory: insight's frame, COPY to nowhere, pandas.read_sql.

The table has 20 columns of mixed types. insight's seconds are the worker's own, from its start to the filled frame.
"""

import statistics
import subprocess

from common import ROWS, connect, head, median_seconds, one, speeds
from mixed import COLUMNS, prepare

server = connect()
prepare(server)


def insight():
    """The network is the smallest there is: only the reading counts here."""
    rates = []
    for _ in range(3):
        job = one(
            server,
            """SELECT job FROM insight_train('mixed', 'churn', 'reading', '{"algorithm": "mlp", "epochs": 1, "hidden": [1], "batch_size": 16384}')""",
        )
        rates.append(one(server, "SELECT read_rows / read_seconds FROM insight.jobs WHERE job = %s", job))
    return statistics.median(rates)


def copy():
    query = f"COPY (SELECT {COLUMNS} FROM mixed) TO STDOUT (FORMAT binary)"
    subprocess.run(["psql", "-X", "-q", "-o", "/dev/null", "-c", query], check=True)


def pandas(driver):
    import pandas
    import sqlalchemy

    engine = sqlalchemy.create_engine(f"postgresql+{driver}://")
    with engine.connect() as connection:
        frame = pandas.read_sql(sqlalchemy.text(f"SELECT {COLUMNS} FROM mixed"), connection)
    assert len(frame) == ROWS


head("reading, 20 mixed columns, rows/s")
mine = insight()
speeds("into the frame", mine, "COPY (FORMAT binary), psql to /dev/null", ROWS / median_seconds(copy))
for driver in ["psycopg2", "psycopg"]:
    try:
        theirs = ROWS / median_seconds(lambda: pandas(driver))
        speeds("", mine, f"pandas.read_sql, SQLAlchemy, {driver}", theirs, ">= 5x")
    except ImportError as missing:
        speeds("", mine, f"no pandas.read_sql: {missing.name} missing", None)
