"""Make the company: an ERP, an inbox and the answer key, in an empty folder, from one seed.

The same seed, month and SQLite give the same files to the byte: no clock is read, every draw comes from a generator
of its own, and the database is written in one order and packed at the end.

    python -m examples.month_end.generate FOLDER [--seed 7] [--month 2026-10]
"""

import argparse
import calendar
import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from examples.month_end.answers import expect
from examples.month_end.folder import ANSWERS_FILE, ERP_FILE, INBOX_FOLDER, CompanyError
from examples.month_end.inbox import write_inbox
from examples.month_end.ledger import COUNTS, INVOICES, Invoice, Ledger, Line, Month, Trouble
from examples.month_end.vendors import BankChange, Role, Vendor, make_bank_changes, make_vendors

SCHEMA = Path(__file__).with_name("erp.sql")
_EUR_PER_UNIT = {"EUR": Decimal("1.0000"), "USD": Decimal("0.9200"), "CHF": Decimal("1.0650")}


@dataclass(frozen=True, slots=True)
class Summary:
    """What was made: counts, and the day on which the month closes."""

    month: str
    closes_on: date
    vendors: int
    orders: int
    receipts: int
    invoices: int
    earlier_invoices: int
    messages: int
    expected: dict[str, Any]


def generate(
    folder: Path,
    *,
    seed: int = 7,
    month: str = "2026-10",
    invoices: int = INVOICES,
    counts: Mapping[Trouble, int] = COUNTS,
) -> Summary:
    """Write a fresh company into a folder, which is made if need be.

    `invoices` and `counts`, how many have each trouble, make a smaller month for tests. Raises CompanyError when the folder is not empty, or the month is not written as 2026-10.
    """
    span = _month(month)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise CompanyError(f"`{folder}` is not empty: a company is only made in an empty folder")
    rng = Random(f"{seed}/{month}")
    vendors = make_vendors(rng, closes_on=span.closes_on)
    changes = make_bank_changes(vendors, rng, closes_on=span.closes_on)
    ledger = Ledger(vendors, span, rng, invoices=invoices, counts=counts)
    ledger.draw()
    rates = _draw_rates(span, rng)
    _write_erp(folder / ERP_FILE, ledger, changes, rates)
    sent = write_inbox(folder / INBOX_FOLDER, ledger, changes, rng)
    expected = expect(ledger, changes, messages=sent, rates=rates[month])
    text = json.dumps({"seed": seed, **expected}, indent=1, ensure_ascii=False)
    (folder / ANSWERS_FILE).write_text(text + "\n", encoding="utf-8")
    return Summary(
        month=month,
        closes_on=span.closes_on,
        vendors=len(vendors),
        orders=len(ledger.orders),
        receipts=len(ledger.receipts),
        invoices=len(ledger.invoices),
        earlier_invoices=len(ledger.earlier),
        messages=len(sent),
        expected=expected,
    )


def describe(summary: Summary) -> str:
    """Write a summary as a table for people, as it stands in the example's README."""
    counts = summary.expected["counts"]
    rows = [
        ("month, closes on", f"{summary.month}, {summary.closes_on}"),
        ("vendors, orders, receipts", f"{summary.vendors}, {summary.orders}, {summary.receipts}"),
        ("invoices of the month, paid before", f"{summary.invoices}, {summary.earlier_invoices}"),
        ("messages", f"{summary.messages}"),
        *((f"trouble: {name}", str(count)) for name, count in counts["trouble"].items()),
        *((f"a person is asked: {name}", str(count)) for name, count in counts["asks_person"].items()),
        *(
            (f"outcome: {name}", f"{count}: " + ", ".join(f"{amount} {currency}" for currency, amount in sums.items()))
            for name, count in counts["outcome"].items()
            for sums in [summary.expected["amounts"][name]]
        ),
    ]
    return "\n".join(["| what | how many |", "| --- | --- |", *(f"| {what} | {many} |" for what, many in rows)])


def _month(month: str) -> Month:
    """Take a month apart; it closes on its last weekday."""
    try:
        first_on = date.fromisoformat(f"{month}-01")
    except ValueError:
        raise CompanyError(f"`{month}` is no month: write it as 2026-10") from None
    closes_on = first_on.replace(day=calendar.monthrange(first_on.year, first_on.month)[1])
    while closes_on.weekday() > calendar.FRIDAY:
        closes_on -= timedelta(days=1)
    earlier = f"{first_on - timedelta(days=1):%Y-%m}"
    return Month(month, earlier, first_on, closes_on)


