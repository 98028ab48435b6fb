"""The ERP's functions, which agents reach as tools: keyword arguments in, JSON out.

Money in answers is decimal text in fields named `amount`, `net`, `vat`, `unit_price`, always beside `currency`. A
function that writes is safe to repeat: its natural key decides, the second time answers `repeated: true` and
changes nothing. Every function opens its own connection, so any process may call it at any time.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from examples.month_end.folder import ERP_FILE, CompanyError, folder, of_company
from examples.month_end.matching import Verdict
from examples.month_end.money import amount_text, convert_cents

BUSY_TIMEOUT_SECONDS = 20.0
INVOICES_PER_ANSWER_MAX = 100
Status = Literal["open", "matched", "held", "refused", "paid"]
_INVOICE_FIELDS = """invoice, vendor, number, kind, "order", refers_to, month, issued_on, booked_on, due_on,
                     currency, amount_cents, status"""


@of_company
def list_vendors(*, month: str) -> dict[str, Any]:
    """List all vendors with the number of invoices that each has in a month."""
    query = """select v.vendor, v.name, count(i.invoice) as invoices from vendor v
               left join invoice i on i.vendor = v.vendor and i.month = ? group by v.vendor order by v.vendor"""
    with _connect() as erp:
        _period(erp, month)
        return {"vendors": [dict(row) for row in erp.execute(query, (month,))]}


@of_company
def get_vendor(*, vendor: str) -> dict[str, Any]:
    """Return a vendor's record with its one valid account and how long that has stood.

    `bank_account_age_days` counts from the account's last change, or else from the vendor's first day, to the day on
    which the latest month closes; `bank_change_verified` is null when the account was never changed.
    """
    with _connect() as erp:
        row = _one(erp, "select * from vendor where vendor = ?", vendor, what="vendor")
        query = "select changed_on, verified from bank_account_change where vendor = ? order by changed_on desc limit 1"
        change = erp.execute(query, (vendor,)).fetchone()
        closes_on = erp.execute("select max(closes_on) from period").fetchone()[0]
    since = change["changed_on"] if change else row["known_since"]
    return {
        "vendor": row["vendor"],
        "name": row["name"],
        "address": {key: row[key] for key in ("street", "postcode", "city", "country")},
        "vat_id": row["vat_id"],
        "email": row["email"],
        "iban": row["iban"],
        "currency": row["currency"],
        "terms_days": row["terms_days"],
        "blocked": row["blocked_reason"] is not None,
        "blocked_reason": row["blocked_reason"],
        "bank_changed_on": change["changed_on"] if change else None,
        "bank_change_verified": bool(change["verified"]) if change else None,
        "bank_account_age_days": (date.fromisoformat(closes_on) - date.fromisoformat(since)).days,
    }


@of_company
def list_bank_changes(*, vendor: str) -> dict[str, Any]:
    """List the changes of a vendor's account, the newest first."""
    query = "select * from bank_account_change where vendor = ? order by changed_on desc"
    with _connect() as erp:
        _one(erp, "select vendor from vendor where vendor = ?", vendor, what="vendor")
        return {"changes": [{**dict(row), "verified": bool(row["verified"])} for row in erp.execute(query, (vendor,))]}


@of_company
def list_invoices(
    *,
    month: str | None = None,
    vendor: str | None = None,
    status: Status | None = None,
    after: str | None = None,
) -> dict[str, Any]:
    """List invoices by number, at most 100 an answer; `next`, when not null, is what to give as `after` for more.

    Without `month` all months are listed: what looking for duplicates needs.
    """
    query = f"""select {_INVOICE_FIELDS} from invoice
                where (:month is null or month = :month) and (:vendor is null or vendor = :vendor)
                  and (:status is null or status = :status) and (:after is null or invoice > :after)
                order by invoice limit :most"""
    facts = {"month": month, "vendor": vendor, "status": status, "after": after, "most": INVOICES_PER_ANSWER_MAX + 1}
    with _connect() as erp:
        rows = erp.execute(query, facts).fetchall()
    found = [_invoice(row) for row in rows[:INVOICES_PER_ANSWER_MAX]]
    return {"invoices": found, "next": found[-1]["invoice"] if len(rows) > INVOICES_PER_ANSWER_MAX else None}


