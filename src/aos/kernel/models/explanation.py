"""A choice on the record: the values it was made of, as JSON, and made again from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from aos.kernel.errors import InvalidRequest
from aos.kernel.json import Json
from aos.kernel.models.routing import Candidate, Choice, choose
from aos.kernel.models.values import Purpose
from aos.kernel.models.wishes import Wish


@dataclass(frozen=True, slots=True)
class Question:
    """All that a choice was made of."""

    wish: Wish
    candidates: tuple[Candidate, ...]
    purpose: Purpose | None = None


def write_question(wish: Wish, candidates: Sequence[Candidate], purpose: Purpose | None) -> Json:
    """Return what a choice was made of, as JSON for the record."""
    return _as_json(Question(wish, tuple(candidates), purpose))


def read_question(recorded: Json) -> Question:
    """Return what a choice was made of; raise InvalidRequest where the record is none of a choice."""
    try:
        return msgspec.convert(recorded, Question)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"the record is none of a choice of models: {error}") from error


def write_choice(choice: Choice) -> Json:
    """Return a choice as JSON for the record."""
    return _as_json(choice)


def read_choice(recorded: Json) -> Choice:
    """Return a recorded choice; raise InvalidRequest where the record is none."""
    try:
        return msgspec.convert(recorded, Choice)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"the record is none of a choice of models: {error}") from error


def replay(recorded: Json) -> Choice:
    """Make a recorded choice again from what it was made of."""
    question = read_question(recorded)
    return choose(question.wish, question.candidates, question.purpose)


def sentences(choice: Choice) -> tuple[str, ...]:
    """Return a choice as lines that a person reads: what led to it, the order with its points, and who could not answer."""
    lines = list(choice.reasons)
    for place, ranked in enumerate(choice.order, 1):
        parts = "; ".join(f"{part.name} {part.points}: {part.seen}" for part in ranked.parts)
        lines.append(f"{place}. {ranked.name}" + (f", {ranked.points} points ({parts})" if parts else ""))
    lines += [f"not {rejected.name}: {rejected.reason}" for rejected in choice.rejected]
    return tuple(lines)


def _as_json(value: Question | Choice) -> Json:
    plain: Json = msgspec.json.decode(msgspec.json.encode(value))
    return plain
