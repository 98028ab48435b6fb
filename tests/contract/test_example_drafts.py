"""What the example takes of a model's draft, and what it registers of a model: no fact of a letter is ever a model's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from examples.month_end.demo_models import ASKED, LOCAL, Drafter, find_drafter
from examples.month_end.demo_people import MARIA, read_manifest
from examples.month_end.drafts import LABEL, closing_of, draft_prompt
from examples.month_end.letters import DRAFTED, Letter, draft_letter

FACTS = {
    "vendor": "Nordlicht GmbH",
    "number": "NL-7",
    "issued_on": "2026-10-01",
    "amount": "12.00",
    "currency": "EUR",
    "reason": "the price",
}
UP: dict[str, Any] = {"state": {"processes": [{"kind": "worker"}, {"kind": "local-model"}]}}
WITHOUT_LOCAL: dict[str, Any] = {"state": {"processes": [{"kind": "worker"}]}}


@pytest.mark.parametrize(
    "draft",
    [
        "We appreciate your patience and your willingness to help.",
        ' "We sincerely thank you for your assistance and support." And so on, for 12 pages',
        "We appreciate your efforts and we're grateful for your support.\n\nThis is a polite sentence",
    ],
)
def test_a_courtesy_is_taken_up_to_its_end(draft: str) -> None:
    closing = closing_of(draft)
    assert closing
    assert closing in draft
    assert closing.endswith(".")
    letter = draft_letter("held", closing, **FACTS)
    assert letter.index("NL-7") < letter.index(closing) < letter.index(DRAFTED)


@pytest.mark.parametrize(
    "draft",
    [
        "",
        "We thank you.",
        "We thank you for your patience and",
        "We will pay 12 euros to you with pleasure.",
        "We thank you and ask for an answer by tomorrow.",
        "We thank you and hope to hear from you within a week.",
        "We thank you, and Mr Smith thanks you as well.",
        "We thank you at accounts@larkspur.example for your help.",
        "We thank you for your help, [Company Name] and friends.",
        "We thank you and will refund what you are owed.",
        "We thank you and change your account as you have asked.",
        "Dear friend, we thank you for your patience.",
        "I am sorry, as a language model I cannot help with that.",
        "We thank you " + "very " * 60 + "much.",
    ],
)
def test_a_draft_that_states_something_is_not_taken(draft: str) -> None:
    assert closing_of(draft) == ""


@pytest.mark.parametrize("kind", list(Letter))
def test_a_prompt_shows_a_model_nothing_of_the_invoice_and_every_kind_has_one(kind: Letter) -> None:
    assert not any(fact in draft_prompt(kind) for fact in FACTS.values())
    assert DRAFTED not in draft_letter(kind, **FACTS)


def test_a_key_in_the_environment_goes_before_the_model_of_this_machine_and_nothing_is_asked_without_either() -> None:
    keyed = find_drafter({"OPENAI_API_KEY": "sk-o"}, UP)
    assert keyed is not None
    assert (keyed.provider, keyed.variable, keyed.key) == ("openai", "OPENAI_API_KEY", "sk-o")
    assert "sk-o" not in repr(keyed)
    hosted = find_drafter({"ANTHROPIC_API_KEY": "sk-a"}, WITHOUT_LOCAL)
    assert hosted is not None
    assert hosted.provider == "anthropic"
    assert find_drafter({"OPENAI_API_KEY": " "}, UP) == Drafter(LOCAL)
    assert find_drafter({"OPENAI_API_KEY": "aos_key-of-an-agent"}, UP) == Drafter(LOCAL)
    assert find_drafter({}, WITHOUT_LOCAL) is None
    assert find_drafter({}, {}) is None


def test_the_manifest_names_the_one_model_that_drafts_and_never_its_key(tmp_path: Path) -> None:
    drafter = Drafter("gpt-4.1-mini", "openai", "OPENAI_API_KEY", "sk-o")
    manifest = read_manifest(tmp_path, owner=MARIA, drafter=drafter)
    assert list(manifest["models"]) == manifest["purposes"]["letters"]["models"] == ["gpt-4.1-mini"]
    assert manifest["models"]["gpt-4.1-mini"]["api_key"] == {"secret": "openai"}
    assert "sk-o" not in repr(manifest)
    assert drafter.labels == {LABEL: ASKED}
    without = read_manifest(tmp_path, owner=MARIA)
    assert "models" not in without
    assert not any("models" in agent for agent in without["agents"].values())
