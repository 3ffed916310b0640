"""Seconds of another revision beside those of the sources as they are: two servers take turns, so that whatever else the machine
does strikes both. The ratios are new / old: of the least seconds, and of the single rounds, which say what chance does."""

import os
import statistics
import sys

import mixed
import psycopg
from calls import clock, first_answer, in_a_loop, processor
from common import ROWS, connect, duration, note, one, warn_if_busy
from points import NAMES, fill

ROUNDS = 7
_LINE = "{:<44} {:>12} {:>12} {:>10} {:>9} {:>16}"


def worker_reads(server):
    """The worker's own seconds, as in reading.py."""
    options = '{"algorithm": "mlp", "epochs": 1, "hidden": [1], "batch_size": 16384}'
    job = one(server, f"SELECT job FROM insight_train('mixed', 'churn', 'reading', '{options}')")
    return one(server, "SELECT read_seconds FROM insight.jobs WHERE job = %s", job)


def trains(options):
    query = f"SELECT job FROM insight_train('SELECT * FROM points WHERE id <= {ROWS // 20}', 'y', 'training', '{options}')"
    return lambda server: clock(server, query)


def answers(query, timed=clock):
    return lambda server: timed(server, query)


def opens(query, timed=clock):
    return lambda server: statistics.median(first_answer(query, server.info.host, timed) for _ in range(10))


TABLE = "SELECT sum(prediction) FROM insight_predict_table('points', 'points')"
SUM = "SELECT sum(insight_predict('points', p)) FROM points p"
BY_VALUE = f"SELECT insight_predict('points', ROW({', '.join(['0.5'] * len(NAMES))}))"
BY_ROW = "SELECT insight_predict('points', p) FROM points p WHERE id = 1"
MLP = '{"algorithm": "mlp", "hidden": [64, 32], "epochs": 5, "early_stopping": false}'
# How each part is prepared, and what is measured on a server.
PARTS = {
    "reading": (mixed.prepare, [(f"{ROWS:,} rows of 20 mixed columns", worker_reads)]),
    "training": (fill, [
        (f"mlp 64-32, 5 epochs of {ROWS // 20:,} rows", trains(MLP)),
        ("gbdt", trains('{"algorithm": "gbdt"}')),
        ("linear", trains('{"algorithm": "linear"}')),
    ]),
    "predicting": (fill, [
        (f"insight_predict_table, {ROWS:,} rows", answers(TABLE)),
        ("    the session's processor time", answers(TABLE, processor)),
        ("sum(insight_predict(m, t)), 1 process", answers(SUM)),
        ("    the session's processor time", answers(SUM, processor)),
    ]),
    "latency": (fill, [
        ("first in a session, ROW(...)", opens(BY_VALUE)),
        ("    the session's processor time", opens(BY_VALUE, processor)),
        ("first in a session, table row", opens(BY_ROW)),
        ("    the session's processor time", opens(BY_ROW, processor)),
        ("later, in a PL/pgSQL loop", lambda server: in_a_loop(server, "insight_predict('points', p)", 10_000)),
    ]),
}


def compare(what, measure):
    rounds = []
    try:
        # The first one only warms both up. Who comes second may find the machine's caches filled, or its clock lowered.
        for i in range(ROUNDS + 1):
            seconds = {}
            for side in ("old", "new") if i % 2 else ("new", "old"):
                seconds[side] = measure(servers[side])
            rounds.append(seconds)
    except psycopg.Error as error:
        note(f"{what}: not compared, for the {side} one says: {str(error).splitlines()[0]}")
        return
    old, new = (min(seconds[side] for seconds in rounds[1:]) for side in ("old", "new"))
    ratios = [seconds["new"] / seconds["old"] for seconds in rounds[1:]]
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    print(_LINE.format(what, duration(old), duration(new), f"{new / old:.2f}", f"{statistics.median(ratios):.2f}", spread), flush=True)


def predictions(server):
    return dict(server.execute("SELECT id, insight_predict('points', p) FROM points p WHERE id <= 1000").fetchall())


servers = {side: connect(host=os.environ[f"BENCH_{side.upper()}"]) for side in ("old", "new")}
for server in servers.values():
    # Parallel workers are the planner's choice, which is not compared here.
    server.execute("SET max_parallel_workers_per_gather = 0")
for part in sys.argv[1:]:
    prepare, measures = PARTS[part]
    for server in servers.values():
        prepare(server)
    print()
    warn_if_busy()
    print(_LINE.format(part, "old", "new", "new / old", "median", f"{ROUNDS} rounds"))
    print("-" * 108, flush=True)
    for what, measure in measures:
        compare(what, measure)
    if part == "predicting":
        old, new = (predictions(server) for server in servers.values())
        apart = max(abs(old[id] - new[id]) for id in old)
        note(f"the models of both answer {'the same, bit for bit' if old == new else f'up to {apart:.2g} apart'} (1,000 rows)")
