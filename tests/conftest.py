"""Options of the whole test run; servers and their fixtures live in the folder of the tests that need them."""

from __future__ import annotations

import gc
import os
import shutil
from pathlib import Path

import certifi
import pytest
from hypothesis import settings

from tests.folders import new_folder

pytest_plugins = ["tests.databases", "tests.planes"]

# No timed assertions: two shared cores say nothing about a deadline.
settings.register_profile("aos", deadline=None, print_blob=True)
settings.load_profile("aos")

# Tests start processes beside gRPC clients of their own: what gRPC does in a forked child ends it before its program begins.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

# Each HTTP client reads every authority that it trusts, which takes longer than what most tests ask of it: here one will
# do, for nothing is called but this machine.
_ONE = "-----END CERTIFICATE-----\n"
_authority = new_folder("authority") / "one.pem"
_authority.write_text(Path(certifi.where()).read_text("utf-8").partition(_ONE)[0] + _ONE)
os.environ["SSL_CERT_FILE"] = str(_authority)

NO_CHROMIUM = "no chromium on this machine: `apt-get install chromium` runs these (`make test` as root does it for you)"


# Where several processes run the tests, whole files are dealt out in order: those that wait and start much come first.
LONGEST_FIRST = ("e2e", "store", "simulation", "contract", "operations", "kernel")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what needs a browser where there is none, and say what would run it; deal out long folders first."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: LONGEST_FIRST.index(item.path.parent.name))
    if shutil.which("chromium"):
        return
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.skip(reason=NO_CHROMIUM))


def pytest_collection_finish() -> None:
    """Let the collector pass over what the tests import, half a gigabyte: it would walk all of it again and again."""
    gc.collect()
    gc.freeze()
