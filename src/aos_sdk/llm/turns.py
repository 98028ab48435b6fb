"""One turn of a loop: what the model answered, what each of its calls is, and what it was told. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aos_sdk.frames import Json
from aos_sdk.llm.calls import Reading, Told, Wanted, find_object, read_answer
from aos_sdk.llm.own import CarryOut, Finish, Invalid, Job, Meaning, finish, meaning_of
from aos_sdk.llm.rules import Rules
from aos_sdk.reach import Style
from aos_sdk.shapes import Completion


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer of the model. `told` is None until the calls that it asks for have been made.

    `end` is the last word that it gives without a call; `problem` says why it is of no use, to the model as well.
    """

    text: str = ""
    wanted: tuple[Wanted, ...] = ()
    meanings: tuple[Meaning, ...] = ()
    """What each call is, in order."""
    tokens: int = 0
    told: tuple[Told, ...] | None = None
    end: Finish | None = None
    problem: str = ""
    is_misfit: bool = False
    """Whether it gives an answer that does not fit its schema."""

    @property
    def jobs(self) -> list[tuple[int, Job]]:
        """Return what is to be done, each with its place among the calls."""
        return [(at, each) for at, each in enumerate(self.meanings) if not isinstance(each, Finish | Invalid)]

    @property
    def last_word(self) -> Finish | None:
        """Return the answer that this turn gives, None where it gives none that counts."""
        for meaning, told in zip(self.meanings, self.told or (), strict=False):
            if isinstance(meaning, Finish) and told.ok:
                return meaning
        return self.end

    @property
    def is_useless(self) -> bool:
        """Return whether nothing came of it."""
        return bool(self.problem) or (bool(self.meanings) and all(isinstance(each, Invalid) for each in self.meanings))


def take_answer(rules: Rules, turns: Sequence[Turn], said: Completion) -> Turn:
    """Return the turn that an answer of the model begins, after the turns before it; pure."""
    read, tokens = read_answer(rules.style, said), sum(said.tokens)
    if read.has_answer:
        end = finish(rules, _last_word(rules, read))
        if isinstance(end, Finish):
            return Turn(said.text, tokens=tokens, end=end)
        return Turn(said.text, tokens=tokens, problem=end.text, is_misfit=True)
    if not read.wanted:
        return Turn(said.text, tokens=tokens, problem=read.problem)
    meanings = _meanings(rules, turns, read.wanted)
    is_misfit = any(isinstance(each, Invalid) and each.misfit for each in meanings)
    return Turn(said.text, read.wanted, meanings, tokens, is_misfit=is_misfit)


def _last_word(rules: Rules, read: Reading) -> Json:
    """Return the value of an answer that was given without a call."""
    value = read.answer
    if rules.style is Style.TOOLS and rules.loop.output is not None:
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return find_object(value)
    if rules.loop.output is None and not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return value


def _meanings(rules: Rules, turns: Sequence[Turn], wanted: Sequence[Wanted]) -> tuple[Meaning, ...]:
    """Return what each call is; one that stands there twice is made once, and in the last turn none is made but `finish`."""
    plans = sum(isinstance(each, CarryOut) for turn in turns for each in turn.meanings)
    found: list[Meaning] = []
    seen: set[str] = set()
    for each in wanted:
        meaning = meaning_of(rules, each, plans=plans)
        if not isinstance(meaning, Finish | Invalid):
            if is_last(rules, turns):
                meaning = Invalid("this was the last turn: no call is made any more")
            elif each.digest in seen:
                meaning = Invalid("the same call stands twice in this turn: it is made once")
        seen.add(each.digest)
        plans += isinstance(meaning, CarryOut)
        found.append(meaning)
    return tuple(found)


def is_last(rules: Rules, turns: Sequence[Turn]) -> bool:
    """Return whether the question after these turns is the last: one more like the one before would pass a limit."""
    tokens = rules.loop.tokens
    if len(turns) >= rules.loop.turns - 1:
        return True
    return tokens is not None and bool(turns) and tokens_of(turns) + 2 * turns[-1].tokens > tokens


def tokens_of(turns: Sequence[Turn]) -> int:
    """Return how many tokens some turns used."""
    return sum(turn.tokens for turn in turns)


def told_of(turn: Turn, results: Mapping[int, Told]) -> tuple[Told, ...]:
    """Return what the model is told of every call of a turn, `results` being those of its jobs by their places.

    `finish` counts only where every other call of its turn went well: what was claimed beside a refusal was claimed too early.
    """
    all_well = all(each.ok for each in results.values()) and not any(
        isinstance(each, Invalid) for each in turn.meanings
    )
    found: list[Told] = []
    for at, meaning in enumerate(turn.meanings):
        match meaning:
            case Invalid(text):
                found.append(Told(text, ok=False))
            case Finish():
                early = "not taken: another call of this turn did not go well; look at it first"
                found.append(Told("taken" if all_well else early, ok=all_well))
            case _:
                found.append(results[at])
    return tuple(found)


def same_as_before(turns: Sequence[Turn]) -> int:
    """Return how many turns at the end asked for the same calls and were told the same."""
    count = 0
    for turn in reversed(turns):
        if not turn.wanted or _gist(turn) != _gist(turns[-1]):
            break
        count += 1
    return count


def _gist(turn: Turn) -> tuple[Any, ...]:
    told = tuple(each.text for each in turn.told or ())
    return tuple(each.digest for each in turn.wanted), told
