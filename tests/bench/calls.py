"""How long calls take, the first of new sessions and later ones in a loop; and what memory sessions hold for them."""

import pathlib
import statistics
import time

from common import connect


def clock(connection, query, parameters=None):
    start = time.perf_counter()
    connection.execute(query, parameters, prepare=None if parameters is None else True).fetchone()
    return time.perf_counter() - start


def new_session(host=None):
    session = connect(host=host)
    # The first statement of a session opens the catalogs, whatever it asks.
    clock(session, "SELECT id FROM points WHERE id = 1")
    return session


def first_answer(query, host=None, timed=clock):
    """Seconds of the first answer of a new session."""
    with new_session(host) as session:
        return timed(session, query)


def processor(session, query):
    """Seconds of processor that the session's process takes: other processes change them less than they change the client's clock."""
    # As clock_getcpuclockid of the C library names the clock of another process.
    process = (~session.info.backend_pid << 3) | 2
    before = time.clock_gettime(process)
    session.execute(query)
    return time.clock_gettime(process) - before


def in_a_loop(server, expression, calls):
    """The server's processor time of one call in PL/pgSQL, less the loop's own."""

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
    taken = [statistics.median(processor(server, query) for _ in range(5)) for query in (whole, empty)]
    return (taken[0] - taken[1]) / calls


def own_memory(session):
    """Bytes that the session's process holds itself: RssAnon."""
    return _kilobytes(session, "status", "RssAnon") * 1024


def share_of_memory(session):
    """The same, where a page that several processes still share counts in parts."""
    return _kilobytes(session, "smaps_rollup", "Pss_Anon") * 1024


def _kilobytes(session, file, field):
    lines = pathlib.Path(f"/proc/{session.info.backend_pid}/{file}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
