"""Time of one prediction: the first in a new session, also where insight is preloaded, and later ones; memory of sessions."""

import contextlib
import os
import statistics

from calls import clock, first_answer, in_a_loop, new_session, own_memory, share_of_memory
from common import connect, duration, head, note, sizes, times
from points import NAMES, fill, prepare

CALLS, SESSIONS = 10_000, 200
# The socket's folder of the server with insight in shared_preload_libraries.
PRELOADED = os.environ["BENCH_PRELOADED"]

server = connect()
_, plpython = prepare(server)


def spread(seconds):
    p95 = statistics.quantiles(seconds, n=20)[-1]
    return f"median {duration(statistics.median(seconds))}, 95th percentile {duration(p95)}, slowest {duration(max(seconds))}"


def first(query, sessions=40):
    """Seconds of the first answers of new sessions: median, and in words how they spread."""
    answers = [first_answer(query) for _ in range(sessions)]
    return statistics.median(answers), spread(answers)


def in_turn(query, sessions=40):
    """The same here and where insight is preloaded, in turn, so that whatever else the machine does strikes both."""
    # The first session that uses a model is the one that shares it.
    first_answer(query, PRELOADED)
    pairs = [(first_answer(query), first_answer(query, PRELOADED)) for _ in range(sessions)]
    return [(statistics.median(answers), spread(answers)) for answers in zip(*pairs)]


def memory(host, sessions):
    """Of so many open sessions that have predicted once: bytes that the median one holds, what came with the prediction, and all of
    them together, with shared pages counted once."""
    with contextlib.ExitStack() as opened:
        taken = []
        for _ in range(sessions):
            session = opened.enter_context(new_session(host))
            before = own_memory(session)
            clock(session, by_row)
            taken.append((session, before))
        own = statistics.median(own_memory(session) for session, _ in taken)
        grown = statistics.median(own_memory(session) - before for session, before in taken)
        return own, grown, sum(share_of_memory(session) for session, _ in taken)


def as_statements(expression, calls=CALLS):
    """Seconds of a client's prepared statement that fetches a row by its key and predicts it; and of one that only fetches."""
    queries = [f"SELECT {e} FROM points p WHERE id = %s" for e in (expression, "p.x1")]
    taken = ([], [])
    with connect() as session:
        for query in queries:
            for i in range(20):
                clock(session, query, [i + 1])
        # In turn, so that whatever else the machine does strikes both.
        for i in range(calls):
            for query, seconds in zip(queries, taken):
                seconds.append(clock(session, query, [i % 10_000 + 1]))
    whole, fetch = (statistics.median(t) for t in taken)
    return whole, whole - fetch


row = ", ".join(["0.5"] * len(NAMES))
by_value, by_row = f"SELECT insight_predict('points', ROW({row}))", "SELECT insight_predict('points', p) FROM points p WHERE id = 1"
head("latency of one prediction")
theirs = first("SELECT scikit_predict(p) FROM points p WHERE id = 1", 5)[0] if plpython else None
with connect(host=PRELOADED) as preloaded:
    fill(preloaded, 20_000)
for what, query in [("ROW(...)", by_value), ("table row", by_row)]:
    (plain, plain_spread), (shared, shared_spread) = in_turn(query)
    times(f"first in a session, {what}", plain, "scikit-learn in PL/Python, first" if theirs else "", theirs, "< 10 ms")
    times("insight preloaded", shared, "insight not preloaded", plain, "< 10 ms")
    note(f"40 new sessions, as the client sees them: {plain_spread}")
    note(f"40 where insight is preloaded:           {shared_spread}")
for sessions in 1, SESSIONS:
    shared, plain = memory(PRELOADED, sessions), memory(None, sessions)
    among = f", one of {sessions}" if sessions > 1 else ""
    sizes(f"a session's own memory{among}", shared[0], "insight not preloaded", plain[0])
    sizes("what its first prediction took", shared[1], "insight not preloaded", plain[1])
sizes(f"{SESSIONS} sessions together", shared[2], "insight not preloaded", plain[2])
note("memory: where insight is preloaded; RssAnon of a session, with pages that it has from the postmaster and has not written; together, those count once")

mine = in_a_loop(server, "insight_predict('points', p)", CALLS)
whole, predicting = as_statements("insight_predict('points', p)")
if plpython:
    times("later, in a PL/pgSQL loop", mine, "scikit-learn in PL/Python", in_a_loop(server, "scikit_predict(p)", 2000), "< 50 us")
    their_whole, their_predicting = as_statements("scikit_predict(p)", 2000)
    times("later, a prepared statement's share", predicting, "scikit-learn in PL/Python", their_predicting, "< 50 us")
    times("the whole statement with round trip", whole, "scikit-learn in PL/Python", their_whole)
else:
    times("later, in a PL/pgSQL loop", mine, wanted="< 50 us")
    times("later, a prepared statement's share", predicting, wanted="< 50 us")
    times("the whole statement with round trip", whole)

# Encrypted, the key is read and the model is opened once in a session. The setting stays: other subjects find their models again.
plain, _ = first(by_value)
file = server.execute("SELECT current_setting('data_directory') || '/insight.key'").fetchone()[0]
server.execute(f"COPY (SELECT '1:' || repeat('5a', 32)) TO PROGRAM 'umask 077; cat > {file}'")
server.execute(f"ALTER DATABASE bench SET insight.key_file = '{file}'")
with connect() as session:
    session.execute("SELECT * FROM insight_rotate_key()")
    size = session.execute("SELECT bytes FROM insight.versions WHERE model = 'points' AND deployed AND key_version = 1").fetchone()[0]
sealed, sealed_spread = first(by_value)
times("first in a session, encrypted model", sealed, "the same, not encrypted", plain, "< 10 ms")
note(f"the model has {size / 1e3:.0f} kB; {sealed_spread}")
