"""What the subjects share: the connection, timing, and the lines of the table."""

import os
import statistics
import time

import psycopg

ROWS = int(os.environ["BENCH_ROWS"])
# A folder that the server's user can read, with the modules for PL/Python in it.
SCRATCH = os.environ["BENCH_SCRATCH"]

_LINE = "{:<38} {:>16}  {:<40} {:>16} {:>9} {:>10}"


def connect(**where):
    return psycopg.connect(autocommit=True, **where)


def one(connection, query, *parameters):
    """The first column of the first row."""
    return connection.execute(query, parameters or None).fetchone()[0]


def median_seconds(work, times=3):
    """The median: another process that wakes up in between must not decide."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def busy():
    """The share of the processors' time that other processes take just now."""

    def read():
        with open("/proc/stat") as lines:
            numbers = [int(n) for n in lines.readline().split()[1:9]]
        return sum(numbers), numbers[3] + numbers[4]

    all_before, idle_before = read()
    time.sleep(1)
    all_after, idle_after = read()
    return 1 - (idle_after - idle_before) / max(all_after - all_before, 1)


def warn_if_busy():
    if (share := busy()) > 0.1:
        print(f"    the machine is busy with something else ({share:.0%}): do not trust what follows")


def head(title):
    print()
    warn_if_busy()
    print(_LINE.format(title, "insight", "against", "theirs", "ratio", "wanted"))
    print("-" * 134, flush=True)


def speeds(what, mine, against, theirs, wanted=""):
    """Rows per second: the ratio says how many times faster insight is."""
    ratio = f"{mine / theirs:.2f}x" if theirs else ""
    print(_LINE.format(what, f"{mine:,.0f}/s", against, f"{theirs:,.0f}/s" if theirs else "", ratio, wanted), flush=True)


def times(what, mine, against="", theirs=None, wanted=""):
    """Seconds: the ratio says how many times faster insight is."""
    ratio = f"{theirs / mine:.2f}x" if theirs else ""
    print(_LINE.format(what, duration(mine), against, duration(theirs) if theirs else "", ratio, wanted), flush=True)


def sizes(what, mine, against, theirs):
    """Bytes: the ratio says how many times less insight takes."""
    megabytes = [f"{bytes / 1e6:,.2f} MB" for bytes in (mine, theirs)]
    print(_LINE.format(what, megabytes[0], against, megabytes[1], f"{theirs / mine:.2f}x" if mine else "", ""), flush=True)


def note(text):
    print(f"    {text}", flush=True)


def duration(seconds):
    return f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.1f} us"


def have_plpython(connection):
    return one(connection, "SELECT count(*) FROM pg_language WHERE lanname = 'plpython3u'") == 1
