"""Putting what the gate owns into a request: the model's name, the output limit, and whether usage is streamed.

Everything else stays byte for byte as the client wrote it: white space, order, spelling of numbers and of text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from aos.kernel.dialects.members import find_members
from aos.kernel.dialects.values import Asked, Dialect, Span

_LIMITS: Final[Mapping[Dialect, tuple[str, ...]]] = {
    # The first is written where the client named none.
    Dialect.CHAT: ("max_completion_tokens", "max_tokens"),
    Dialect.RESPONSES: ("max_output_tokens",),
    Dialect.MESSAGES: ("max_tokens",),
    Dialect.EMBEDDINGS: (),
    Dialect.COUNT_TOKENS: (),
}


def splice(
    body: bytes,
    asked: Asked,
    *,
    model: str,
    output_limit: int | None = None,
    include_usage: bool = False,
    limit_field: str = "",
) -> bytes:
    """Return `body` with another model, another output limit unless None, and usage in the stream where it is wanted.

    `body` is what `asked` was read of. The limit stands where the client put it; `limit_field` is the one name for it that
    the provider knows (`max_tokens` or `max_completion_tokens`), under which it then stands.
    """
    members = asked.members or find_members(body)
    changes: list[tuple[int, int, bytes]] = [_value(members["model"], model)]
    added: list[bytes] = []
    if output_limit is not None:
        _set_limit(members, _LIMITS[asked.dialect], output_limit, only=limit_field, changes=changes, added=added)
    if include_usage and asked.dialect is Dialect.CHAT and not asked.includes_usage:
        _set_usage(body, members.get("stream_options"), changes=changes, added=added)
    if added:
        first = min(span[0] for span in members.values())
        changes.append((first, first, b"".join(member + b"," for member in added)))
    changes.sort()
    parts: list[bytes] = []
    position = 0
    for start, end, text in changes:
        parts += (body[position:start], text)
        position = end
    parts.append(body[position:])
    return b"".join(parts)


def _set_limit(
    members: Mapping[str, Span],
    names: tuple[str, ...],
    limit: int,
    *,
    only: str,
    changes: list[tuple[int, int, bytes]],
    added: list[bytes],
) -> None:
    there = [name for name in names if name in members]
    if not names or (only and only not in names):
        return
    for name in there:
        if not only or name == only or only in there:
            changes.append(_value(members[name], limit))
        else:
            changes.append((members[name][0], members[name][2], _member(only, limit)))
    if not there:
        added.append(_member(only or names[0], limit))


def _set_usage(body: bytes, options: Span | None, *, changes: list[tuple[int, int, bytes]], added: list[bytes]) -> None:
    wanted = _member("include_usage", True)
    if options is None:
        added.append(b'"stream_options":{' + wanted + b"}")
        return
    _, start, end = options
    if body[start:end] == b"null":
        changes.append((start, end, b"{" + wanted + b"}"))
        return
    inner = find_members(body[start:end])
    if "include_usage" in inner:
        _, value, past = inner["include_usage"]
        changes.append((start + value, start + past, b"true"))
    else:
        changes.append((start + 1, start + 1, wanted + (b"," if inner else b"")))


def _value(span: Span, value: str | int) -> tuple[int, int, bytes]:
    return span[1], span[2], msgspec.json.encode(value)


def _member(name: str, value: int) -> bytes:
    return b'"%s":%s' % (name.encode("ascii"), msgspec.json.encode(value))
