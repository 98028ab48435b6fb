"""Follows a run to its end by its events, over broken connections, and says what it waits for.

Events are bells with news: after each gap the run is read again, so that a lost event costs seconds and never the end.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx
from rich.live import Live

from aos.cli.client import path_to
from aos.cli.failures import CliError, ExitStatus
from aos.cli.run_tree import ENDED_TASKS, RunView, awaited_text, draw_run, sortable
from aos.cli.session import Session

QUIET_SECONDS: Final = 30
"""How long a stream may say nothing before it is opened again."""

FAILURES_MAX: Final = 8
"""How often in a row the server may be unreachable before following ends."""

PAUSE_SECONDS: Final = 0.25
PAUSE_SECONDS_MAX: Final = 4.0
"""The wait before a stream is opened again, doubled with each failure in a row up to the longest."""

REFRESH_SECONDS: Final = 2.0
"""How often the run is read again while events come."""
EVENT_BYTES_MAX: Final = 1_000_000

Asked = Callable[[str], bool]
"""Answers an approval by its id, or says that it was not answered here."""


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event: its name, its id, and its data as JSON."""

    kind: str
    id: str
    data: Any


def follow_run(session: Session, run_id: str, *, ask: Asked | None, until_waiting: bool = False) -> RunView:
    """Return the run once it has ended, or once it waits for an approval where `until_waiting` says so.

    Draws the task tree while it lasts. Raises CliError when the server cannot be reached for long.
    """
    view = RunView()
    drawn, told = _Drawing(session, view), set[str]()
    with drawn:
        for _ in _changes(session, run_id, view):
            drawn.show()
            if view.ended:
                break
            approval = view.approval_id
            if approval and until_waiting:
                break
            if approval and ask is not None:
                drawn.aside(lambda approval=approval: ask(approval))  # type: ignore[misc]
            elif approval and approval not in told:
                told.add(approval)
                session.out.note(f"a person is asked: `aos approvals show {approval}`, then approve or deny it")
    return view


class _Drawing:
    """The live tree on standard error at a terminal; elsewhere one line for each change of a task's state."""

    def __init__(self, session: Session, view: RunView) -> None:
        self._session = session
        self._view = view
        self._told: dict[str, str] = {}
        self._quiet = session.out.json or not session.out.err.is_terminal
        self._live = self._fresh()

    def _fresh(self) -> Live | None:
        """Return a picture not drawn yet: one that is started again would erase what was written in between."""
        return None if self._quiet else Live(console=self._session.out.err, refresh_per_second=4, transient=False)

    def __enter__(self) -> _Drawing:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self) -> None:
        if self._live:
            self._live.update(draw_run(self._view, self._session.config.now()))
            return
        for _, line in sorted(self._news(), key=lambda news: news[0]):
            self._session.out.note(line)

    def _news(self) -> Iterator[tuple[str, str]]:
        """Yield what has not been told of each task, with the time that it happened at, empty where it is not known.

        Of a task that began and ended between two readings both are told.
        """
        for id, task in self._view.tasks.items():
            state = str(task.get("state") or "")
            known = self._told.get(id)
            if state == known or state in ("blocked", "ready"):
                continue
            self._told[id] = state
            name = task.get("label") or task.get("name") or id
            began, ended = sortable(task.get("started_at")), sortable(task.get("finished_at"))
            if known is None and ended and began:
                yield began, f"{name}: running"
            yield (ended if state in ENDED_TASKS else began), f"{name}: {state} {awaited_text(task)}".rstrip()

    def aside(self, ask: Callable[[], bool]) -> None:
        """Stop drawing while a person is asked."""
        if self._live:
            self._live.stop()
        try:
            ask()
        finally:
            self._live = self._fresh()
            if self._live:
                self._live.start()


def _changes(session: Session, run_id: str, view: RunView) -> Iterator[None]:
    """Yield after each piece of news; ends never by itself."""
    last_id, failures = "", 0
    while True:
        try:
            view.take_run(session.client.get(path_to("runs", run_id)))
            read_at = time.monotonic()
            yield
            for event in _events(session, run_id, last_id):
                last_id = event.id or last_id
                failures = 0
                news = event.data if isinstance(event.data, dict) else {}
                view.take_event(news)
                stale = time.monotonic() - read_at > REFRESH_SECONDS
                if stale or view.ended or news.get("approval_id"):
                    # Events carry ids and codes: output, errors and what waits are read from the run itself.
                    view.take_run(session.client.get(path_to("runs", run_id)))
                    read_at = time.monotonic()
                yield
        except CliError as error:
            failures += 1
            if error.status is not ExitStatus.UNAVAILABLE or failures > FAILURES_MAX:
                raise
        time.sleep(min(PAUSE_SECONDS * 2**failures, PAUSE_SECONDS_MAX))


def _events(session: Session, run_id: str, last_id: str) -> Iterator[Event]:
    """Yield the run's events until the stream ends or falls silent."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
    path = path_to("runs", run_id, "events")
    try:
        with session.client.stream(path, headers=headers, quiet_seconds=QUIET_SECONDS) as response:
            if "text/event-stream" in response.headers.get("content-type", ""):
                yield from read_events(response)
    except CliError as error:
        if not isinstance(error.__cause__, httpx.ReadTimeout):
            raise


def read_events(response: httpx.Response) -> Iterator[Event]:
    """Yield the events of a stream (WHATWG HTML, server-sent events); comments only keep it open."""
    kind, id, data = "message", "", list[str]()
    for line in response.iter_lines():
        if not line:
            if data:
                yield Event(kind, id, _parsed("\n".join(data)))
            kind, data = "message", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "id":
            id = value
        elif name == "data" and sum(map(len, data)) + len(value) < EVENT_BYTES_MAX:
            data.append(value)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
