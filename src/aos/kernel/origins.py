"""Origins: where an argument that directs an effect came from, found out by the gate and never told by the agent.

When an outcome or a message is recorded, `tokens_of` gives what is kept of it: digests of normal forms under the run's own
key, each with how far it may be trusted. When an act has sinks, each sink's value is looked up. Nothing here judges wording.

What is recorded:
    from                  each whole scalar                       each identifier-like token inside a text
    trusted record        trusted (a typed field), unless it      untrusted: free text inside a record is an outsider's
                          is free text: then untrusted            words that we keep
    untrusted, inbound    untrusted                               untrusted
    the person's words    person                                  person
    own (our own text)    nothing: what agents write is `model`   nothing

Names of fields that look like identifiers are read as texts too. A text is free when it has a line break or more than `TYPED_LENGTH_MAX` characters; a shorter one is a typed field as a
whole, and the identifiers inside it (unless it is one itself) are free text still. Scalars are joined in their order too, so
that an IBAN split over neighbouring cells is found.

How a sink is judged:
 1. whole: a typed field of a trusted record makes it trusted;
 2. else by its tokens, the least trusted deciding. A token found in several places is judged in the order trusted record,
    untrusted, person, else model. A token inside a longer one counts only where the longer one is not found, and then makes
    nothing better than `model`. Letters and digits outside all tokens are `model`.
 3. a list or object is as trusted as its least trusted scalar.
Not found in a run that is origin-incomplete counts as untrusted.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias, assert_never

from aos.kernel.json import Json
from aos.kernel.limits import ORIGIN_TOKENS_OUTCOME_MAX
from aos.kernel.origin_text import (
    Piece,
    fold,
    folded_readings,
    has_residue,
    longest_pieces,
    normalise,
    number_text,
    pieces_of,
    pieces_of_ibans,
)
from aos.kernel.policy.values import Origin
from aos.kernel.tools import ResultTrust

__all__ = ["Found", "Source", "Token", "Tokens", "look_ups", "normalise", "origin_of", "token_digest", "tokens_of"]

TYPED_LENGTH_MAX: Final = 128
"""Characters of a trusted record's text up to which the whole of it is a typed field and no free text."""
TEXT_LENGTH_MAX: Final = 200_000
"""Characters of one value that are read for tokens; past it the value is incomplete."""
SCALARS_MAX: Final = 20_000
DIGEST_BYTES: Final = 16
_PART_LENGTH_MAX: Final = 10

Found: TypeAlias = Mapping[bytes, Collection[tuple[Origin, bool]]]
"""What is recorded under each digest: origins, and whether as a whole typed field."""

_TRUST: Final[Mapping[Origin, int]] = {Origin.TRUSTED: 0, Origin.PERSON: 1, Origin.MODEL: 2, Origin.UNTRUSTED: 3}


class Source(StrEnum):
    """Where a recorded value came from; the first three are the trust of the tool that returned it."""

    TRUSTED = ResultTrust.TRUSTED.value
    OWN = ResultTrust.OWN.value
    UNTRUSTED = ResultTrust.UNTRUSTED.value
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Token:
    """One normal form to record; `whole` when it was a whole scalar of a typed field."""

    text: str
    origin: Origin
    whole: bool


@dataclass(frozen=True, slots=True)
class Tokens:
    """What is recorded of one value; `incomplete` when a limit was passed and something was left out."""

    tokens: tuple[Token, ...]
    incomplete: bool


class _Collector:
    """Gathers tokens without repetition up to a limit."""

    __slots__ = ("at_most", "found", "incomplete")

    def __init__(self, at_most: int) -> None:
        self.found: dict[Token, None] = {}
        self.at_most = at_most
        self.incomplete = False

    def add(self, text: str, origin: Origin, *, whole: bool) -> None:
        token = Token(text, origin, whole)
        if token in self.found:
            return
        if len(self.found) >= self.at_most:
            self.incomplete = True
        else:
            self.found[token] = None


def tokens_of(value: Json, source: Source | ResultTrust, *, at_most: int = ORIGIN_TOKENS_OUTCOME_MAX) -> Tokens:
    """Return the tokens to record of an outcome, a message or a person's words, at most `at_most`."""
    match Source(source.value):
        case Source.OWN:
            return Tokens((), False)
        case Source.TRUSTED:
            origin = Origin.TRUSTED
        case Source.UNTRUSTED:
            origin = Origin.UNTRUSTED
        case Source.PERSON:
            origin = Origin.PERSON
        case never:
            assert_never(never)
    collector = _Collector(at_most)
    texts: list[str] = []
    for scalar, is_name in _scalars(value, collector):
        folded = _folded(scalar)
        texts.append(folded)
        if isinstance(scalar, str) and folded:
            free = is_name or len(scalar) > TYPED_LENGTH_MAX or "\n" in scalar.strip()
            _collect_text(collector, folded, origin, free=free)
        elif folded:
            collector.add(folded, origin, whole=True)
        if collector.incomplete:
            break
    _collect_split(collector, texts, _inside(origin))
    return Tokens(tuple(collector.found), collector.incomplete)


def _scalars(value: Json, collector: _Collector) -> Iterator[tuple[str | int | float, bool]]:
    """Yield the texts and numbers of `value` in order, and names of fields that look like identifiers, marked so.

    Iterative; past the limits of count and length it marks the collector and stops.
    """
    todo: list[tuple[Json, bool]] = [(value, False)]
    count = length = 0
    while todo:
        item, is_name = todo.pop()
        if isinstance(item, dict):
            for name, below in reversed(item.items()):
                todo.append((below, False))
                if any(char.isdigit() or char == "@" for char in name):
                    todo.append((name, True))
        elif isinstance(item, list):
            todo.extend((below, False) for below in reversed(item))
        elif item is not None and not isinstance(item, bool):
            count += 1
            length += len(item) if isinstance(item, str) else 1
            if count > SCALARS_MAX or length > TEXT_LENGTH_MAX:
                collector.incomplete = True
                return
            yield item, is_name


