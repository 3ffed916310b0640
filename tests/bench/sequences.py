"""Steps per second of learning from histories, and the losses reached: insight against PyTorch's nn.LSTM and nn.GRU.

The same histories and sizes: embeddings of 64, 128 units, a softmax over 1,000 items, 64 histories of 50 steps a batch, AdamW, gradients
clipped to norm 1, no dropout. PyTorch runs the loop an expert writes: everything in memory, slices as batches. insight reads the time
between steps, too, which is always the same here.
"""

import json
import random
import statistics
import time

from common import connect, head, note, one, speeds

HISTORIES, STEPS, ITEMS, WIDTH, UNITS, BATCH, EPOCHS, RATE, THREADS = 2_000, 50, 1_000, 64, 128, 64, 5, 0.003, 2

# Mostly a rule, which a network has to find; else chance, which it cannot.
draws = random.Random(1)
histories = []
for _ in range(HISTORIES):
    item, own = draws.randrange(ITEMS), []
    for _ in range(STEPS):
        own.append(item)
        item = (7 * item + 3) % ITEMS if draws.random() < 0.7 else draws.randrange(ITEMS)
    histories.append(own)

server = connect()
server.execute("CREATE TABLE histories (id integer, place integer, item integer)")
with server.cursor() as cursor, cursor.copy("COPY histories FROM STDIN") as copy:
    for at, own in enumerate(histories):
        for place, item in enumerate(own):
            copy.write_row((at, place, item))
server.execute("VACUUM ANALYZE histories")


def insight(cell):
    """The median epoch's steps per second and the last training loss."""
    options = {
        "algorithm": cell, "key": "id", "order": "place", "task": "multiclass", "embedding_dim": WIDTH, "hidden": [UNITS], "dropout": 0,
        "tied": False, "mixture": False, "batch_size": BATCH, "window": STEPS, "learning_rate": RATE, "l2": 0.01, "gradient_clip": 1,
        "epochs": EPOCHS, "early_stopping": False, "validation_size": 0, "test_size": 0, "threads": THREADS,
    }
    version = one(server, "SELECT version FROM insight_train('histories', 'item', 'histories', %s::jsonb)", json.dumps(options))
    query = "SELECT rows_per_second, train_loss FROM insight.history WHERE model = 'histories' AND version = %s ORDER BY epoch"
    epochs = server.execute(query, [version]).fetchall()
    return statistics.median(speed for speed, _ in epochs), epochs[-1][1]


def pytorch(cell, threads):
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(ITEMS, WIDTH)
            self.cell = {"lstm": nn.LSTM, "gru": nn.GRU}[cell](WIDTH, UNITS, batch_first=True)
            self.output = nn.Linear(UNITS, ITEMS)

        def forward(self, x):
            return self.output(self.cell(self.embedding(x))[0])

    torch.manual_seed(1)
    torch.set_num_threads(threads)
    data, net = torch.tensor(histories), Net()
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, fused=True)
    loss_of = nn.CrossEntropyLoss()
    rates = []
    for _ in range(EPOCHS):
        start, total, batches = time.perf_counter(), 0.0, 0
        for batch in data[torch.randperm(HISTORIES)].split(BATCH):
            optimiser.zero_grad()
            loss = loss_of(net(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            total, batches = total + float(loss.detach()), batches + 1
        rates.append(HISTORIES * (STEPS - 1) / (time.perf_counter() - start))
    return statistics.median(rates), total / batches


head(f"learning histories, {THREADS} threads, steps/s")
try:
    import torch  # noqa: F401
except (ImportError, OSError, ValueError):
    torch = None
for cell in "lstm", "gru":
    mine, loss = insight(cell)
    if torch is None:
        speeds(cell, mine, "PyTorch is not installed", None)
        continue
    speed, their_loss = pytorch(cell, THREADS)
    speeds(cell, mine, "PyTorch, AdamW(fused=True)", speed)
    speeds("", mine, "PyTorch, AdamW(fused=True), 1 thread", pytorch(cell, 1)[0])
    note(f"training losses after {EPOCHS} epochs: {loss:.4f} against {their_loss:.4f}")
