"""The tools of the company as data, for the manifest: which function, what it does to the world, and its arguments'
schema.

Schemas are JSON Schema 2020-12, written out and closed (`additionalProperties: false`); a test holds them against
the functions' signatures. `key_argument` is given by the caller's machinery, never by an agent, so it is in no
schema.
"""

from dataclasses import dataclass
from typing import Any

from examples.month_end.matching import Verdict
from examples.month_end.money import AMOUNT_PATTERN

Schema = dict[str, Any]

_MONTH: Schema = {"type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$"}
_VENDOR: Schema = {"type": "string", "pattern": "^V-[0-9]{4}$"}
_INVOICE: Schema = {"type": "string", "pattern": "^INV-[0-9]{4}-[0-9]{4}$"}
_ORDER: Schema = {"type": "string", "pattern": "^PO-[0-9]{5}$"}
_MESSAGE: Schema = {"type": "string", "pattern": "^M-[0-9]{4}$"}
_AMOUNT: Schema = {"type": "string", "pattern": AMOUNT_PATTERN, "description": "decimal text with two places"}
_CURRENCY: Schema = {"type": "string", "pattern": "^[A-Z]{3}$"}
_IBAN: Schema = {"type": "string", "pattern": "^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$"}


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool as the manifest states it."""

    python: str
    effect: str
    result_trust: str
    schema: Schema
    sinks: tuple[str, ...] = ()
    repeat: str = "safe"
    key_argument: str | None = None


def _closed(required: dict[str, Schema], **optional: Schema) -> Schema:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


def _text(characters_max: int) -> Schema:
    return {"type": "string", "minLength": 1, "maxLength": characters_max}


def _erp(name: str, schema: Schema) -> Tool:
    return Tool(f"examples.month_end.erp:{name}", "read", "trusted", schema)


def _erp_write(name: str, schema: Schema) -> Tool:
    return Tool(f"examples.month_end.erp:{name}", "write", "own", schema)


_STATUS: Schema = {"enum": ["open", "matched", "held", "refused", "paid"]}
_PAYMENT: dict[str, Schema] = {
    "invoice": _INVOICE,
    "vendor": _VENDOR,
    "iban": _IBAN,
    "amount": _AMOUNT,
    "currency": _CURRENCY,
    "reference": _text(140),
}

TOOLS: dict[str, Tool] = {
    "erp.list_vendors": _erp("list_vendors", _closed({"month": _MONTH})),
    "erp.get_vendor": _erp("get_vendor", _closed({"vendor": _VENDOR})),
    "erp.list_bank_changes": _erp("list_bank_changes", _closed({"vendor": _VENDOR})),
    "erp.list_invoices": _erp(
        "list_invoices", _closed({}, month=_MONTH, vendor=_VENDOR, status=_STATUS, after=_INVOICE)
    ),
    "erp.get_invoice": _erp("get_invoice", _closed({"invoice": _INVOICE})),
    "erp.get_order": _erp("get_order", _closed({"order": _ORDER})),
    "erp.list_receipts": _erp("list_receipts", _closed({"order": _ORDER})),
    "erp.get_period": _erp("get_period", _closed({"month": _MONTH})),
    "erp.post_match": _erp_write(
        "post_match",
        _closed(
            {
                "invoice": _INVOICE,
                "verdict": {"enum": [verdict.value for verdict in Verdict]},
                "reasons": {"type": "array", "items": _text(200), "maxItems": 20},
            }
        ),
    ),
    "erp.hold_invoice": _erp_write("hold_invoice", _closed({"invoice": _INVOICE, "reason": _text(500)})),
    "erp.mark_paid": _erp_write("mark_paid", _closed({"invoice": _INVOICE, "payment_reference": _text(40)})),
    "erp.close_period": _erp_write("close_period", _closed({"month": _MONTH})),
    "mail.list_messages": Tool(
        "examples.month_end.mailbox:list_messages", "read", "untrusted", _closed({}, about=_text(200))
    ),
    "mail.read_message": Tool(
        "examples.month_end.mailbox:read_message", "read", "untrusted", _closed({"message": _MESSAGE})
    ),
    "mail.send_message": Tool(
        "examples.month_end.mailbox:send_message",
        "send",
        "own",
        _closed({"to": _text(254), "subject": _text(200), "text": _text(20_000)}),
        sinks=("to",),
        repeat="keyed",
        key_argument="idempotency_key",
    ),
    "bank.statement": Tool("examples.month_end.bank:statement", "read", "trusted", _closed({})),
    "payments.create": Tool(
        "examples.month_end.bank:create_payment",
        "pay",
        "own",
        _closed(_PAYMENT, bank_account_age_days={"type": "integer", "minimum": 0}),
        sinks=("iban", "amount", "currency"),
        repeat="keyed",
        key_argument="idempotency_key",
    ),
}
