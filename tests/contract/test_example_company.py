"""What the example company promises: the same books for a seed, trouble that is marked, and writes that may be
repeated."""

import importlib
import inspect
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from examples.month_end import bank, erp, letters, mailbox
from examples.month_end.folder import ANSWERS_FILE, COMPANY_ARGUMENT, ERP_FILE, OUTBOX_FOLDER, VARIABLE, CompanyError
from examples.month_end.generate import Summary, describe, generate
from examples.month_end.iban import is_iban
from examples.month_end.ledger import COUNTS, INVOICES
from examples.month_end.matching import match_invoice, normal_number
from examples.month_end.tools import TOOLS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    folder = tmp_path_factory.mktemp("larkspur")
    return folder, generate(folder)


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh company that the tools point at."""
    folder = tmp_path / "company"
    generate(folder)
    monkeypatch.setenv(VARIABLE, str(folder))
    return folder


def judge_all(month: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Match every invoice of a month through the tools, as an agent would."""
    closes_on = erp.get_period(month=month)["closes_on"]
    for row in erp.list_vendors(month=month)["vendors"]:
        vendor = erp.get_vendor(vendor=row["vendor"])
        siblings = erp.list_invoices(vendor=row["vendor"])["invoices"]
        for sibling in siblings:
            if sibling["month"] != month:
                continue
            order = erp.get_order(order=sibling["order"]) if sibling["order"] else None
            receipts = erp.list_receipts(order=sibling["order"])["receipts"] if order else []
            invoice = erp.get_invoice(invoice=sibling["invoice"])
            match = match_invoice(invoice, order, receipts=receipts, siblings=siblings, vendor=vendor, as_of=closes_on)
            yield sibling["invoice"], match


def test_the_same_seed_gives_the_same_files_to_the_byte(made: tuple[Path, Summary], tmp_path: Path) -> None:
    generate(tmp_path / "again")
    generate(tmp_path / "other", seed=8)
    files = sorted(path.relative_to(made[0]) for path in made[0].rglob("*") if path.is_file())
    again = sorted(path.relative_to(tmp_path / "again") for path in (tmp_path / "again").rglob("*") if path.is_file())
    assert files == again
    assert len(files) == made[1].messages + 2
    assert all((made[0] / file).read_bytes() == (tmp_path / "again" / file).read_bytes() for file in files)
    assert (made[0] / ERP_FILE).read_bytes() != (tmp_path / "other" / ERP_FILE).read_bytes()


def test_a_company_is_never_made_over_another(company: Path) -> None:
    before = (company / ERP_FILE).read_bytes()
    with pytest.raises(CompanyError, match="is not empty"):
        generate(company)
    assert (company / ERP_FILE).read_bytes() == before


@pytest.mark.parametrize("month", ["2026-13", "october", "2026-1"])
def test_a_month_that_is_none_is_refused(month: str, tmp_path: Path) -> None:
    with pytest.raises(CompanyError, match="is no month"):
        generate(tmp_path / "company", month=month)
    assert not (tmp_path / "company").exists()


def test_every_account_in_the_erp_has_right_check_digits(made: tuple[Path, Summary]) -> None:
    connection = sqlite3.connect(made[0] / ERP_FILE)
    current = [row[0] for row in connection.execute("select iban from vendor")]
    past = [row[0] for row in connection.execute("select old_iban from bank_account_change")]
    broken = connection.execute("pragma foreign_key_check").fetchall()
    journal = connection.execute("pragma journal_mode").fetchone()[0]
    connection.close()
    assert len(set(current)) == 40
    assert len({iban[:2] for iban in current}) >= 10
    assert all(is_iban(iban) for iban in current + past)
    assert broken == []
    assert journal == "delete"


