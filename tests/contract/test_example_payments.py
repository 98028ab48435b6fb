"""What the example company's bank file promises: a payment acknowledged is there, once, whatever was killed when."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from examples.month_end import bank, erp
from examples.month_end.folder import BANK_FILE, VARIABLE, CompanyError
from examples.month_end.generate import generate
from examples.month_end.iban import is_iban

ROOT = Path(__file__).parents[2]
IBAN = "DE89370400440532013000"
PAYER = """
import sys
from examples.month_end.bank import create_payment
prefix, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for n in range(first, first + count):
    create_payment(invoice=f"INV-2610-{n:04d}", vendor="V-1001", iban="DE89370400440532013000", amount=f"{n + 1}.05",
                   currency="EUR", reference="Rechnung, \\"bezahlt\\"", idempotency_key=f"{prefix}-{n}")
    print(n, flush=True)
"""


@pytest.fixture
def till(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for the bank file alone."""
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


def pay(key: str, **changed: Any) -> dict[str, Any]:
    facts = {"invoice": "INV-2610-0001", "vendor": "V-1001", "iban": IBAN, "amount": "12.30", "currency": "EUR"}
    return bank.create_payment(**{**facts, "reference": "RE 1", **changed}, idempotency_key=key)


def payer(folder: Path, prefix: str, first: int, *, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PAYER, prefix, str(first), str(count)]
    environment = {**os.environ, VARIABLE: str(folder), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def waits_for_lock(pid: int) -> bool:
    """Say whether the kernel has a process waiting for somebody's flock (proc(5), /proc/locks: a line with an arrow)."""
    locks = Path("/proc/locks").read_text().splitlines()
    return any("-> FLOCK" in line and str(pid) in line.split() for line in locks)


@pytest.mark.parametrize(
    "text",
    [
        "DE89370400440532013001",
        "DE8937040044053201300",
        "DE89 3704 0044 0532 0130 00",
        "de89370400440532013000",
        "",
        "XX00",
    ],
)
def test_an_account_number_with_a_slip_is_no_account_number(text: str) -> None:
    assert is_iban(IBAN)
    assert not is_iban(text)


def test_a_payment_repeated_under_its_key_is_the_same_payment(till: Path) -> None:
    first = pay("k1")
    content = (till / BANK_FILE).read_bytes()
    assert first["repeated"] is False
    assert pay("k1") == {**first, "repeated": True}
    assert (till / BANK_FILE).read_bytes() == content
    assert pay("k2")["payment"] != first["payment"]
    assert bank.totals(till) == {"count": 2, "amounts": {"EUR": "24.60"}, "duplicates": ["INV-2610-0001"]}


@pytest.mark.parametrize(
    "changed",
    [
        {"amount": "12.3"},
        {"amount": "-12.30"},
        {"amount": "0.00"},
        {"amount": "1e3"},
        {"amount": "NaN"},
        {"amount": "12.30\n"},
        {"amount": "9999999999999.00"},
        {"iban": "DE89370400440532013001"},
        {"currency": "eur"},
        {"reference": "two\nlines"},
        {"reference": " "},
        {"reference": "x" * 141},
        {"invoice": "a\0b"},
        {"invoice": "\ud800"},
    ],
)
def test_a_malformed_payment_is_refused_and_nothing_is_written(changed: dict[str, str], till: Path) -> None:
    pay("k0")
    before = (till / BANK_FILE).read_bytes()
    with pytest.raises(CompanyError):
        pay("k1", **changed)
    assert (till / BANK_FILE).read_bytes() == before


@pytest.mark.parametrize(
    "changed", [{"amount": "12.31"}, {"iban": "GB29NWBK60161331926819"}, {"invoice": "INV-2610-0002"}]
)
def test_a_key_never_stands_for_another_payment(changed: dict[str, str], till: Path) -> None:
    pay("k1")
    before = (till / BANK_FILE).read_bytes()
    with pytest.raises(CompanyError, match="stands for another payment"):
        pay("k1", **changed)
    assert (till / BANK_FILE).read_bytes() == before


def test_the_stated_age_of_an_account_must_be_what_the_erp_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    generate(tmp_path)
    vendor = erp.get_vendor(vendor="V-1032")
    assert vendor["bank_account_age_days"] <= 30
    assert pay("k1", vendor="V-1032", bank_account_age_days=vendor["bank_account_age_days"])["line"] == 1
    with pytest.raises(CompanyError, match="has stood for"):
        pay("k2", vendor="V-1032", bank_account_age_days=400)
    assert bank.totals(tmp_path)["count"] == 1


def test_a_last_line_cut_anywhere_is_dropped_before_the_next_is_written(till: Path) -> None:
    pay("k1")
    whole = len((till / BANK_FILE).read_bytes())
    pay("k2", reference='Über, "alles"')
    content = (till / BANK_FILE).read_bytes()
    for end in range(whole, len(content)):
        unwritten = b"\0" * (len(content) - end)
        for remnant in (content[:end], content[:end] + unwritten, content[:end] + unwritten + b"\n"):
            (till / BANK_FILE).write_bytes(remnant)
            assert bank.totals(till)["count"] == 1
            assert pay("k2", reference='Über, "alles"')["repeated"] is False
            assert (till / BANK_FILE).read_bytes() == content


def test_a_damaged_line_stops_all_payments(till: Path) -> None:
    pay("k1")
    pay("k2")
    content = (till / BANK_FILE).read_bytes()
    first, last = content.replace(b"12.30", b"92.30", 1), content[:-12] + b"9" + content[-11:]
    for damaged in (first, last):
        assert damaged != content
        (till / BANK_FILE).write_bytes(damaged)
        with pytest.raises(CompanyError, match="is damaged"):
            pay("k3")
        assert (till / BANK_FILE).read_bytes() == damaged


def test_payments_killed_at_any_moment_are_never_lost_nor_doubled(tmp_path: Path) -> None:
    rng = Random(7)
    acknowledged = -1
    for _ in range(12):
        process = payer(tmp_path, "key", max(0, acknowledged - 2), count=10_000)
        assert process.stdout is not None
        for _ in range(rng.randint(1, 12)):
            acknowledged = max(acknowledged, int(process.stdout.readline()))
        for _ in range(rng.randrange(60_000)):
            pass
        process.kill()
        rest = process.stdout.read()
        process.wait()
        process.stdout.close()
        whole = [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]
        acknowledged = max([acknowledged, *map(int, whole)])
        keys = [payment.key for payment in bank.list_payments(tmp_path)]
        assert keys[: acknowledged + 1] == [f"key-{n}" for n in range(acknowledged + 1)]
        assert len(keys) == len(set(keys)) <= acknowledged + 2


def test_a_payment_waits_for_the_one_being_written_and_sees_it(till: Path) -> None:
    pay("key-0", invoice="INV-2610-0000", amount="1.05", reference='Rechnung, "bezahlt"')
    written = (till / BANK_FILE).read_bytes()
    with (till / BANK_FILE).open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        process = payer(till, "key", 0, count=1)
        while process.poll() is None and not waits_for_lock(process.pid):
            os.sched_yield()
        assert process.poll() is None, "it did not wait"
        file.write(written)
    assert process.communicate(timeout=60)[0] == "0\n"
    assert (till / BANK_FILE).read_bytes() == written


def test_processes_that_pay_at_once_write_each_key_once_and_lose_none(tmp_path: Path) -> None:
    same = [payer(tmp_path, "same", 0, count=30) for _ in range(3)]
    own = [payer(tmp_path, f"own{n}", 1000 + 100 * n, count=30) for n in range(2)]
    outputs = [process.communicate(timeout=60)[0] for process in same + own]
    assert all(process.returncode == 0 for process in same + own)
    assert all(len(output.splitlines()) == 30 for output in outputs)
    keys = [payment.key for payment in bank.list_payments(tmp_path)]
    expected = [f"same-{n}" for n in range(30)] + [f"own{n}-{1000 + 100 * n + m}" for n in range(2) for m in range(30)]
    assert sorted(keys) == sorted(expected)
    assert bank.totals(tmp_path)["duplicates"] == []
