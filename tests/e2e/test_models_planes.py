"""Model calls through several data planes: they share one port, one ledger and one budget, and each of them may die."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from aos.boot.config import Config
from aos.boot.owner import owner_login
from aos.boot.paths import find_paths
from tests.e2e.installation import Installation, installation
from tests.store.embedded_home import wait_until

BENCH = Path(__file__).resolve().parents[2] / "bench"
CONNECTIONS = 24
"""So many that both processes get some of them: the odds that one gets none are 1 in 8 million."""
CALLS = int(os.environ.get("AOS_TEST_MODEL_CALLS", "1000000"))


@dataclass(frozen=True)
class Doors:
    """An AOS of two data planes with an agent that may ask one model."""

    made: Installation
    token: str
    key: str
    key_id: str

    def rest(self, method: str, path: str, body: Any = None) -> Any:
        answer = httpx.request(
            method, self.made.url + path, json=body, headers={"Authorization": f"Bearer {self.token}"}, timeout=60
        )
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def new_key(self) -> tuple[str, str]:
        made = self.rest("POST", "/agents/asker/api-keys", {"label": "test"})
        return made["api_key"], made["id"]

    def ask(self, key: str) -> int:
        """Ask on a connection of its own and return the status."""
        body = {"model": "quick", "max_tokens": 20, "messages": [{"role": "user", "content": "hello"}]}
        with httpx.Client() as client:
            return client.post(
                f"{self.made.url}/v1/chat/completions",
                json=body,
                timeout=60,
                headers={"Authorization": f"Bearer {key}"},
            ).status_code

    def ask_all(self, key: str) -> list[int]:
        """Ask on many connections at once."""
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            return list(pool.map(lambda _: self.ask(key), range(CONNECTIONS)))

    def counted(self) -> tuple[int, int, int]:
        """Return how many acts were intended, how many performed, and what is still held."""
        config = Config(home=self.made.home, port=self.made.port)
        query = (
            "select (select count(*) from action where kind = 'model'),"
            " (select count(*) from action where kind = 'model' and state = 'performed'),"
            " (select coalesce(sum(held_nanos), 0)::bigint from budget_account)"
        )
        with psycopg.connect(owner_login(config, find_paths(config, self.made.environment()))) as connection:
            (row,) = connection.execute(query).fetchall()
            return row[0], row[1], row[2]

    def rss_mb(self) -> float:
        pids = [pid for name, pid in self.made.processes().items() if name.startswith("data-plane")]
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.fixture(scope="module")
def upstream() -> Iterator[int]:
    """A model's server that answers at once, in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-P", str(BENCH / "_model_upstream.py")], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline())
        server.kill()


@pytest.fixture(scope="module")
def doors(upstream: int) -> Iterator[Doors]:
    """Two data planes on one port."""
    with installation(AOS_DATA_PLANES="2") as made:
        said = made.up()
        (link,) = set(re.findall(r"aosl_[A-Za-z0-9_-]+", said))
        token = httpx.post(f"{made.url}/people/link", json={"link": link}, timeout=60).json()["token"]
        price = {"input_per_million": "2.50 EUR", "output_per_million": "10 EUR"}
        model = {"provider": "openai-compatible", "base_url": f"http://127.0.0.1:{upstream}/v1", "price": price}
        document = {
            "aos": 1,
            "organization": {"hosts": [f"127.0.0.1:{upstream}"]},
            "models": {"quick": {**model, "output": 1000, "context": 10_000}},
            "agents": {"asker": {"type": "functional", "models": ["quick"]}},
            "budgets": [{"id": "all", "scope": "organization", "limit": "100000 EUR", "per": "month"}],
        }
        file = made.folder / "aos.yaml"
        file.write_text(json.dumps(document))
        with subprocess.Popen(
            [sys.executable, "-m", "aos.boot.main", "apply", "--yes", "-f", str(file)],
            env=made.environment() | {"AOS_URL": made.url, "AOS_TOKEN": token},
            cwd=made.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as applying:
            output, _ = applying.communicate(timeout=60)
        assert applying.returncode == 0, output
        doors = Doors(made, token, "", "")
        key, key_id = doors.new_key()
        yield Doors(made, token, key, key_id)
        made.aos("down")


def test_every_call_of_every_process_is_in_the_ledger(doors: Doors) -> None:
    before = doors.counted()
    assert doors.ask_all(doors.key) == [200] * CONNECTIONS
    after = doors.counted()
    assert (after[0] - before[0], after[1] - before[1], after[2]) == (CONNECTIONS, CONNECTIONS, 0)


def test_a_revoked_key_is_refused_by_every_process_at_once(doors: Doors) -> None:
    key, key_id = doors.new_key()
    assert doors.ask_all(key) == [200] * CONNECTIONS
    doors.rest("DELETE", f"/agents/asker/api-keys/{key_id}")
    assert doors.ask_all(key) == [401] * CONNECTIONS
    assert doors.ask_all(doors.key) == [200] * CONNECTIONS


def test_a_data_plane_that_is_killed_loses_no_call_that_was_answered(doors: Doors) -> None:
    before = doors.counted()
    former = doors.made.processes()["data-plane-0"]
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        asked = [pool.submit(doors.ask_all, doors.key) for _ in range(2)]
        os.kill(former, signal.SIGKILL)
        statuses: list[int] = []
        for each in asked:
            try:
                statuses += each.result()
            except httpx.TransportError:
                continue  # cut by the kill: nothing was answered
    wait_until(lambda: doors.made.serves_again("data-plane-0", former), "the data plane serves again")
    assert set(statuses) <= {200}
    assert doors.ask_all(doors.key) == [200] * CONNECTIONS
    assert doors.counted()[1] - before[1] >= len(statuses) + CONNECTIONS


@pytest.mark.long
def test_memory_stays_flat_over_a_million_calls(doors: Doors) -> None:
    body = json.dumps({"model": "quick", "max_tokens": 20, "messages": [{"role": "user", "content": "hello"}]})
    head = (
        "POST /v1/chat/completions HTTP/1.1",
        "host: aos",
        f"authorization: Bearer {doors.key}",
        "content-type: application/json",
        f"content-length: {len(body)}",
    )
    request = "\r\n".join([*head, "", body])

    def load(seconds: float) -> int:
        asked = {"port": doors.made.port, "request": request, "callers": 64, "seconds": seconds}
        done = subprocess.run(
            [sys.executable, "-P", str(BENCH / "_tool_client.py")],
            input=json.dumps(asked),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        seen = json.loads(done.stdout)
        assert set(seen["statuses"]) == {"200"}, seen["statuses"]
        return int(seen["calls"])

    warmed = load(20.0)
    warm_mb, calls = doors.rss_mb(), warmed
    while calls < CALLS:
        calls += load(60.0)
    assert doors.rss_mb() < warm_mb * 1.1 + 16, f"{warm_mb:.0f} MB after {warmed} calls, more after {calls}"