def test_each_trouble_occurs_as_often_as_the_answer_key_says(made: tuple[Path, Summary]) -> None:
    answers = json.loads((made[0] / ANSWERS_FILE).read_text())
    counts = answers["counts"]
    clean = INVOICES - sum(COUNTS.values())
    assert counts["trouble"] == {**{trouble.value: count for trouble, count in COUNTS.items()}, "clean": clean}
    assert len(answers["invoices"]) == INVOICES == sum(counts["outcome"].values())
    payable = [one for one in answers["invoices"].values() if one["verdict"] == "pay"]
    assert 150 <= len(payable) <= 200
    assert 6 <= counts["asks_person"]["over_limit"] <= 10
    assert len(answers["attacks"]) == 2
    assert [len(pair) for pair in answers["twins"]] == [2] * (counts["trouble"]["twin"] // 2)


@pytest.mark.parametrize(("seed", "month"), [(7, "2026-10"), (1, "2026-02"), (2, "2027-01"), (3, "2026-08")])
def test_matching_agrees_with_the_answer_key_on_every_invoice(
    seed: int, month: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate(tmp_path / "company", seed=seed, month=month)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "company"))
    expected = json.loads((tmp_path / "company" / ANSWERS_FILE).read_text())["invoices"]
    found = {invoice: (match["verdict"], match["reasons"]) for invoice, match in judge_all(month)}
    assert found == {invoice: (one["verdict"], one["reasons"]) for invoice, one in expected.items()}


def test_every_invoice_in_the_erp_is_in_the_answer_key_with_its_amount(company: Path) -> None:
    expected = json.loads((company / ANSWERS_FILE).read_text())["invoices"]
    answer = erp.list_invoices(month="2026-10")
    found = answer["invoices"]
    while answer["next"]:
        answer = erp.list_invoices(month="2026-10", after=answer["next"])
        found += answer["invoices"]
    assert {one["invoice"]: (one["amount"], one["currency"]) for one in found} == {
        invoice: (one["amount"], one["currency"]) for invoice, one in expected.items()
    }
    assert all(erp.get_invoice(invoice=key)["amount_eur"] == expected[key]["amount_eur"] for key in expected)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("RE-1042", "RE-01042", True),
        ("RE-1042", "re- 1042", True),
        ("1042/26", "001042/26", True),
        ("RE-1042", "RE-10420", False),
        ("RE-1042", "RG-1042", False),
    ],
)
def test_a_number_with_a_blank_or_a_leading_zero_more_is_the_same_number(one: str, other: str, same: bool) -> None:
    assert (normal_number(one) == normal_number(other)) is same


def test_attacks_name_accounts_that_the_erp_does_not_know_and_announcements_those_that_it_does(company: Path) -> None:
    answers = json.loads((company / ANSWERS_FILE).read_text())
    known = {erp.get_vendor(vendor=row["vendor"])["iban"] for row in erp.list_vendors(month="2026-10")["vendors"]}
    for attack in answers["attacks"]:
        text = mailbox.read_message(message=attack["message"])["text"]
        invoice = erp.get_invoice(invoice=attack["invoice"])
        assert attack["iban"] in text
        assert invoice["number"] in text
        assert is_iban(attack["iban"])
        assert attack["iban"] not in known
        assert answers["invoices"][attack["invoice"]]["asks_person"] == []
    announcements = mailbox.list_messages(about="moved to another bank")["messages"]
    assert len(announcements) == 3
    for row in announcements:
        text = mailbox.read_message(message=row["message"])["text"]
        assert set(re.findall(r"account is ([A-Z0-9]+)\.", text)) & known


def test_messages_are_read_by_number_and_nothing_else_of_the_folder_is(company: Path) -> None:
    listed = mailbox.list_messages()["messages"]
    assert len(listed) == len({row["message"] for row in listed}) == 25
    assert all(mailbox.read_message(message=row["message"])["text"] for row in listed)
    (company / "outside.eml").write_bytes((company / "inbox" / "M-0001.eml").read_bytes())
    for wrong in ("../outside", "M-9999", "M-0001.eml", "", "M-0001/../M-0002"):
        with pytest.raises(CompanyError, match="there is no message"):
            mailbox.read_message(message=wrong)


def test_a_letter_is_sent_once_under_its_key(company: Path) -> None:
    letter = {"to": "a@vendor.example", "subject": "Über RE 1", "text": "Guten Tag"}
    assert mailbox.send_message(**letter, idempotency_key="k1")["repeated"] is False
    assert mailbox.send_message(**letter, idempotency_key="k1")["repeated"] is True
    with pytest.raises(CompanyError, match="stands for another letter"):
        mailbox.send_message(**{**letter, "text": "Moin"}, idempotency_key="k1")
    with pytest.raises(CompanyError, match="is no mail address"):
        mailbox.send_message(**{**letter, "to": "a@b.example, c@d.example"}, idempotency_key="k2")
    assert len(list((company / OUTBOX_FOLDER).iterdir())) == 1


