"""The bank file: one payment order a line, each under its idempotency key.

A line is acknowledged only after it and its folder are on disk. A last line cut short by a crash was never
acknowledged and is cut off before the next one is written. Nothing else in the file is ever changed, and a damaged
line that is not such a remnant stops all payments until a person has looked. The file is locked for the whole of
look, mend and write.

Columns: key, invoice, vendor, iban, amount, currency, reference, CRC-32 of what stands before it.
"""

import csv
import fcntl
import hashlib
import io
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from examples.month_end import erp
from examples.month_end.folder import BANK_FILE, CompanyError, folder, of_company
from examples.month_end.iban import is_iban
from examples.month_end.money import amount_cents, amount_text

KEY_CHARACTERS_MAX = 200
REFERENCE_CHARACTERS_MAX = 140
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class Payment:
    """One line of the bank file, in the order of its columns."""

    key: str
    invoice: str
    vendor: str
    iban: str
    amount: str
    currency: str
    reference: str


@of_company
def create_payment(
    *,
    invoice: str,
    vendor: str,
    iban: str,
    amount: str,
    currency: str,
    reference: str,
    idempotency_key: str,
    bank_account_age_days: int | None = None,
) -> dict[str, Any]:
    """Order a payment; the same key with the same content orders nothing more and answers the same receipt.

    `bank_account_age_days`, where given, must be what the ERP says of the vendor, so that a rule may rely on it. Raises
    CompanyError for malformed arguments, for a key that stands for other content, and for a damaged bank file; in each
    case nothing was ordered.
    """
    payment = Payment(idempotency_key, invoice, vendor, iban, amount, currency, reference)
    _check(payment)
    if bank_account_age_days is not None:
        known_days = erp.get_vendor(vendor=vendor)["bank_account_age_days"]
        if known_days != bank_account_age_days:
            raise CompanyError(
                f"the account of `{vendor}` has stood for {known_days} days, not {bank_account_age_days}"
            )
    path = folder() / BANK_FILE
    with _locked(path) as file:
        payments, end = _read(file)
        position = next((index for index, one in enumerate(payments) if one.key == idempotency_key), None)
        if position is not None and payments[position] != payment:
            raise CompanyError(
                f"the idempotency key `{idempotency_key}` stands for another payment, of `{payments[position].invoice}`"
            )
        if position is None:
            os.ftruncate(file, end)
            _write_all(file, _line(payment))
        # A line that is found may have been written by a process killed before it could sync: sync it either way.
        _sync(file, path.parent)
    content = {name: value for name, value in asdict(payment).items() if name != "key"}
    line = len(payments) + 1 if position is None else position + 1
    return {"payment": payment_reference(idempotency_key), **content, "line": line, "repeated": position is not None}


def payment_reference(key: str) -> str:
    """Return the bank's own reference of the payment under a key."""
    return f"PAY-{hashlib.sha256(key.encode()).hexdigest()[:16].upper()}"


def list_payments(path: Path) -> list[Payment]:
    """Return the payments in a company's folder; a cut-off last line counts as none.

    Raises CompanyError when a line is damaged.
    """
    if not (path / BANK_FILE).exists():
        return []
    with (path / BANK_FILE).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        return _read(file.fileno())[0]


@of_company
def statement() -> dict[str, Any]:
    """Return what the bank was told to pay: `totals`, and `payments` by invoice with amount and currency."""
    payments = [
        {"invoice": each.invoice, "vendor": each.vendor, "amount": each.amount, "currency": each.currency}
        for each in list_payments(folder())
    ]
    return {**totals(folder()), "payments": payments}


def totals(path: Path) -> dict[str, Any]:
    """Add up the payments in a company's folder.

    Returns `count`, `amounts` by currency, and `duplicates`, the invoices paid more than once.
    """
    payments = list_payments(path)
    sums: dict[str, int] = {}
    for payment in payments:
        sums[payment.currency] = sums.get(payment.currency, 0) + amount_cents(payment.amount)
    invoices = [payment.invoice for payment in payments]
    return {
        "count": len(payments),
        "amounts": {currency: amount_text(cents) for currency, cents in sorted(sums.items())},
        "duplicates": sorted({invoice for invoice in invoices if invoices.count(invoice) > 1}),
    }


def _check(payment: Payment) -> None:
    for name, value in asdict(payment).items():
        if not value.strip() or not value.isprintable():
            raise CompanyError(f"`{name}` must be one line of printable text")
    try:
        cents = amount_cents(payment.amount)
    except ValueError as error:
        raise CompanyError(str(error)) from None
    if cents <= 0:
        raise CompanyError(f"a payment of `{payment.amount}` is not above zero")
    if not is_iban(payment.iban):
        raise CompanyError(f"`{payment.iban}` is no valid IBAN: write it without blanks and check its digits")
    if not _CURRENCY.fullmatch(payment.currency):
        raise CompanyError(f"`{payment.currency}` is no currency: write three capitals, such as EUR")
    if len(payment.key) > KEY_CHARACTERS_MAX or len(payment.reference) > REFERENCE_CHARACTERS_MAX:
        raise CompanyError(f"a key has at most {KEY_CHARACTERS_MAX} characters, a reference {REFERENCE_CHARACTERS_MAX}")


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Open the bank file, made if need be, and hold it alone until the end; the lock falls with the process."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    finally:
        os.close(file)


def _read(file: int) -> tuple[list[Payment], int]:
    """Return the payments and where the last whole line ends; what lies behind that is a remnant."""
    content = b"".join(_blocks(file))
    payments: list[Payment] = []
    end = 0
    for raw in content.splitlines(keepends=True):
        payment = _parse(raw)
        if payment is None:
            last = end + len(raw) == len(content)
            # Zeros are blocks that never reached the disk: such a line was not acknowledged either.
            if last and (not raw.endswith(b"\n") or b"\0" in raw):
                break
            raise CompanyError(
                f"line {len(payments) + 1} of the bank file is damaged: have a person look before paying on"
            )
        payments.append(payment)
        end += len(raw)
    return payments, end


def _blocks(file: int) -> Iterator[bytes]:
    offset = 0
    while block := os.pread(file, 1 << 20, offset):
        offset += len(block)
        yield block


def _line(payment: Payment) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(list(asdict(payment).values()))
    body = text.getvalue().encode()
    return b"%b,%08x\n" % (body, zlib.crc32(body))


def _parse(raw: bytes) -> Payment | None:
    body, comma, check = raw.rpartition(b",")
    if not comma or check != b"%08x\n" % zlib.crc32(body):
        return None
    return Payment(*next(csv.reader([body.decode()])))


def _write_all(file: int, content: bytes) -> None:
    while content:
        content = content[os.write(file, content) :]


def _sync(file: int, parent: Path) -> None:
    os.fsync(file)
    descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
