"""Three-way match: does an invoice agree with its order, with what arrived, and with the vendor's other invoices?

Pure: it reads the ERP's answers and returns a verdict, no clock, no file. It is the agents' judgement, not a tool;
whether money may then move is decided elsewhere.
"""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from examples.month_end.money import amount_cents, vat_cents

Record = Mapping[str, Any]

VAT_TOLERANCE_CENTS = 2


class Verdict(StrEnum):
    """What is to be done with an invoice."""

    PAY = "pay"
    NOT_DUE = "not_due"
    CREDIT = "credit"
    HOLD = "hold"
    REFUSE = "refuse"


class Reason(StrEnum):
    """Why an invoice is not simply paid."""

    CREDIT_NOTE = "credit_note"
    DUPLICATE_NUMBER = "duplicate_number"
    DUPLICATE_AMOUNT_AND_DATE = "duplicate_amount_and_date"
    ORDER_INVOICED_BEFORE = "order_invoiced_before"
    VAT_RATE = "vat_rate"
    VAT_SUM = "vat_sum"
    ORDER_MISSING = "order_missing"
    ORDER_DIFFERS = "order_differs"
    PRICE_ABOVE_ORDER = "price_above_order"
    QUANTITY_ABOVE_RECEIPTS = "quantity_above_receipts"
    VENDOR_BLOCKED = "vendor_blocked"
    NOT_DUE = "not_due"


_VERDICTS = {
    Reason.CREDIT_NOTE: Verdict.CREDIT,
    Reason.DUPLICATE_NUMBER: Verdict.REFUSE,
    Reason.DUPLICATE_AMOUNT_AND_DATE: Verdict.REFUSE,
    Reason.VAT_RATE: Verdict.REFUSE,
    Reason.VAT_SUM: Verdict.REFUSE,
    Reason.NOT_DUE: Verdict.NOT_DUE,
}
_WORST_FIRST = (Verdict.REFUSE, Verdict.HOLD, Verdict.CREDIT, Verdict.NOT_DUE)

Finding = tuple[Reason, str]


def match_invoice(
    invoice: Record,
    order: Record | None,
    *,
    receipts: Iterable[Record],
    siblings: Iterable[Record],
    vendor: Record,
    as_of: str,
) -> dict[str, Any]:
    """Judge one invoice.

    The arguments are what `get_invoice`, `get_order`, `list_receipts`, `list_invoices` (all months of the vendor) and
    `get_vendor` answer, and the day on which the month closes, as ISO text.

    Returns `{"verdict", "reasons", "details"}`: reasons are the names in `Reason`, details a sentence for each. A
    refusal outweighs a hold, a hold outweighs waiting for the due day, and without any reason the verdict is `pay`.
    """
    if invoice["kind"] == "credit_note":
        findings = [
            (Reason.CREDIT_NOTE, f"credit note for {invoice['refers_to']}: set off against the vendor's account")
        ]
    else:
        findings = [
            *_find_duplicate(invoice, siblings),
            *_check_tax(invoice, order),
            *_check_order(invoice, order),
            *_check_receipts(invoice, receipts if order is not None else None),
        ]
        if vendor["blocked"]:
            findings.append((Reason.VENDOR_BLOCKED, f"the vendor is blocked: {vendor['blocked_reason']}"))
        if invoice["due_on"] > as_of:
            findings.append((Reason.NOT_DUE, f"due on {invoice['due_on']}, after {as_of}"))
    verdicts = {_VERDICTS.get(reason, Verdict.HOLD) for reason, _ in findings}
    verdict = next((worst for worst in _WORST_FIRST if worst in verdicts), Verdict.PAY)
    return {
        "verdict": verdict.value,
        "reasons": [reason.value for reason, _ in findings],
        "details": [detail for _, detail in findings],
    }


def normal_number(number: str) -> str:
    """Bring a vendor's invoice number to one form: capitals, no blanks, no leading zeros in any group of digits."""
    groups = re.findall(r"[A-Z]+|[0-9]+", "".join(number.upper().split()))
    return "-".join(group.lstrip("0") or "0" for group in groups)