@of_company
def get_invoice(*, invoice: str) -> dict[str, Any]:
    """Return an invoice with its lines and sums, and what was decided about it.

    `amount_eur` is what it is worth in EUR at the rate of its month.
    """
    with _connect() as erp:
        row = _one(erp, "select * from invoice where invoice = ?", invoice, what="invoice")
        lines = erp.execute("select * from invoice_line where invoice = ? order by line", (invoice,)).fetchall()
        match = erp.execute("select verdict, reasons from match_result where invoice = ?", (invoice,)).fetchone()
        holds = erp.execute("select reason from hold where invoice = ? order by reason", (invoice,)).fetchall()
        rate = erp.execute(
            "select eur_per_unit from rate where month = ? and currency = ?", (row["month"], row["currency"])
        ).fetchone()
    return {
        **_invoice(row),
        "net": amount_text(row["net_cents"]),
        "vat": amount_text(row["vat_cents"]),
        "amount_eur": amount_text(convert_cents(row["amount_cents"], Decimal(rate["eur_per_unit"]))),
        "lines": [_line(line) for line in lines],
        "match": {"verdict": match["verdict"], "reasons": json.loads(match["reasons"])} if match else None,
        "holds": [hold["reason"] for hold in holds],
    }


@of_company
def get_order(*, order: str) -> dict[str, Any]:
    """Return a purchase order with its lines."""
    with _connect() as erp:
        row = _one(erp, 'select * from purchase_order where "order" = ?', order, what="order")
        lines = erp.execute('select * from order_line where "order" = ? order by line', (order,)).fetchall()
    return {**dict(row), "lines": [_line(line) for line in lines]}


@of_company
def list_receipts(*, order: str) -> dict[str, Any]:
    """List what arrived on an order."""
    query = """select r.receipt, r.received_on, l.line, l.quantity from receipt r join receipt_line l using (receipt)
               where r."order" = ? order by r.receipt, l.line"""
    receipts: dict[str, dict[str, Any]] = {}
    with _connect() as erp:
        _one(erp, 'select "order" from purchase_order where "order" = ?', order, what="order")
        for row in erp.execute(query, (order,)):
            new = {"receipt": row["receipt"], "order": order, "received_on": row["received_on"], "lines": []}
            receipts.setdefault(row["receipt"], new)["lines"].append({"line": row["line"], "quantity": row["quantity"]})
    return {"receipts": list(receipts.values())}


@of_company
def get_period(*, month: str) -> dict[str, Any]:
    """Return a month's state, the day on which it closes, its exchange rates, and its invoices by status."""
    with _connect() as erp:
        row = _period(erp, month)
        rates = erp.execute(
            "select currency, eur_per_unit from rate where month = ? order by currency", (month,)
        ).fetchall()
        return {
            "month": month,
            "closes_on": row["closes_on"],
            "status": row["status"],
            "eur_per_unit": {rate["currency"]: rate["eur_per_unit"] for rate in rates},
            "invoices": _by_status(erp, month),
        }


@of_company
def post_match(*, invoice: str, verdict: str, reasons: list[str]) -> dict[str, Any]:
    """Record the verdict on an invoice: one verdict an invoice, `refuse` also refuses it.

    Raises CompanyError for an unknown verdict, a paid invoice, a closed month, or an invoice matched otherwise before.
    """
    if verdict not in list(Verdict):
        raise CompanyError(f"`{verdict}` is no verdict: take one of {', '.join(Verdict)}")
    text = json.dumps(reasons)
    status = "refused" if verdict == Verdict.REFUSE else "matched"
    with _write() as erp:
        row = _judged(erp, invoice)
        before = erp.execute("select verdict, reasons from match_result where invoice = ?", (invoice,)).fetchone()
        if before is not None and (before["verdict"], before["reasons"]) != (verdict, text):
            raise CompanyError(f"`{invoice}` was matched before as `{before['verdict']}`, not `{verdict}`")
        if before is None:
            if row["status"] == "paid" or row["period_status"] == "closed":
                raise CompanyError(f"`{invoice}` is paid or its month closed: it can no longer be matched")
            erp.execute("insert into match_result values (?, ?, ?)", (invoice, verdict, text))
            erp.execute("update invoice set status = ? where invoice = ? and status = 'open'", (status, invoice))
    return {"invoice": invoice, "verdict": verdict, "reasons": reasons, "repeated": before is not None}


@of_company
def hold_invoice(*, invoice: str, reason: str) -> dict[str, Any]:
    """Keep an invoice from being paid until a person has looked; each reason is recorded once.

    Raises CompanyError when the invoice is already paid or refused, its month closed, or the reason empty.
    """
    if not reason.strip():
        raise CompanyError(f"`{invoice}` cannot be held without a reason")
    with _write() as erp:
        row = _judged(erp, invoice)
        before = erp.execute("select 1 from hold where invoice = ? and reason = ?", (invoice, reason)).fetchone()
        if before is None:
            if row["status"] in ("paid", "refused") or row["period_status"] == "closed":
                raise CompanyError(
                    f"`{invoice}` is {row['status']} in a month that is {row['period_status']}: it cannot be held"
                )
            erp.execute("insert into hold values (?, ?)", (invoice, reason))
            erp.execute("update invoice set status = 'held' where invoice = ?", (invoice,))
    return {"invoice": invoice, "reason": reason, "status": "held", "repeated": before is not None}


