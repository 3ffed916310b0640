"""Says where the numbers come from."""

import importlib.metadata
import os
import platform
import sys

from common import ROWS, connect, one


def processor():
    with open("/proc/cpuinfo") as lines:
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def version(package):
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return f"no {package}"


server = connect()
memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
print(f"machine   {os.cpu_count()} cores, {processor()}, {memory:.0f} GiB; load before the start {os.getloadavg()[0]:.2f}")
print(f"insight   {one(server, 'SELECT insight_version()')}, {sys.argv[1]}")
print(f"server    PostgreSQL {one(server, 'SHOW server_version')}, shared_buffers {one(server, 'SHOW shared_buffers')}")
if len(sys.argv) > 2:
    print(f"against   {sys.argv[2]}")
else:
    packages = ["numpy", "pandas", "SQLAlchemy", "psycopg2-binary", "psycopg", "scikit-learn", "torch"]
    print(f"theirs    Python {platform.python_version()}, " + ", ".join(version(package) for package in packages))
print(f"tables    {ROWS:,} rows; for training {ROWS // (20 if len(sys.argv) > 2 else 5):,}")
