"""The same network by insight and by PyTorch: tables to learn from, both trainings, what both are judged by.

PyTorch runs the loop an expert writes: everything in the device's memory, one shuffle per epoch, no look at the loss inside an epoch.
"""

import json
import math
import statistics
import time

import numpy

from common import one

# insight wants some rows to judge the epochs by; PyTorch trains on as many as are left.
VALIDATION = 0.2


def make_table(server, name, rows, inputs):
    """`inputs` normal numbers, float4, and an answer that depends on six of them."""
    normal = "(sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()))::float4"
    numbers = ", ".join(f"{normal} AS x{i}" for i in range(1, inputs + 1))
    server.execute(f"DROP TABLE IF EXISTS {name}")
    server.execute(
        f"""
        CREATE UNLOGGED TABLE {name} WITH (autovacuum_enabled = off) AS
        SELECT r.*, random() < 1 / (1 + exp(-(x1 + x2 * x3 - 0.5 * x4 * x4 + 2 * sin(2 * x5) - x6))) AS y
        FROM (SELECT {numbers} FROM generate_series(1, {rows})) AS r
        """
    )
    server.execute(f"VACUUM ANALYZE {name}")


def insight(server, options, unseen):
    """The median epoch's rows per second and the last training loss, as insight recorded them, the loss on unseen rows, and the seconds of
    each phase of the job."""
    options = {
        "algorithm": "mlp", "activation": "relu", "optimizer": "adam", "dropout": 0, "early_stopping": False, "test_size": 0,
        "validation_size": VALIDATION, **options,
    }
    version, job = server.execute(
        "SELECT version, job FROM insight_train('training', 'y', 'training', %s::jsonb)", [json.dumps(options)]
    ).fetchone()
    history = server.execute(
        """SELECT rows_per_second, train_loss FROM insight.history
           WHERE model = 'training' AND version = %s ORDER BY epoch""",
        [version],
    ).fetchall()
    loss = one(
        server, "SELECT value FROM insight_evaluate(%s, %s) WHERE metric = 'log_loss'", f"training@{version}", unseen
    )
    phases = one(server, "SELECT phases FROM insight.jobs WHERE job = %s", job)
    return statistics.median(row[0] for row in history), history[-1][1], loss, phases


def fetch(server, table, inputs):
    """Inputs and answers of a table's rows."""
    names = ", ".join(f"x{i}" for i in range(1, inputs + 1))
    # Each field is a length and a float4, after the number of fields of the row.
    field = [("length", ">i4"), ("value", ">f4")]
    kind = numpy.dtype([("fields", ">i2"), ("values", field, inputs + 1)])
    with server.cursor().copy(f"COPY (SELECT {names}, y::int::float4 FROM {table}) TO STDOUT BINARY") as copy:
        data = b"".join(copy)
    # A header before the rows, and the end's two bytes after them.
    values = numpy.frombuffer(data[19:-2], dtype=kind)["values"]["value"].astype(numpy.float32)
    return values[:, :inputs], values[:, inputs:]


def rows(server, inputs):
    """Inputs and answers of the rows to train on and of the unseen ones, standardised as insight does it."""
    x, y = fetch(server, "training", inputs)
    kept = numpy.random.default_rng(1).permutation(len(x))[int(len(x) * VALIDATION) :]
    mean, deviation = x[kept].mean(0, dtype=numpy.float64), x[kept].std(0, dtype=numpy.float64)
    unseen_x, unseen_y = fetch(server, "unseen", inputs)
    parts = (x[kept] - mean) / deviation, y[kept], (unseen_x - mean) / deviation, unseen_y
    return [numpy.ascontiguousarray(part, dtype=numpy.float32) for part in parts]


def pytorch(data, hidden, batch, epochs, rate, threads, device="cpu", compiled=False, seed=42, **adam):
    """The median epoch's rows per second, the last training loss, the loss on unseen rows."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    x, y, unseen_x, unseen_y = [torch.from_numpy(part).to(device) for part in data]
    # insight's initialisation, so that few steps lead to the same place: He before a relu, Glorot at the end.
    layers, width = [], x.shape[1]
    for units in hidden:
        layers += [nn.Linear(width, units), nn.ReLU()]
        nn.init.kaiming_normal_(layers[-2].weight, nonlinearity="relu")
        width = units
    layers.append(nn.Linear(width, 1))
    nn.init.xavier_normal_(layers[-1].weight)
    for layer in layers[::2]:
        nn.init.zeros_(layer.bias)
    net = nn.Sequential(*layers).to(device)
    optimiser = torch.optim.Adam(net.parameters(), lr=rate, **adam)
    loss_of = nn.BCEWithLogitsLoss()

    def loss_with_gradients(xs, ys):
        loss = loss_of(net(xs), ys)
        loss.backward()
        return loss.detach()

    work = torch.compile(loss_with_gradients) if compiled else loss_with_gradients
    rates = []
    for epoch in range(epochs):
        # insight's schedule: a half cosine to a tenth.
        for group in optimiser.param_groups:
            group["lr"] = rate * (0.1 + 0.45 * (1 + math.cos(math.pi * epoch / max(epochs - 1, 1))))
        start = time.perf_counter()
        order = torch.randperm(len(x), device=device)
        total = torch.zeros((), device=device)
        for own in order.split(batch):
            optimiser.zero_grad()
            total += work(x[own], y[own]) * len(own)
            optimiser.step()
        train_loss = float(total) / len(x)
        rates.append(len(x) / (time.perf_counter() - start))
    with torch.no_grad():
        return statistics.median(rates), train_loss, float(loss_of(net(unseen_x), unseen_y))
