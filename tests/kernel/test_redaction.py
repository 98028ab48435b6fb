"""What is made unreadable in kept text: nothing of it survives, whatever stands around it, and the rest stays as it is."""

from __future__ import annotations

import json
import re
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.redaction import CAPTURED_BYTES_MAX, Personal, capture_body, capture_json, redact

ALL = tuple(Personal)
IBANS = [
    "DE89370400440532013000", "GB29NWBK60161331926819", "FR1420041010050500013M02606", "NO9386011117947",
    "MT84MALT011000012345MTLCAST001S", "nl91abna0417164300",
]  # fmt: skip
CARDS = ["4111111111111111", "5500005555555559", "340000000000009", "6011000990139424", "4222222222222"]
PHONES = [
    "+49 171 2345678", "+49 (0) 30 / 123456", "+1-555-123-4567", "+4915112345678", "0049 171 2345678", "0171 2345678",
    "030/1234567", "(030) 123456", "01712345678", "(555) 123-4567", "555-123-4567", "+41 44 668 18 00",
]  # fmt: skip
EMAILS = ["maria@larkspur.example", "j.o'hara+x@mail.larkspur.co.uk", "jürgen@müller.example", "A_1@x-y.example"]
AROUND = st.text(st.sampled_from("aZé .,;:!?()\n\"'<>|"), max_size=12)


def spaced(text: str, sign: str) -> str:
    """Return a number as people write it, in groups of four."""
    return sign.join(text[start : start + 4] for start in range(0, len(text), 4))


def digits_after(number: str) -> str:
    """Return the figure that makes Luhn's sum right."""
    total = sum(2 * int(d) - 9 * (int(d) > 4) if n % 2 == 0 else int(d) for n, d in enumerate(reversed(number)))
    return str(-total % 10)


@pytest.mark.parametrize("text", [*IBANS, *(spaced(each, " ") for each in IBANS), spaced(IBANS[0], "-")])
def test_an_iban_goes_however_it_is_written(text: str) -> None:
    assert redact(f"pay to {text}, today", ALL) == "pay to [iban], today"
    assert redact(f"AB12 x {text}", ALL) == "AB12 x [iban]"


@pytest.mark.parametrize("text", [*CARDS, *(spaced(each, " ") for each in CARDS), spaced(CARDS[0], "-")])
def test_a_card_number_goes_however_it_is_written(text: str) -> None:
    assert redact(f"charge {text}.", ALL) == "charge [card]."
    assert redact(f"order 12 {text} now", ALL) == "order 12 [card] now"


@pytest.mark.parametrize("text", PHONES)
def test_a_phone_number_goes_however_it_is_written(text: str) -> None:
    assert redact(f"Tel: {text}, ask", ALL) == "Tel: [phone], ask"


@pytest.mark.parametrize("text", EMAILS)
def test_an_address_goes(text: str) -> None:
    assert redact(f"<{text}>; mailto:{text}", ALL) == "<[email]>; mailto:[email]"


@pytest.mark.parametrize(
    "text",
    [
        "invoice INV-2610-0049 of 2026-11-23, 18,240.00 EUR", "DE89370400440532013001", "4111111111111112", "01.02.2026",
        "0.123456789", "at 09:30:15.123", "10.0.0.1", "@here", "a @ b", "chatcmpl-8f14e45fceea167a", "1731000000",
        "550e8400-e29b-41d4-a716-446655440000", "x@localhost", "1-2-3", "v0.12.345",
    ],
)  # fmt: skip
def test_what_is_none_of_them_stays(text: str) -> None:
    assert redact(text, ALL) == text


@given(
    before=AROUND, after=AROUND, body=st.text(string.digits, min_size=11, max_size=17), first=st.sampled_from("23456")
)
def test_no_card_number_survives_in_any_text(before: str, after: str, body: str, first: str) -> None:
    number = first + body + digits_after(first + body)
    for written in (number, spaced(number, " "), spaced(number, "-")):
        shown = redact(f"{before} {written} {after}", [Personal.CARD])
        assert shown == f"{before} [card] {after}"


