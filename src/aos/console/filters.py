"""What templates say that is more than a value: states with their marks, money, times, ids, folded JSON.

Each filter escapes what it is given. A template decides where something stands, a filter how it reads.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Protocol
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from django.template import Library
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from aos.console.amounts import Priced, ago_text, between_ms, cost_text, count_text, duration_text
from aos.console.run_words import left_out_text, reason_of
from aos.console.states import Meaning, State, state_of
from aos.kernel.identity import ChainLink
from aos.kernel.json import Json
from aos.kernel.money import Money, money_text
from aos.operations.run_views import TaskView

register = Library()

ID_CHARACTERS: Final = 8
"""How much of an id is shown: its end, since ids made in the same minute begin alike."""
FOLD_CHARACTERS: Final = 120
SHOWN_CHARACTERS: Final = 4_000
"""How much of one value a page shows; the rest is read by REST or the command line."""


class Clock(Protocol):
    """What a page knows of time."""

    now: datetime
    zone: ZoneInfo


@register.filter
def mark(state: State | str) -> SafeString:
    """Return the shape of a meaning, coloured; it says nothing to a reader of the screen, the word beside it does."""
    meaning = state.meaning if isinstance(state, State) else state
    return format_html(
        '<svg class="{0}" width="14" height="14" aria-hidden="true"><use href="#m-{0}"/></svg>', str(meaning)
    )


@register.filter
def shown(state: State) -> SafeString:
    """Return a state as shape, colour and word."""
    return format_html('<span class="state {}">{}{}</span>', str(state.meaning), mark(state), state.word)


@register.filter
def chip(state: State) -> SafeString:
    """Return a state as shape, colour and word on a ground of its own."""
    return format_html('<span class="state chip {}">{}{}</span>', str(state.meaning), mark(state), state.word)


@register.filter
def outcome_word(outcome: str) -> SafeString:
    """Return what a rule does when it matches."""
    return shown(
        {"allow": State(Meaning.GOOD, "allows"), "deny": State(Meaning.BAD, "denies")}.get(
            outcome, State(Meaning.WAITS, "asks a person")
        )
    )


@register.filter
def state(value: str, kind: str) -> State:
    """Return how the state of a kind of thing is shown."""
    return state_of(kind, str(value))


@register.filter
def left_out(task: TaskView) -> str:
    """Say why a task was left out; nothing of one that was not."""
    return left_out_text(task)


@register.filter
def reason(task: TaskView) -> str:
    """Say why a task failed."""
    return reason_of(task)


@register.filter
def awaited(task: TaskView, clock: Clock) -> SafeString:
    """Say what a task waits for, and until when where a time wakes it; nothing of one that does not wait."""
    if task.state != "waiting" or not task.waits_for:
        return SafeString("")
    named = f"{task.waits_for} {', '.join(task.signals)}".strip()
    if task.waits_for == "work":
        return SafeString("its agent, which fetches its tasks")
    said = "its next attempt" if task.waits_for == "retry" else named
    if task.wake_at is None:
        return format_html("{}", said)
    return format_html(
        "{}, {}{}", said, "" if task.waits_for == "retry" else "at the latest ", ago(task.wake_at, clock)
    )


@register.filter
def money(amount: Money | None) -> str:
    """Return money, nothing for None."""
    return "" if amount is None else money_text(amount)


@register.filter
def cost(priced: Priced) -> str:
    """Return what a run or a sum cost."""
    return cost_text(priced)


@register.filter
def duration(milliseconds: float | None) -> str:
    """Return a duration, a dash for None."""
    return "–" if milliseconds is None else duration_text(float(milliseconds))


@register.filter
def until(start: datetime | None, end: datetime | None) -> str:
    """Return how long it took from one moment to another, a dash where either is missing."""
    return duration(between_ms(start, end))


@register.filter
def count(number: int, noun: str) -> str:
    """Return a count with its noun; `noun,plural` gives an irregular plural."""
    one, _, many = noun.partition(",")
    return count_text(int(number), one, many)


@register.filter
def figure(number: int) -> str:
    """Return a whole number with its thousands apart."""
    return f"{int(number):,}"


@register.filter
def ago(moment: datetime | None, clock: Clock) -> SafeString:
    """Return a moment by how long ago it was; the exact moment, in the organization's zone, shows on hover."""
    if moment is None:
        return mark_safe("–")
    exact = moment.astimezone(clock.zone).strftime("%Y-%m-%d %H:%M:%S %Z")
    return format_html(
        '<time datetime="{}" title="{}" data-ago>{}</time>', moment.isoformat(), exact, ago_text(moment, clock.now)
    )


