"""The bookkeeping of one pass: which call is which, what is recorded of it, and the latch.

A pass is one execution of an agent's function from its top. Nothing here waits, reads a clock or touches the wire, so
that synchronous and asynchronous passes share every rule:
- a call that failed or was refused gives its place back and raises `tries` of its key; one that was performed keeps its
  place; one whose outcome is unknown gives its place back and keeps `tries`, so that the same call meets it again;
- in a later generation of the task the keys made here are others, since its history began anew;
- from the latch on no call begins and no outcome is handed to the function;
- every method may be called from any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from aos_sdk.errors import InvalidCall, Suspended
from aos_sdk.frames import (
    KEY_LENGTH_MAX,
    TRIES_ANY,
    Call,
    CallError,
    CallKind,
    Ended,
    Json,
    Raised,
    Recorded,
    Result,
    Start,
    State,
)
from aos_sdk.keys import Places, arguments_digest, call_key, canonical_json

Latched: TypeAlias = Literal["waiting", "cancelled", "continued", "ended"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call; `seq` is its place in the order of recording."""

    state: State
    value: Json
    error: CallError | None
    seq: int


@dataclass(slots=True, eq=False)
class OpenStep:
    """A `step()` whose function is running: calls inside it carry its place in their keys."""

    name: str
    reached: list[tuple[str, int]]
    parked: int = 0
    """Calls inside it that wait for something outside."""


@dataclass(slots=True, eq=False)
class Site:
    """One call that the pass reached; `outcome` is None until one is handed over."""

    key: str
    tries: int
    kind: CallKind
    name: str
    places: Places | None
    n: int
    inside: tuple[OpenStep, ...]
    recorded: Outcome | None = None
    outcome: Outcome | None = None
    parked: bool = False
    call_id: int = 0
    envelope: Json = None
    """Of a step that ran in this pass: what was sent to be recorded, and as which state."""
    envelope_state: State = "performed"


_inside: ContextVar[tuple[OpenStep, ...]] = ContextVar("aos_open_steps", default=())


