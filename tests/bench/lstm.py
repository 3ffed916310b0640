#!/usr/bin/env python3
"""Steps per second of training an LSTM: the engine of insight against PyTorch's nn.LSTM with the same sizes, in one run.

    python tests/bench/lstm.py [threads]      needs torch; builds the engine's example sequence_speed

Embeddings of 64, 128 units, a softmax over 1,000 items, 64 histories of 50 steps a batch, AdamW, gradients clipped to norm 1.
"""

import os
import statistics
import subprocess
import sys
import time

import torch
from torch import nn

HISTORIES, STEPS, ITEMS, WIDTH, UNITS, BATCH = 2_000, 50, 1_000, 64, 128, 64
threads = int(sys.argv[1]) if len(sys.argv) > 1 else 2

command = ["cargo", "run", "--quiet", "--release", "--package", "insight-engine", "--example", "sequence_speed"]
print("insight", flush=True)
subprocess.run(command, check=True, env={**os.environ, "RAYON_NUM_THREADS": str(threads)})

torch.manual_seed(1)
torch.set_num_threads(threads)
item = torch.randint(ITEMS, (HISTORIES,))
histories = []
for _ in range(STEPS):
    histories.append(item)
    chance = torch.rand(HISTORIES)
    item = torch.where(chance < 0.7, (7 * item + 3) % ITEMS, torch.randint(ITEMS, (HISTORIES,)))
histories = torch.stack(histories, 1)


class Net(nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.embedding = nn.Embedding(ITEMS, WIDTH)
        self.cell = cell(WIDTH, UNITS, batch_first=True)
        self.output = nn.Linear(UNITS, ITEMS)

    def forward(self, x):
        return self.output(self.cell(self.embedding(x))[0])


print("PyTorch", torch.__version__)
for name, cell in [("lstm", nn.LSTM), ("gru", nn.GRU)]:
    net = Net(cell)
    optimiser = torch.optim.AdamW(net.parameters(), lr=0.003, fused=True)
    loss_of = nn.CrossEntropyLoss()
    speeds = []
    for _ in range(3):
        start, total, batches = time.perf_counter(), 0.0, 0
        for batch in histories[torch.randperm(HISTORIES)].split(BATCH):
            optimiser.zero_grad()
            loss = loss_of(net(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            total, batches = total + float(loss.detach()), batches + 1
        speeds.append(HISTORIES * (STEPS - 1) / (time.perf_counter() - start))
    print(f"{name:11}: {statistics.median(speeds):9.0f} steps/s, loss {total / batches:.4f}")
