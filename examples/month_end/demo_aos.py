"""How the demo speaks to AOS: the command `aos` for this machine, REST for the rest, as any user's program would.

Nothing of AOS is imported here. A refusal keeps the server's words; a connection that breaks while a process restarts is
tried again where that does no harm.
"""

import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\baosl_[A-Za-z0-9_-]+")
PAGE_ITEMS = 200
RETRY_SECONDS = 20.0
UNAVAILABLE = 503

Object = dict[str, Any]


class DemoError(Exception):
    """The demo cannot go on; the text says what stands in the way and what helps."""


class Refused(DemoError):
    """AOS answered with a problem (RFC 9457); `status` and `problem` are its own."""

    def __init__(self, status: int, problem: Object) -> None:
        """Keep the answer; the text is its title and detail."""
        super().__init__(f"{problem.get('title', status)}: {problem.get('detail', 'no detail was given')}")
        self.status = status
        self.problem = problem


def aos_command(*arguments: str) -> list[str]:
    """Return a command line of `aos`: of the environment that runs this, else of the clone."""
    beside = Path(sys.executable).with_name("aos")
    return [str(beside if beside.exists() else ROOT / "aos"), *arguments]


def run_aos(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command of `aos`, with `typed` as its input, and return what it said; the exit status is the caller's to judge."""
    return subprocess.run(aos_command(*arguments), input=typed, capture_output=True, text=True, check=False)


@dataclass(frozen=True, slots=True)
class Machine:
    """AOS as it runs on this machine: its address, its private folder, and what it printed when it was started."""

    url: str
    folder: Path
    said: str = ""
    seconds: float = 0.0


def read_status() -> Object:
    """Return `aos status --json`; an empty object where it says nothing."""
    said = run_aos("status", "--json")
    try:
        found: Object = json.loads(said.stdout)
    except ValueError:
        return {}
    return found


def start_aos(tell: Callable[[str], None]) -> Machine:
    """Start AOS where it is not up yet and return it; `tell` is given each line that starting prints."""
    status = read_status()
    said, began = "", time.monotonic()
    if not status.get("ready"):
        said = _up(tell)
        status = read_status()
    state = status.get("state") or {}
    if not status.get("ready") or not state.get("url"):
        raise DemoError(f"AOS does not serve: {status.get('note') or 'see `aos status` and `aos doctor`'}")
    return Machine(state["url"], Path(state["logs"]).parent, said, time.monotonic() - began)


def _up(tell: Callable[[str], None]) -> str:
    """Run `aos up --detach`; agents' code is found in this clone, and organizations may give a run its own clock."""
    environment = {"AOS_AGENT_PATH": str(ROOT), "AOS_ALLOW_RUN_CLOCK": "1", **os.environ}
    lines = []
    with subprocess.Popen(
        aos_command("up", "--detach"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as starting:
        assert starting.stdout is not None
        for line in starting.stdout:
            lines.append(line)
            # The link for a first sign-in is used up by the demo, so it is of no use to who reads this.
            if not LINK.search(line) and "signed in" not in line:
                tell(line.rstrip())
    if starting.returncode != 0:
        raise DemoError(
            f"`aos up` ended with {starting.returncode}: {lines[-1].strip() if lines else 'it said nothing'}"
        )
    return "".join(lines)


class Aos:
    """One person's connection to AOS, in one organization."""

    def __init__(self, url: str, token: str = "", organization: str = "") -> None:
        """Prepare a connection; nothing is sent yet."""
        headers = {"AOS-Version": "1", "Accept": "application/json"}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"AOS-Organization": organization} if organization else {}
        self.url = url
        self.token = token
        self.organization = organization
        self._http = httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False, verify=False)

    def __enter__(self) -> "Aos":
        """Return the connection, closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def get(self, path: str, **query: str | int) -> Object:
        """Return the object at a path."""
        return self._answer("GET", path, params=query)

    def post(self, path: str, body: Object | None = None) -> Object:
        """Send a body and return the answer; the same Idempotency-Key at each try makes trying again harmless."""
        headers = {"Idempotency-Key": secrets.token_urlsafe(18)}
        return self._answer("POST", path, json=body or {}, headers=headers)

    def delete(self, path: str) -> None:
        """Take away what stands at a path."""
        self._send("DELETE", path)

    def items(self, path: str, **query: str | int) -> Iterator[Object]:
        """Yield a list's items, page by page."""
        cursor = ""
        while True:
            page = self.get(path, limit=PAGE_ITEMS, **query, **({"cursor": cursor} if cursor else {}))
            yield from page["items"]
            cursor = page["next"]
            if not cursor:
                return

    def download(self, path: str) -> bytes:
        """Return the bytes at a path."""
        return self._send("GET", path).content

    def try_once(self, path: str, body: Object) -> tuple[int, Object]:
        """Send a body once and return status and answer, whatever they are."""
        response = self._http.post(path, json=body)
        return response.status_code, _object(response)

    def _answer(self, method: str, path: str, **given: Any) -> Object:
        return _object(self._send(method, path, **given))

    def _send(self, method: str, path: str, **given: Any) -> httpx.Response:
        """Send until it is answered; a broken connection, 503 and a stated wait are tried again for a while."""
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            failure: DemoError
            wait_seconds = 0.3
            try:
                response = self._http.request(method, path, **given)
            except httpx.HTTPError as error:
                failure = DemoError(f"`{self.url}` does not answer: {error}")
            else:
                if response.status_code < 300:
                    return response
                problem = _object(response)
                failure = Refused(response.status_code, problem)
                if response.status_code != UNAVAILABLE and "retry_after_seconds" not in problem:
                    raise failure
                wait_seconds = min(float(problem.get("retry_after_seconds") or wait_seconds), 5.0)
            if time.monotonic() > deadline:
                raise failure
            time.sleep(wait_seconds)


def _object(response: httpx.Response) -> Object:
    try:
        found = response.json() if response.content else {}
    except ValueError:
        found = {"title": f"Answer {response.status_code}", "detail": response.text[:200]}
    return found if isinstance(found, dict) else {"value": found}
