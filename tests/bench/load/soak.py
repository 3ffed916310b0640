"""Many sessions predict while jobs train, retrain, deploy, roll back, cancel and drop: no error, no wrong version, no growth, no deadlock."""

import argparse
import random
import statistics
import threading
import time

import psycopg
from server import Checks, ROWS, connect, memory, predictions, set_up, train

MODELS = ["soak_a", "soak_b", "soak_c"]

options = argparse.ArgumentParser()
options.add_argument("--minutes", type=float, default=60)
options.add_argument("--sessions", type=int, default=200)
options.add_argument("--jobs", type=int, default=10)
given = options.parse_args()

stop = threading.Event()
lock = threading.Lock()
errors = []
counts = {"predictions": 0, "trainings": 0, "deployments": 0, "cancelled": 0, "drops": 0}
# Of each model and version: what it answers, and from when until when it may have been the deployed one.
versions = {name: {} for name in MODELS}
# Of each answer that was seen: when it came first, and when it was asked for last. In between its version must have been deployed.
seen = {}


def count(what, by=1):
    with lock:
        counts[what] += by


def failed(where, error):
    with lock:
        errors.append(f"{where}: {type(error).__name__}: {str(error).splitlines()[0]}")


def predict(seed):
    """Predicts rows one by one, as a web application does."""
    chance = random.Random(seed)
    try:
        with connect() as session:
            while not stop.is_set():
                name, row = chance.choice(MODELS), chance.randint(1, ROWS)
                asked = time.monotonic()
                (answer,) = session.execute("SELECT insight_predict(%s, c) FROM customers c WHERE id = %s", (name, row)).fetchone()
                came = time.monotonic()
                with lock:
                    counts["predictions"] += 1
                    first, last = seen.get((name, row, answer), (came, asked))
                    seen[name, row, answer] = (min(first, came), max(last, asked))
                time.sleep(chance.random() * 0.2)
    except psycopg.Error as error:
        failed("predicting", error)


class Deployer:
    """The only one who changes a model: so that it is known which version can be deployed at what time."""

    def __init__(self, name, seed):
        self.name, self.chance, self.seed = name, random.Random(seed), seed

    def run(self):
        try:
            with connect() as session:
                # It names versions one after the other, and would keep as many as there is room for.
                session.execute("SET insight.cache_memory = '1MB'")
                self.became(session, 1, 0.0)
                while not stop.is_set():
                    self.change(session)
                    time.sleep(self.chance.random() * 2)
        except (psycopg.Error, AssertionError) as error:
            failed(f"deploying {self.name}", error)

    def became(self, session, version, asked):
        """A version was deployed after it was asked for: it may have been from then on, and the others until now."""
        answers = predictions(session, f"{self.name}@{version}")
        now = time.monotonic()
        with lock:
            known = versions[self.name]
            for other in known.values():
                if other["until"] is None:
                    other["until"] = now
            known[version, asked] = {"answers": answers, "since": asked, "until": None}

    def change(self, session):
        asked = time.monotonic()
        what = self.chance.random()
        if what < 0.4:
            self.seed += 1
            self.became(session, train(session, self.name, self.seed), asked)
            count("trainings")
        elif what < 0.6:
            query = "SELECT version FROM insight_retrain(%s)"
            session.execute(query, (self.name,))
            (version,) = session.execute("SELECT version FROM insight.versions WHERE model = %s AND deployed", (self.name,)).fetchone()
            self.became(session, version, asked)
            count("trainings")
        else:
            query = "SELECT version FROM insight.versions WHERE model = %s ORDER BY random() LIMIT 1"
            (version,) = session.execute(query, (self.name,)).fetchone()
            session.execute("SELECT insight_deploy(%s, %s)", (self.name, version))
            self.became(session, version, asked)
            count("deployments")


