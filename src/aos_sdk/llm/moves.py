"""The next move of a loop: a pure function of its rules and of its turns so far, so that a resumed loop decides as it did before.

    no turn yet, or all is told      ask the model; where a limit is near for the last time, and no more calls are made
    calls that are not made          make them
    an answer that fits              the end
    what leads nowhere               the end, with a code

An answer that does not fit its schema gets one turn to be mended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from aos_sdk.frames import Json
from aos_sdk.llm.asks import Message, messages_of, parameters_of
from aos_sdk.llm.rules import REFUSALS_MAX, SAME_TURNS_MAX, UNUSABLE_MAX, Rules
from aos_sdk.llm.turns import Turn, is_last, same_as_before, tokens_of

TURNS_SPENT: Final = "turns-spent"
TOKENS_SPENT: Final = "tokens-spent"
BUDGET_SPENT: Final = "budget-spent"
LOOP_DETECTED: Final = "loop-detected"
NO_ANSWER: Final = "no-answer"
INVALID_OUTPUT: Final = "invalid-output"
LIMITS: Final = frozenset({TURNS_SPENT, TOKENS_SPENT, BUDGET_SPENT})
"""The codes of a loop that was doing well and ran out of something."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the model."""

    messages: list[Message]
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Act:
    """Make the calls of the last turn."""

    turn: Turn


@dataclass(frozen=True, slots=True)
class Answer:
    """The loop ends with an answer."""

    value: Json


@dataclass(frozen=True, slots=True)
class Halt:
    """The loop ends without one; `said` is the last text of the model, which may be of use all the same."""

    code: str
    detail: str
    said: str = ""


Move: TypeAlias = Ask | Act | Answer | Halt


def next_move(rules: Rules, turns: Sequence[Turn]) -> Move:
    """Return what comes next; pure and total."""
    if turns:
        turn = turns[-1]
        if turn.wanted and turn.told is None:
            return Act(turn)
        if turn.last_word is not None:
            return Answer(turn.last_word.value)
        halt = _dead_end(turns) or (_spent(rules, turns) if is_last(rules, turns[:-1]) else None)
        if halt is not None:
            return halt
    last = is_last(rules, turns)
    return Ask(messages_of(rules, turns, last=last), parameters_of(rules, last=last))


def _dead_end(turns: Sequence[Turn]) -> Halt | None:
    """Return why the loop leads nowhere, None where it may go on."""
    said = last_text(turns)
    if sum(turn.is_misfit for turn in turns) > 1:
        told = next(turn for turn in reversed(turns) if turn.is_misfit)
        return Halt(INVALID_OUTPUT, f"the answer did not fit twice: {told.problem or _refusal(told)}", said)
    failures = Counter(
        (wanted.digest, wanted.name)
        for turn in turns
        for wanted, told in zip(turn.wanted, turn.told or (), strict=False)
        if not told.ok
    )
    for (digest, name), count in failures.items():
        if count >= REFUSALS_MAX:
            why = next(_refusal(turn, digest) for turn in reversed(turns) if _refusal(turn, digest))
            return Halt(LOOP_DETECTED, f"the same call of `{name}` was made {count} times and was told: {why}", said)
    if same_as_before(turns) >= SAME_TURNS_MAX:
        return Halt(LOOP_DETECTED, f"{SAME_TURNS_MAX} turns in a row made the same calls and were told the same", said)
    useless = 0
    for turn in reversed(turns):
        if not turn.is_useless:
            break
        useless += 1
    if useless >= UNUSABLE_MAX:
        why = turns[-1].problem or _refusal(turns[-1])
        return Halt(NO_ANSWER, f"{useless} answers of the model in a row were of no use: {why}", said)
    return None


def _refusal(turn: Turn, digest: str = "") -> str:
    """Return what a turn's first call that came to nothing was told, or the call that has this digest."""
    for wanted, told in zip(turn.wanted, turn.told or (), strict=False):
        if not told.ok and digest in ("", wanted.digest):
            return told.text[:300]
    return ""


def _spent(rules: Rules, turns: Sequence[Turn]) -> Halt:
    """Return the end of a loop that has reached a limit of its own."""
    if len(turns) >= rules.loop.turns:
        return Halt(TURNS_SPENT, f"{len(turns)} turns were used up before there was an answer", last_text(turns))
    used = tokens_of(turns)
    return Halt(
        TOKENS_SPENT, f"{used} tokens of {rules.loop.tokens} were used before there was an answer", last_text(turns)
    )


def last_text(turns: Sequence[Turn]) -> str:
    """Return the last text that the model wrote, empty where there is none."""
    return next((turn.text for turn in reversed(turns) if turn.text.strip()), "")