class Pass:
    """One pass of one task."""

    def __init__(
        self, start: Start, signal: Callable[[], BaseException] = Suspended, *, on_latch: Callable[[], None]
    ) -> None:
        """Begin; `signal` makes what a latched call raises, `on_latch` is called once, at the latch."""
        self.start: Final = start
        self.latched: Latched | None = None
        self.scope: Callable[[], tuple[str, ...]] = tuple
        """What tells equal calls apart besides the steps around them: of a graph, where in it they are made."""
        self._signal = signal
        self._on_latch = on_latch
        self._lock = threading.RLock()
        self._history = {(record.key, record.tries): record for record in start.history}
        self._performed = {record.key: record for record in start.history if record.state == "performed"}
        self._sites: dict[tuple[str, int], Site] = {}
        self._flying: dict[int, Site] = {}
        self._places: dict[tuple[tuple[str, ...], str, str, str], Places] = {}
        self._explicit: dict[str, tuple[str, str, str]] = {}
        self._tries: dict[str, int] = {}
        self._step_reached: dict[str, list[tuple[str, int]]] = {}
        self._reached: list[tuple[str, int]] = []
        self._calls = 0
        self._queries = 0
        self._next_input: Json = None
        generation = start.context.generation
        self._salt: Final = start.task_id if not generation else f"{start.task_id}#{generation}"

    def check(self) -> None:
        """Raise the signal when the pass is latched."""
        if self.latched is not None:
            raise self._signal()

    def begin(self, kind: CallKind, name: str, *, arguments: Json, key: str | None) -> tuple[Site, bool]:
        """Return the site of a call and whether the pass reaches it for the first time.

        A site that is not new is the same call made again: an explicit key used twice, or an unknown outcome met again.
        Raises the signal when latched, `InvalidCall` when the arguments or the key cannot be used.
        """
        digest = arguments_digest(canonical_json(arguments, f"arguments of {kind} `{name}`"))
        with self._lock:
            self.check()
            inside = _inside.get()
            places, n = None, 0
            if key is None:
                path = (*self.scope(), *(step.name for step in inside))
                places = self._places.setdefault((path, kind, name, digest), Places())
                n = places.take()
                key = call_key(self._salt, path, kind=kind, name=name, digest=digest, n=n)
            else:
                self._check_explicit(key, (kind, name, digest))
            tries = self._tries.get(key, 0)
            known = self._sites.get((key, tries))
            if known is not None:
                if places is not None:
                    places.give_back(n)
                return known, False
            site = Site(key, tries, kind, name, places, n, inside, recorded=self._recorded(key, tries))
            self._sites[key, tries] = site
            self._reach(site.inside, [(key, tries)])
            return site, True

    def open_query(self, kind: CallKind, name: str) -> Site:
        """Return the site of a call that no history holds; raises the signal when latched."""
        with self._lock:
            self.check()
            self._queries += 1
            return Site(f"{kind}#{self._queries}", 0, kind, name, None, 0, ())

    def _check_explicit(self, key: str, call: tuple[str, str, str]) -> None:
        if not 0 < len(key) <= KEY_LENGTH_MAX:
            raise InvalidCall(f"a key has 1 to {KEY_LENGTH_MAX} characters, not {len(key)}", slug="invalid-call")
        if self._explicit.setdefault(key, call) != call:
            raise InvalidCall(
                f"key `{key}` already names a call of {self._explicit[key][0]} `{self._explicit[key][1]}` with other "
                "arguments in this pass: give each call a key of its own",
                slug="invalid-call",
            )

    def _recorded(self, key: str, tries: int) -> Outcome | None:
        """Find the record of a call: its own, else that it was performed on any try, else what is known of it at all."""
        record: Recorded | None = (
            self._history.get((key, tries)) or self._performed.get(key) or self._history.get((key, TRIES_ANY))
        )
        return None if record is None else Outcome(record.state, record.value, record.error, record.seq)

    def _reach(self, inside: tuple[OpenStep, ...], reached: list[tuple[str, int]]) -> None:
        self._reached += reached
        for step in inside:
            step.reached += reached

    def call_frame(self, site: Site, *, arguments: dict[str, Json], options: dict[str, Json]) -> Call:
        """Return the frame that asks the owner to perform this call, which is in flight from now on."""
        with self._lock:
            self._calls += 1
            site.call_id = self._calls
            if site.kind == "step":
                site.envelope = arguments
                site.envelope_state = "failed" if options.get("state") == "failed" else "performed"
            self._flying[site.call_id] = site
        return Call(
            task_id=self.start.task_id,
            token=self.start.token,
            call_id=site.call_id,
            kind=site.kind,
            name=site.name,
            arguments=arguments,
            key=site.key,
            tries=site.tries,
            options=options,
        )

    def land(self, result: Result) -> tuple[Site, Outcome | None] | None:
        """Match an owner's answer with its call; the outcome is None when the call must wait.

        Returns None for an answer to no call in flight. A stale claim latches the pass: nothing more can be written.
        """
        with self._lock:
            site = self._flying.pop(result.call_id, None)
            if site is None:
                return None
            if result.state == "waiting":
                site.parked = True
                for step in site.inside:
                    step.parked += 1
                return site, None
            if result.error is not None and result.error.slug == "stale-claim":
                self.latch("cancelled")
            if site.kind == "step" and result.state == site.envelope_state:
                return site, Outcome(result.state, site.envelope, None, result.seq)
            return site, Outcome(result.state, result.value, result.error, result.seq)

    def conclude(self, site: Site, outcome: Outcome) -> None:
        """Hand the outcome of a call over: from here on it counts for the keys of later calls."""
        with self._lock:
            if site.outcome is not None:
                return
            site.outcome = outcome
            if outcome.state != "performed" and site.places is not None:
                site.places.give_back(site.n)
            if outcome.state in ("failed", "refused"):
                self._tries[site.key] = site.tries + 1

    def abandon(self, site: Site) -> None:
        """Forget a call that was cut short before anything of it was sent."""
        with self._lock:
            self._sites.pop((site.key, site.tries), None)
            if site.places is not None:
                site.places.give_back(site.n)

    def open_step(self, site: Site) -> OpenStep:
        """Enter the function of a step: later calls of this context lie inside it until `close_step`."""
        with self._lock:
            reached = self._step_reached.setdefault(site.key, [])
        step = OpenStep(f"{site.key}.{site.tries}", reached)
        _inside.set((*_inside.get(), step))
        return step

    def close_step(self, step: OpenStep) -> None:
        """Leave the function of a step."""
        _inside.set(tuple(other for other in _inside.get() if other is not step))

    def reach_inside(self, site: Site, reached: list[tuple[str, int]]) -> None:
        """Count the calls inside a recorded step as reached: its function does not run again."""
        with self._lock:
            self._step_reached.setdefault(site.key, [])[:] = reached
            self._reach(site.inside, reached)

    def latch(self, reason: Latched) -> None:
        """End the pass as far as calls are concerned; only the first reason counts."""
        with self._lock:
            if self.latched is not None:
                return
            self.latched = reason
        if reason != "ended":
            self._on_latch()

    def go_on(self, value: Json) -> None:
        """End the pass so that the task goes on with this input and a fresh history; raises the signal when latched."""
        with self._lock:
            self.check()
            self._next_input = value
            self.latch("continued")

    def ended(self, value: Json, error: Raised | None, *, host_ends: bool = False) -> Ended:
        """Return how the pass ended; what a latched function returned or raised is thrown away."""
        with self._lock:
            latched = self.latched
            self.latch("ended")
            waiting = [site.key for site in self._sites.values() if site.parked]
            reached = list(dict.fromkeys(self._reached))
        task_id = self.start.task_id
        if latched in ("waiting", "cancelled"):
            outcome: Literal["suspended", "cancelled"] = "suspended" if latched == "waiting" else "cancelled"
            return Ended(task_id, outcome, reached=reached, waiting_on=waiting, host_ends=host_ends)
        if latched == "continued":
            value = self._next_input
            return Ended(task_id, "continued", value=value, reached=reached, waiting_on=waiting, host_ends=host_ends)
        if error is not None:
            return Ended(task_id, "raised", error=error, reached=reached, waiting_on=waiting, host_ends=host_ends)
        return Ended(task_id, "returned", value=value, reached=reached, waiting_on=waiting, host_ends=host_ends)

    @property
    def flying(self) -> int:
        """Return how many calls are with the owner."""
        return len(self._flying)
