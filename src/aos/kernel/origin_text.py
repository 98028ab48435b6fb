"""How values are read for origins: normal forms, and the identifier-like tokens of a text.

Two spellings of one thing have one normal form, whoever wrote them:
- Unicode NFKC without format characters (zero-width, soft hyphens) and loose marks, case folded, white space collapsed;
- IBAN, account and phone numbers without spaces and separators;
- numbers canonical: `1.234,50`, `1,234.50`, `1 234,50`, `1234.5` and `EUR 1,234.50` are all `1234.5`. A number with a leading
  zero and no fraction is an identifier and keeps it. `1.234` may be either: `readings` gives both, the decimal first.
- URLs without scheme, `www.` and a slash at the end.

Every pattern is linear in the text: a long text costs time, never a hang.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

_SPACE: Final = re.compile(r"\s+")
_NUMBER: Final = re.compile(r"([+-]?)(\d{1,3}(?:([., '’])\d{3})(?:\3\d{3})*(?:[.,]\d+)?|\d+(?:[.,]\d+)?)", re.ASCII)
_CURRENCY: Final = "(?:aed|aud|bgn|brl|cad|chf|cny|czk|dkk|eur|gbp|hkd|huf|ils|inr|jpy|krw|mxn|nok|nzd|pln|ron|sar|sek|sgd|try|usd|zar|[€$£¥])"
_AMOUNT: Final = re.compile(rf"(?:{_CURRENCY} ?)?([+-]?\d[\d., '’]*)(?: ?{_CURRENCY})?", re.ASCII)
_IBAN_START: Final = re.compile(r"(?=([a-z])[^a-z0-9]{0,3}([a-z])[^a-z0-9]{0,3}\d[^a-z0-9]{0,3}\d)", re.ASCII)
_IBAN_SKIPPED_MAX: Final = 8
"""Characters that may stand between two of one IBAN: the border between two cells of a table, at most."""
_PHONE: Final = re.compile(r"\+?\(?\d(?:[ ./()\-]{0,3}\d){5,33}", re.ASCII)
_GROUPED: Final = re.compile(r"(?<![\w.,])[+-]?\d{1,3}(?:[., '’]\d{3}){1,6}(?:[.,]\d{1,9})?(?![\w])", re.ASCII)
_PLAIN: Final = re.compile(r"(?<![\w.,])[+-]?\d{1,30}(?:[.,]\d{1,30})?(?!\w|[.,]\d)", re.ASCII)
_URL: Final = re.compile(r"(?<![a-z0-9])(?:[a-z][a-z0-9+.-]{1,15}+://|www\.)[^\s<>\"'`|]++")
_EMAIL: Final = re.compile(r"(?<![\w.%+\-])[\w.%+\-]++@[\w.\-]++")
_DOMAIN: Final = re.compile(r"(?<![\w.\-@])[\w\-]++(?:\.[\w\-]++)++(?:/[^\s<>\"'`|]*+)?")
_RUN: Final = re.compile(r"[^\W_]{6,}+")
_COMPOUND: Final = re.compile(r"(?<![\w\-/.])[^\W_]++(?:[-/._][^\W_]++)++(?![\w])")
_SCHEME: Final = re.compile(r"^(?:[a-z][a-z0-9+.-]{1,15}://)?(?:www\.)?")
_DIGIT: Final = re.compile(r"\d")
_TRAILING: Final = ".,;:!?)]}>'\""

IBAN_LENGTHS: Final = {
    "ad": 24, "ae": 23, "al": 28, "at": 20, "az": 28, "ba": 20, "be": 16, "bg": 22, "bh": 22, "br": 29, "by": 28, "ch": 21,
    "cr": 22, "cy": 28, "cz": 24, "de": 22, "dk": 18, "do": 28, "ee": 20, "eg": 29, "es": 24, "fi": 18, "fo": 18, "fr": 27,
    "gb": 22, "ge": 22, "gi": 23, "gl": 18, "gr": 27, "gt": 28, "hr": 21, "hu": 28, "ie": 22, "il": 23, "iq": 23, "is": 26,
    "it": 27, "jo": 30, "kw": 30, "kz": 20, "lb": 28, "lc": 32, "li": 21, "lt": 20, "lu": 20, "lv": 21, "mc": 27, "md": 24,
    "me": 22, "mk": 19, "mr": 27, "mt": 31, "mu": 30, "nl": 18, "no": 15, "pk": 24, "pl": 28, "ps": 29, "pt": 25, "qa": 29,
    "ro": 24, "rs": 22, "sa": 24, "sc": 31, "se": 24, "si": 19, "sk": 24, "sm": 27, "sv": 28, "tl": 23, "tn": 24, "tr": 26,
    "ua": 29, "va": 22, "vg": 24, "xk": 20,
}  # fmt: skip
"""Characters of an IBAN by country (ISO 13616 registry)."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One identifier-like token of a text: where it stands in the folded text, and its normal forms.

    `inner` are the tokens inside it, where tokens were joined to the longest ones.
    """

    start: int
    end: int
    readings: tuple[str, ...]
    inner: tuple[Piece, ...] = ()


def fold(text: str) -> str:
    """Return `text` in NFKC without format characters and loose marks, case folded, white space collapsed."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        text = "".join(char for char in text if unicodedata.category(char) not in ("Cf", "Mn"))
        text = unicodedata.normalize("NFKC", text.casefold())
    else:
        text = text.casefold()
    return _SPACE.sub(" ", text).strip()