def _inside(origin: Origin) -> Origin:
    """Return the origin of a token inside a text: a trusted record's free text is an outsider's words that we keep."""
    return Origin.UNTRUSTED if origin is Origin.TRUSTED else origin


def _collect_text(collector: _Collector, folded: str, origin: Origin, *, free: bool) -> None:
    """Record one text: whole, and by its tokens."""
    forms = folded_readings(folded)
    if origin is Origin.TRUSTED:
        forms = forms[:1]
        collector.add(forms[0], Origin.UNTRUSTED if free else origin, whole=not free)
        pieces = _free_pieces(folded)
    else:
        for form in forms:
            collector.add(form, origin, whole=True)
        pieces = pieces_of(folded)
    for piece in pieces:
        for form in piece.readings:
            if form not in forms:
                collector.add(form, _inside(origin), whole=False)
        if collector.incomplete:
            return


def _free_pieces(folded: str) -> Iterator[Piece]:
    """Yield the tokens of a trusted record's text that are free text: none inside what is one identifier as a whole.

    Of a single word only long parts count: `2025` in `inv-2025-0042` is part of the identifier, an account number is not.
    """
    pieces = list(pieces_of(folded))
    if any(piece.end - piece.start == len(folded) for piece in pieces):
        return
    for piece in pieces:
        if " " in folded or piece.end - piece.start >= _PART_LENGTH_MAX:
            yield piece


def _collect_split(collector: _Collector, texts: list[str], origin: Origin) -> None:
    """Record IBANs that stand split over neighbouring scalars."""
    if len(texts) < 2 or collector.incomplete:
        return
    known = {token.text for token in collector.found}
    for piece in pieces_of_ibans(" | ".join(texts)):
        if piece.readings[0] not in known:
            collector.add(piece.readings[0], origin, whole=False)


def token_digest(key: bytes, text: str) -> bytes:
    """Return HMAC-SHA256 of a normal form under the run's key, cut to 16 bytes."""
    return hmac.digest(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256)[:DIGEST_BYTES]


def look_ups(value: Json, *, key: bytes) -> frozenset[bytes]:
    """Return the digests to load before `origin_of` judges a sink's value."""
    texts: set[str] = set()
    for scalar, _ in _scalars(value, _Collector(0)):
        folded = _folded(scalar)
        texts.update(folded_readings(folded))
        for piece in longest_pieces(folded):
            texts.update(piece.readings)
            texts.update(form for inner in piece.inner for form in inner.readings)
    return frozenset(token_digest(key, text) for text in texts)


def origin_of(value: Json, found: Found, *, key: bytes, incomplete: bool) -> Origin:
    """Return the origin of a sink's value: see the module's rules.

    `found` holds what is recorded in the run for the digests of `look_ups`; `incomplete` is the run's mark. A value past the
    limits of this module is untrusted; one without any text or number is `model`.
    """
    collector = _Collector(0)
    worst = None
    for scalar, _ in _scalars(value, collector):
        judged = _judge_scalar(_folded(scalar), found, key=key, incomplete=incomplete)
        worst = judged if worst is None else _worse(worst, judged)
    if collector.incomplete:
        return Origin.UNTRUSTED
    return worst or Origin.MODEL


def _folded(scalar: str | int | float) -> str:
    return fold(scalar) if isinstance(scalar, str) else number_text(scalar)


def _judge_scalar(folded: str, found: Found, *, key: bytes, incomplete: bool) -> Origin:
    unknown = Origin.UNTRUSTED if incomplete else Origin.MODEL
    whole = _recorded(folded_readings(folded), found, key=key)
    pieces = [] if whole is Origin.TRUSTED else longest_pieces(folded)
    if not pieces or (whole is not None and pieces[0].end - pieces[0].start == len(folded)):
        return whole or unknown
    worst = whole or Origin.TRUSTED
    for piece in pieces:
        judged = _recorded(piece.readings, found, key=key)
        worst = _worse(worst, _judge_inner(piece, found, key=key, unknown=unknown) if judged is None else judged)
    return _worse(worst, unknown) if whole is None and has_residue(folded, pieces) else worst


def _judge_inner(piece: Piece, found: Found, *, key: bytes, unknown: Origin) -> Origin:
    """Return the origin of a token that is not found, by the tokens inside it: never better than `model`."""
    worst = unknown
    for inner in piece.inner:
        judged = _recorded(inner.readings, found, key=key)
        if judged is not None:
            worst = _worse(worst, judged)
    return worst


def _recorded(forms: tuple[str, ...], found: Found, *, key: bytes) -> Origin | None:
    """Return how a token is recorded, judged in the order trusted record, untrusted, person; None when it is not found.

    Only its likeliest form can make it trusted; any form can make it an outsider's.
    """
    origins: set[Origin] = set()
    for index, form in enumerate(forms):
        recorded = found.get(token_digest(key, form), ())
        if index == 0 and (Origin.TRUSTED, True) in recorded:
            return Origin.TRUSTED
        origins.update(origin for origin, whole in recorded if origin is not Origin.TRUSTED or not whole)
    if not origins:
        return None
    return Origin.PERSON if origins == {Origin.PERSON} else Origin.UNTRUSTED


def _worse(one: Origin, other: Origin) -> Origin:
    return one if _TRUST[one] >= _TRUST[other] else other
