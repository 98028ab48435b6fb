"""What a loop goes by: its author's wishes (`Loop`), and with them what was found at its beginning (`Rules`). Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal

from aos_sdk.errors import AgentStopped
from aos_sdk.frames import Json
from aos_sdk.reach import Reach, Style, ToolOffer

TURNS_USUAL: Final = 20
TURNS_MAX: Final = 200
CALLS_PER_TURN_MAX: Final = 16
"""Calls that one answer of a model may ask for; with `TURNS_MAX` well below what one history holds."""
TOOLS_MAX: Final = 120
"""Tools that a model is offered at most: providers take 128, and ours are among them."""
REFUSALS_MAX: Final = 3
"""How often the same call may fail or be refused before the loop ends."""
SAME_TURNS_MAX: Final = 5
"""How many turns in a row may ask for the same calls and be told the same."""
UNUSABLE_MAX: Final = 4
"""How many answers in a row may be of no use."""
PASS_TURNS: Final = 10
"""New turns after which the task lets go of its host for a moment, so that no pass grows as long as the whole loop."""
RESULT_CHARS_USUAL: Final = 20_000
HISTORY_CHARS_MAX: Final = 400_000
HISTORY_CHARS_MIN: Final = 8_000
CHARS_PER_TOKEN: Final = 3
"""A token has at least about so many characters: history is cut rather too early than too late."""


@dataclass(frozen=True, slots=True)
class Loop:
    """How a model is led to an answer; each field is one of the runtime `llm` in the manifest, under the same name."""

    instructions: str = ""
    model: str = ""
    """A model's name, `purpose:NAME` or `auto`; empty: the agent's only model, else `auto`."""
    turns: int = TURNS_USUAL
    tokens: int | None = None
    """How many tokens all turns may use together, in and out; None: as many as budgets allow."""
    output: Json = None
    """The JSON Schema of the answer; None: the answer is text."""
    style: Literal["auto", "tools", "json"] = "auto"
    tools: tuple[str, ...] = ()
    """Names or globs of the tools that are offered; none: every tool within reach."""
    answer_tokens: int | None = None
    temperature: float | None = None
    plans: int = 3
    """How many plans an executive may carry out."""
    plan_tasks: int = 20
    child_budget: str | None = None
    """What each task that it hands over may cost, as `2 EUR`."""
    result_chars: int = RESULT_CHARS_USUAL
    """How much of one result a model is shown."""
    on_limit: Literal["answer", "fail"] = "answer"
    """Whether a loop that has spent its turns, tokens or money ends with what it has, or fails."""

    def __post_init__(self) -> None:
        if not 1 <= self.turns <= TURNS_MAX:
            raise ValueError(f"a loop has 1 to {TURNS_MAX} turns, not {self.turns}")


_NAMES: Final = frozenset(each.name for each in fields(Loop))


def read_loop(options: Mapping[str, Json]) -> Loop:
    """Return the loop that an `llm` runtime's options describe; what is not the loop's own (`budget`) is left out."""
    found: dict[str, Any] = {name: value for name, value in options.items() if name in _NAMES}
    if "tools" in found:
        found["tools"] = tuple(found["tools"])
    return Loop(**found)


@dataclass(frozen=True, slots=True)
class Facts:
    """Who the agent is and what it is to do, as it was when the loop began."""

    agent: str
    goal: str = ""
    objectives: tuple[Mapping[str, Json], ...] = ()
    input: Json = None


@dataclass(frozen=True, slots=True)
class Rules:
    """All that every turn of one loop goes by; it does not change from turn to turn."""

    loop: Loop
    reach: Reach
    facts: Facts
    style: Style
    tools: Mapping[str, ToolOffer] = field(default_factory=dict)
    """The tools that are offered, by the names that the model sees."""

    @property
    def agents(self) -> tuple[str, ...]:
        """Return the agents that work may be handed to."""
        return tuple(each.name for each in self.reach.agents)

    @property
    def is_executive(self) -> bool:
        """Return whether the agent leads others by plans."""
        return self.reach.type == "executive" and bool(self.agents)

    @property
    def history_chars(self) -> int:
        """Return how many characters of history a request may hold: what fits the model, answer and tools left out."""
        room = self.reach.context_tokens * CHARS_PER_TOKEN * 2 // 3
        return min(max(room, HISTORY_CHARS_MIN), HISTORY_CHARS_MAX) if room else HISTORY_CHARS_MAX // 2


def rules_of(loop: Loop, reach: Reach, facts: Facts) -> Rules:
    """Return the rules of a loop; raise AgentStopped where more tools are within reach than a model can be offered."""
    offered = reach.only(loop.tools)
    if len(offered) > TOOLS_MAX:
        raise AgentStopped(
            "too-many-tools",
            f"{len(offered)} tools are within reach and a model is offered at most {TOOLS_MAX}: name those it needs in `tools`",
        )
    style = reach.style
    if loop.style == "tools":
        style = Style.TOOLS
    elif loop.style == "json" and style is Style.TOOLS:
        style = Style.JSON
    return Rules(loop, reach, facts, style, {each.shown: each for each in offered})