def readings(text: str) -> tuple[str, ...]:
    """Return the normal forms of a whole value, the likeliest first; a number with one dot before three digits has two."""
    return folded_readings(fold(text))


def folded_readings(folded: str) -> tuple[str, ...]:
    """Return the normal forms of a folded whole value."""
    number = _AMOUNT.fullmatch(folded)
    if number is not None:
        found = _number_readings(number.group(1).strip())
        if found:
            return found
    if _IBAN_START.match(folded) and len(folded) <= 100:
        compact = _compact(folded)
        if len(compact) == IBAN_LENGTHS.get(compact[:2]):
            return (compact,)
    if _PHONE.fullmatch(folded) and not _is_date(folded):
        return (_compact(folded),)
    if "://" in folded or folded.startswith("www.") or (_DOMAIN.fullmatch(folded) and "/" in folded):
        return (_SCHEME.sub("", folded).rstrip("/"),)
    return (folded,)


def normalise(text: str) -> str:
    """Return the likeliest normal form of a whole value."""
    return readings(text)[0]


def number_text(number: int | float) -> str:
    """Return the canonical text of a JSON number: no exponent, no zeros at the end of a fraction."""
    if isinstance(number, int) or number.is_integer():
        return str(int(number))
    return _trimmed(format(Decimal(repr(number)), "f"))


def pieces_of(folded: str) -> Iterator[Piece]:
    """Yield the identifier-like tokens of a folded text: IBANs, URLs, e-mails, accounts, runs with a digit, numbers.

    Tokens may overlap; the caller decides what an inner one means.
    """
    yield from pieces_of_ibans(folded)
    for pattern in (_URL, _EMAIL, _DOMAIN):
        for match in pattern.finditer(folded):
            text = match.group().rstrip(_TRAILING)
            if pattern is not _DOMAIN or _looks_like_a_domain(text):
                yield Piece(match.start(), match.start() + len(text), (_SCHEME.sub("", text).rstrip("/"),))
    for match in _PHONE.finditer(folded):
        if not _is_date(match.group()):
            yield Piece(match.start(), match.end(), (_compact(match.group()),))
    for pattern in (_COMPOUND, _RUN):
        for match in pattern.finditer(folded):
            if _DIGIT.search(match.group()) and match.end() - match.start() >= 6:
                yield Piece(match.start(), match.end(), (match.group(),))
    yield from _numbers(folded)


def longest_pieces(folded: str) -> list[Piece]:
    """Return the tokens that lie in no longer one, each with those inside it and all normal forms of its own text."""
    outer: list[Piece] = []
    inside: list[list[Piece]] = []
    for piece in sorted(pieces_of(folded), key=lambda each: (each.start, -each.end)):
        if outer and piece.end <= outer[-1].end:
            inside[-1].append(piece)
        else:
            outer.append(piece)
            inside.append([])
    return [_joined(folded, piece, inner) for piece, inner in zip(outer, inside, strict=True)]


