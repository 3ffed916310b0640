"""Lines that tests/drivers/run counts, and what the drivers of Python have in common."""

import contextlib
import json
import os
import time

# Options of a training that ends at once, in the background too, and of one that ends when it is cancelled.
FAST = json.loads(os.environ["FAST"])
BACKGROUND = FAST | {"wait": False}
SLOW = json.loads(os.environ["SLOW"])
WRONG = {"epoch": 3}
CUSTOMER = json.loads(os.environ["CUSTOMER"])
RUNNING = "SELECT count(*) FROM insight.jobs WHERE model = '{}' AND status = 'running'"
CANCELLED = "SELECT status || ' ' || sqlstate FROM insight.jobs WHERE model = '{}' ORDER BY job DESC LIMIT 1"


class Checks:
    def __init__(self, driver):
        self.driver = driver

    @contextlib.contextmanager
    def check(self, what):
        try:
            yield
        except Exception as error:
            place, inner = error.__traceback__, error
            while place.tb_next and place.tb_next.tb_frame.f_code.co_filename.endswith("_test.py"):
                place = place.tb_next
            why = " ".join(f"line {place.tb_lineno}: {type(inner).__name__}: {inner}".split())
            print(f"not ok {self.driver}: {what}: {why}", flush=True)
        else:
            print(f"ok {self.driver}: {what}", flush=True)


def until(what, found, seconds=20):
    """Asks again and again until `found` answers something true."""
    end = time.monotonic() + seconds
    while not (answer := found()):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.05)
    return answer


def equal(left, right):
    assert left == right, f"{left!r} is not {right!r}"
