"""The one form through which requests and answers go where dialects differ.

It holds what at least two dialects can say. What only one can say is refused with its pointer, or left out by a rule that
stands where it is left out: hints that change no answer (caching, storing, tiers), thoughts where a dialect has no place for
them, names of speakers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from aos.kernel.dialects.values import Tokens
from aos.kernel.json import Json


@dataclass(frozen=True, slots=True)
class Text:
    """Words of anyone."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """A picture: by its address, or inline as base64 with its media type."""

    url: str = ""
    media_type: str = ""
    data: str = ""


@dataclass(frozen=True, slots=True)
class Thought:
    """What a model thought, with its maker's signature, without which it cannot be sent back."""

    text: str
    signature: str = ""


@dataclass(frozen=True, slots=True)
class Redacted:
    """Thoughts that only their maker can read."""

    data: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool that a model asks for; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Result:
    """What a call came to."""

    call_id: str
    parts: tuple[Text | Image, ...]
    is_error: bool = False
    pointer: str = ""
    """Where it stands in the request, for refusing what it holds."""


Block: TypeAlias = Text | Image | Thought | Redacted | Call | Result


class Role(StrEnum):
    """Who speaks. Results of tools are the person's side of the talk."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Turn:
    """One message."""

    role: Role
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """A tool that the model may ask to be called."""

    name: str
    schema: Mapping[str, Json]
    description: str = ""
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class Schema:
    """The JSON form that the answer must have; without a schema any JSON object."""

    schema: Mapping[str, Json] | None
    name: str = "answer"
    description: str = ""
    strict: bool | None = None
    pointer: str = ""


class Use(StrEnum):
    """Whether tools are to be called."""

    AUTO = "auto"
    NONE = "none"
    ANY = "any"
    ONE = "one"


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for one answer."""

    turns: tuple[Turn, ...]
    turns_pointer: str = "/messages"
    functions: tuple[Function, ...] = ()
    use: Use | None = None
    use_name: str = ""
    parallel: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    stop_pointer: str = ""
    schema: Schema | None = None
    effort: str = ""
    """How hard to think: none, minimal, low, medium, high, xhigh, max; empty: as the model does."""
    adaptive: bool = False
    """Whether thinking is wanted, as much as the model sees fit."""
    verbosity: str = ""
    verbosity_pointer: str = ""
    user: str = ""
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `stop` is in the words of `tokens.Answered`."""

    id: str
    blocks: tuple[Block, ...]
    stop: str
    stop_sequence: str | None = None
    tokens: Tokens | None = None
    created: int = 0
    model: str = field(default="")
