"""Translating requests: from the client's dialect into the one that the chosen model's server speaks."""

from __future__ import annotations

from typing import Final

import msgspec

from aos.kernel.dialects.members import not_json
from aos.kernel.dialects.translate.from_chat import read_chat
from aos.kernel.dialects.translate.from_messages import read_messages
from aos.kernel.dialects.translate.from_responses import read_responses
from aos.kernel.dialects.translate.neutral import Ask
from aos.kernel.dialects.translate.to_chat import write_chat
from aos.kernel.dialects.translate.to_messages import write_messages
from aos.kernel.dialects.values import Asked, Dialect
from aos.kernel.errors import InvalidRequest

OUTPUT_LIMIT_DEFAULT: Final = 4_096
"""What is asked of a model that wants a limit where nobody named one."""

_DECODER: Final = msgspec.json.Decoder(dict[str, object])
_CLIENTS: Final = frozenset({Dialect.CHAT, Dialect.RESPONSES, Dialect.MESSAGES})
_UPSTREAMS: Final = frozenset({Dialect.CHAT, Dialect.MESSAGES})


def can_speak(client: Dialect, upstream: Dialect) -> bool:
    """Tell whether a request of `client` can reach a server that speaks `upstream`: unchanged, or translated."""
    return client is upstream or (client in _CLIENTS and upstream in _UPSTREAMS)


def translate_request(
    body: bytes,
    asked: Asked,
    upstream: Dialect,
    *,
    model: str,
    output_limit: int | None = None,
    include_usage: bool = False,
    limit_field: str = "max_completion_tokens",
) -> bytes:
    """Return the body for a server that speaks `upstream`, another dialect than the one that `asked` was read in.

    `model`, `output_limit` and `include_usage` are the gate's as in `splice`; without a limit of the gate the client's holds.

    Raises:
        InvalidRequest: something cannot be carried over; `errors` points at it in the client's body.
    """
    if asked.dialect is upstream or not can_speak(asked.dialect, upstream):
        raise InvalidRequest(f"a request of `{asked.dialect}` cannot be put as `{upstream}`: name another model")
    ask = _read(body, asked.dialect)
    limit = asked.output_limit if output_limit is None else output_limit
    if upstream is Dialect.MESSAGES:
        return write_messages(ask, model=model, output_limit=OUTPUT_LIMIT_DEFAULT if limit is None else limit)
    return write_chat(ask, model=model, output_limit=limit, include_usage=include_usage, limit_field=limit_field)


def _read(body: bytes, dialect: Dialect) -> Ask:
    try:
        read = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise not_json(error) from error
    match dialect:
        case Dialect.CHAT:
            return read_chat(read)  # type: ignore[arg-type]
        case Dialect.RESPONSES:
            return read_responses(read)  # type: ignore[arg-type]
        case _:
            return read_messages(read)  # type: ignore[arg-type]
