"""What the supervisor tells a process it starts, over a pipe and never by its arguments: it holds logins."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import msgspec

from aos.boot.connections import Kind


@dataclass(frozen=True, slots=True)
class LocalModel:
    """Where the local model of this machine is asked, and with which key: both are new at every start."""

    base_url: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one process needs beyond the settings in its environment.

    `listen_fd` is the listening socket it inherits, -1 where it listens on none; `log` is empty for standard error;
    `broker` is that of a worker whose engine needs one. `local_model` is None where none is started here.
    """

    kind: Kind
    name: str
    number: int
    host: str
    port: int
    app_dsn: str = field(repr=False)
    machine_dsn: str = field(repr=False)
    listen_fd: int = -1
    log: str = ""
    broker: str = field(default="", repr=False)
    local_model: LocalModel | None = None
    addresses: tuple[str, ...] = ()
    """Under which addresses clients reach AOS, the issuer of access tokens first; empty where none are taken."""
    private_hosts: tuple[str, ...] = ()
    """What is reached though it is not public, where an organization lists it too."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What a process says when it serves: whether its canary acts were refused, and a sentence for each that was not."""

    governed: bool = True
    failures: tuple[str, ...] = ()


class ReadySignal:
    """The way a process says once that it serves."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def send(self, ready: Ready) -> None:
        """Say so; a supervisor that is gone is no error."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            try:
                os.write(descriptor, msgspec.json.encode(ready) + b"\n")
            except BrokenPipeError:
                pass
            os.close(descriptor)


def encode_plan(plan: Plan) -> bytes:
    """Return the plan as it goes through the pipe."""
    return msgspec.json.encode(plan)


def decode_plan(content: bytes) -> Plan:
    """Return the plan that came through the pipe."""
    return msgspec.json.decode(content, type=Plan)
