"""What the gate needs to know of a model request and its answer, whatever dialect it is spoken in.

Tokens are counted as the provider reports them and brought into one form: every part is inside its whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

Span: TypeAlias = tuple[int, int, int]
"""Where a member of a JSON object stands in its bytes: its name's first byte, its value's first, and the one past its value."""


class Dialect(StrEnum):
    """One wire form of a model request and its answer."""

    CHAT = "openai-chat"
    RESPONSES = "openai-responses"
    EMBEDDINGS = "openai-embeddings"
    MESSAGES = "anthropic-messages"
    COUNT_TOKENS = "anthropic-count-tokens"


@dataclass(frozen=True, slots=True)
class Tokens:
    """What one call used.

    `cached` and `cache_writes` are parts of `input`, `cache_writes_hour` (kept for an hour) is a part of `cache_writes`,
    `reasoning` is a part of `output`.
    """

    input: int = 0
    cached: int = 0
    cache_writes: int = 0
    output: int = 0
    reasoning: int = 0
    cache_writes_hour: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for, read without changing it.

    `input_tokens_max` bounds the input from above: the body's bytes counted as tokens, inline images by their provider's rule
    instead of their bytes. `choices` answers are made of one request, each up to the output limit.
    """

    dialect: Dialect
    model: str
    input_tokens_max: int
    stream: bool = False
    output_limit: int | None = None
    choices: int = 1
    includes_usage: bool = False
    tools: tuple[str, ...] = ()
    images: int = 0
    json_schema: bool = False
    reasoning: bool = False
    words: int = 0
    """How many words the last message of the person has: one sign of how hard the question is."""
    text_tokens_max: int = 0
    """`input_tokens_max` without its images, for a bound by the rule of the provider that is chosen (`read.bound_input`)."""
    beyond_body: bool = False
    """Whether input comes from elsewhere too (a former answer, a file, a provider's own tool): then only the model's context
    bounds it."""
    members: Mapping[str, Span] = field(default_factory=dict, repr=False, compare=False)
    """Where the body's top-level members stand, so that `splice` need not look again."""
