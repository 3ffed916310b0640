"""How costs grow with rows and with columns: training and predicting, per cell of the table.

The work is fixed: so many epochs, rounds and penalties, whatever the size. A cell is a feature of a row; where costs are linear,
nanoseconds and bytes per cell stay what they are from size to size. A size that cannot be had says why, and the next one follows.
"""

import json
import os
import time

import psycopg

from common import ROWS, connect, note, one, warn_if_busy

MOST = int(os.environ["BENCH_MOST"])
ROW_SIZES = sorted({10**power for power in range(4, 9) if 10**power <= MOST} | {MOST})
COLUMN_SIZES = [5, 20, 100, 300, 1000]
# Rows of the tables that grow in columns, columns of those that grow in rows. A column costs something whatever its rows, so the
# rows stay the same; `--rows 20000` is enough to see how.
ROWS, COLUMNS = min(ROWS, 100_000), 20
# Of a statement. A training of 100,000,000 rows may take longer, and says so.
TIMEOUT = "2h"

# Defaults that depend on the number of rows are given, so that every size has the same work.
ALGORITHMS = {
    "dnn": {"hidden": [64, 32], "members": 2, "batch_size": 1024, "epochs": 2, "early_stopping": False},
    # Without validation rows there are 200 rounds.
    "gbdt": {"max_leaf_nodes": 31, "validation_size": 0},
    # One penalty instead of a path of them.
    "linear": {"l1": 0, "l2": 0.001},
}
KINDS = {
    "f": "random()",
    "t": "timestamp '2024-01-01' + random() * interval '700 days'",
    "i": "(random() * 1000)::int",
    "c": "'c' || (random() * 9)::int",
    "b": "random() < 0.3",
}
# In ten columns four numbers, two integers, two categories, a boolean, a time.
MIX = "ficfbfifct"
PHASES = {"read": ["reading"], "prepare": ["preparing"], "train": ["training", "boosting"], "evaluate": ["evaluating"]}
COSTS = [*PHASES, "predict", "table"]
LINE = "{:>11} {:>7} {:<9}" + " {:>8}" * 4 + " |" + " {:>8}" * 2 + " |" + " {:>8}" * 4 + " |" + " {:>8}" * 2 + " {:>8}"


def prepare(rows, columns):
    """The table `scale`. Columns of a kind lie side by side: else gaps keep 1,000 of them from fitting in a page."""
    kinds = sorted((MIX[i % len(MIX)] for i in range(columns)), key="fticb".index)
    counts = dict.fromkeys(KINDS, 0)
    features = []
    for kind in kinds:
        counts[kind] += 1
        features.append(f"{KINDS[kind]} AS {kind}{counts[kind]}")
    with connect() as server:
        server.execute("DROP TABLE IF EXISTS scale")
        server.execute("SELECT setseed(0.5)")
        server.execute(
            f"""
            CREATE UNLOGGED TABLE scale WITH (autovacuum_enabled = off) AS
            SELECT r.*, random() < 1 / (1 + exp(-(4 * f1 - 3 + 2 * b1::int * f2 + (c1 < 'c4')::int + 0.001 * i1))) AS y
            FROM (SELECT {", ".join(features)} FROM generate_series(1, {rows})) AS r
            """
        )
        # Whoever reads a row first would have to note that it is visible.
        server.execute("VACUUM scale")


def train(found, algorithm):
    options = json.dumps({"algorithm": algorithm, "device": "cpu", **ALGORITHMS[algorithm]})
    with connect() as server:
        server.execute(f"SET statement_timeout = '{TIMEOUT}'")
        job = one(server, "SELECT job FROM insight_train('scale', 'y', 'scale', %s::jsonb)", options)
        phases, found["peak"] = server.execute(
            "SELECT phases, peak_bytes FROM insight.jobs WHERE job = %s", [job]
        ).fetchone()
    found.update({cost: sum(phases.get(phase, 0) for phase in of) for cost, of in PHASES.items()})


