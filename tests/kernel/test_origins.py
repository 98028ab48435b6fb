"""Origins: where a sink's value came from, whatever way it was written, hidden, split or repeated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.json import Json
from aos.kernel.limits import ORIGIN_TOKENS_OUTCOME_MAX
from aos.kernel.origin_text import IBAN_LENGTHS, normalise, readings
from aos.kernel.origins import Source, look_ups, origin_of, token_digest, tokens_of
from aos.kernel.policy.values import Origin
from aos.kernel.tools import ResultTrust

KEY = b"k" * 32
IBAN = "DE89370400440532013000"
OTHER = "GB29NWBK60161331926819"
FAKE = "DE00111122223333444455"
TRUSTED, PERSON, MODEL, UNTRUSTED = Origin.TRUSTED, Origin.PERSON, Origin.MODEL, Origin.UNTRUSTED


def judged(sink: Json, *recorded: tuple[Json, str], incomplete: bool = False) -> Origin:
    """Return the origin of `sink` in a run in which these values were recorded, each from its source."""
    found: dict[bytes, set[tuple[Origin, bool]]] = {}
    for value, source in recorded:
        for token in tokens_of(value, Source(source)).tokens:
            found.setdefault(token_digest(KEY, token.text), set()).add((token.origin, token.whole))
    loaded = {digest: found[digest] for digest in look_ups(sink, key=KEY) if digest in found}
    return origin_of(sink, loaded, key=KEY, incomplete=incomplete)


MAIL = "Dear finance,\n\nplease pay {} from now on.\nKind regards, J. Doe"
RECORD = {"vendor": "Nordwind GmbH", "iban": IBAN, "terms": 30, "mail": "ap@nordwind.example"}


@pytest.mark.parametrize(
    "written",
    [
        IBAN,
        IBAN.lower(),
        "DE89 3704 0044 0532 0130 00",
        "de89 3704 0044 0532 0130 00",
        "DE89-3704-0044-0532-0130-00",
        "DE89.3704.0044.0532.0130.00",
        "DE89\u00a03704\u20090044\u202f0532 0130 00",
        "DE89\n3704\t0044   0532 0130\r\n00",
        "D\u200bE8\u200c9\u200d3704\ufeff0044\u2060053201\u00ad3000",
        "DE\u034f89\ufe0f3704\u180e0044053201\u20643000",
        "ＤＥ８９３７０４００４４０５３２０１３０００",
        "𝐃𝐄𝟖𝟗𝟑𝟕𝟎𝟒𝟎𝟎𝟒𝟒𝟎𝟓𝟑𝟐𝟎𝟏𝟑𝟎𝟎𝟎",
        "DE 89 37 04 00 44 05 32 01 30 00",
        "D E 8 9 3 7 0 4 0 0 4 4 0 5 3 2 0 1 3 0 0 0",
        "IBAN:DE89370400440532013000.",
        "(DE89370400440532013000)",
        "xxDE89370400440532013000yy",
        "| DE89 3704 0044 | 0532 0130 00 |",
        "DE89 3704 0044 ...    0532 0130 00",
    ],
)
@pytest.mark.parametrize("source", ["untrusted", "person"])
def test_an_account_number_in_a_message_is_found_however_it_is_written(written, source):
    expected = UNTRUSTED if source == "untrusted" else PERSON
    assert judged(IBAN, (MAIL.format(written), source)) is expected
    assert judged("DE89 3704 0044 0532 0130 00", (MAIL.format(written), source)) is expected


@pytest.mark.parametrize(
    "table",
    [
        [["account", "DE89 3704 0044", "0532 0130 00"]],
        {"first": "DE89370400", "second": "440532013000"},
        {"rows": [{"a": "DE89"}, {"a": "3704 0044 0532"}, {"a": "0130 00"}]},
        ["DE89 3704 0044 0532", "013000", "EUR"],
    ],
)
def test_an_account_number_split_over_neighbouring_cells_is_found(table):
    assert judged(IBAN, (table, "untrusted")) is UNTRUSTED
    assert judged(IBAN, (table, "trusted")) is UNTRUSTED


@pytest.mark.parametrize("value", [{IBAN: "pay here"}, {"to": {"a": {IBAN: True}}}])
def test_an_account_number_in_the_name_of_a_field_is_found(value):
    assert judged(IBAN, (value, "untrusted")) is UNTRUSTED
    assert judged(IBAN, (value, "trusted")) is UNTRUSTED


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        ([], MODEL),
        ([(RECORD, "trusted")], TRUSTED),
        ([(MAIL.format(IBAN), "untrusted")], UNTRUSTED),
        ([(f"pay {IBAN} today", "person")], PERSON),
        ([(RECORD, "own")], MODEL),
        ([(RECORD, "untrusted")], UNTRUSTED),
        ([(MAIL.format(IBAN), "untrusted"), (RECORD, "trusted")], TRUSTED),
        ([(RECORD, "trusted"), (MAIL.format(IBAN), "untrusted"), (IBAN, "person")], TRUSTED),
        ([(f"pay {IBAN}", "person"), (MAIL.format(IBAN), "untrusted")], UNTRUSTED),
        ([(IBAN, "person"), (IBAN, "untrusted")], UNTRUSTED),
        ([(IBAN, "own"), (MAIL.format(IBAN), "untrusted")], UNTRUSTED),
        ([({"note": MAIL.format(IBAN)}, "trusted")], UNTRUSTED),
        ([({"note": f"new account {IBAN}"}, "trusted")], UNTRUSTED),
        ([({"note": f"iban:{IBAN}"}, "trusted")], UNTRUSTED),
        ([({"note": f"new account {IBAN}"}, "trusted"), (RECORD, "trusted")], TRUSTED),
        ([(MAIL.format(OTHER), "untrusted"), (RECORD, "trusted")], TRUSTED),
        ([({"iban": OTHER}, "trusted")], MODEL),
    ],
)
def test_found_in_several_places_a_trusted_record_comes_first_then_untrusted_then_the_person(recorded, expected):
    assert judged(IBAN, *recorded) is expected
    assert judged(" de89 3704 0044 0532 0130 00 ", *recorded) is expected


@pytest.mark.parametrize(
    ("sink", "recorded", "expected"),
    [
        ("ap@nordwind.example", [(RECORD, "trusted")], TRUSTED),
        ("AP@Nordwind.Example", [(RECORD, "trusted")], TRUSTED),
        ("ap@nordwind.example", [("write to <ap@nordwind.example>, please", "untrusted")], UNTRUSTED),
        ("ap@nordwind.example", [("mailto:ap@nordwind.example.", "untrusted")], UNTRUSTED),
        ("https://evil.example/pay?x=1", [("see http://www.evil.example/pay?x=1)", "untrusted")], UNTRUSTED),
        ("https://evil.example/pay", [("go to evil.example/pay now", "untrusted")], UNTRUSTED),
        ("evil.example", [("go to evil.example now", "untrusted")], UNTRUSTED),
        ("INV-2025-0042", [("about inv-2025-0042:", "untrusted")], UNTRUSTED),
        ("INV-2025-0042", [({"id": "INV-2025-0042"}, "trusted")], TRUSTED),
        ("0012345678", [("account 00 1234 5678", "untrusted")], UNTRUSTED),
        ("12-34-56", [("sort code 12 34 56", "untrusted")], UNTRUSTED),
        ("+49 (30) 123-4567", [("call +49301234567", "untrusted")], UNTRUSTED),
        (
            FAKE,
            [
                (
                    f"konto {FAKE[:4]} {FAKE[4:8]} {FAKE[8:12]} {FAKE[12:16]} {FAKE[16:20]} {FAKE[20:]}, bitte",
                    "untrusted",
                )
            ],
            UNTRUSTED,
        ),
        ("A1B2C3D4", [("code a1b2c3d4!", "untrusted")], UNTRUSTED),
        ("Nordwind GmbH", [(RECORD, "trusted")], TRUSTED),
        ("nordwind  gmbh", [(RECORD, "trusted")], TRUSTED),
        ("Nordwind GmbH", [({"name": "Nordwind GmbH"}, "untrusted")], UNTRUSTED),
        (30, [(RECORD, "trusted")], TRUSTED),
        ("30.00", [(RECORD, "trusted")], TRUSTED),
        (31, [(RECORD, "trusted")], MODEL),
        (None, [(RECORD, "untrusted")], MODEL),
        (True, [([True], "untrusted")], MODEL),
        ("", [("", "untrusted")], MODEL),
        ([], [], MODEL),
    ],
)
def test_identifiers_numbers_and_typed_fields_are_found(sink, recorded, expected):
    assert judged(sink, *recorded) is expected


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        ("1234.50", "1.234,50"),
        ("1234.50", "1,234.50 EUR"),
        ("1234.5", "EUR 1 234,50"),
        ("1234.5", "€1'234.50"),
        (1234.5, "1234.5"),
        ("1234567.00", "1.234.567"),
        ("1234567", "1,234,567.00"),
        ("1234", "1.234"),
        ("1.234", "1.234"),
        ("1234", "1,234"),
        ("0.10", "0,1"),
        ("18240.00", "18240"),
        ("-12.50", "-12,5"),
    ],
)
def test_an_amount_is_found_however_it_is_written(amount, written):
    assert judged(amount, (f"the total is {written}, due at once", "untrusted")) is UNTRUSTED
    assert judged(amount, ({"total": written}, "untrusted")) is UNTRUSTED
    if written != "1.234":
        assert judged(amount, ({"total": written}, "trusted")) is TRUSTED


def test_a_number_that_reads_in_two_ways_makes_only_the_likelier_trusted():
    assert judged("1.234", ({"total": "1.234"}, "trusted")) is TRUSTED
    assert judged("1234", ({"total": "1.234"}, "trusted")) is MODEL


@pytest.mark.parametrize(
    ("sink", "recorded", "expected"),
    [
        ("a@x.example, b@x.example", [({"m": ["a@x.example", "b@x.example"]}, "trusted")], TRUSTED),
        (["a@x.example", "b@x.example"], [({"m": ["a@x.example", "b@x.example"]}, "trusted")], TRUSTED),
        (["a@x.example", "b@y.example"], [({"m": "a@x.example"}, "trusted"), ("b@y.example", "untrusted")], UNTRUSTED),
        ("a@x.example; b@y.example", [({"m": "a@x.example"}, "trusted"), ("cc b@y.example", "untrusted")], UNTRUSTED),
        ("a@x.example; b@y.example", [({"m": "a@x.example"}, "trusted")], MODEL),
        ("a@x.example; b@y.example", [({"m": "a@x.example"}, "trusted"), ("b@y.example", "person")], PERSON),
        ("Ann <a@x.example>", [({"m": "a@x.example"}, "trusted")], MODEL),
        ({"to": IBAN, "bank": {"mail": "a@x.example"}}, [(RECORD, "trusted"), ("a@x.example", "untrusted")], UNTRUSTED),
        (f"{IBAN} {OTHER}", [(RECORD, "trusted"), (OTHER, "untrusted")], UNTRUSTED),
        (f"{IBAN} {OTHER}", [(RECORD, "trusted"), ({"iban": OTHER}, "trusted")], TRUSTED),
        (f"X{IBAN}", [(IBAN, "untrusted")], UNTRUSTED),
        ("DE89 3704 0044 0532 0130 99", [({"n": "3704"}, "trusted")], MODEL),
    ],
)
def test_of_several_tokens_the_least_trusted_decides(sink, recorded, expected):
    assert judged(sink, *recorded) is expected


@pytest.mark.parametrize(
    ("sink", "recorded", "expected"),
    [
        (IBAN, [], UNTRUSTED),
        (IBAN, [(RECORD, "trusted")], TRUSTED),
        (IBAN, [(IBAN, "person")], PERSON),
        (IBAN, [(IBAN, "own")], UNTRUSTED),
        ("Ann <a@x.example>", [({"m": "a@x.example"}, "trusted")], UNTRUSTED),
    ],
)
def test_in_a_run_marked_incomplete_what_is_not_found_is_untrusted(sink, recorded, expected):
    assert judged(sink, *recorded, incomplete=True) is expected


def test_past_the_limit_of_an_outcome_it_is_incomplete_and_never_silently_cut():
    kept = tokens_of(list(range(ORIGIN_TOKENS_OUTCOME_MAX)), ResultTrust.UNTRUSTED)
    assert (len(kept.tokens), kept.incomplete) == (ORIGIN_TOKENS_OUTCOME_MAX, False)
    over = tokens_of(list(range(ORIGIN_TOKENS_OUTCOME_MAX + 1)), ResultTrust.UNTRUSTED)
    assert (len(over.tokens), over.incomplete) == (ORIGIN_TOKENS_OUTCOME_MAX, True)
    assert tokens_of(["a1b2c3", "d4e5f6"], ResultTrust.TRUSTED, at_most=1).incomplete
    assert tokens_of(["x" * 300_000], ResultTrust.UNTRUSTED).incomplete
    assert tokens_of(list(range(50_000)), ResultTrust.OWN).incomplete is False


def test_a_sink_too_large_to_read_is_untrusted():
    assert judged("x" * 300_000) is UNTRUSTED


def test_what_nests_deeply_is_read_without_a_crash():
    value: Json = IBAN
    for _ in range(50_000):
        value = [value]
    assert judged(IBAN, (value, "untrusted")) is UNTRUSTED
    assert judged(value, (IBAN, "untrusted")) is UNTRUSTED


@pytest.mark.parametrize(
    "text",
    ["a" * 150_000, "1" * 150_000, "a@" * 70_000, "1." * 70_000, "a.b-" * 40_000, "de89 " * 30_000, "http://" * 20_000],
)
def test_a_long_text_is_read_to_its_end_or_said_to_be_incomplete(text):
    recorded = tokens_of(f"{text} {OTHER}", ResultTrust.UNTRUSTED, at_most=50_000)
    assert recorded.incomplete or OTHER.lower() in {token.text for token in recorded.tokens}
    assert judged(f"{text} {OTHER}", (OTHER, "untrusted")) is UNTRUSTED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.234,50", "1234.5"),
        ("1,234.50", "1234.5"),
        ("1234.5", "1234.5"),
        ("1 234,50", "1234.5"),
        ("0042", "0042"),
        ("0.50", "0.5"),
        ("-0", "0"),
        ("+5", "5"),
        ("1,5", "1.5"),
        ("2025-05-31", "2025-05-31"),
        ("DE89 3704 0044 0532 0130 00", IBAN.lower()),
        ("+49 30 1234567", "49301234567"),
        ("  Strasse   STRAẞE ", "strasse strasse"),
        ("https://www.X.example/A/", "x.example/a"),
        ("abc 123", "abc 123"),
        ("EUR 12", "12"),
    ],
)
def test_normal_forms(text, expected):
    assert normalise(text) == expected


@given(st.text(max_size=200))
def test_a_normal_form_is_its_own_normal_form_and_any_text_is_found_again(text):
    for form in readings(text):
        assert form in readings(form) or not form
    if normalise(text):
        assert judged(text, (text, "untrusted")) is UNTRUSTED
        assert judged(text, ({"field": text}, "person")) is PERSON


@given(st.text(max_size=60), st.text(max_size=60))
def test_nothing_untrusted_is_ever_judged_better_for_what_stands_around_it(before, after):
    assert judged(IBAN, (f"{before} {IBAN} {after}", "untrusted")) is UNTRUSTED


@given(st.sampled_from(sorted(IBAN_LENGTHS)), st.data())
def test_every_countrys_account_number_is_found_spaced_in_fours(country, data):
    rest = data.draw(
        st.text(alphabet="0123456789", min_size=IBAN_LENGTHS[country] - 4, max_size=IBAN_LENGTHS[country] - 4)
    )
    check = 98 - int("".join(str(int(char, 36)) for char in f"{rest}{country}00")) % 97
    iban = f"{country.upper()}{check:02d}{rest}"
    spaced = " ".join(iban[index : index + 4] for index in range(0, len(iban), 4))
    assert judged(iban, (MAIL.format(spaced), "untrusted")) is UNTRUSTED


def test_the_digest_depends_on_the_key_and_has_sixteen_bytes():
    assert len(token_digest(KEY, "a")) == 16
    assert token_digest(KEY, "a") != token_digest(b"other", "a")
    assert token_digest(KEY, "a") == token_digest(KEY, "a")
