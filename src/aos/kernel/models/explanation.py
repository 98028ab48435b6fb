"""A choice on the record: the values it was made of, as JSON, and made again from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from aos.kernel.errors import InvalidRequest
from aos.kernel.json import Json
from aos.kernel.models.routing import Candidate, Choice, choose, seen_of
from aos.kernel.models.scores import PARTS, describe
from aos.kernel.models.values import Purpose
from aos.kernel.models.wishes import Wish, signs


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


def replay(recorded: Json) -> Choice:
    """Make a recorded choice again from what it was made of."""
    question = read_question(recorded)
    return choose(question.wish, question.candidates, question.purpose)


def sentences(question: Question) -> tuple[str, ...]:
    """Make a choice again and return it as lines that a person reads.

    They say what led to it, the order with the points of each part and what was seen, and who could not answer.
    """
    wish, choice = question.wish, choose(question.wish, question.candidates, question.purpose)
    lines = list(choice.reasons)
    if choice.purpose:
        hard = ", ".join(f"{sign.name} {sign.points:+d}" for sign in signs(wish)) or "no sign of difficulty"
        lines.append(f"demand {choice.demand} of 100: {hard}")
    places = {candidate.name: place for place, candidate in enumerate(question.candidates)}
    for place, ranked in enumerate(choice.order, 1):
        line = f"{place}. {ranked.name}"
        if ranked.parts:
            position = places[ranked.name]
            aim = (choice.purpose, choice.objective, choice.demand)
            candidate = question.candidates[position]
            seen = seen_of(wish, candidate, aim=aim, position=position, ranked_by=question.purpose)
            parts = zip(PARTS, ranked.parts, describe(seen), strict=True)
            line += (
                f", {ranked.points} points ({'; '.join(f'{name} {points}: {what}' for name, points, what in parts)})"
            )
        lines.append(line)
    return (*lines, *(f"not {rejected.name}: {rejected.reason}" for rejected in choice.rejected))


def _as_json(value: Question | Choice) -> Json:
    plain: Json = msgspec.json.decode(msgspec.json.encode(value))
    return plain