@register.filter
def exactly(moment: datetime | None, clock: Clock) -> str:
    """Return a moment in the organization's zone, to the second."""
    return "–" if moment is None else moment.astimezone(clock.zone).strftime("%Y-%m-%d %H:%M:%S")


@register.filter
def identity(id: UUID | str | bytes) -> SafeString:
    """Return an id, short; a click copies the whole of it."""
    whole = id.hex() if isinstance(id, bytes) else str(id)
    return format_html(
        '<button type="button" class="id" data-copy="{0}" title="Copy {0}">…{1}</button>', whole, whole[-ID_CHARACTERS:]
    )


@register.filter
def ticks(text: str) -> SafeString:
    """Return a sentence with what stands in back-ticks set as code."""
    parts = str(text).split("`")
    return format_html_join(
        "", "{}", ((format_html("<code>{}</code>", part) if n % 2 else part,) for n, part in enumerate(parts))
    )


@register.filter
def briefly(sentence: str, name: str) -> str:
    """Return an act's sentence without the name of its tool, where the sentence says enough without it."""
    return sentence.removesuffix(f" with {name}")


@register.filter
def from_json(text: str) -> str:
    """Return a JSON text as people read it: what it says, where it is a text."""
    value = json.loads(text)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else json_text(value)


@register.filter
def json_text(value: Json) -> str:
    """Return JSON as people read it."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=2)


@register.filter
def beginning(value: Json) -> str:
    """Return the beginning of a value as people read it, whole where it is not long."""
    return json_text(value)[:SHOWN_CHARACTERS]


@register.filter
def left_over(value: Json) -> int:
    """Return how many characters of a value its beginning leaves out."""
    return max(0, len(json_text(value)) - SHOWN_CHARACTERS)


@register.filter
def inline(value: Json) -> str:
    """Return a value on one line."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


@register.filter
def is_long(value: Json) -> bool:
    """Say whether a value is better folded."""
    text = json_text(value)
    return len(text) > FOLD_CHARACTERS or "\n" in text


@register.filter
def chain(links: Sequence[ChainLink]) -> str:
    """Return who stands behind an act, the answerable one first."""
    return " → ".join(link.name for link in links)


@register.filter
def kind_of(link: ChainLink) -> str:
    """Return what stands at a link of a chain."""
    return link.kind.value


@register.simple_tag(takes_context=True)
def here(context: Any, **changes: object) -> str:
    """Return the address of this page with some of its query changed; what is changed to nothing is left out."""
    query = {key: value for key, value in {**context["frame"].query, **changes}.items() if value not in ("", None)}
    return f"?{urlencode(query)}" if query else "?"


@register.simple_tag(takes_context=True)
def command(context: Any, words: str, *arguments: object) -> str:
    """Return a command of `aos` that works wherever it is pasted: with the organization of this page."""
    frame = context["frame"]
    shared = sum(each.name == frame.organization.name for each in frame.organizations) > 1
    organization = str(frame.organization.organization_id) if shared else frame.organization.name
    return " ".join(("aos", words, *(shlex.quote(str(each)) for each in arguments), "--org", shlex.quote(organization)))