def churn(number):
    """Models that come and go, and jobs that are cancelled."""
    chance = random.Random(1000 + number)
    name = f"passing_{number}"
    try:
        with connect() as session:
            while not stop.is_set():
                train(session, name, chance.randint(1, 10**6))
                count("trainings")
                predictions(session, name)
                slow = '{"algorithm": "dnn", "epochs": 100000, "early_stopping": false, "max_seconds": 30, "wait": false}'
                (job,) = session.execute("SELECT job FROM insight_train('customers', 'churn', %s, %s)", (name, slow)).fetchone()
                time.sleep(chance.random() * 3)
                (cancelled,) = session.execute("SELECT insight_cancel(%s)", (job,)).fetchone()
                (status,) = session.execute("SELECT status FROM insight_wait(%s)", (job,)).fetchone()
                # On a machine that is too busy its seconds are over before it is cancelled.
                assert status == ("cancelled" if cancelled else "succeeded"), status
                count("cancelled")
                session.execute("SELECT insight_drop(%s)", (name,))
                count("drops")
    except (psycopg.Error, AssertionError) as error:
        failed(f"churning {name}", error)


set_up(MODELS)
threads = [threading.Thread(target=Deployer(name, 10_000 * i).run) for i, name in enumerate(MODELS, 1)]
threads += [threading.Thread(target=churn, args=(i,)) for i in range(max(given.jobs - len(MODELS), 0))]
threads += [threading.Thread(target=predict, args=(i,)) for i in range(given.sessions)]
started = time.monotonic()
for thread in threads:
    thread.start()
samples = []
while time.monotonic() - started < given.minutes * 60 and not errors:
    time.sleep(min(15, given.minutes * 60 / 20))
    samples.append(memory())
    with lock:
        print(f"{time.monotonic() - started:6.0f} s  {samples[-1][0]:6.0f} MB own  {samples[-1][1]:6.0f} MB shared  {counts}", flush=True)
stop.set()
for thread in threads:
    thread.join(180)

checks = Checks()
print(f"{time.monotonic() - started:.0f} s, {given.sessions} sessions, {given.jobs} jobs: {counts}")
checks.that("no error", not errors, "; ".join(sorted(set(errors))[:5]))
checks.that("nobody hangs", not any(thread.is_alive() for thread in threads))
checks.that("every model was predicted by every version's turn", all(counts[what] > 0 for what in counts), "")


def shared_memory():
    """Megabytes of shared memory, of which a server takes pages as it uses them; None where it does not say (before PostgreSQL 15)."""
    names = ["shared_memory_size", "insight.shared_models"]
    with connect() as session:
        if session.info.server_version < 150000:
            return None
        query = "SELECT sum(pg_size_bytes(current_setting(name))) FROM unnest(%s::text[]) name"
        return float(session.execute(query, (names,)).fetchone()[0]) / 2**20


def of_its_time(name, row, answer, first, last):
    """Whether versions that may have been deployed when it came first and when it was asked for last explain the answer."""
    spans = [(v["since"], v["until"] or last) for v in versions[name].values() if v["answers"].get(row) == answer]
    return any(since <= first for since, _ in spans) and any(until >= last for _, until in spans) if spans else False


wrong = [key for key, (first, last) in seen.items() if not of_its_time(*key, first, last)]
checks.that(f"each of {len(seen)} different answers is one of a version that was deployed then", not wrong, str(wrong[:3]) if wrong else "")
if samples:
    own, shared = zip(*samples)
    quarter = max(len(samples) // 4, 1)
    before, after = statistics.mean(own[quarter : 2 * quarter] or own), statistics.mean(own[-quarter:])
    checks.that("the processes' own memory does not grow", after < before * 1.05 + 10, f"{before:.0f} MB in the second quarter, {after:.0f} MB in the last")
    given_to_it = shared_memory()
    if given_to_it is not None:
        checks.that("shared memory stays within what the server was given", shared[-1] <= given_to_it, f"{shared[-1]:.0f} of {given_to_it:.0f} MB")
else:
    checks.that("the processes' own memory does not grow", False, "it ended before the memory was looked at")
with connect() as session:
    open_jobs = session.execute("SELECT count(*) FROM insight.jobs WHERE status IN ('queued', 'running')").fetchone()[0]
    checks.that("no job is left open", open_jobs == 0, str(open_jobs) if open_jobs else "")
    (deadlocks,) = session.execute("SELECT sum(deadlocks) FROM pg_stat_database").fetchone()
    checks.that("no deadlock", deadlocks == 0)
checks.end()