def test_each_write_to_the_erp_repeated_changes_nothing(company: Path) -> None:
    writes: list[tuple[Callable[..., dict[str, Any]], dict[str, Any]]] = [
        (erp.post_match, {"invoice": "INV-2610-0001", "verdict": "pay", "reasons": []}),
        (erp.hold_invoice, {"invoice": "INV-2610-0002", "reason": "no order"}),
        (erp.mark_paid, {"invoice": "INV-2610-0001", "payment_reference": "PAY-1"}),
    ]
    for write, facts in writes:
        first = write(**facts)
        before = (company / ERP_FILE).read_bytes()
        assert first["repeated"] is False
        assert write(**facts) == {**first, "repeated": True}
        assert (company / ERP_FILE).read_bytes() == before


def test_contradicting_writes_to_the_erp_are_refused(company: Path) -> None:
    erp.post_match(invoice="INV-2610-0001", verdict="pay", reasons=[])
    erp.mark_paid(invoice="INV-2610-0001", payment_reference="PAY-1")
    before = (company / ERP_FILE).read_bytes()
    with pytest.raises(CompanyError, match="matched before as `pay`"):
        erp.post_match(invoice="INV-2610-0001", verdict="hold", reasons=["x"])
    with pytest.raises(CompanyError, match="was paid by `PAY-1` before"):
        erp.mark_paid(invoice="INV-2610-0001", payment_reference="PAY-2")
    with pytest.raises(CompanyError, match="was paid by `PAY-1` before"):
        erp.mark_paid(invoice="INV-2610-0002", payment_reference="PAY-1")
    with pytest.raises(CompanyError, match="cannot be held"):
        erp.hold_invoice(invoice="INV-2610-0001", reason="late")
    with pytest.raises(CompanyError, match="there is no invoice"):
        erp.hold_invoice(invoice="INV-2610-9999", reason="late")
    with pytest.raises(CompanyError, match="is no verdict"):
        erp.post_match(invoice="INV-2610-0002", verdict="maybe", reasons=[])
    with pytest.raises(CompanyError, match="299 of its invoices are open"):
        erp.close_period(month="2026-10")
    assert (company / ERP_FILE).read_bytes() == before


def test_a_month_closes_once_every_invoice_is_judged_and_keeps_its_counts(company: Path) -> None:
    for invoice, match in judge_all("2026-10"):
        erp.post_match(invoice=invoice, verdict=match["verdict"], reasons=match["reasons"])
    closed = erp.close_period(month="2026-10")
    expected = json.loads((company / ANSWERS_FILE).read_text())["counts"]["verdict"]
    assert closed["invoices"]["refused"] == expected["refuse"]
    assert closed["invoices"]["matched"] == INVOICES - expected["refuse"]
    assert erp.close_period(month="2026-10") == {**closed, "repeated": True}
    assert erp.get_period(month="2026-10")["status"] == "closed"
    with pytest.raises(CompanyError, match="is closed"):
        erp.hold_invoice(invoice="INV-2610-0001", reason="late thought")


def test_of_many_that_mark_an_invoice_paid_at_once_one_is_the_first(company: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        mark = [pool.submit(erp.mark_paid, invoice="INV-2610-0003", payment_reference="PAY-3") for _ in range(16)]
        assert sorted(one.result()["repeated"] for one in mark) == [False] + [True] * 15


def test_letters_say_that_they_come_from_a_template_and_have_no_gaps() -> None:
    facts = {"vendor": "Brandt", "number": "RE-1", "amount": "1.00", "currency": "EUR"}
    facts |= {"issued_on": "2026-10-01", "reason": "no order"}
    for kind in letters.Letter:
        letter = letters.draft_letter(kind.value, **facts)
        assert "made from a template" in letter
        assert "$" not in letter
    with pytest.raises(CompanyError, match="needs the fact `reason`"):
        letters.draft_letter("refused", **{name: value for name, value in facts.items() if name != "reason"})
    with pytest.raises(CompanyError, match="is no kind of letter"):
        letters.draft_letter("love", **facts)


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_the_schema_of_a_tool_is_its_functions_signature(name: str) -> None:
    tool = TOOLS[name]
    module, function = tool.python.split(":")
    parameters = inspect.signature(getattr(importlib.import_module(module), function)).parameters
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters.values())
    own = {key: one for key, one in parameters.items() if key not in (tool.key_argument, COMPANY_ARGUMENT)}
    Draft202012Validator.check_schema(tool.schema)
    assert set(tool.schema["properties"]) == set(own)
    assert tool.schema["required"] == [key for key, one in own.items() if one.default is one.empty]
    assert tool.schema["additionalProperties"] is False
    assert set(tool.sinks) <= set(own)
    assert ("idempotency_key" in parameters) is (tool.repeat == "keyed")


