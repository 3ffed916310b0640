"""Training on a GPU, from 100,000 rows on: insight against PyTorch on the same GPU and against itself on the CPU.

The same network (20-256-128-1, relu, no dropout), see networks.py, with batches of 4,096 and of 65,536 rows; PyTorch as it is, and
compiled. Of insight's job the phases are told as well. Without a GPU all of it runs on the CPU, which shows no more than that it runs.
"""

import os

from common import connect, head, note, one, speeds
from networks import insight, make_table, pytorch, rows

MOST = int(os.environ["BENCH_MOST"])
SIZES = sorted({10**power for power in range(5, 9) if 10**power <= MOST} | {MOST})
INPUTS, HIDDEN, RATE, EPOCHS, UNSEEN = 20, [256, 128], 0.002, 3, 50_000
# The CPU takes minutes beyond.
MOST_ON_CPU = 1_000_000

server = connect()
gpu = server.execute("SELECT device, name FROM insight_devices() WHERE available AND device <> 'cpu' LIMIT 1").fetchone()
device, name = gpu or ("cpu", one(server, "SELECT name FROM insight_devices() WHERE device = 'cpu'"))
if not gpu:
    why = one(server, "SELECT note FROM insight_devices() WHERE device <> 'cpu' LIMIT 1")
    note(f"there is no GPU: {why} What follows ran on the CPU.")
try:
    import torch

    theirs = "cuda" if gpu and torch.cuda.is_available() else "cpu"
except (ImportError, OSError, ValueError):
    torch = None
threads = os.cpu_count()

head(f"training 20-256-128-1 on {name}, rows/s")
server.execute("SELECT setseed(0.5)")
make_table(server, "unseen", UNSEEN, INPUTS)
for size in SIZES:
    make_table(server, "training", size, INPUTS)
    data = torch and rows(server, INPUTS)
    for batch in 4096, 65_536:
        if batch > size // 4:
            continue
        options = {"hidden": HIDDEN, "learning_rate": RATE, "epochs": EPOCHS, "batch_size": batch, "seed": 1}
        mine, _, loss, phases = insight(server, {**options, "device": device}, "unseen")
        title = f"{size:,} rows, batch {batch:,}"
        if torch is None:
            speeds(title, mine, "PyTorch is not installed", None)
        else:
            for compiled in False, True:
                against = f"PyTorch on {theirs}" + (", compiled" if compiled else "")
                try:
                    speed, _, their_loss = pytorch(data, HIDDEN, batch, EPOCHS, RATE, threads, theirs, compiled)
                except Exception as error:  # A compiler may be missing, or memory.
                    note(f"{against}: {str(error).splitlines()[0]}")
                    continue
                speeds("" if compiled else title, mine, against, speed)
                if not compiled:
                    note(f"losses on unseen rows {loss:.4f} against {their_loss:.4f}")
        if gpu and size <= MOST_ON_CPU:
            speed, _, their_loss, _ = insight(server, {**options, "device": "cpu"}, "unseen")
            speeds("", mine, f"insight on the CPU, {threads} cores", speed)
            note(f"losses on unseen rows {loss:.4f} against {their_loss:.4f}")
        whole = sum(phases.values())
        note("of the job: " + ", ".join(f"{phase} {seconds / whole:.0%}" for phase, seconds in phases.items()))
