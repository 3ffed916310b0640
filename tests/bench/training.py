"""Rows per second of training, and the losses reached: insight against PyTorch.

The same network (10-64-32-1, relu, no dropout), initialisation, optimiser, rates, batches and number of rows, see networks.py. Both
are judged on the same rows, which neither has seen.
"""

import math
import statistics

from common import ROWS, connect, head, note, speeds
from networks import insight, make_table, pytorch, rows

ROWS, UNSEEN = ROWS // 5, ROWS // 20
INPUTS, HIDDEN, THREADS, RATE = 10, [64, 32], 2, 0.002
# Epochs by batch: large batches take fewer steps, and after too few the losses only tell the seeds apart.
EPOCHS = {32: 5, 256: 5, 4096: 20}
# What starts differently ends differently, most of all after few steps: the losses of the largest batch are also compared by so many seeds.
SEEDS = range(1, 9)

server = connect()
server.execute("SELECT setseed(0.5)")
make_table(server, "training", ROWS, INPUTS)
make_table(server, "unseen", UNSEEN, INPUTS)

head(f"training 10-64-32-1, {THREADS} threads, rows/s")
try:
    import torch  # noqa: F401
except (ImportError, OSError, ValueError):
    torch = None
data = rows(server, INPUTS)
for batch, epochs in EPOCHS.items():
    options = {"hidden": HIDDEN, "learning_rate": RATE, "epochs": epochs, "batch_size": batch, "threads": THREADS, "device": "cpu"}
    mine, train_loss, unseen_loss, _ = insight(server, options, "unseen")
    if torch is None:
        speeds(f"batch {batch}", mine, "PyTorch is not installed", None)
        continue

    def theirs(fused, threads=THREADS, **more):
        return pytorch(data, HIDDEN, batch, epochs, RATE, threads, fused=fused, **more)

    speed, their_train_loss, their_unseen_loss = theirs(fused=False)
    speeds(f"batch {batch}", mine, "PyTorch, Adam", speed, ">= 3x" if batch < 4096 else "")
    speeds("", mine, "PyTorch, Adam(fused=True)", theirs(fused=True)[0])
    # Two threads may cost more than they bring in small batches, and much more where something else wants a core.
    speeds("", mine, "PyTorch, Adam(fused=True), 1 thread", theirs(fused=True, threads=1)[0])
    note(
        f"losses after {epochs} epochs: training {train_loss:.4f} against {their_train_loss:.4f}, "
        f"unseen rows {unseen_loss:.4f} against {their_unseen_loss:.4f}"
    )
    if abs(unseen_loss - their_unseen_loss) > 0.03 * their_unseen_loss:
        note("the losses differ by more than 3%: the two did not learn the same")
    if batch == max(EPOCHS):
        ours = [insight(server, {**options, "seed": seed}, "unseen")[2] for seed in SEEDS]
        others = [theirs(fused=True, seed=seed)[2] for seed in SEEDS]
        means = [
            f"{statistics.mean(own):.4f} +- {statistics.stdev(own) / math.sqrt(len(own)):.4f}" for own in (ours, others)
        ]
        note(f"losses on unseen rows by {len(SEEDS)} seeds: {means[0]} against {means[1]}")