def _joined(folded: str, outer: Piece, inner: list[Piece]) -> Piece:
    """Join tokens of one span: the likeliest form is that of the span as a value of its own."""
    same = [piece for piece in inner if (piece.start, piece.end) == (outer.start, outer.end)]
    forms = [*folded_readings(folded[outer.start : outer.end]), *outer.readings]
    forms += [form for piece in same for form in piece.readings]
    smaller = tuple(piece for piece in inner if piece not in same)
    return Piece(outer.start, outer.end, tuple(dict.fromkeys(forms)), smaller)


def has_residue(folded: str, pieces: list[Piece]) -> bool:
    """Return whether letters or digits stand outside all `pieces`."""
    covered = bytearray(len(folded))
    for piece in pieces:
        covered[piece.start : piece.end] = b"\1" * (piece.end - piece.start)
    return any(not inside and char.isalnum() for char, inside in zip(folded, covered, strict=True))


# --- numbers -------------------------------------------------------------------------------------------------------


def _numbers(folded: str) -> Iterator[Piece]:
    for pattern in (_GROUPED, _PLAIN):
        for match in pattern.finditer(folded):
            text, start = match.group(), match.start()
            if text[0] in "+-" and start > 0 and folded[start - 1] not in " (":
                text, start = text[1:], start + 1
            found = _number_readings(text)
            if found:
                yield Piece(start, match.end(), found)


def _number_readings(text: str) -> tuple[str, ...]:
    """Return the canonical forms of one number in any of the usual spellings; empty when it is none."""
    match = _NUMBER.fullmatch(text) if len(text) <= 40 else None
    if match is None:
        return ()
    sign, body, group = match.groups()
    minus = "-" if sign == "-" else ""
    if body.isdigit():
        return () if body[0] == "0" and len(body) > 1 else (_signed(minus, body),)
    if group is None:
        return (_signed(minus, body.replace(",", ".")),)
    whole, fraction = _split_grouped(body, group)
    grouped = _signed(minus, f"{whole}.{fraction}" if fraction else whole)
    if group == "." and body.count(".") == 1 and not fraction:
        return (_signed(minus, body), grouped)
    return (grouped,)


def _split_grouped(body: str, group: str) -> tuple[str, str]:
    """Return the whole digits and the fraction of a number whose thousands stand apart by `group`."""
    for mark in ".,":
        if mark != group and mark in body:
            whole, _, fraction = body.partition(mark)
            return whole.replace(group, ""), fraction
    *wholes, last = body.split(group)
    if len(last) == 3 or group not in ".,":
        return body.replace(group, ""), ""
    return "".join(wholes), last


def _signed(minus: str, text: str) -> str:
    trimmed = _trimmed(text)
    return trimmed if trimmed == "0" else minus + trimmed


def _trimmed(text: str) -> str:
    if "." in text and "e" not in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text


# --- identifiers ---------------------------------------------------------------------------------------------------


def pieces_of_ibans(folded: str) -> Iterator[Piece]:
    """Yield IBANs however they are split: one of its country's length that ends at a boundary, or with a right checksum."""
    for match in _IBAN_START.finditer(folded):
        start = match.start()
        length = IBAN_LENGTHS.get(match.group(1) + match.group(2))
        if length is None:
            continue
        taken: list[str] = []
        end = start
        skipped = 0
        while end < len(folded) and len(taken) < length and skipped <= _IBAN_SKIPPED_MAX:
            char = folded[end]
            if char.isascii() and char.isalnum():
                taken.append(char)
                skipped = 0
            else:
                skipped += 1
            end += 1
        if len(taken) < length:
            continue
        compact = "".join(taken)
        bounded = (start == 0 or not folded[start - 1].isalnum()) and (end == len(folded) or not folded[end].isalnum())
        if _checks(compact) or (bounded and sum(char.isdigit() for char in compact) >= length // 2):
            yield Piece(start, end, (compact,))


def _checks(iban: str) -> bool:
    """Return whether the check digits are right (ISO 7064 mod 97-10)."""
    return int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97 == 1


def _compact(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


def _is_date(text: str) -> bool:
    return re.fullmatch(r"\d{4}-\d{2}-\d{2}|\d{1,2}[./]\d{1,2}[./]\d{2,4}", text) is not None


def _looks_like_a_domain(text: str) -> bool:
    host = text.partition("/")[0]
    last = host.rpartition(".")[2]
    return len(last) >= 2 and last.isalpha()
