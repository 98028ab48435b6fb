"""The catalogue: it holds what the product promises, and it is what its generator writes."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from aos.boot.catalogue import FILE, catalogue_text
from aos.kernel.dialects.values import Dialect, Tokens
from aos.kernel.models.catalogue import find, models, names
from aos.kernel.models.prices import cost
from aos.kernel.models.providers import BASE_URLS, DIALECTS_OF
from aos.kernel.models.purposes import MEANINGS, PURPOSES
from aos.kernel.models.values import Capability, Provider
from aos.kernel.money import parse_amount

ROOT = Path(__file__).resolve().parents[2]


def test_the_data_are_what_the_generator_writes() -> None:
    pytest.importorskip("genai_prices", reason="no genai-prices here: `pip install -e '.[dev]'` runs this")
    assert (ROOT / FILE).read_text("utf-8") == catalogue_text(), "run `python -m aos.boot.catalogue`"


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("gpt-4-turbo", Provider.OPENAI),
        ("gpt-4-32k", Provider.OPENAI),
        ("gpt-3.5-turbo", Provider.OPENAI),
        ("text-embedding-3-small", Provider.OPENAI),
        ("text-embedding-3-large", Provider.OPENAI),
        ("text-embedding-ada-002", Provider.OPENAI),
        ("claude-3-opus", Provider.ANTHROPIC),
        ("claude-3-sonnet", Provider.ANTHROPIC),
        ("claude-3-haiku", Provider.ANTHROPIC),
        ("mistral-7b", Provider.MISTRAL),
        ("mistral-large-2411", Provider.MISTRAL),
        ("mistral-small-latest", Provider.MISTRAL),
        ("mistral-embed", Provider.MISTRAL),
        ("mistral-7b-instruct", Provider.COMPATIBLE),
        ("llama-2-7b-chat", Provider.COMPATIBLE),
        ("llama-2-13b-chat", Provider.COMPATIBLE),
        ("llama-2-70b-chat", Provider.COMPATIBLE),
        ("local/smollm2", Provider.LOCAL),
    ],
)
def test_every_model_that_the_product_names_is_known_with_a_price(name: str, provider: Provider) -> None:
    known = find(name)
    assert known is not None
    assert provider is known.provider
    assert known.context_tokens > 0
    assert cost(known.prices, Tokens(), on=date(2026, 11, 23)).nanos == 0


@pytest.mark.parametrize(
    ("name", "price"),
    [
        ("gpt-4-turbo", "0.04"),
        ("gpt-4-32k", "0.18"),
        ("gpt-3.5-turbo", "0.002"),
        ("claude-3-opus", "0.09"),
        ("claude-3-sonnet", "0.018"),
        ("claude-3-haiku", "0.0015"),
        ("text-embedding-3-small", "0.00002"),
        ("local/smollm2", "0"),
    ],
)
def test_a_thousand_tokens_in_and_out_cost_what_the_provider_published(name: str, price: str) -> None:
    known = find(name)
    assert known is not None
    output = 0 if Capability.EMBEDDINGS in known.capabilities else 1_000
    paid = cost(known.prices, Tokens(input=1_000, output=output), on=date(2026, 11, 23))
    assert paid.nanos == parse_amount(price)


def test_names_and_aliases_are_unique_and_each_finds_its_own_model() -> None:
    every = [name for model in models() for name in (model.name, *model.aliases)]
    assert len(every) == len(set(every))
    for model in models():
        assert find(model.name) is model
        assert all((found := find(alias)) and found.name == model.name for alias in model.aliases)
    assert names() == tuple(model.name for model in models())


@pytest.mark.parametrize("known", models(), ids=lambda model: str(model.name))
def test_every_model_is_described_without_contradiction(known) -> None:
    embeds = Capability.EMBEDDINGS in known.capabilities
    assert (known.dialects == (Dialect.EMBEDDINGS,)) is embeds
    assert set(known.dialects) <= set(DIALECTS_OF[known.provider])
    assert 1 <= known.strength <= 5
    assert (known.output_tokens_max == 0) is embeds
    assert known.output_tokens_max <= known.context_tokens
    assert known.base_url == BASE_URLS.get(known.provider, "")
    assert known.tags


def test_a_dated_snapshot_is_found_and_keeps_its_name_at_the_provider() -> None:
    for name in ("gpt-4o-2024-08-06", "claude-sonnet-4-5-20250929"):
        known = find(name)
        assert known is not None
        assert known.upstream == name
    priced_apart = find("gpt-4o-2024-05-13")
    assert priced_apart is not None
    assert priced_apart.name == "gpt-4o-2024-05-13"


def test_served_by_another_a_model_keeps_what_it_can_do_but_not_what_only_its_provider_says() -> None:
    own, azure, open_server = find("gpt-4o"), find("gpt-4o", Provider.AZURE), find("gpt-4o", Provider.COMPATIBLE)
    assert own
    assert azure
    assert open_server
    assert (azure.prices, azure.base_url) == (own.prices, "")
    assert (open_server.prices, open_server.base_url, open_server.dialects) == ((), "", (Dialect.CHAT,))
    assert own.capabilities == azure.capabilities == open_server.capabilities


def test_a_compatible_server_is_asked_by_the_name_that_was_given() -> None:
    for name, provider in (("llama2", None), ("mistral-7b", Provider.COMPATIBLE)):
        known = find(name, provider)
        assert known is not None
        assert known.upstream == name


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("no-such-model", None),
        ("no-such-model-2024-05-13", None),
        ("", None),
        ("gpt-4o", Provider.ANTHROPIC),
        ("claude-3-opus", Provider.AZURE),
        ("local/smollm2", Provider.COMPATIBLE),
    ],
)
def test_what_is_not_known_is_not_made_up(name: str, provider: Provider | None) -> None:
    assert find(name, provider) is None


def test_every_proposed_purpose_names_models_of_the_catalogue_that_are_tagged_with_it() -> None:
    assert set(PURPOSES) == set(MEANINGS)
    for name, purpose in PURPOSES.items():
        for model in purpose.models:
            known = find(model)
            assert known is not None, model
            assert name in known.tags, f"{model} is proposed for {name}"
