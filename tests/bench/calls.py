"""How long calls take, the first of new sessions and later ones in a loop; and what memory sessions hold for them."""

import pathlib
import time

from common import connect, median_seconds


def clock(connection, query, parameters=None):
    start = time.perf_counter()
    connection.execute(query, parameters, prepare=None if parameters is None else True).fetchone()
    return time.perf_counter() - start


def new_session(host=None):
    session = connect(host=host)
    # The first statement of a session opens the catalogs, whatever it asks.
    clock(session, "SELECT id FROM points WHERE id = 1")
    return session


def first_answer(query, host=None):
    """Seconds of the first answer of a new session."""
    with new_session(host) as session:
        return clock(session, query)


def in_a_loop(server, expression, calls):
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


def own_memory(session):
    """Bytes that the session's process holds itself: RssAnon."""
    return _kilobytes(session, "status", "RssAnon") * 1024


def share_of_memory(session):
    """The same, where a page that several processes still share counts in parts."""
    return _kilobytes(session, "smaps_rollup", "Pss_Anon") * 1024


def _kilobytes(session, file, field):
    lines = pathlib.Path(f"/proc/{session.info.backend_pid}/{file}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
