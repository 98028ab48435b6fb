"""What an agent may use at all, as `ctx.reach()` tells it: its tools, the agents it may hand work to, and its model's style.

It is for choosing alone and promises nothing: the gate decides every call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from aos_sdk.frames import Json


class Style(StrEnum):
    """How a model is asked for its next step: by tool calls, by an answer under a JSON schema, or by JSON in plain text."""

    TOOLS = "tools"
    JSON = "json"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """A tool within reach. `shown` is its name without dots, as models see it; `schema` is of what a caller gives."""

    name: str
    shown: str
    description: str
    schema: Json
    effect: str


@dataclass(frozen=True, slots=True)
class AgentOffer:
    """An agent that work may be handed to, with what it is for."""

    name: str
    type: str
    goal: str
    objectives: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reach:
    """Everything within reach. `options` are those of the agent's `llm` runtime, empty where it has another."""

    type: str
    tools: tuple[ToolOffer, ...] = ()
    agents: tuple[AgentOffer, ...] = ()
    model: str = "auto"
    style: Style = Style.TOOLS
    context_tokens: int = 0
    options: Mapping[str, Json] = field(default_factory=dict)

    def only(self, patterns: Sequence[str]) -> tuple[ToolOffer, ...]:
        """Return the tools whose names fit one of the patterns, in which `*` stands for any text; all where there are none."""
        return tuple(
            each for each in self.tools if not patterns or any(fnmatchcase(each.name, pattern) for pattern in patterns)
        )


def read_reach(value: Json) -> Reach:
    """Return what is recorded of a look at what is within reach."""
    return Reach(
        type=str(value["type"]),
        tools=tuple(
            ToolOffer(each["name"], each["shown"], each["description"], each["schema"], each["effect"])
            for each in value["tools"]
        ),
        agents=tuple(
            AgentOffer(each["name"], each["type"], each["goal"], tuple(each["objectives"]), tuple(each["tools"]))
            for each in value["agents"]
        ),
        model=str(value["model"]),
        style=Style(value["style"]),
        context_tokens=int(value["context_tokens"]),
        options=value["options"],
    )
