"""Seconds of boosting trees, and the losses reached: insight against LightGBM and scikit-learn.

The same rows of 20 numbers, rounds, leaves, bins, rate and threads. All are judged on the same rows, which none has seen. Cutting the
columns into bins counts, reading the table does not.
"""

import json
import time

from common import ROWS, connect, head, note, one, times
from networks import fetch, make_table

INPUTS, ROUNDS, LEAVES, LEAST_ROWS, RATE, THREADS = 20, 200, 31, 20, 0.1, 2
TEST, UNSEEN = 0.01, 50_000

server = connect()
server.execute("SELECT setseed(0.5)")
make_table(server, "training", ROWS, INPUTS)
make_table(server, "unseen", UNSEEN, INPUTS)


def insight():
    # Without validation rows there are 200 rounds. Some rows have to be left to judge by.
    options = {
        "algorithm": "gbdt", "max_leaf_nodes": LEAVES, "min_samples_leaf": LEAST_ROWS, "learning_rate": RATE, "l2": 0, "max_features": 1,
        "validation_size": 0, "test_size": TEST, "threads": THREADS,
    }
    job = one(server, "SELECT job FROM insight_train('training', 'y', 'trees', %s::jsonb)", json.dumps(options))
    rounds = one(server, "SELECT max(epoch) FROM insight.history WHERE model = 'trees'")
    assert rounds == ROUNDS, rounds
    seconds = one(server, "SELECT (phases->>'boosting')::float8 + COALESCE((phases->>'training')::float8, 0) FROM insight.jobs WHERE job = %s", job)
    return seconds, one(server, "SELECT value FROM insight_evaluate('trees', 'unseen') WHERE metric = 'log_loss'")


def lightgbm(x, y):
    from lightgbm import LGBMClassifier

    return LGBMClassifier(n_estimators=ROUNDS, num_leaves=LEAVES, min_child_samples=LEAST_ROWS, learning_rate=RATE, n_jobs=THREADS, verbose=-1).fit(x, y)


def scikit(x, y):
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    model = HistGradientBoostingClassifier(
        max_iter=ROUNDS, max_leaf_nodes=LEAVES, min_samples_leaf=LEAST_ROWS, learning_rate=RATE, early_stopping=False
    )
    with threadpool_limits(THREADS):
        return model.fit(x, y)


head(f"{ROUNDS} trees of {LEAVES} leaves, {ROWS:,} rows of {INPUTS} numbers, {THREADS} threads")
x, y = [part[: round(ROWS * (1 - TEST))] for part in fetch(server, "training", INPUTS)]
unseen, answers = fetch(server, "unseen", INPUTS)
mine, loss = insight()
for what, fit in ("LightGBM", lightgbm), ("scikit-learn HistGradientBoosting", scikit):
    try:
        start = time.perf_counter()
        model = fit(x, y.ravel())
        seconds = time.perf_counter() - start
        from sklearn.metrics import log_loss

        theirs = log_loss(answers.ravel(), model.predict_proba(unseen))
    except ImportError:
        note(f"{what} is not installed")
        continue
    times(f"{ROWS:,} rows", mine, what, seconds)
    note(f"log_loss on {UNSEEN:,} unseen rows {loss:.4f} against {theirs:.4f}")
