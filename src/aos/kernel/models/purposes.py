"""The purposes that AOS proposes, with their candidates from the catalogue in order of preference.

An organization takes one over by registering it; nothing is permitted to anyone by standing here. Their names are also
tags of the catalogue's models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aos.kernel.models.values import Objective, Purpose

GENERAL: Final = "general-reasoning"
SPECIALIZED: Final = "specialized-reasoning"
ORCHESTRATION: Final = "orchestration"
EMBEDDING: Final = "embedding"
HIGH_SPEED: Final = "high-speed"

PURPOSES: Final[Mapping[str, Purpose]] = {
    GENERAL: Purpose(
        GENERAL,
        ("gpt-6.1-sol", "claude-sonnet-5-5", "gpt-6.1-terra", "mistral-large-4", "gpt-4-turbo", "gpt-4-32k"),
        Objective.BALANCED,
    ),
    SPECIALIZED: Purpose(
        SPECIALIZED,
        (
            "claude-opus-5-5",
            "claude-fable-5-2",
            "claude-sonnet-5-5",
            "claude-3-opus",
            "claude-3-sonnet",
            "claude-3-haiku",
        ),
        Objective.QUALITY,
    ),
    ORCHESTRATION: Purpose(
        ORCHESTRATION,
        ("mistral-small-2603", "mistral-7b-instruct", "llama-2-70b-chat", "llama-2-13b-chat", "local/smollm2"),
        Objective.COST,
    ),
    EMBEDDING: Purpose(
        EMBEDDING, ("text-embedding-3-small", "text-embedding-3-large", "mistral-embed"), Objective.COST
    ),
    HIGH_SPEED: Purpose(
        HIGH_SPEED,
        ("gpt-6-luna", "claude-haiku-5-5", "ministral-8b-2512", "gpt-3.5-turbo", "llama-2-7b-chat", "local/smollm2"),
        Objective.LATENCY,
    ),
}

MEANINGS: Final[Mapping[str, str]] = {
    GENERAL: "reasoning in several steps, with tool calls",
    SPECIALIZED: "hard questions where care counts for more than speed",
    ORCHESTRATION: "many agents at work: control, models of one's own, cheap at scale",
    EMBEDDING: "embeddings, for retrieval and for memory",
    HIGH_SPEED: "small sub-agents and tasks of little weight",
}