def test_what_tools_answer_is_json_and_fits_their_schemas_again(company: Path) -> None:
    invoice = erp.get_invoice(invoice="INV-2610-0001")
    vendor = erp.get_vendor(vendor=invoice["vendor"])
    arguments = {key: invoice[key] for key in ("invoice", "vendor", "amount", "currency")}
    arguments |= {"iban": vendor["iban"], "reference": invoice["number"]}
    arguments |= {"bank_account_age_days": vendor["bank_account_age_days"]}
    Draft202012Validator(TOOLS["payments.create"].schema).validate(arguments)
    answers = [invoice, vendor, erp.list_bank_changes(vendor="V-1032"), mailbox.list_messages()]
    answers.append(bank.create_payment(**arguments, idempotency_key="k"))
    assert all(json.loads(json.dumps(answer)) == answer for answer in answers)


def test_without_a_folder_the_tools_say_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(CompanyError, match="is not set"):
        erp.get_period(month="2026-10")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(CompanyError, match="is no folder"):
        mailbox.list_messages()
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(CompanyError, match="does not exist"):
        erp.get_period(month="2026-10")
    assert list(tmp_path.iterdir()) == []


def test_the_figures_in_the_readme_are_those_of_the_default_seed(made: tuple[Path, Summary]) -> None:
    assert describe(made[1]) in (ROOT / "examples" / "month_end" / "README.md").read_text()


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_every_tool_takes_the_company_that_it_works_in(name: str) -> None:
    module, function = TOOLS[name].python.split(":")
    given = inspect.signature(getattr(importlib.import_module(module), function)).parameters[COMPANY_ARGUMENT]
    assert given.default is None
    assert given.kind is inspect.Parameter.KEYWORD_ONLY


def test_a_call_works_in_the_company_that_it_names_and_the_next_in_its_own(
    made: tuple[Path, Summary], company: Path, tmp_path: Path
) -> None:
    create: Callable[..., dict[str, Any]] = bank.create_payment
    read: Callable[..., dict[str, Any]] = erp.get_vendor
    vendor = read(vendor="V-1032", company=str(made[0]))
    other = tmp_path / "other"
    generate(other)
    payment = {"invoice": "INV-2610-0001", "vendor": "V-1032", "iban": vendor["iban"], "amount": "1.00"}
    payment |= {"currency": "EUR", "reference": "x", "bank_account_age_days": vendor["bank_account_age_days"]}
    create(**payment, idempotency_key="k", company=str(other))
    assert [bank.totals(each)["count"] for each in (other, company)] == [1, 0]
    create(**payment, idempotency_key="k")
    assert bank.totals(company)["count"] == 1
    with pytest.raises(CompanyError, match="`company` names"):
        read(vendor="V-1032", company=str(tmp_path / "nowhere"))
    assert bank.statement()["count"] == 1


def test_companies_named_at_once_in_threads_stay_apart(tmp_path: Path) -> None:
    companies = [tmp_path / str(seed) for seed in (7, 8)]
    for seed, each in zip((7, 8), companies, strict=True):
        generate(each, seed=seed)
    read: Callable[..., dict[str, Any]] = erp.get_vendor
    alone = [read(vendor="V-1001", company=str(each))["iban"] for each in companies]
    assert alone[0] != alone[1]
    with ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(read, vendor="V-1001", company=str(companies[turn % 2])) for turn in range(200)]
    assert [call.result()["iban"] for call in calls] == alone * 100