@given(before=AROUND, after=AROUND, bank=st.text(string.ascii_uppercase + string.digits, min_size=11, max_size=30))
def test_no_iban_survives_in_any_text(before: str, after: str, bank: str) -> None:
    check = 98 - int("".join(str(int(sign, 36)) for sign in f"{bank}DE00")) % 97
    number = f"DE{check:02}{bank}"
    for written in (number, spaced(number, " ")):
        shown = redact(f"{before}|{written}|{after}", [Personal.IBAN])
        assert shown == f"{before}|[iban]|{after}"


@given(
    before=AROUND, after=AROUND,
    local=st.from_regex(r"[a-z0-9][a-z0-9.+_-]{0,80}", fullmatch=True),
    domain=st.from_regex(r"[a-z0-9]{1,20}(\.[a-z0-9]{2,10}){1,3}", fullmatch=True),
)  # fmt: skip
def test_no_address_survives_in_any_text(before: str, after: str, local: str, domain: str) -> None:
    assert f"{local}@" not in redact(f"{before}<{local}@{domain}>{after}", [Personal.EMAIL])


@given(st.text(st.characters(exclude_characters="@0123456789", exclude_categories=["Nd", "Cs"]), max_size=200))
def test_text_without_figures_and_addresses_stays_as_it_is(text: str) -> None:
    assert redact(text, ALL) == text


@given(st.text(max_size=200), st.sets(st.sampled_from(ALL)))
def test_only_what_is_named_is_replaced(text: str, kinds: set[Personal]) -> None:
    marks = set(re.findall(r"\[(email|iban|card|phone)\]", redact(text, kinds))) - set(
        re.findall(r"\[(email|iban|card|phone)\]", text)
    )
    assert marks <= {kind.value for kind in kinds}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(st.sampled_from('ab\n"\\}]é '), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab", max_size=3), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_json_without_any_of_it_reads_the_same(value: Any) -> None:
    assert json.loads(capture_json(value, ALL)) == value


def test_strings_are_redacted_as_they_read_and_json_in_them_too() -> None:
    arguments = json.dumps({"to": "\nmaria@larkspur.example", "card": 4111111111111111})
    body = json.dumps({"a": "\nmaria@larkspur.example\n", "call": arguments, "m@x.example": 1, "n@x.example": 2})
    escaped = body.replace("@", "\\u0040")
    shown = json.loads(capture_body(escaped.encode(), ALL))
    assert {**shown, "call": ""} == {"a": "\n[email]\n", "call": "", "[email]": 1, "[email] (2)": 2}
    assert json.loads(shown["call"]) == {"to": "\n[email]", "card": "[card]"}


@pytest.mark.parametrize("ahead", range(0, 40, 5))
def test_what_is_cut_shows_no_half_of_anything(ahead: int) -> None:
    filler = "x " * ((CAPTURED_BYTES_MAX - 20 - ahead) // 2)
    for secret, left in ((IBANS[0], "3704"), (CARDS[0], "4111"), (EMAILS[0], "maria")):
        shown = capture_json({"text": f"{filler}{secret} and more" + " y" * 2_000}, ALL)
        assert left not in shown[-80:]
        assert shown.endswith(f"… [cut at {CAPTURED_BYTES_MAX} bytes]")
        assert len(shown.encode()) <= CAPTURED_BYTES_MAX + 40


def test_large_and_broken_bodies_are_bounded() -> None:
    for body in (
        json.dumps(["é" * 100] * 100_000).encode(),
        json.dumps({"image": "A" * 3_000_000}).encode(),
        b"\xff" * 3_000_000,
        b"[" * 100_000,
        b"9" * 1_000_000,
    ):
        shown = capture_body(body, ALL)
        assert len(shown.encode()) <= CAPTURED_BYTES_MAX + 40
