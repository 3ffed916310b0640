"""PgBouncer, transactions pooled: many clients share two server connections, so nothing may hang on a session."""

import asyncio
import concurrent.futures
import json
import os
import subprocess
import sys
import threading

import asyncpg
import psycopg
from psycopg.types.json import Jsonb

from checks import BACKGROUND, CANCELLED, CUSTOMER, FAST, RUNNING, SLOW, Checks, equal, until

POOL = 2
checks = Checks("PgBouncer " + os.environ["PGBOUNCER_VERSION"])
check = checks.check
TRAIN = "SELECT * FROM insight_train('customers', 'churn', %s, %s)"
# Straight to the server.
watcher = psycopg.connect("", autocommit=True)


def client(**more):
    # PgBouncer before 1.21 knows nothing of a client's prepared statements: psycopg must make none.
    return psycopg.connect(host=os.environ["SCRATCH"], port=os.environ["PGBOUNCER_PORT"], autocommit=True, prepare_threshold=None, **more)


def one(statement, *arguments, on=watcher):
    return on.execute(statement, arguments or None).fetchone()[0]


with check(f"8 clients score over {POOL} server connections, with bound parameters"):

    def score(number):
        with client() as conn:
            pids, risks = set(), set()
            for age in range(20, 60):
                risk, pid = conn.execute("SELECT insight_predict(%s, %s), pg_backend_pid()", ("churn", Jsonb(CUSTOMER | {"age": age}))).fetchone()
                pids.add(pid)
                risks.add((age, risk))
            return pids, frozenset(risks)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(score, range(8)))
    servers = set().union(*(pids for pids, _ in answers))
    assert len(servers) <= POOL, servers
    equal(len({risks for _, risks in answers}), 1)

with check("trains in the background, waits in other transactions"):
    with client() as conn:
        job = conn.execute(TRAIN, ("pooled", Jsonb(BACKGROUND))).fetchone()[10]
        until("its end", lambda: one("SELECT insight_wait(%s, 0.2)", job, on=conn) == "succeeded")

with check("a job of a transaction starts with its commit, and vanishes with ROLLBACK"):
    with client() as conn:
        with conn.transaction(force_rollback=True):
            conn.execute(TRAIN, ("pooled_never", Jsonb(BACKGROUND)))
        equal(one("SELECT count(*) FROM insight.jobs WHERE model = 'pooled_never'"), 0)

with check("every client sees the version deployed meanwhile, and the one rolled back to"):
    clients = [client() for _ in range(4)]

    def risks():
        with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
            return set(pool.map(lambda conn: one("SELECT insight_predict('pooled', %s)", Jsonb(CUSTOMER), on=conn), clients * 5))

    before = risks()
    equal(len(before), 1)
    with client() as conn:
        equal(conn.execute(TRAIN, ("pooled", Jsonb(FAST | {"seed": 7}))).fetchone()[1], 2)
    after = risks()
    equal(after, {one("SELECT insight_predict('pooled@2', %s)", Jsonb(CUSTOMER))})
    assert before != after
    with client() as conn:
        conn.execute("SELECT insight_rollback('pooled')")
    equal(risks(), before)
    for conn in clients:
        conn.close()

with check("SET LOCAL holds for its transaction alone"):
    with client() as conn:
        try:
            with conn.transaction():
                conn.execute("SET LOCAL insight.device = 'cuda:99'")
                conn.execute(TRAIN, ("pooled", Jsonb(FAST)))
            raise AssertionError("no error")
        except psycopg.errors.InvalidParameterValue as error:
            assert "cuda:99" in str(error) and error.diag.message_hint, str(error)
        equal(conn.execute(TRAIN, ("pooled_set", Jsonb(FAST))).fetchone()[2], "succeeded")
        equal(one("SHOW insight.device", on=conn), "auto")

with check("a prepared statement serves one transaction"):
    with client() as conn:
        with conn.transaction():
            conn.execute("PREPARE score (text, jsonb) AS SELECT insight_predict($1, $2)")
            assert 0 < one("EXECUTE score('churn', '{\"age\": 30}')", on=conn) < 1
            conn.execute("DEALLOCATE score")



async def risk_by_asyncpg():
    pooled = await asyncpg.connect(host=os.environ["SCRATCH"], port=os.environ["PGBOUNCER_PORT"], statement_cache_size=0)
    for age in range(20, 60):
        risk = await pooled.fetchval("SELECT insight_predict($1, $2::jsonb)", "churn", json.dumps(CUSTOMER | {"age": age}))
        assert 0 < risk < 1, risk
    await pooled.close()


with check("asyncpg without its cache of statements"):
    asyncio.run(risk_by_asyncpg())

with check("notices reach the client"):
    with client() as conn:
        notices = []
        conn.add_notice_handler(lambda diagnostic: notices.append(diagnostic.message_primary))
        conn.execute(TRAIN, ("pooled_notices", Jsonb(FAST)))
        assert any("customer_id" in notice for notice in notices), notices

with check("cancelling a training through the pool"):
    with client() as conn:
        failed = []

        def train():
            try:
                conn.execute(TRAIN, ("pooled_slow", Jsonb(SLOW)))
            except psycopg.Error as error:
                failed.append(error.sqlstate)

        thread = threading.Thread(target=train)
        thread.start()
        until("a running job", lambda: one(RUNNING.format("pooled_slow")))
        conn.cancel()
        thread.join(20)
        equal(failed, ["57014"])
        equal(one("SELECT 1", on=conn), 1)
    equal(one(CANCELLED.format("pooled_slow")), "cancelled 57014")

with check("a client that dies while it waits takes its job along"):
    program = "import sys, psycopg; psycopg.connect(sys.argv[1], prepare_threshold=None).execute(sys.argv[2], (sys.argv[3], sys.argv[4]))"
    address = f"host={os.environ['SCRATCH']} port={os.environ['PGBOUNCER_PORT']}"
    dying = subprocess.Popen([sys.executable, "-c", program, address, TRAIN, "pooled_dead", json.dumps(SLOW)])
    until("a running job", lambda: one(RUNNING.format("pooled_dead")))
    dying.kill()
    dying.wait()
    until("its end", lambda: one(CANCELLED.format("pooled_dead")) == "cancelled 57014")

with check("errors have SQLSTATE, message and hint, and leave the pool as it was"):
    with client() as conn:
        try:
            one("SELECT insight_predict('nobody', %s)", Jsonb(CUSTOMER), on=conn)
            raise AssertionError("no error")
        except psycopg.errors.UndefinedObject as error:
            assert '"nobody" does not exist' in error.diag.message_primary and error.diag.message_hint, str(error)
        assert 0 < one("SELECT insight_predict('churn', %s)", Jsonb(CUSTOMER), on=conn) < 1