def predict(found, cost, query, rows):
    """Seconds in a session of its own, in one process; the model is there before. Answers the session's most memory."""
    with connect() as server:
        server.execute(f"SET statement_timeout = '{TIMEOUT}'")
        server.execute("SET max_parallel_workers_per_gather = 0")
        server.execute("SELECT insight_predict('scale', t) FROM scale t LIMIT 1")
        start = time.perf_counter()
        answered = one(server, query)
        found[cost] = time.perf_counter() - start
        if answered != rows:
            raise psycopg.DataError(f"{answered} of {rows} rows have a prediction")
        with open(f"/proc/{server.info.backend_pid}/status") as lines:
            status = dict(line.split(":", 1) for line in lines)
        # Shared buffers are nobody's own.
        return 1024 * (int(status["VmHWM"].split()[0]) - int(status["RssShmem"].split()[0]))


def measure(rows, algorithm):
    """Seconds of each cost, `peak` bytes of the trainer, `read_in` bytes of predict_table, and `error`."""
    found = {}
    try:
        train(found, algorithm)
        predict(found, "predict", "SELECT count(insight_predict('scale', t)) FROM scale t", rows)
        query = "SELECT count(prediction) FROM insight_predict_table('scale', 'scale')"
        found["read_in"] = predict(found, "table", query, rows)
    except psycopg.Error as error:
        found["error"] = error.diag.message_primary or str(error).splitlines()[0]
    try:
        with connect() as server:
            server.execute("SELECT insight_drop(model) FROM insight.models")
    except psycopg.Error:
        # Nothing to drop, or the server is starting again: the next size says what there is to say.
        time.sleep(10)
    return found


def show(rows, columns, algorithm, found, base):
    def number(cost, factor, form=",.2f"):
        return f"{found[cost] * factor:{form}}" if cost in found else "-"

    cells = rows * columns
    if "peak" in found:
        found["memory"] = max(found["peak"] - base, 0)
    values = [number(cost, 1) for cost in PHASES] + [number("peak", 2**-20, ",.0f"), number("memory", 1 / cells, ",.1f")]
    values += [number(cost, 1e9 / cells, ",.1f") for cost in PHASES]
    values += [number("predict", 1e9 / rows, ",.0f"), number("table", 1e9 / rows, ",.0f"), number("read_in", 2**-20, ",.0f")]
    print(LINE.format(f"{rows:,}", f"{columns:,}", algorithm, *values), found.get("error", ""), flush=True)


def ratios(results, what):
    """What a cell costs in the largest size that was had, in units of what it costs in the middle one."""
    note(f"per cell, largest against middle size in {what} (1: linear)")
    for algorithm in ALGORITHMS:
        sizes = [size for size in results if "peak" in results[size].get(algorithm, {})]
        if len(sizes) < 2:
            note(f"{algorithm:<7} fewer than two sizes were had")
            continue
        middle, largest = sizes[(len(sizes) - 1) // 2], sizes[-1]
        growth = largest[0] * largest[1] / (middle[0] * middle[1])
        pairs = ((cost, *(results[size][algorithm].get(cost) for size in (middle, largest))) for cost in [*COSTS, "memory"])
        told = ", ".join(f"{cost} {b / a / growth:.2f}" if a and b else f"{cost} -" for cost, a, b in pairs)
        of = {"rows": 0, "columns": 1}[what]
        note(f"{algorithm:<7} {largest[of]:,} against {middle[of]:,} {what}: {told}")


def grow(what, sizes):
    results = {}
    for rows, columns in sizes:
        try:
            prepare(rows, columns)
        except psycopg.Error as error:
            note(f"{rows:,} rows, {columns:,} columns: {str(error).splitlines()[0]}")
            continue
        results[rows, columns] = {}
        for algorithm in ALGORITHMS:
            found = results[rows, columns][algorithm] = measure(rows, algorithm)
            show(rows, columns, algorithm, found, bases[algorithm])
    with connect() as server:
        server.execute("DROP TABLE IF EXISTS scale")
    ratios(results, what)
    print()


print()
warn_if_busy()
print("how costs grow: seconds | of the trainer: peak, and bytes per cell beyond that of 1,000 rows of 5 columns | ns per cell |")
print("    ns per row of insight_predict(m, t) and of insight_predict_table in one process, peak of the session of the latter")
print(LINE.format("rows", "columns", "algorithm", *PHASES, "peak MB", "B/cell", *PHASES, "predict", "table", "MB"))
prepare(1000, 5)
bases = {algorithm: measure(1000, algorithm).get("peak", 0) for algorithm in ALGORITHMS}
grow("rows", [(rows, COLUMNS) for rows in ROW_SIZES])
grow("columns", [(ROWS, columns) for columns in COLUMN_SIZES])
