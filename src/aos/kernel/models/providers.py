"""How each provider is spoken to: the address of a request, its headers, and the hosts that may be reached at all.

The key stands in the headers that `target` returns and nowhere else: no message names it. A model of the provider `local`
is reached at the address that AOS itself gave it, never at one that a manifest names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from aos.kernel.dialects.values import Dialect
from aos.kernel.errors import InvalidRequest, Misconfigured, Unavailable
from aos.kernel.models.values import Model, Provider

BASE_URLS: Final[Mapping[Provider, str]] = {
    Provider.OPENAI: "https://api.openai.com/v1",
    Provider.ANTHROPIC: "https://api.anthropic.com",
    Provider.MISTRAL: "https://api.mistral.ai/v1",
}
"""Where a provider is when nothing is said; of the others only the operator knows it."""

HOSTS: Final[Mapping[Provider, tuple[str, ...]]] = {
    Provider.OPENAI: ("api.openai.com", "eu.api.openai.com", "us.api.openai.com"),
    Provider.ANTHROPIC: ("api.anthropic.com",),
    Provider.MISTRAL: ("api.mistral.ai",),
}
"""The hosts of a provider that may be reached without the organization's word."""

AZURE_DOMAINS: Final = (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")
"""Every resource has a host of its own under these."""

DIALECTS_OF: Final[Mapping[Provider, tuple[Dialect, ...]]] = {
    Provider.OPENAI: (Dialect.CHAT, Dialect.RESPONSES, Dialect.EMBEDDINGS),
    Provider.ANTHROPIC: (Dialect.MESSAGES, Dialect.COUNT_TOKENS),
    Provider.MISTRAL: (Dialect.CHAT, Dialect.EMBEDDINGS),
    Provider.AZURE: (Dialect.CHAT, Dialect.RESPONSES, Dialect.EMBEDDINGS),
    Provider.COMPATIBLE: (Dialect.CHAT, Dialect.EMBEDDINGS),
    Provider.LOCAL: (Dialect.CHAT,),
}
"""What a provider's server speaks when a model does not say."""

ANTHROPIC_VERSION: Final = "2023-06-01"

_PATHS: Final[Mapping[Dialect, str]] = {
    Dialect.CHAT: "chat/completions",
    Dialect.RESPONSES: "responses",
    Dialect.EMBEDDINGS: "embeddings",
    Dialect.MESSAGES: "messages",
    Dialect.COUNT_TOKENS: "messages/count_tokens",
}
_ANTHROPIC = (Dialect.MESSAGES, Dialect.COUNT_TOKENS)
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes and with which headers; the key is among them."""

    url: str
    headers: tuple[tuple[bytes, bytes], ...]


def target(model: Model, dialect: Dialect, *, key: str, local_url: str = "") -> Target:
    """Return where a request of this dialect to the model goes, and its headers.

    `local_url` is the address at which AOS serves its own model. Raises Misconfigured where the model has no address or
    its server does not speak the dialect, and Unavailable where the local model is not running.
    """
    if dialect not in model.dialects:
        raise Misconfigured(f"the server of model `{model.name}` does not speak {dialect}: see `dialects` of the model")
    base = _address_of(model, local_url)
    headers = [(b"content-type", b"application/json"), (b"accept-encoding", b"identity"), (b"user-agent", b"aos")]
    return Target(_url(model, dialect, base), (*headers, *_credentials(model, dialect, key)))


def upstream_name(model: Model) -> str:
    """Return the name that stands as `model` in the body: at Azure the deployment's, elsewhere the provider's name."""
    return model.options.get("deployment", model.upstream) if model.provider is Provider.AZURE else model.upstream


def permitted_hosts(model: Model, organization_hosts: Sequence[str], *, local_url: str = "") -> tuple[str, ...]:
    """Return the hosts, as `host` or `host:port`, that a request to the model may reach.

    They are the provider's own and those that the organization named; for the local model its own address alone.
    """
    if model.provider is Provider.LOCAL:
        return (_host_and_port(local_url),) if local_url else ()
    own = HOSTS.get(model.provider, ())
    if model.provider is Provider.AZURE:
        host = (urlsplit(model.base_url).hostname or "").lower()
        own = (host,) if host.endswith(AZURE_DOMAINS) else ()
    return (*own, *organization_hosts)


def check_base_url(provider: Provider, base_url: str) -> str:
    """Return the address without a slash at its end, in the form that `target` builds on.

    Raises InvalidRequest where it is none of http or https, carries a name and password, a query or a fragment, or goes
    unencrypted to a provider in the network.
    """
    plain_permitted = provider in (Provider.COMPATIBLE, Provider.LOCAL)
    try:
        parts = urlsplit(base_url)
        port_is_right = parts.port is None or parts.port > 0
    except ValueError as error:
        raise InvalidRequest(f"base_url `{base_url[:200]}` is not an address") from error
    if parts.scheme not in (("http", "https") if plain_permitted else ("https",)):
        schemes = "`https://` or `http://`" if plain_permitted else "`https://`"
        raise InvalidRequest(f"base_url `{base_url[:200]}` must begin with {schemes}")
    if not _HOST.fullmatch(parts.netloc.rpartition("@")[2].removesuffix(f":{parts.port}")) or not port_is_right:
        raise InvalidRequest(f"base_url `{base_url[:200]}` names no host")
    if "@" in parts.netloc:
        raise InvalidRequest(
            "base_url must not carry a name and password: put the key into a secret and name it in `api_key`"
        )
    if parts.query or parts.fragment or not re.fullmatch(r"[\x21-\x7e]+", base_url):
        raise InvalidRequest(f"base_url `{base_url[:200]}` must be without a query, a fragment and blanks")
    return base_url.rstrip("/")


def _address_of(model: Model, local_url: str) -> str:
    if model.provider is Provider.LOCAL:
        if not local_url:
            raise Unavailable(f"model `{model.name}` is served by AOS itself and is not running: see `aos status`")
        return local_url.rstrip("/")
    base = model.base_url or BASE_URLS.get(model.provider, "")
    if not base:
        raise Misconfigured(f"model `{model.name}` has no address: say its `base_url`")
    return base.rstrip("/")


def _url(model: Model, dialect: Dialect, base: str) -> str:
    path = _PATHS[dialect]
    if model.provider is Provider.AZURE:
        return _azure_url(model, dialect, base)
    if dialect in _ANTHROPIC and not base.endswith("/v1"):
        return f"{base}/v1/{path}"  # Anthropic's clients, and so its servers, name themselves without it
    return f"{base}/{path}"


def _azure_url(model: Model, dialect: Dialect, base: str) -> str:
    """Return the address in Azure's undated form, or in the dated one where the model's options name an `api_version`.

    In the dated form the deployment stands in the path, but for responses, where it stands in the body alone.
    """
    version = model.options.get("api_version", "")
    root = base.removesuffix("/v1").removesuffix("/openai")
    if not version:
        return f"{root}/openai/v1/{_PATHS[dialect]}"
    query = urlencode({"api-version": version})
    if dialect is Dialect.RESPONSES:
        return f"{root}/openai/responses?{query}"
    return f"{root}/openai/deployments/{quote(upstream_name(model), safe='')}/{_PATHS[dialect]}?{query}"


def _credentials(model: Model, dialect: Dialect, key: str) -> list[tuple[bytes, bytes]]:
    """Return the headers that carry the key and what else the provider wants to know of the account."""
    if key and not _VISIBLE.fullmatch(key):
        raise Misconfigured(
            f"the secret `{model.secret}` of model `{model.name}` is no key: it has blanks or other signs"
        )
    headers: list[tuple[str, str]] = []
    if model.provider is Provider.AZURE:
        headers.append(("api-key", key))
    elif model.provider is Provider.ANTHROPIC:
        headers.append(("x-api-key", key))
    else:
        headers.append(("authorization", f"Bearer {key}"))
        if dialect in _ANTHROPIC:
            headers.append(("x-api-key", key))
    if not key:
        headers = []
    if dialect in _ANTHROPIC:
        headers.append(("anthropic-version", model.options.get("anthropic_version", ANTHROPIC_VERSION)))
    if model.provider is Provider.OPENAI:
        headers += [
            (f"openai-{name}", model.options[name]) for name in ("organization", "project") if name in model.options
        ]
    for name, value in headers:
        if not re.fullmatch(r"[\x20-\x7e]+", value):
            raise Misconfigured(
                f"the option that becomes header `{name}` of model `{model.name}` has signs it cannot carry"
            )
    return [(name.encode(), value.encode()) for name, value in headers]


def _host_and_port(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{parts.port}" if parts.port else shown