def _draw_rates(span: Month, rng: Random) -> dict[str, dict[str, str]]:
    """Draw the rates of both months within two per cent of a round one."""
    return {
        month: {
            currency: str((rate * (1000 + (rng.randint(-20, 20) if currency != "EUR" else 0)) / 1000).quantize(rate))
            for currency, rate in _EUR_PER_UNIT.items()
        }
        for month in (span.earlier, span.month)
    }


def _write_erp(path: Path, ledger: Ledger, changes: tuple[BankChange, ...], rates: dict[str, dict[str, str]]) -> None:
    erp = sqlite3.connect(path, isolation_level=None)
    try:
        erp.execute("pragma page_size = 4096")
        erp.execute("pragma journal_mode = delete")
        erp.execute("pragma foreign_keys = on")
        erp.executescript(SCHEMA.read_text(encoding="utf-8"))
        erp.execute("begin")
        _write_periods(erp, ledger, rates)
        _insert(erp, "vendor", (_vendor_row(vendor) for vendor in ledger.vendors))
        _insert(
            erp,
            "bank_account_change",
            ((c.vendor, str(c.changed_on), c.old_iban, c.new_iban, c.changed_by, int(c.verified)) for c in changes),
        )
        _write_orders(erp, ledger)
        for invoices in (ledger.earlier, ledger.invoices):
            _insert(erp, "invoice", (_invoice_row(one) for one in invoices))
            _insert(erp, "invoice_line", (_line_row(one.invoice, line) for one in invoices for line in one.lines))
        paid = ((one.invoice, f"BANK-{one.invoice}", one.month) for one in ledger.earlier)
        _insert(erp, "payment", paid)
        erp.execute("commit")
        erp.execute("vacuum")
    finally:
        erp.close()


def _write_periods(erp: sqlite3.Connection, ledger: Ledger, rates: dict[str, dict[str, str]]) -> None:
    span = ledger.month
    before = span.first_on - timedelta(days=1)
    summary = json.dumps({"open": 0, "matched": 0, "held": 0, "refused": 0, "paid": len(ledger.earlier)})
    _insert(
        erp, "period", [(span.earlier, str(before), "closed", summary), (span.month, str(span.closes_on), "open", None)]
    )
    rows = ((month, currency, rate) for month, by_currency in rates.items() for currency, rate in by_currency.items())
    _insert(erp, "rate", rows)


def _write_orders(erp: sqlite3.Connection, ledger: Ledger) -> None:
    _insert(erp, "purchase_order", ((o.order, o.vendor, str(o.ordered_on), o.currency) for o in ledger.orders))
    _insert(erp, "order_line", (_line_row(order.order, line) for order in ledger.orders for line in order.lines))
    _insert(erp, "receipt", ((r.receipt, r.order, str(r.received_on)) for r in ledger.receipts))
    _insert(
        erp, "receipt_line", ((r.receipt, line, quantity) for r in ledger.receipts for line, quantity in r.quantities)
    )


def _insert(erp: sqlite3.Connection, table: str, rows: Iterable[tuple[object, ...]]) -> None:
    for row in rows:
        erp.execute(f"insert into {table} values ({', '.join('?' * len(row))})", row)


def _vendor_row(vendor: Vendor) -> tuple[object, ...]:
    blocked_reason = "dispute over damaged goods, see purchasing" if vendor.role is Role.BLOCKED else None
    address = (vendor.street, vendor.postcode, vendor.city, vendor.country)
    account = (vendor.vat_id, vendor.email, vendor.iban, vendor.currency, vendor.terms_days, str(vendor.known_since))
    return (vendor.vendor, vendor.name, *address, *account, blocked_reason)


def _invoice_row(one: Invoice) -> tuple[object, ...]:
    dates = (str(one.issued_on), str(one.booked_on), str(one.due_on))
    sums = (one.currency, one.net_cents, one.tax_cents, one.amount_cents)
    status = "paid" if one.paid else "open"
    return (one.invoice, one.vendor, one.number, one.kind, one.order, one.refers_to, one.month, *dates, *sums, status)


def _line_row(key: str, line: Line) -> tuple[object, ...]:
    return (key, line.line, line.item, line.description, line.quantity, line.unit_price_cents, line.vat_percent)


def main() -> None:
    """Read the command line, make the company, print what it holds."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.month_end.generate", description="Make the example company."
    )
    parser.add_argument("folder", type=Path, help="an empty folder, made if need be")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--month", default="2026-10", help="such as 2026-10")
    arguments = parser.parse_args()
    try:
        print(describe(generate(arguments.folder, seed=arguments.seed, month=arguments.month)))
    except CompanyError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
