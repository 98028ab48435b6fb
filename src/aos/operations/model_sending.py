"""One try at a model's server: the request in its dialect, under its key, and its answer's head judged.

The provider's key is opened here and goes into one header; it stands in no error, log or record. What the server says of an
error goes on in the caller's dialect with its status.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from aos.kernel.dialects.errors import translate_error
from aos.kernel.dialects.splice import splice
from aos.kernel.dialects.translate.requests import translate_request
from aos.kernel.dialects.values import Asked, Dialect
from aos.kernel.errors import AosError, InvalidRequest, UpstreamFailed
from aos.kernel.models.providers import permitted_hosts, target, upstream_name
from aos.kernel.models.routing import dialect_for
from aos.kernel.models.values import Model, Provider
from aos.kernel.ports import Ticker, UpstreamAnswer, UpstreamRequest
from aos.operations.drivers import ModelServers
from aos.operations.facts import OrganizationFacts
from aos.operations.model_health import ModelStates

ERROR_BYTES_MAX = 1024 * 1024
_KEY_BYTES_MIN = 8
"""A shorter key is none that could be told from other text."""
_NEWER_LIMIT = frozenset({Provider.OPENAI, Provider.AZURE})
"""Who knows `max_completion_tokens`; the others read `max_tokens` alone."""
_RETRYABLE = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})


Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]


@dataclass(slots=True)
class Sent:
    """An answer whose head is good; its body is still to be read."""

    model: Model
    dialect: Dialect
    answer: UpstreamAnswer


@dataclass(frozen=True, slots=True)
class Bad:
    """What came instead of an answer, for the caller: `body` is empty where the server said nothing."""

    model: Model
    reason: str
    sent: bool
    retryable: bool
    status: int = 502
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


def prepared(asked: Asked, body: bytes, model: Model, *, output_limit: int | None) -> tuple[Dialect, bytes]:
    """Return the dialect that is spoken with a model's server, and the request in it.

    Raises InvalidRequest, pointing at what cannot be carried, where the server speaks another dialect than the caller.
    """
    dialect = dialect_for(asked.dialect, model.dialects)
    if dialect is None:
        raise InvalidRequest(f"model `{model.name}` does not answer {asked.dialect} requests")
    name = upstream_name(model)
    field = "" if model.provider in _NEWER_LIMIT else "max_tokens"
    if dialect is asked.dialect:
        field = field if asked.dialect is Dialect.CHAT else ""
        limit = output_limit
        if asked.output_limit is not None:  # it stays as it is, unless the server would not read it
            limit = asked.output_limit if field and not _says(body, asked, field) else None
        return dialect, splice(
            body, asked, model=name, output_limit=limit, include_usage=asked.stream, limit_field=field
        )
    return dialect, translate_request(
        body,
        asked,
        dialect,
        model=name,
        output_limit=output_limit,
        include_usage=asked.stream,
        limit_field=field or "max_completion_tokens",
    )


def _says(body: bytes, asked: Asked, field: str) -> bool:
    """Tell whether a request gives a field a value: null is none, and a server that reads it so would know no limit."""
    span = asked.members.get(field)
    return span is not None and body[span[1] : span[2]] != b"null"


class Sender:
    """Sends requests to models' servers for one process."""

    def __init__(self, models: ModelServers, states: ModelStates, ticker: Ticker) -> None:
        self._transport = models.transport
        self._local_url = models.local_url
        self._local_key = models.local_key
        self._states = states
        self._ticker = ticker

    async def send(
        self,
        asked: Asked,
        body: bytes,
        model: Model,
        facts: OrganizationFacts,
        *,
        output_limit: int | None,
        headers: Headers = (),
    ) -> Sent | Bad:
        """Return the answer of one try once its head is there; `headers` go along where no translation is needed."""
        dialect, upstream_body = prepared(asked, body, model, output_limit=output_limit)
        try:
            key = self._key(model, facts)
            where = target(model, dialect, key=key, local_url=self._local_url)
        except AosError as error:
            return Bad(model, error.detail, sent=False, retryable=False)
        request = UpstreamRequest(
            where.url,
            (*where.headers, *headers) if dialect is asked.dialect else where.headers,
            upstream_body,
            permitted=permitted_hosts(model, facts.hosts, local_url=self._local_url),
            first_byte_seconds=model.timeout_seconds,
            own=model.provider is Provider.LOCAL,
        )
        if not self._states.may_ask(facts.id, model):
            return Bad(model, f"model `{model.name}` fails at the moment", sent=False, retryable=True, status=503)
        began = self._ticker.seconds()
        try:
            answer = await self._transport.send(request)
        except UpstreamFailed as error:
            self._states.failed(facts.id, model, error.detail)
            return Bad(model, error.detail, sent=error.sent, retryable=not error.sent)
        waited = self._ticker.seconds() - began
        self._states.heard(facts.id, model, answer.status, answer.headers, first_byte_seconds=waited)
        if 200 <= answer.status < 300:
            if asked.stream and answer.headers.get("content-type", "").startswith("application/json"):
                await answer.close()
                why = f"model `{model.name}` was asked for a stream and answered with a document"
                return Bad(model, why, sent=True, retryable=False)
            return Sent(model, dialect, answer)
        return await self._refused(asked, model, dialect, answer, key=key)

    def _key(self, model: Model, facts: OrganizationFacts) -> str:
        if model.provider is Provider.LOCAL:
            return self._local_key
        return facts.secret(model.secret) if model.secret else ""

    async def _refused(self, asked: Asked, model: Model, dialect: Dialect, answer: UpstreamAnswer, *, key: str) -> Bad:
        try:
            said = _without_key(await answer.read(at_most=ERROR_BYTES_MAX), key)
        except UpstreamFailed:
            said = b""
        finally:
            await answer.close()
        status = answer.status if answer.status >= 400 else 502
        passed = tuple((name, answer.headers[name]) for name in ("retry-after",) if name in answer.headers)
        return Bad(
            model,
            f"model `{model.name}` answered {answer.status}",
            sent=True,
            retryable=answer.status in _RETRYABLE,
            status=status,
            body=translate_error(status, said, dialect, asked.dialect),
            headers=passed,
        )


def _without_key(said: bytes, key: str) -> bytes:
    """Return an error without the key that it was asked with, which servers quote where they do not know it."""
    return said.replace(key.encode(), b"[key]") if len(key) >= _KEY_BYTES_MIN else said
