"""An act in the words of its approver."""

from __future__ import annotations

from typing import Any

import pytest

from aos.operations.act_sentences import act_sentence, act_subject

IBAN = "DE89370400440532013000"


@pytest.mark.parametrize(
    ("kind", "name", "effect", "arguments", "sentence"),
    [
        (
            "tool",
            "payments.create",
            "pay",
            {"iban": IBAN, "amount": "18240.00", "currency": "EUR", "vendor": "Brandt Steel"},
            f"pay 18,240.00 EUR to Brandt Steel at {IBAN} with payments.create",
        ),
        ("tool", "p", "pay", {"amount": 5, "currency": "EUR"}, "pay 5.00 EUR with p"),
        ("tool", "p", "pay", {"amount": "0.0005", "currency": "EUR", "iban": IBAN}, f"pay 0.0005 EUR to {IBAN} with p"),
        ("tool", "p", "pay", {"amount": {"amount": "7.5", "currency": "USD"}}, "pay 7.50 USD with p"),
        ("tool", "p", "pay", {"amount": "1e999999", "currency": "EUR"}, "pay with p: amount 1e999999, currency EUR"),
        ("tool", "p", "pay", {"amount": "NaN"}, "pay with p: amount NaN"),
        ("tool", "p", "pay", {"amount": True}, "pay with p: amount true"),
        (
            "tool",
            "mail.send",
            "send",
            {"to": "a@b.example", "text": "hi"},
            "send with mail.send: to a@b.example, text hi",
        ),
        ("tool", "x", "delete", {"id": [1, 2]}, "delete with x: id [1,2]"),
        ("tool", "x", None, None, "do with x"),
        ("tool", "x", "read", {"text": "a\u202eb\nc" + "d" * 100}, "read with x: text a b c" + "d" * 74 + "…"),
        ("run", "month-end", None, {"input": {}}, "start a run of month-end"),
        ("delegate", "ops", None, {}, "hand a task to ops"),
        ("model", "gpt-4", None, {}, "ask the model gpt-4"),
        ("message", "ops", None, {}, "send a message to ops"),
    ],
)
def test_an_act_is_said_as_its_approver_would(kind: str, name: str, effect: Any, arguments: Any, sentence: str) -> None:
    assert act_sentence(kind, name, effect=effect, arguments=arguments) == sentence


@pytest.mark.parametrize(
    ("arguments", "facts", "subject"),
    [
        (
            {"payee": "Brandt", "amount": "18240.00", "iban": IBAN, "currency": "EUR", "invoice": "INV-2610-0049"},
            {"args.amount": "18240.00", "origin.iban": "trusted", "facts.vendor.age": 3},
            f"p: invoice INV-2610-0049, amount 18240.00, iban {IBAN}, payee Brandt",
        ),
        (
            {"text": "x" * 100, "to": "a@b.example", "ticket": "T-7"},
            None,
            f"p: ticket T-7, text {'x' * 39}…, to a@b.example",
        ),
        ({"lines": [1], "note": "", "none": None}, {}, "p"),
        ({"note": "a\u202eb", "order": "PO\n7"}, {}, "p: note a b, order PO 7"),
        (None, None, "p"),
    ],
)
def test_a_subject_names_what_the_act_is_about_before_what_its_rules_read(
    arguments: Any, facts: Any, subject: str
) -> None:
    assert act_subject("p", arguments=arguments, facts=facts) == subject
