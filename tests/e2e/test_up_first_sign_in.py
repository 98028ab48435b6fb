"""The first way in: an empty store gives whoever starts it a link that works once, and never again after that."""

from __future__ import annotations

import json
import re
import signal

from tests.e2e.installation import Installation, installation
from tests.store.embedded_home import wait_until

LINK = re.compile(r"aos login (aosl_\S+)")


def link_in(said: str) -> str:
    found = LINK.search(said)
    assert found is not None, said
    return found[1]


def heard_of(made: Installation, pid: int) -> bool:
    return pid in [row["pid"] for row in made.status()["heard_of"]]


def test_an_empty_store_lets_its_administrator_in_once() -> None:
    with installation() as made:
        unused = link_in(made.up())
        made.aos("down")
        used = link_in(made.up())
        assert used != unused, "each start makes a link of its own until somebody came in"
        assert "signed in" in made.aos("login", used)
        me = json.loads(made.aos("whoami", "--json"))
        assert (me["email"], me["roles"]) == ("admin@localhost", ["admin"])
        assert made.aos("login", used, status=8).startswith("Not signed in: ")
        made.aos("down")
        assert LINK.search(made.up()) is None
        lone_worker_joins_and_leaves(made)
        made.aos("down")


def lone_worker_joins_and_leaves(made: Installation) -> None:
    with made.start("worker") as worker:
        wait_until(lambda: heard_of(made, worker.pid), "the lone worker was heard of")
        worker.send_signal(signal.SIGTERM)
        _, errors = worker.communicate(timeout=60)
        assert worker.returncode == 0, errors
    assert not heard_of(made, worker.pid)
