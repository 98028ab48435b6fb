"""What of model calls is kept as text, and what is made unreadable in it: e-mail addresses, IBANs, card and phone numbers.

What was found is replaced by its kind in brackets: `[email]`. Rules a reader must not break:
- Text is redacted before it is cut, and looked at past the place where it is cut: half a number says too much.
- Strings are redacted as they read, not as JSON escapes them, and JSON inside a string is read as JSON.
- Patterns take more rather than less: what only looks like a phone number may go, what is one may not stay. They are linear in
  the text's length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

import msgspec

from aos.kernel.json import Json

T = TypeVar("T")

CAPTURED_BYTES_MAX: Final = 256 * 1024
"""How much is kept of one request, and of one answer."""
CHECKS_MAX: Final = 2_000
"""How many numbers of one text are checked; past that, what begins like one counts as one, so that no text costs much."""
NESTING_MAX: Final = 64
"""How deep JSON is read; what lies deeper is left out."""
_BEYOND: Final = 512
"""How many characters past the end are looked at: longer than anything that is looked for."""
_IBAN_LENGTHS: Final = range(34, 14, -1)
_CARD_LENGTHS: Final = range(19, 12, -1)


class Personal(StrEnum):
    """What can be made unreadable."""

    EMAIL = "email"
    IBAN = "iban"
    CARD = "card"
    PHONE = "phone"


class CaptureMode(StrEnum):
    """What of model calls is kept."""

    NONE = "none"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Capture:
    """What an organization keeps of its model calls: nothing, or requests and answers as text, without what `redact` names."""

    models: CaptureMode = CaptureMode.NONE
    redact: tuple[Personal, ...] = tuple(Personal)


_LOCAL: Final = r"[\w.!#$%&'*+/=?^`{|}~-]"
_EMAIL: Final = re.compile(rf"(?<!{_LOCAL}){_LOCAL}++@[\w-]++(?:\.[\w-]++)+")
_IBAN_START: Final = re.compile(r"(?<![^\W_])[A-Za-z]{2}[0-9]{2}(?=[ \u00a0\u202f.-]?[A-Za-z0-9])")
_CARD_START: Final = re.compile(r"(?<![0-9+])[2-6](?=(?:[ \u00a0-]?[0-9]){12})")
_PHONE: Final = re.compile(
    r"(?<![\w+])(?:"
    r"\+[1-9](?:[ \u00a0().\-/]{0,3}[0-9]){6,14}"  # international
    r"|00[1-9](?:[ \u00a0().\-/]{0,3}[0-9]){8,14}"
    r"|(?<![0-9][.,/-])(?:\(0[1-9][0-9]{1,4}\)|0[1-9][0-9]{1,4}(?=[ \u00a0/-]))(?:[ \u00a0/-]{0,3}[0-9]){5,10}"  # national
    r"|(?<![0-9][.,/-])0[1-9][0-9]{7,11}"
    r"|(?<![0-9][.,/-])(?:\([0-9]{3}\) ?|[0-9]{3}[ .-])[0-9]{3}[ .-][0-9]{4}"  # North America
    r")(?![0-9])"
)


def redact(text: str, kinds: Collection[Personal]) -> str:
    """Return `text` with everything of these kinds replaced by its name in brackets."""
    if Personal.EMAIL in kinds and "@" in text:
        text = _EMAIL.sub("[email]", text)
    if Personal.IBAN in kinds:
        text = _replaced(text, _IBAN_START, _iban_ends, name=Personal.IBAN)
    if Personal.CARD in kinds:
        text = _replaced(text, _CARD_START, _card_ends, name=Personal.CARD)
    return _PHONE.sub("[phone]", text) if Personal.PHONE in kinds else text


def capture_json(value: Json, kinds: Collection[Personal]) -> str:
    """Return JSON as text, redacted and cut to CAPTURED_BYTES_MAX with a mark where it was cut."""
    walk = _Walk(kinds)
    return _bounded(msgspec.json.encode(walk.of(value)), whole=not walk.is_cut)


def capture_body(body: bytes, kinds: Collection[Personal]) -> str:
    """Return a body as text, redacted and cut as `capture_json` does; one that is no JSON as it reads."""
    try:
        value = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        walk = _Walk(kinds)
        text = walk.text(body[: 4 * (CAPTURED_BYTES_MAX + _BEYOND)].decode("utf-8", "replace"))
        return _bounded(text.encode(), whole=not walk.is_cut)
    return capture_json(value, kinds)


class _Walk:
    """Redacts JSON, and leaves out what comes once there is enough to fill what is kept."""

    def __init__(self, kinds: Collection[Personal]) -> None:
        self._kinds = frozenset(kinds)
        self._left = CAPTURED_BYTES_MAX
        self.is_cut = False

    def of(self, value: Json, depth: int = 0) -> Json:
        """Return a value with every string, key and long number in it redacted."""
        if depth > NESTING_MAX:
            self.is_cut = True
            return "…"
        if isinstance(value, str):
            return self._inner(value, depth) or self.text(value)
        if isinstance(value, dict):
            return self._object(value, depth)
        if isinstance(value, list):
            return [self.of(each, depth + 1) for each in self._while_room(value)]
        self._left -= 4
        if isinstance(value, int) and not isinstance(value, bool):
            shown = redact(str(value), self._kinds & {Personal.CARD})
            return value if shown == str(value) else shown
        return value

    def text(self, text: str) -> str:
        """Return a text redacted, and no more of it than there is room for."""
        window = max(self._left, 0) + _BEYOND
        shown = redact(text[:window], self._kinds)
        if len(text) > window:
            self.is_cut = True
            shown = shown[:-_BEYOND]  # what began in there may go on behind it
        self._left -= len(shown)
        return shown

    def _inner(self, text: str, depth: int) -> str:
        """Return JSON in a string, redacted; empty where it is none."""
        if text[:1] not in ("{", "[") or len(text) > CAPTURED_BYTES_MAX:
            return ""
        try:
            value = msgspec.json.decode(text)
        except (ValueError, RecursionError):
            return ""
        return msgspec.json.encode(self.of(value, depth + 1)).decode()

    def _object(self, value: Mapping[str, Json], depth: int) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for name in self._while_room(value):
            shown, n = (key := self.text(name)), 1
            while shown in found:  # two addresses as keys are both `[email]`
                n += 1
                shown = f"{key} ({n})"
            found[shown] = self.of(value[name], depth + 1)
        return found

    def _while_room(self, values: Iterable[T]) -> Iterator[T]:
        for each in values:
            if self._left <= 0:
                self.is_cut = True
                return
            yield each


def _bounded(text: bytes, *, whole: bool) -> str:
    if whole and len(text) <= CAPTURED_BYTES_MAX:
        return text.decode()
    return f"{text[:CAPTURED_BYTES_MAX].decode('utf-8', 'ignore')}… [cut at {CAPTURED_BYTES_MAX} bytes]"


def _replaced(
    text: str, start: re.Pattern[str], find: Callable[[str, int], Iterator[tuple[int, bool]]], *, name: str
) -> str:
    """Return `text` without what begins with `start`: up to the first of the ends that `find` gives which is checked."""
    parts, at, checks = [], 0, 0
    for found in start.finditer(text):
        if found.start() < at:
            continue
        checks += 1
        ends = find(text, found.start())
        stop = next((end for end, is_one in ends if is_one or checks > CHECKS_MAX), 0)
        if stop:
            parts += [text[at : found.start()], f"[{name}]"]
            at = stop
    return "".join([*parts, text[at:]]) if parts else text


def _iban_ends(text: str, start: int) -> Iterator[tuple[int, bool]]:
    """Yield where an IBAN may end that begins at `start`, the longest first, and whether its check digits are right (ISO 13616)."""
    signs = _signs(text, start, " \u00a0\u202f.-", most=_IBAN_LENGTHS[0])
    for length in _IBAN_LENGTHS:
        if length <= len(signs) and not text[signs[length - 1] + 1 : signs[length - 1] + 2].isalnum():
            code = "".join(text[each] for each in signs[:length])
            value = int("".join(str(int(sign, 36)) for sign in code[4:] + code[:4]))
            yield signs[length - 1] + 1, value % 97 == 1


def _card_ends(text: str, start: int) -> Iterator[tuple[int, bool]]:
    """Yield where a card number may end that begins at `start`, the longest first, and whether Luhn's sum is right (ISO/IEC 7812-1)."""
    signs = _signs(text, start, " \u00a0-", most=_CARD_LENGTHS[0])
    for length in _CARD_LENGTHS:
        if length <= len(signs) and not text[signs[length - 1] + 1 : signs[length - 1] + 2].isdigit():
            digits = "".join(text[each] for each in signs[:length])
            if digits.isdecimal():
                yield signs[length - 1] + 1, _passes_luhn([int(each) for each in digits])


def _signs(text: str, start: int, between: str, *, most: int) -> list[int]:
    """Return the places of the letters and figures from `start` on, with at most one sign of `between` before each."""
    found, at = [start], start + 1
    while len(found) < most and at < len(text):
        if text[at] in between and at + 1 < len(text):
            at += 1
        if not (text[at].isascii() and text[at].isalnum()):
            break
        found.append(at)
        at += 1
    return found


def _passes_luhn(digits: list[int]) -> bool:
    doubled = (2 * each - 9 if each > 4 else 2 * each for each in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
