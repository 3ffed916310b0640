"""Random kills of trainers, workers, backends and the postmaster; after each the server must be as it should be."""

import collections
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import psycopg
from server import Checks, children, connect, postmaster, predictions, set_up, title, train

KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else 500
MODEL = "chaos"
SLOW = '{"algorithm": "dnn", "epochs": 100000, "early_stopping": false, "max_seconds": 3, "wait": false}'

chance = random.Random(7)
set_up([MODEL])
told = collections.Counter()
problems = []


def server_back(seconds=60):
    """A connection, once the server takes one."""
    end = time.monotonic() + seconds
    while True:
        try:
            return connect(connect_timeout=5)
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def trainers():
    """Children of workers: the trainer's own processes."""
    workers = [pid for pid in children(postmaster()) if "insight worker" in title(pid)]
    return workers, [child for worker in workers for child in children(worker)]


def start_again():
    """As an administrator would, after the postmaster was killed: what is left of it must go first."""
    folder = pathlib.Path(os.environ["PGHOST"], "data")
    command = [os.environ["PG_BIN"] + "/pg_ctl", "-D", str(folder), "-l", str(folder.parent / "log"), "-w", "-t", "60", "start"]
    as_server = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    for _ in range(20):
        if subprocess.run(as_server + command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
            return
        time.sleep(0.5)
    raise SystemExit("the server does not start again")


def strike(session):
    """Kills something; answers what."""
    workers, own = trainers()
    targets = {"trainer": own, "worker": workers, "backend": [session.info.backend_pid], "postmaster": [postmaster()]}
    kinds = [kind for kind, pids in targets.items() if pids]
    kind = chance.choices(kinds, [{"trainer": 10, "worker": 6, "backend": 4, "postmaster": 1}[kind] for kind in kinds])[0]
    how = signal.SIGKILL if kind != "worker" or chance.random() < 0.5 else signal.SIGTERM
    try:
        os.kill(chance.choice(targets[kind]), how)
    except ProcessLookupError:
        return "gone before"
    if kind == "postmaster":
        # Its children see that it is gone and leave.
        time.sleep(0.2)
        start_again()
    return f"{kind} {how.name}"


def settled(session, jobs):
    """Whether all jobs reached an end."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        rows = session.execute("SELECT job, status FROM insight.jobs WHERE job = ANY(%s)", (jobs,)).fetchall()
        if not [row for row in rows if row[1] in ("queued", "running")]:
            return rows
        time.sleep(0.1)
    return None


def look(session, jobs, known):
    """What is wrong after a kill."""
    ends = settled(session, jobs)
    if ends is None:
        yield "a job never ended"
        return
    told.update(status for _, status in ends)
    query = "SELECT job FROM insight.jobs j WHERE job = ANY(%s) AND status = 'succeeded' AND NOT EXISTS (SELECT FROM insight.versions v WHERE v.model = j.model AND v.version = j.version)"
    if session.execute(query, (jobs,)).fetchall():
        yield "a job succeeded without a version"
    if predictions(session, f"{MODEL}@1") != known:
        yield "an old version answers otherwise"
    (deployed,) = session.execute("SELECT count(*) FROM insight.versions WHERE model = %s AND deployed", (MODEL,)).fetchone()
    if deployed != 1 or None in predictions(session, MODEL).values():
        yield f"{deployed} versions are deployed"
    lost = own_orphans()
    if lost:
        yield f"processes are left over: {lost}"


def own_orphans():
    """Trainers that outlived their workers: nobody waits for them but the first process."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                name, fields = (entry / "stat").read_text().rsplit(")", 1)
            except OSError:
                continue
            if "(insight-t" in name and fields.split()[0] != "Z" and fields.split()[1] == "1":
                found.append(int(entry.name))
    return found


session = connect()
known = predictions(session, f"{MODEL}@1")
started = time.monotonic()
kills = 0
while kills < KILLS:
    jobs = []
    try:
        for _ in range(chance.randint(1, 3)):
            options = SLOW if chance.random() < 0.7 else '{"algorithm": "mlp", "epochs": 4, "wait": false}'
            (job,) = session.execute("SELECT job FROM insight_train('customers', 'churn', %s, %s)", (MODEL, options)).fetchone()
            jobs.append(job)
        time.sleep(chance.random() * 1.5)
        what = strike(session)
        if what == "gone before":
            continue
        kills += 1
        told[what] += 1
        session.close()
        session = server_back()
        time.sleep(0.1)
        found = list(look(session, jobs, known))
    except psycopg.OperationalError as error:
        # The kill of another process ends all sessions: what was asked is looked at again.
        session.close()
        session = server_back()
        found = list(look(session, jobs, known)) if jobs else []
    if found:
        problems += [f"kill {kills}: {what}" for what in found]
        print(problems[-1], flush=True)
    if kills % 25 == 0:
        print(f"{kills} kills, {time.monotonic() - started:.0f} s: {dict(told)}", flush=True)

checks = Checks()
print(f"{kills} kills in {time.monotonic() - started:.0f} s: {dict(told)}")
checks.that("nothing was wrong after any of them", not problems, "; ".join(problems[:5]))
train(session, MODEL, seed=99)
checks.that("training goes on", len(predictions(session, MODEL)) > 0)
checks.end()
