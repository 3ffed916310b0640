"""Rows per second of training, and the losses reached: insight against PyTorch.

The same network (10-64-32-1, relu, no dropout), initialisation, optimiser, rates, batches and number of rows. PyTorch runs the
loop an expert writes: everything in memory, one shuffle per epoch, slices as batches, no look at the loss inside an epoch. Both
are judged on the same rows, which neither has seen.
"""

import json
import math
import statistics
import time

import numpy

from common import ROWS, connect, head, note, one, speeds

ROWS, UNSEEN = ROWS // 5, ROWS // 20
INPUTS, THREADS, RATE = 10, 2, 0.002
# Epochs by batch: large batches take fewer steps, and after too few the losses only tell the seeds apart.
EPOCHS = {32: 5, 256: 5, 4096: 20}
# insight wants some rows to judge the epochs by; PyTorch trains on as many as are left.
VALIDATION = 0.2
NAMES = [f"x{i}" for i in range(1, INPUTS + 1)]

server = connect()
server.execute("SELECT setseed(0.5)")
normal = "sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())"
for table, rows in [("training", ROWS), ("unseen", UNSEEN)]:
    server.execute(
        f"""
        CREATE TABLE {table} AS
        SELECT r.*, random() < 1 / (1 + exp(-(x1 + x2 * x3 - 0.5 * x4 * x4 + 2 * sin(2 * x5) - x6))) AS y
        FROM (SELECT {', '.join(f'{normal} AS {name}' for name in NAMES)} FROM generate_series(1, {rows})) AS r
        """
    )
    server.execute(f"VACUUM ANALYZE {table}")


def insight(batch):
    """The median epoch's rows per second and the last training loss, as insight recorded them; the loss on unseen rows."""
    options = {
        "algorithm": "mlp", "hidden": [64, 32], "activation": "relu", "optimizer": "adam", "dropout": 0, "learning_rate": RATE, "epochs": EPOCHS[batch],
        "batch_size": batch, "early_stopping": False, "test_size": 0, "validation_size": VALIDATION, "threads": THREADS,
        "device": "cpu",
    }
    version = one(
        server, "SELECT version FROM insight_train('training', 'y', 'training', %s::jsonb)", json.dumps(options)
    )
    history = server.execute(
        """SELECT rows_per_second, train_loss FROM insight.history
           WHERE model = 'training' AND version = %s ORDER BY epoch""",
        [version],
    ).fetchall()
    unseen = one(
        server, "SELECT value FROM insight_evaluate(%s, 'unseen') WHERE metric = 'log_loss'", f"training@{version}"
    )
    return statistics.median(row[0] for row in history), history[-1][1], unseen


def rows():
    """Inputs and answers of the rows to train on and of the unseen ones, standardised as insight does it."""

    def fetch(table):
        values = numpy.array(server.execute(f"SELECT * FROM {table}").fetchall(), dtype=numpy.float64)
        return values[:, :INPUTS], values[:, INPUTS:]

    x, y = fetch("training")
    kept = numpy.random.default_rng(1).permutation(len(x))[int(len(x) * VALIDATION) :]
    mean, deviation = x[kept].mean(0), x[kept].std(0)
    unseen_x, unseen_y = fetch("unseen")
    parts = (x[kept] - mean) / deviation, y[kept], (unseen_x - mean) / deviation, unseen_y
    return [numpy.ascontiguousarray(part, dtype=numpy.float32) for part in parts]


def pytorch(batch, data, fused, threads=THREADS):
    import torch
    from torch import nn

    torch.manual_seed(42)
    torch.set_num_threads(threads)
    x, y, unseen_x, unseen_y = [torch.from_numpy(part) for part in data]
    net = nn.Sequential(nn.Linear(INPUTS, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
    # insight's initialisation, so that few steps lead to the same place: He before a relu, Glorot at the end.
    for layer in net[0], net[2]:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.xavier_normal_(net[4].weight)
    for layer in net[0], net[2], net[4]:
        nn.init.zeros_(layer.bias)
    optimiser = torch.optim.Adam(net.parameters(), lr=RATE, fused=fused)
    loss_of = nn.BCEWithLogitsLoss()
    rates = []
    for epoch in range(EPOCHS[batch]):
        # insight's schedule: a half cosine to a tenth.
        for group in optimiser.param_groups:
            group["lr"] = RATE * (0.1 + 0.45 * (1 + math.cos(math.pi * epoch / (EPOCHS[batch] - 1))))
        start = time.perf_counter()
        order = torch.randperm(len(x))
        total = torch.zeros(())
        for xs, ys in zip(x[order].split(batch), y[order].split(batch)):
            optimiser.zero_grad()
            loss = loss_of(net(xs), ys)
            loss.backward()
            optimiser.step()
            total += loss.detach() * len(xs)
        train_loss = float(total) / len(x)
        rates.append(len(x) / (time.perf_counter() - start))
    with torch.no_grad():
        return statistics.median(rates), train_loss, float(loss_of(net(unseen_x), unseen_y))


head(f"training 10-64-32-1, {THREADS} threads, rows/s")
try:
    import torch  # noqa: F401
except (ImportError, OSError, ValueError):
    torch = None
data = rows()
for batch in EPOCHS:
    mine, train_loss, unseen_loss = insight(batch)
    if torch is None:
        speeds(f"batch {batch}", mine, "PyTorch is not installed", None)
        continue
    speed, their_train_loss, their_unseen_loss = pytorch(batch, data, fused=False)
    speeds(f"batch {batch}", mine, "PyTorch, Adam", speed, ">= 3x" if batch < 4096 else "")
    speeds("", mine, "PyTorch, Adam(fused=True)", pytorch(batch, data, fused=True)[0])
    # Two threads may cost more than they bring in small batches, and much more where something else wants a core.
    speeds("", mine, "PyTorch, Adam(fused=True), 1 thread", pytorch(batch, data, fused=True, threads=1)[0])
    note(
        f"losses after {EPOCHS[batch]} epochs: training {train_loss:.4f} against {their_train_loss:.4f}, "
        f"unseen rows {unseen_loss:.4f} against {their_unseen_loss:.4f}"
    )
    if abs(unseen_loss - their_unseen_loss) > 0.03 * their_unseen_loss:
        note("the losses differ by more than 3%: the two did not learn the same")
