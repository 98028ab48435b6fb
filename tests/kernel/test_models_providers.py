"""Providers: where a request goes, with which headers, and that a key stands nowhere else."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from aos.kernel.dialects.values import Dialect
from aos.kernel.errors import InvalidRequest, Misconfigured, Unavailable
from aos.kernel.models.providers import (
    BASE_URLS,
    DIALECTS_OF,
    HOSTS,
    check_base_url,
    permitted_hosts,
    target,
    upstream_name,
)
from aos.kernel.models.values import Model, Provider

KEY = "sk-very-secret"


def model(provider: Provider, base_url: str = "", **options: str) -> Model:
    return Model(UUID(int=1), "mine", 1, provider, "gpt-4o", base_url, (*Dialect,), secret="provider", options=options)


@pytest.mark.parametrize(
    ("some", "dialect", "url"),
    [
        (model(Provider.OPENAI), Dialect.CHAT, "https://api.openai.com/v1/chat/completions"),
        (model(Provider.OPENAI), Dialect.RESPONSES, "https://api.openai.com/v1/responses"),
        (model(Provider.OPENAI), Dialect.EMBEDDINGS, "https://api.openai.com/v1/embeddings"),
        (model(Provider.OPENAI, "https://eu.api.openai.com/v1/"), Dialect.CHAT,
         "https://eu.api.openai.com/v1/chat/completions"),
        (model(Provider.ANTHROPIC), Dialect.MESSAGES, "https://api.anthropic.com/v1/messages"),
        (model(Provider.ANTHROPIC), Dialect.COUNT_TOKENS, "https://api.anthropic.com/v1/messages/count_tokens"),
        (model(Provider.ANTHROPIC, "https://proxy.example/v1"), Dialect.MESSAGES, "https://proxy.example/v1/messages"),
        (model(Provider.MISTRAL), Dialect.CHAT, "https://api.mistral.ai/v1/chat/completions"),
        (model(Provider.COMPATIBLE, "http://vllm:8000/v1"), Dialect.CHAT, "http://vllm:8000/v1/chat/completions"),
        (model(Provider.COMPATIBLE, "http://vllm:8000/v1"), Dialect.MESSAGES, "http://vllm:8000/v1/messages"),
        (model(Provider.AZURE, "https://us1.openai.azure.com"), Dialect.CHAT,
         "https://us1.openai.azure.com/openai/v1/chat/completions"),
        (model(Provider.AZURE, "https://us1.openai.azure.com/openai/v1/"), Dialect.RESPONSES,
         "https://us1.openai.azure.com/openai/v1/responses"),
        (model(Provider.AZURE, "https://us1.openai.azure.com", api_version="2024-10-21"), Dialect.CHAT,
         "https://us1.openai.azure.com/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"),
        (model(Provider.AZURE, "https://us1.openai.azure.com", api_version="2024-10-21", deployment="a/b ?"),
         Dialect.EMBEDDINGS,
         "https://us1.openai.azure.com/openai/deployments/a%2Fb%20%3F/embeddings?api-version=2024-10-21"),
    ],
)  # fmt: skip
def test_a_request_goes_where_its_provider_takes_it(some: Model, dialect: Dialect, url: str) -> None:
    assert target(some, dialect, key=KEY).url == url


@pytest.mark.parametrize(
    ("provider", "dialect", "carried"),
    [
        (Provider.OPENAI, Dialect.CHAT, {b"authorization": b"Bearer sk-very-secret"}),
        (Provider.MISTRAL, Dialect.CHAT, {b"authorization": b"Bearer sk-very-secret"}),
        (Provider.COMPATIBLE, Dialect.CHAT, {b"authorization": b"Bearer sk-very-secret"}),
        (
            Provider.COMPATIBLE,
            Dialect.MESSAGES,
            {b"authorization": b"Bearer sk-very-secret", b"x-api-key": b"sk-very-secret"},
        ),
        (Provider.ANTHROPIC, Dialect.MESSAGES, {b"x-api-key": b"sk-very-secret"}),
        (Provider.AZURE, Dialect.CHAT, {b"api-key": b"sk-very-secret"}),
    ],
)
def test_the_key_is_carried_as_its_provider_wants_it_and_by_no_other_header(
    provider: Provider, dialect: Dialect, carried: dict[bytes, bytes]
) -> None:
    some = model(provider, "https://us1.openai.azure.com")
    found = target(some, dialect, key=KEY)
    assert {name: value for name, value in found.headers if b"sk-very-secret" in value} == carried
    assert KEY not in found.url
    without = target(some, dialect, key="")
    assert not {name for name, _ in without.headers} & {b"authorization", b"x-api-key", b"api-key"}


def test_anthropics_dialect_names_its_version() -> None:
    for provider in (Provider.ANTHROPIC, Provider.COMPATIBLE):
        headers = dict(target(model(provider, "https://some.example"), Dialect.MESSAGES, key=KEY).headers)
        assert headers[b"anthropic-version"] == b"2023-06-01"


def test_an_account_is_named_where_the_options_name_it() -> None:
    headers = dict(target(model(Provider.OPENAI, organization="org-1", project="p-1"), Dialect.CHAT, key=KEY).headers)
    assert (headers[b"openai-organization"], headers[b"openai-project"]) == (b"org-1", b"p-1")


@pytest.mark.parametrize("key", ["sk-very-secret\r\nx-evil: 1", "sk very secret", "sk-very-secr\u00e9t", "\n"])
def test_a_key_that_would_break_its_header_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        target(model(Provider.OPENAI), Dialect.CHAT, key=key)
    assert "very" not in refused.value.detail
    assert "provider" in refused.value.detail


def test_an_option_cannot_add_a_header() -> None:
    with pytest.raises(Misconfigured, match="openai-project"):
        target(model(Provider.OPENAI, project="p\r\nx-evil: 1"), Dialect.CHAT, key=KEY)


def test_a_dialect_that_the_server_does_not_speak_is_never_sent() -> None:
    some = replace(model(Provider.ANTHROPIC), dialects=DIALECTS_OF[Provider.ANTHROPIC])
    with pytest.raises(Misconfigured, match="does not speak openai-chat"):
        target(some, Dialect.CHAT, key=KEY)


def test_a_model_without_an_address_is_refused() -> None:
    for provider in (Provider.AZURE, Provider.COMPATIBLE):
        with pytest.raises(Misconfigured, match="base_url"):
            target(model(provider), Dialect.CHAT, key=KEY)


def test_the_local_model_is_reached_where_aos_serves_it_whatever_the_manifest_says() -> None:
    some = model(Provider.LOCAL, "http://169.254.169.254")
    local = "http://127.0.0.1:4711/v1"
    assert target(some, Dialect.CHAT, key=KEY, local_url=local).url == f"{local}/chat/completions"
    assert permitted_hosts(some, ["evil.example"], local_url=local) == ("127.0.0.1:4711",)
    assert permitted_hosts(some, ["evil.example"]) == ()
    with pytest.raises(Unavailable, match="not running"):
        target(some, Dialect.CHAT, key=KEY)


@pytest.mark.parametrize(
    ("some", "own"),
    [
        (model(Provider.OPENAI), HOSTS[Provider.OPENAI]),
        (model(Provider.OPENAI, "https://proxy.example/v1"), HOSTS[Provider.OPENAI]),
        (model(Provider.COMPATIBLE, "http://10.0.0.1:8000/v1"), ()),
        (model(Provider.AZURE, "https://US1.openai.azure.com"), ("us1.openai.azure.com",)),
        (model(Provider.AZURE, "https://openai.azure.com.evil.example"), ()),
        (model(Provider.AZURE, "https://evilopenai.azure.com"), ()),
    ],
)
def test_only_the_providers_hosts_and_those_of_the_organization_may_be_reached(
    some: Model, own: tuple[str, ...]
) -> None:
    assert permitted_hosts(some, ["vllm:8000"]) == (*own, "vllm:8000")


def test_every_default_address_is_a_permitted_one() -> None:
    for provider, base_url in BASE_URLS.items():
        assert check_base_url(provider, base_url) == base_url
        assert base_url.split("/")[2] in HOSTS[provider]


def test_azure_is_asked_for_the_deployment() -> None:
    assert upstream_name(model(Provider.AZURE, deployment="ours")) == "ours"
    assert upstream_name(model(Provider.AZURE)) == "gpt-4o"
    assert upstream_name(model(Provider.OPENAI, deployment="ours")) == "gpt-4o"


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "vllm:8000",
        "ftp://vllm",
        "file:///etc/passwd",
        "https://",
        "https://:8000",
        "https://name:pass@vllm",
        "https://vllm/?key=1",
        "https://vllm/#here",
        "https://vllm:port",
        "https://vllm:99999",
        "https://vllm:0",
        "https://vl lm",
        "https://vllm/a b",
        "https://vllm\r\n/",
        "https://[::1",
    ],
)
def test_what_is_no_plain_address_is_refused(base_url: str) -> None:
    with pytest.raises(InvalidRequest, match="base_url"):
        check_base_url(Provider.COMPATIBLE, base_url)


@pytest.mark.parametrize("base_url", ["http://vllm:8000/v1/", "https://[::1]:8000/v1", "http://10.0.0.1"])
def test_an_address_is_kept_without_its_last_slash(base_url: str) -> None:
    assert check_base_url(Provider.COMPATIBLE, base_url) == base_url.rstrip("/")


def test_a_provider_in_the_network_is_never_reached_unencrypted() -> None:
    with pytest.raises(InvalidRequest, match="https"):
        check_base_url(Provider.OPENAI, "http://api.openai.com/v1")