def _find_duplicate(invoice: Record, siblings: Iterable[Record]) -> list[Finding]:
    """Look for an earlier booked invoice that asks for the same; equal amounts alone are no reason."""
    booked = (invoice["booked_on"], invoice["invoice"])
    earlier = [
        one
        for one in siblings
        if one["vendor"] == invoice["vendor"]
        and one["kind"] == "invoice"
        and (one["booked_on"], one["invoice"]) < booked
    ]
    for one in earlier:
        if normal_number(one["number"]) == normal_number(invoice["number"]):
            return [
                (
                    Reason.DUPLICATE_NUMBER,
                    f"`{invoice['number']}` is `{one['number']}` again, booked as {one['invoice']}",
                )
            ]
    same_order = [one for one in earlier if invoice["order"] is not None and one["order"] == invoice["order"]]
    for one in same_order:
        if (one["amount"], one["currency"], one["issued_on"]) == (
            invoice["amount"],
            invoice["currency"],
            invoice["issued_on"],
        ):
            return [(Reason.DUPLICATE_AMOUNT_AND_DATE, f"same order, amount and date as {one['invoice']}")]
    return [
        (Reason.ORDER_INVOICED_BEFORE, f"{one['order']} was invoiced before as {one['invoice']}")
        for one in same_order[:1]
    ]


def _check_tax(invoice: Record, order: Record | None) -> list[Finding]:
    ordered = {line["line"]: line for line in order["lines"]} if order is not None else {}
    for line in invoice["lines"]:
        agreed = ordered.get(line["line"])
        if agreed is not None and line["vat_percent"] != agreed["vat_percent"]:
            detail = (
                f"line {line['line']} is taxed at {line['vat_percent']} %, the order says {agreed['vat_percent']} %"
            )
            return [(Reason.VAT_RATE, detail)]
    expected_cents = 0
    for percent in sorted({line["vat_percent"] for line in invoice["lines"]}):
        net_cents = sum(_line_cents(line) for line in invoice["lines"] if line["vat_percent"] == percent)
        expected_cents += vat_cents(net_cents, percent)
    net_cents = sum(_line_cents(line) for line in invoice["lines"])
    tax_off_cents = abs(amount_cents(invoice["vat"]) - expected_cents)
    sum_off_cents = abs(amount_cents(invoice["amount"]) - net_cents - amount_cents(invoice["vat"]))
    if tax_off_cents > VAT_TOLERANCE_CENTS or sum_off_cents > 0 or amount_cents(invoice["net"]) != net_cents:
        return [(Reason.VAT_SUM, f"tax of {invoice['vat']} on {invoice['net']} does not add up from the lines")]
    return []


def _check_order(invoice: Record, order: Record | None) -> list[Finding]:
    if order is None:
        return [(Reason.ORDER_MISSING, "the invoice names no order")]
    if order["vendor"] != invoice["vendor"] or order["currency"] != invoice["currency"]:
        return [(Reason.ORDER_DIFFERS, f"{order['order']} is for another vendor or currency")]
    ordered = {line["line"]: line for line in order["lines"]}
    for line in invoice["lines"]:
        agreed = ordered.get(line["line"])
        if agreed is None or agreed["item"] != line["item"]:
            return [(Reason.ORDER_DIFFERS, f"line {line['line']} ({line['item']}) is not on {order['order']}")]
        if amount_cents(line["unit_price"]) > amount_cents(agreed["unit_price"]):
            detail = f"line {line['line']} costs {line['unit_price']} each, the order says {agreed['unit_price']}"
            return [(Reason.PRICE_ABOVE_ORDER, detail)]
    return []


def _check_receipts(invoice: Record, receipts: Iterable[Record] | None) -> list[Finding]:
    """Compare what is invoiced with all that arrived on the order; None means that there is no order."""
    if receipts is None:
        return []
    arrived: dict[int, int] = {}
    for receipt in receipts:
        for part in receipt["lines"]:
            arrived[part["line"]] = arrived.get(part["line"], 0) + part["quantity"]
    for line in invoice["lines"]:
        if line["quantity"] > arrived.get(line["line"], 0):
            detail = f"line {line['line']} asks for {line['quantity']}, {arrived.get(line['line'], 0)} arrived"
            return [(Reason.QUANTITY_ABOVE_RECEIPTS, detail)]
    return []


def _line_cents(line: Record) -> int:
    return int(line["quantity"]) * amount_cents(line["unit_price"])
