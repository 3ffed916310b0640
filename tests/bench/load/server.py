"""The server that is loaded: its processes and their memory, and the models that the plays use."""

import os
import pathlib

import psycopg

QUICK = '{"algorithm": "mlp", "hidden": [16, 8], "epochs": 4, "seed": %d}'
ROWS = 20


def connect(**options):
    # A machine may be so busy that a new session takes minutes; psycopg would give up after two, the server after one (tests/bench/soak).
    return psycopg.connect(autocommit=True, **{"connect_timeout": 3600} | options)


def set_up(models):
    """A table of customers, and models of it; each has learned from other rows."""
    with connect() as session:
        session.execute("CREATE TABLE customers AS SELECT customer_id AS id, age, income, tenure_months, contract, plan, monthly_fee, churn FROM insight_sample_customers(4000)")
        session.execute("ALTER TABLE customers ADD PRIMARY KEY (id)")
        for name in models:
            train(session, name, seed=1)


def train(session, name, seed):
    """Trains a version that is deployed; answers which."""
    query = "SELECT version, status FROM insight_train('SELECT * FROM customers WHERE id %% 3 <> 0', 'churn', %s, %s)"
    version, status = session.execute(query, (name, QUICK % seed)).fetchone()
    assert status == "succeeded", status
    return version


def predictions(session, reference):
    """What a model, or a version of it, answers to the first rows."""
    query = "SELECT id, insight_predict(%s, c) FROM customers c WHERE id <= %s ORDER BY id"
    return dict(session.execute(query, (reference, ROWS)).fetchall())


def postmaster():
    folder = pathlib.Path(os.environ["PGHOST"], "data", "postmaster.pid")
    return int(folder.read_text().split("\n", 1)[0])


def children(pid):
    """Processes whose parent this is, and theirs."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, open_ends = [], [pid]
    while open_ends:
        own = parents.get(open_ends.pop(), [])
        found += own
        open_ends += own
    return found


def title(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def memory():
    """Megabytes that the server's processes hold, pages that several share counted once: their own, and of shared memory what was touched so far."""
    own = shared = 0
    for pid in [postmaster(), *children(postmaster())]:
        try:
            lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        sizes = {name: int(rest.split()[0]) for name, rest in (line.split(":", 1) for line in lines[1:])}
        own += sizes["Pss_Anon"]
        shared += sizes["Pss_Shmem"]
    return own / 1024, shared / 1024


class Checks:
    """Counts what held and what did not."""

    def __init__(self):
        self.passed = self.failed = 0

    def that(self, what, holds, why=""):
        print(f"{'ok' if holds else 'not ok'}: {what}{f': {why}' if why else ''}", flush=True)
        self.passed += bool(holds)
        self.failed += not holds

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed")
        raise SystemExit(self.failed > 0)
