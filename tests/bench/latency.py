"""Time of one prediction: the first in a new session, and later ones."""

import statistics
import time

from common import connect, head, median_seconds, note, times
from points import NAMES, prepare

CALLS = 10_000

server = connect()
_, plpython = prepare(server)


def clock(connection, query, parameters=None):
    start = time.perf_counter()
    connection.execute(query, parameters, prepare=None if parameters is None else True).fetchone()
    return time.perf_counter() - start


def first(query, sessions=20):
    """The median and the slowest of the first answers of new sessions, in seconds."""
    answers = []
    for _ in range(sessions):
        with connect() as session:
            # The first statement of a session opens the catalogs, whatever it asks.
            clock(session, "SELECT id FROM points WHERE id = 1")
            answers.append(clock(session, query))
    return statistics.median(answers), max(answers)


def in_a_loop(expression, calls=CALLS):
    """Server seconds of one call in PL/pgSQL, less the loop's own."""

    def loop(body, calls):
        return f"""
            DO $$
            DECLARE p points; x float8;
            BEGIN
              SELECT * INTO p FROM points LIMIT 1;
              FOR i IN 1..{calls} LOOP x := {body}; END LOOP;
            END $$"""

    whole, empty = loop(expression, calls), loop("p.x1", calls)
    server.execute(whole)
    return (median_seconds(lambda: server.execute(whole), 5) - median_seconds(lambda: server.execute(empty), 5)) / calls


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
head("latency of one prediction")
mine, worst = first(f"SELECT insight_predict('points', ROW({row}))")
by_table, _ = first("SELECT insight_predict('points', p) FROM points p WHERE id = 1")
if plpython:
    theirs, _ = first("SELECT scikit_predict(p) FROM points p WHERE id = 1", 5)
    times("first in a session, ROW(...)", mine, "scikit-learn in PL/Python, first", theirs, "< 10 ms")
    times("first in a session, table row", by_table, "", theirs, "< 10 ms")
else:
    times("first in a session, ROW(...)", mine, wanted="< 10 ms")
    times("first in a session, table row", by_table, wanted="< 10 ms")
note(f"medians of 20 new sessions, as the client sees them; the slowest {worst * 1e3:.1f} ms")

mine = in_a_loop("insight_predict('points', p)")
whole, predicting = as_statements("insight_predict('points', p)")
if plpython:
    times("later, in a PL/pgSQL loop", mine, "scikit-learn in PL/Python", in_a_loop("scikit_predict(p)", 2000), "< 50 us")
    their_whole, their_predicting = as_statements("scikit_predict(p)", 2000)
    times("later, a prepared statement's share", predicting, "scikit-learn in PL/Python", their_predicting, "< 50 us")
    times("the whole statement with round trip", whole, "scikit-learn in PL/Python", their_whole)
else:
    times("later, in a PL/pgSQL loop", mine, wanted="< 50 us")
    times("later, a prepared statement's share", predicting, wanted="< 50 us")
    times("the whole statement with round trip", whole)

# Encrypted, the key is read and the model is opened once in a session. The setting stays: other subjects find their models again.
plain, _ = first(f"SELECT insight_predict('points', ROW({row}))")
file = server.execute("SELECT current_setting('data_directory') || '/insight.key'").fetchone()[0]
server.execute(f"COPY (SELECT '1:' || repeat('5a', 32)) TO PROGRAM 'umask 077; cat > {file}'")
server.execute(f"ALTER DATABASE bench SET insight.key_file = '{file}'")
with connect() as session:
    session.execute("SELECT * FROM insight_rotate_key()")
    size = session.execute("SELECT bytes FROM insight.versions WHERE model = 'points' AND deployed AND key_version = 1").fetchone()[0]
sealed, worst = first(f"SELECT insight_predict('points', ROW({row}))")
times("first in a session, encrypted model", sealed, "the same, not encrypted", plain, "< 10 ms")
note(f"the model has {size / 1e3:.0f} kB; the slowest {worst * 1e3:.1f} ms")
