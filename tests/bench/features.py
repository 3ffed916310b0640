"""Orders per second that become one row per customer: insight against pandas, Polars and SQL by hand; then the profile.

Everybody computes the same 25 features of the same orders before the same cut-off. insight and the SQL leave a table in the
database, the clients a frame in their memory; their seconds contain the reading. Each client is a process of its own, which
this file starts again with its name as the argument: its peak memory is then nobody else's.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
import urllib.parse

import mixed
from common import ROWS, connect, head, median_seconds, note, one, speeds, times

CUSTOMERS, ORDERS = ROWS // 10, ROWS
AS_OF = "2026-01-01"
CATEGORIES = ["books", "food", "games", "garden", "music", "toys"]
SOURCES = {
    "sources": {"orders": {"key": "customer_id", "time": "ordered_at"}}, "as_of": AS_OF, "key": "customer_id",
}
# What a client needs; a float8 is no Decimal, which would cost pandas far more.
CLIENT_ORDERS = f"""SELECT customer_id, ordered_at, category, amount::float8 AS amount, returned FROM orders
                    WHERE ordered_at < '{AS_OF}'"""
CLIENT_CUSTOMERS = "SELECT customer_id, churn FROM customers"
# The sums over the customers by which the results are held against each other: exact ones and rounded ones.
CHECKED = [
    "count", "count_30d", "count_90d", "category.distinct", "days_since_last", "days_since_first", "mean_gap_days",
    "recent_share_30d", "recent_share_90d", "category.share.books", "category.share.toys", "amount.sum", "amount.mean",
    "amount.min", "amount.max", "amount.stddev", "amount.trend", "amount.sum_30d", "amount.sum_90d", "returned.share",
]


def by_hand():
    """The features as one writes them who knows that the cut-off is the same for all: no join before the aggregates."""
    shares = [
        f"""count(*) FILTER (WHERE category = '{c}')::float8 / nullif(count(category), 0) AS "orders.category.share.{c}" """
        for c in CATEGORIES
    ]
    windows = [
        f"""count(*) FILTER (WHERE age <= {d}) AS "orders.count_{d}d",
            count(*) FILTER (WHERE age <= {d})::float8 / nullif(count(*) FILTER (WHERE age <= {2 * d}), 0) AS "orders.recent_share_{d}d",
            coalesce(sum(amount) FILTER (WHERE age <= {d}), 0) AS "orders.amount.sum_{d}d" """
        for d in (30, 90)
    ]
    return f"""
        SELECT * FROM customers LEFT JOIN (
          SELECT customer_id, count(*) AS "orders.count", min(age) AS "orders.days_since_last", max(age) AS "orders.days_since_first",
                 (max(age) - min(age)) / nullif(count(*) - 1, 0) AS "orders.mean_gap_days", {', '.join(shares + windows)},
                 count(DISTINCT category) AS "orders.category.distinct",
                 mode() WITHIN GROUP (ORDER BY category) AS "orders.category.most_frequent",
                 sum(amount) AS "orders.amount.sum", avg(amount) AS "orders.amount.mean", min(amount) AS "orders.amount.min",
                 max(amount) AS "orders.amount.max", stddev_pop(amount) AS "orders.amount.stddev",
                 regr_slope(amount, -age) AS "orders.amount.trend", avg(returned) AS "orders.returned.share"
          FROM (SELECT customer_id, category, amount::float8 AS amount, returned::int::float8 AS returned,
                       date_part('epoch', timestamptz '{AS_OF}' - ordered_at) / 86400 AS age
                FROM orders WHERE ordered_at < '{AS_OF}' OFFSET 0) AS o
          GROUP BY customer_id) AS f USING (customer_id)"""


def checked_sql(table):
    """The checked sums of a table, and how many customers have each category as their most frequent."""
    sums = ", ".join(f'coalesce(sum("orders.{name}"), 0)::float8' for name in CHECKED)
    most = ", ".join(f"""count(*) FILTER (WHERE "orders.category.most_frequent" = '{c}')::float8""" for c in CATEGORIES)
    return f"SELECT count(*)::float8, {sums}, {most} FROM {table}"


# The clients: each reads and computes, and answers the frame and its checked sums.


def pandas_engine():
    import sqlalchemy

    return sqlalchemy.create_engine("postgresql+psycopg2://").connect()


def with_pandas():
    import pandas
    import sqlalchemy

    with pandas_engine() as connection:
        orders = pandas.read_sql(sqlalchemy.text(CLIENT_ORDERS), connection, parse_dates={"ordered_at": {"utc": True}})
        customers = pandas.read_sql(sqlalchemy.text(CLIENT_CUSTOMERS), connection)
    orders["age"] = (pandas.Timestamp(AS_OF, tz="UTC") - orders["ordered_at"]).dt.total_seconds() / 86400
    groups = orders.groupby("customer_id")
    found = groups.agg(
        **{
            "count": ("age", "size"), "days_since_last": ("age", "min"), "days_since_first": ("age", "max"),
            "amount.sum": ("amount", "sum"), "amount.mean": ("amount", "mean"), "amount.min": ("amount", "min"),
            "amount.max": ("amount", "max"), "returned.share": ("returned", "mean"), "age": ("age", "mean"),
        }
    )
    found["amount.stddev"] = groups["amount"].std(ddof=0)
    found["mean_gap_days"] = (found["days_since_first"] - found["days_since_last"]) / (found["count"] - 1).where(found["count"] > 1)
    for days in (30, 90):
        within = orders[orders["age"] <= days].groupby("customer_id")["amount"].agg(["size", "sum"])
        longer = orders[orders["age"] <= 2 * days].groupby("customer_id").size()
        found[f"count_{days}d"] = within["size"]
        found[f"amount.sum_{days}d"] = within["sum"]
        found[f"recent_share_{days}d"] = (found[f"count_{days}d"].fillna(0) / longer).reindex(found.index)
    counts = orders.groupby(["customer_id", "category"]).size().unstack(fill_value=0)
    found["category.distinct"] = (counts > 0).sum(axis=1)
    found["category.most_frequent"] = counts.idxmax(axis=1)
    for category in CATEGORIES:
        found[f"category.share.{category}"] = counts[category] / found["count"]
    x = orders["customer_id"].map(found["age"]) - orders["age"]
    y = orders["amount"] - orders["customer_id"].map(found["amount.mean"])
    by = orders["customer_id"]
    squares = (x * x).groupby(by).sum()
    found["amount.trend"] = (x * y).groupby(by).sum() / squares.where(squares > 0)
    frame = customers.merge(found.drop(columns="age"), how="left", left_on="customer_id", right_index=True)
    zeros = ["count", "count_30d", "count_90d", "category.distinct", "amount.sum", "amount.sum_30d", "amount.sum_90d"]
    frame[zeros] = frame[zeros].fillna(0)
    most = [float((frame["category.most_frequent"] == category).sum()) for category in CATEGORIES]
    return frame, lambda: [len(frame), *(float(frame[name].sum()) for name in CHECKED), *most]


def with_polars(engine):
    import polars

    socket = urllib.parse.quote(os.environ["PGHOST"], safe="")
    uri = f"postgresql://postgres@{socket}:{os.environ['PGPORT']}/{os.environ['PGDATABASE']}"
    orders = polars.read_database_uri(CLIENT_ORDERS, uri, engine=engine)
    customers = polars.read_database_uri(CLIENT_CUSTOMERS, uri, engine=engine)
    column, length = polars.col, polars.len()
    moment = polars.lit(AS_OF).str.to_datetime(time_unit="us", time_zone="UTC")
    age, amount, category = column("age"), column("amount"), column("category")
    windows = []
    for days in (30, 90):
        within = age <= days
        windows += [
            within.sum().alias(f"count_{days}d"),
            (within.sum() / (age <= 2 * days).sum()).alias(f"recent_share_{days}d"),
            amount.filter(within).sum().alias(f"amount.sum_{days}d"),
        ]
    x, y = age.mean() - age, amount - amount.mean()
    found = (
        orders.lazy()
        .with_columns(age=(moment - column("ordered_at")).dt.total_microseconds() / 86_400e6)
        .group_by("customer_id")
        .agg(
            length.alias("count"), age.min().alias("days_since_last"), age.max().alias("days_since_first"), *windows,
            category.n_unique().alias("category.distinct"), category.mode().min().alias("category.most_frequent"),
            *((category == c).mean().alias(f"category.share.{c}") for c in CATEGORIES),
            amount.sum().alias("amount.sum"), amount.mean().alias("amount.mean"), amount.min().alias("amount.min"),
            amount.max().alias("amount.max"), amount.std(ddof=0).alias("amount.stddev"),
            ((x * y).sum() / (x * x).sum()).alias("amount.trend"), column("returned").mean().alias("returned.share"),
        )
        .with_columns(((column("days_since_first") - column("days_since_last")) / (column("count") - 1)).alias("mean_gap_days"))
    )
    frame = (
        customers.lazy()
        .join(found, on="customer_id", how="left")
        # SQL has no NaN here: 0 / 0 is unknown.
        .with_columns(polars.selectors.float().fill_nan(None))
        .with_columns(polars.col("count", "count_30d", "count_90d", "category.distinct", "amount.sum", "amount.sum_30d", "amount.sum_90d").fill_null(0))
        .collect()
    )
    most = [float((frame["category.most_frequent"] == c).sum()) for c in CATEGORIES]
    return frame, lambda: [len(frame), *(float(frame[name].sum()) for name in CHECKED), *most]


def read_mixed():
    import pandas
    import sqlalchemy

    with pandas_engine() as connection:
        return pandas.read_sql(sqlalchemy.text(f"SELECT {mixed.COLUMNS} FROM mixed"), connection)


def with_describe(rows=None):
    """describe of every column, and mutual information with the target: of all rows, or of as many as insight takes."""
    import pandas
    from sklearn.feature_selection import mutual_info_classif

    frame = read_mixed()
    summary = frame.describe(include="all")
    sample = frame if rows is None or rows >= len(frame) else frame.sample(rows, random_state=1)
    inputs, discrete = {}, []
    for name in frame.columns.drop("churn"):
        values = sample[name]
        if pandas.api.types.is_numeric_dtype(values) and not pandas.api.types.is_bool_dtype(values):
            inputs[name] = values.astype(float).fillna(values.median())
        elif name in ("born", "seen"):
            inputs[name] = (pandas.to_datetime(values, utc=True) - pandas.Timestamp(0, tz="UTC")).dt.total_seconds()
        else:
            inputs[name] = pandas.factorize(values)[0]
        discrete.append(name in ("city", "plan", "channel", "active"))
    inputs = pandas.DataFrame(inputs)
    information = mutual_info_classif(inputs, sample["churn"], discrete_features=discrete, random_state=1, n_jobs=-1)
    return (summary, information), lambda: [float(len(frame))]


def with_describe_all():
    return with_describe()


def with_describe_sample():
    return with_describe(20_000)


CLIENTS = {
    "pandas": with_pandas, "connectorx": lambda: with_polars("connectorx"), "adbc": lambda: with_polars("adbc"),
    "describe": with_describe_sample, "describe_all": with_describe_all,
}


def be_client(name, repeats):
    """Prints seconds, peak bytes and checked sums. What is imported is there before the clock starts."""
    work = CLIENTS[name]
    import importlib

    for module in {"pandas": ["pandas", "sqlalchemy", "psycopg2"], "connectorx": ["polars", "connectorx"],
                   "adbc": ["polars", "pyarrow", "adbc_driver_postgresql"]}.get(
                       name, ["pandas", "sqlalchemy", "psycopg2", "sklearn.feature_selection"]):
        importlib.import_module(module)
    taken, peak = [], None
    for _ in range(repeats):
        start = time.perf_counter()
        frame, checked = work()
        taken.append(time.perf_counter() - start)
        peak = peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps([statistics.median(taken), peak, checked()]))


def client(name, repeats=3):
    """(seconds, peak bytes, sums), or the reason why there are none."""
    run = subprocess.run(
        [sys.executable, __file__, name, str(repeats)], env=os.environ | {"PGTZ": "UTC"}, capture_output=True, text=True
    )
    if run.returncode:
        return run.stderr.strip().splitlines()[-1] if run.stderr.strip() else f"{name} failed"
    return json.loads(run.stdout.splitlines()[-1])


# The server's memory.


def private_bytes(pid):
    """Without shared buffers, which are there anyway; what parent and child share counts once."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as lines:
            return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss_Anon:"))
    except OSError:
        return 0