@of_company
def mark_paid(*, invoice: str, payment_reference: str) -> dict[str, Any]:
    """Record that the bank was told to pay an invoice: one payment an invoice, one invoice a payment.

    It records a fact, so it also marks an invoice that is held. Raises CompanyError when the invoice was paid by
    another payment or the payment stands for another invoice.
    """
    with _write() as erp:
        row = _judged(erp, invoice)
        query = "select invoice, payment_reference from payment where invoice = ? or payment_reference = ?"
        before = erp.execute(query, (invoice, payment_reference)).fetchone()
        if before is not None and (before["invoice"], before["payment_reference"]) != (invoice, payment_reference):
            raise CompanyError(f"`{before['invoice']}` was paid by `{before['payment_reference']}` before")
        if before is None:
            erp.execute("insert into payment values (?, ?, ?)", (invoice, payment_reference, row["month"]))
            erp.execute("update invoice set status = 'paid' where invoice = ?", (invoice,))
    return {
        "invoice": invoice,
        "payment_reference": payment_reference,
        "status": "paid",
        "repeated": before is not None,
    }


@of_company
def close_period(*, month: str) -> dict[str, Any]:
    """Close a month and keep its counts; closing it again answers what was kept.

    Raises CompanyError while invoices of the month are open, that is, nobody has judged them.
    """
    with _write() as erp:
        row = _period(erp, month)
        if row["status"] == "closed":
            return {"month": month, "status": "closed", "invoices": json.loads(row["closed_summary"]), "repeated": True}
        counts = _by_status(erp, month)
        if counts["open"]:
            raise CompanyError(
                f"`{month}` cannot be closed: {counts['open']} of its invoices are open, match them first"
            )
        erp.execute(
            "update period set status = 'closed', closed_summary = ? where month = ?", (json.dumps(counts), month)
        )
    return {"month": month, "status": "closed", "invoices": counts, "repeated": False}


@contextmanager
def _connect() -> Iterator[sqlite3.Connection]:
    """Open the ERP for reading.

    The file is opened for writing all the same: a reader may have to undo what a killed writer left half done.
    """
    path = folder() / ERP_FILE
    if not path.is_file():
        raise CompanyError(f"`{path}` does not exist: make it by `python -m examples.month_end.generate`")
    erp = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None
    )
    try:
        erp.row_factory = sqlite3.Row
        erp.execute("pragma foreign_keys = on")
        yield erp
    finally:
        erp.close()


@contextmanager
def _write() -> Iterator[sqlite3.Connection]:
    """Open the ERP for one transaction that takes the write lock first, so that what it reads stays true."""
    with _connect() as erp:
        erp.execute("begin immediate")
        try:
            yield erp
        except BaseException:
            erp.execute("rollback")
            raise
        erp.execute("commit")


def _one(erp: sqlite3.Connection, query: str, key: str, *, what: str) -> sqlite3.Row:
    row: sqlite3.Row | None = erp.execute(query, (key,)).fetchone()
    if row is None:
        raise CompanyError(f"there is no {what} `{key}`")
    return row


def _period(erp: sqlite3.Connection, month: str) -> sqlite3.Row:
    return _one(erp, "select * from period where month = ?", month, what="month")


def _judged(erp: sqlite3.Connection, invoice: str) -> sqlite3.Row:
    query = """select i.status, i.month, p.status as period_status from invoice i join period p using (month)
               where i.invoice = ?"""
    return _one(erp, query, invoice, what="invoice")


def _by_status(erp: sqlite3.Connection, month: str) -> dict[str, int]:
    counts = dict.fromkeys(("open", "matched", "held", "refused", "paid"), 0)
    for row in erp.execute("select status, count(*) from invoice where month = ? group by status", (month,)):
        counts[row[0]] = row[1]
    return counts


def _invoice(row: sqlite3.Row) -> dict[str, Any]:
    keys = "invoice vendor number kind order refers_to month issued_on booked_on due_on currency status".split()
    return {**{key: row[key] for key in keys}, "amount": amount_text(row["amount_cents"])}


def _line(row: sqlite3.Row) -> dict[str, Any]:
    keys = "line item description quantity vat_percent".split()
    return {**{key: row[key] for key in keys}, "unit_price": amount_text(row["unit_price_cents"])}