def descendants(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as line:
            children = [int(child) for child in line.read().split()]
    except OSError:
        return []
    return children + [below for child in children for below in descendants(child)]


def postmaster():
    with open(os.path.join(one(server, "SHOW data_directory"), "postmaster.pid")) as lines:
        return int(lines.readline())


def server_peak(work):
    """Runs it once more, and answers how far the private memory of all the server's processes rose."""
    top, above, done = postmaster(), 0, threading.Event()

    def total():
        return sum(private_bytes(pid) for pid in descendants(top))

    idle = total()

    def watch():
        nonlocal above
        while not done.wait(0.05):
            above = max(above, total() - idle)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return above


def megabytes(size):
    return f"{size / 2**20:,.0f} MB"


def make_tables():
    server.execute("SELECT setseed(0.5)")
    server.execute(
        f"CREATE TABLE customers AS SELECT id AS customer_id, random() < 0.3 AS churn FROM generate_series(1, {CUSTOMERS}) AS id"
    )
    server.execute("ALTER TABLE customers ADD PRIMARY KEY (customer_id)")
    server.execute(
        f"""
        CREATE TABLE orders AS
        SELECT 1 + floor(random() * {CUSTOMERS})::int AS customer_id,
               timestamptz '2024-01-01 00:00+00' + random() * interval '800 days' AS ordered_at,
               (ARRAY['{"', '".join(CATEGORIES)}'])[1 + floor(random() * {len(CATEGORIES)})::int] AS category,
               (random() * 200)::numeric(10, 2) AS amount, random() < 0.1 AS returned
        FROM generate_series(1, {ORDERS})
        """
    )
    server.execute("CREATE INDEX ON orders (customer_id)")
    server.execute("VACUUM ANALYZE customers")
    server.execute("VACUUM ANALYZE orders")


def make(table, query):
    server.execute(f"DROP TABLE IF EXISTS {table}")
    server.execute(query)


def agree(what, mine, theirs):
    names = ["customers", *CHECKED, *(f"most frequent {c}" for c in CATEGORIES)]
    wrong = [
        f"{name} {a:.10g} and {b:.10g}" for name, a, b in zip(names, mine, theirs, strict=True)
        if abs(a - b) > 1e-9 * max(abs(a), abs(b), 1)
    ]
    if wrong:
        note(f"insight and {what} disagree: {'; '.join(wrong)}")
    return not wrong


def features():
    options = json.dumps(SOURCES | {"into": "made"})
    insight = lambda: make("made", f"SELECT insight_features('customers', '{options}')")
    hand = lambda: make("by_hand", f"CREATE TABLE by_hand AS {by_hand()}")

    def train():
        training = SOURCES | {"epochs": 1, "hidden": [1], "batch_size": 16384}
        return one(server, "SELECT job FROM insight_train('customers', 'churn', 'features', %s::jsonb)", json.dumps(training))

    def read_seconds():
        return one(server, "SELECT read_seconds FROM insight.jobs WHERE job = %s", train())

    mine = ORDERS / median_seconds(insight)
    plain = ORDERS / median_seconds(hand)
    reading = ORDERS / statistics.median(read_seconds() for _ in range(3))
    insight_peak, plain_peak, train_peak = server_peak(insight), server_peak(hand), server_peak(train)
    made = list(server.execute(checked_sql("made")).fetchone())
    same = ["SQL by hand"] * agree("SQL by hand", made, server.execute(checked_sql("by_hand")).fetchone())

    against, peaks = [], []
    for name, label in [("pandas", "pandas.read_sql, psycopg2, then groupby"), ("connectorx", "Polars, connectorx, group_by"),
                        ("adbc", "Polars, ADBC, group_by")]:
        result = client(name)
        if isinstance(result, str):
            against.append((f"no {label}", None))
            note(result)
            continue
        seconds, peak, sums = result
        against.append((label, ORDERS / seconds))
        peaks.append(f"{name} {megabytes(peak)}")
        same += [label.split(", ")[0]] * agree(label, made, sums)
    against.append(("the same by hand, GROUP BY only", plain))
    for what, rate in [("insight_features into a table", mine), ("insight_train, its reading", reading)]:
        for label, theirs in against:
            speeds(what, rate, label, theirs)
            what = ""
    note(f"{made[0]:,.0f} customers, {made[1]:,.0f} of {ORDERS:,} orders before {AS_OF}; same sums as insight: {', '.join(dict.fromkeys(same)) or 'nobody'}")
    note(
        f"peak memory: server's private, insight_features {megabytes(insight_peak)}, by hand {megabytes(plain_peak)}, "
        f"insight_train {megabytes(train_peak)}"
    )
    note(f"peak memory: clients, {', '.join(peaks)}")


def profile():
    mixed.prepare(server)

    def insight():
        server.execute("SELECT * FROM insight_profile('mixed', 'churn')").fetchall()

    mine, what = median_seconds(insight), f"insight_profile, {ROWS:,} rows"
    peak = server_peak(insight)
    peaks = []
    # One pass of all rows takes minutes.
    for name, label, repeats in [("describe", "describe, mutual_info of 20,000 rows", 3), ("describe_all", "describe, mutual_info of all rows", 1)]:
        result = client(name, repeats)
        if isinstance(result, str):
            times(what, mine, f"no {label}")
            note(result)
        else:
            times(what, mine, label, result[0])
            peaks.append(megabytes(result[1]))
        what = ""
    note(f"peak memory: server's private {megabytes(peak)}; clients {', '.join(peaks)}, without joblib's processes")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        be_client(sys.argv[1], int(sys.argv[2]))
    else:
        server = connect()
        server.execute("SET timezone = 'UTC'")
        make_tables()
        head("related tables, 25 features, orders/s")
        features()
        head("profile of 20 mixed columns, s")
        profile()
