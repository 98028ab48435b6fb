"""Tools that are HTTP requests: where each argument goes, and how a request is filled with them.

- An argument fills one segment of the path at most: it is percent-encoded, and one that could lead elsewhere (`..`) is refused.
- Nothing of an argument reaches the host, the names of headers, or a second line of a header.
- A secret stands in headers alone; `Filled` is never written down.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, cast
from urllib.parse import quote

import msgspec

from aos.kernel.errors import FieldError, InvalidRequest
from aos.kernel.json import Json
from aos.kernel.limits import TARGET_BYTES_MAX
from aos.kernel.schema import pointer

IDEMPOTENCY_HEADER: Final = b"idempotency-key"
_PLACE: Final = re.compile(r"\{([^{}]*)\}")
_STEPS: Final = re.compile(r"[/\\]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_PRINTED: Final = re.compile(r"[\t -~]*")
_OURS: Final = frozenset({
    "accept-encoding", "connection", "content-length", "content-type", "expect", "host", "idempotency-key", "keep-alive",
    "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
"""Headers that AOS writes itself, or that belong to the connection."""


class Method(StrEnum):
    """The methods of requests."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"


_BODILESS: Final = frozenset({Method.GET, Method.DELETE})


@dataclass(frozen=True, slots=True)
class Filled:
    """One request as it is sent; `secrets` are the values in it that must not come back."""

    method: Method
    url: str
    headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    body: bytes
    secrets: tuple[str, ...] = field(default=(), repr=False)


def form_problems(
    options: Mapping[str, Json], schema: Json, fixed: Mapping[str, Json], *, at: str
) -> Iterator[FieldError]:
    """Yield what is wrong with the `http` of a tool, which stands at pointer `at` and has passed the manifest's schema."""
    properties = schema.get("properties", {}) if isinstance(schema, dict) else {}
    known = {*cast(dict[str, Json], properties), *fixed}
    required = {*cast(list[str], schema.get("required") or []), *fixed} if isinstance(schema, dict) else set(fixed)
    url, names = str(options["url"]), _placeholders(str(options["url"]))
    if "{" in _PLACE.sub("", url) or "}" in _PLACE.sub("", url):
        yield FieldError(
            pointer(at, "url"), "a `{` and a `}` stand around the name of an argument, as in `/orders/{id}`"
        )
    for name in names:
        if name not in known:
            yield FieldError(pointer(at, "url"), f"`{name}` is not an argument: declare it under `args`")
        elif name not in required:
            yield FieldError(pointer(at, "url"), f"`{name}` stands in the path: it must be `required`")
    headers = cast(dict[str, Json], options.get("headers") or {})
    yield from _header_problems(headers, known, pointer(at, "headers"))
    query = cast(list[str], options.get("query") or [])
    for index, name in enumerate(query):
        if name not in known:
            yield FieldError(
                pointer(pointer(at, "query"), index), f"`{name}` is not an argument: declare it under `args`"
            )
    used = [*names, *query, *_header_arguments(headers), *_body_argument(options)]
    for name in sorted({each for each in used if used.count(each) > 1}):
        yield FieldError(at, f"the argument `{name}` has two places: name it once in path, query, headers or body")
    yield from _body_problems(options, schema, known - set(used), known=known, at=at)


def fill(
    options: Mapping[str, Json], arguments: Mapping[str, Json], *, secret: Callable[[str], str], key: str = ""
) -> Filled:
    """Return the request of one call; `secret` opens a secret by name, `key` becomes its `Idempotency-Key`.

    Raises InvalidRequest where an argument cannot stand in its place, and what `secret` raises.
    """
    template = str(options["url"])
    left = dict(arguments)
    origin, path, fixed_query = _taken_apart(template)
    path = "/".join(_segment(segment, arguments) for segment in path.split("/"))
    pairs = []
    for name in cast(list[str], options.get("query") or []):
        pairs += [(name, word) for word in _words(name, arguments.get(name))]
    query = "&".join(
        [
            *([fixed_query] if fixed_query else []),
            *(f"{quote(name, safe='')}={quote(word, safe='')}" for name, word in pairs),
        ]
    )
    url = origin + path + (f"?{query}" if query else "")
    if len(url) > TARGET_BYTES_MAX:
        raise InvalidRequest(f"the arguments make an address of {len(url)} characters, over {TARGET_BYTES_MAX}")
    headers, secrets = _headers(options, arguments, secret)
    written = cast(dict[str, Json], options.get("headers") or {})
    for name in (*_placeholders(template), *cast(list[str], options.get("query") or []), *_header_arguments(written)):
        left.pop(name, None)
    method = Method(str(options["method"]))
    body = _body(options, method, left)
    if body:
        headers.append((b"content-type", b"application/json"))
    if key:
        headers.append((IDEMPOTENCY_HEADER, key.encode("ascii", "replace")))
    return Filled(method, url, tuple(headers), body, secrets)


def body_form(options: Mapping[str, Json]) -> Json:
    """Return how the body is made: as it says, else `none` for GET and DELETE and `json` for the others."""
    usual = "none" if str(options["method"]) in _BODILESS else "json"
    return options.get("body", usual)


def _taken_apart(template: str) -> tuple[str, str, str]:
    """Return scheme and host, the path, and the query of a tool's `url`."""
    front, _, query = template.partition("?")
    scheme, _, rest = front.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host}", slash + path or "/", query


def _placeholders(url: str) -> list[str]:
    return _PLACE.findall(url)


def _header_arguments(headers: Mapping[str, Json]) -> list[str]:
    return [str(each["argument"]) for each in headers.values() if isinstance(each, dict) and "argument" in each]


def _body_argument(options: Mapping[str, Json]) -> list[str]:
    body = options.get("body")
    return [str(body["argument"])] if isinstance(body, dict) else []


def _header_problems(headers: Mapping[str, Json], known: Set[str], at: str) -> Iterator[FieldError]:
    lower = [name.lower() for name in headers]
    for name, value in headers.items():
        place = pointer(at, name)
        if name.lower() in _OURS:
            yield FieldError(place, f"the header `{name}` is written by AOS itself")
        if lower.count(name.lower()) > 1:
            yield FieldError(place, f"the header `{name}` stands here twice")
        if isinstance(value, str) and not _PRINTED.fullmatch(value):
            yield FieldError(place, "a header's value is one line of ASCII")
        if isinstance(value, dict) and "argument" in value and value["argument"] not in known:
            yield FieldError(
                pointer(place, "argument"), f"`{value['argument']}` is not an argument: declare it under `args`"
            )
        if isinstance(value, dict) and not _PRINTED.fullmatch(str(value.get("prefix", ""))):
            yield FieldError(pointer(place, "prefix"), "a header's value is one line of ASCII")


def _body_problems(
    options: Mapping[str, Json], schema: Json, over: Set[str], *, known: Set[str], at: str
) -> Iterator[FieldError]:
    """Check that every argument has a place."""
    form = body_form(options)
    if form != "none" and str(options["method"]) == Method.GET:
        yield FieldError(pointer(at, "body"), "a GET has no body: name its arguments in `query`")
    for name in _body_argument(options):
        if name not in known:
            yield FieldError(pointer(at, "body"), f"`{name}` is not an argument: declare it under `args`")
    if form == "json":
        return
    for name in sorted(over):
        yield FieldError(
            at, f"the argument `{name}` has no place in the request: name it in path, `query` or `headers`"
        )
    if isinstance(schema, dict) and schema.get("additionalProperties", True) is not False:
        yield FieldError(
            at, "arguments that nobody named have no place in the request: `additionalProperties` is false"
        )


def _segment(template: str, arguments: Mapping[str, Json]) -> str:
    """Return one segment of the path, filled."""
    if "{" not in template:
        return template
    words = {name: _word(name, arguments.get(name)) for name in _placeholders(template)}
    plain = _PLACE.sub(lambda found: words[found[1]], template)
    for name, word in words.items():
        if not word or _CONTROL.search(word):
            raise _unfit(name, "must not be empty nor hold control characters where it stands in the path")
    if any(step in (".", "..") for step in _STEPS.split(plain)):
        raise _unfit(next(iter(words)), "must not lead to another path")
    return _PLACE.sub(lambda found: quote(words[found[1]], safe=""), template)


def _words(name: str, value: Json) -> list[str]:
    """Return the words of one name of a query: none where it is left out, several where it is a list."""
    if value is None:
        return []
    return [_word(name, each) for each in value] if isinstance(value, list) else [_word(name, value)]


def _word(name: str, value: Json) -> str:
    """Return a single value as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return msgspec.json.encode(value).decode()
    if not isinstance(value, str):
        raise _unfit(name, "must be a text, a number or a boolean there" if value is not None else "is missing")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _unfit(name, "must be text that UTF-8 can write") from None
    return value


def _headers(
    options: Mapping[str, Json], arguments: Mapping[str, Json], secret: Callable[[str], str]
) -> tuple[list[tuple[bytes, bytes]], tuple[str, ...]]:
    found: list[tuple[bytes, bytes]] = [(b"accept", b"application/json, text/*;q=0.9"), (b"user-agent", b"aos")]
    secrets = []
    for name, value in cast(dict[str, Json], options.get("headers") or {}).items():
        text = str(value)
        if isinstance(value, dict) and "secret" in value:
            opened = secret(str(value["secret"]))
            secrets.append(opened)
            text = str(value.get("prefix", "")) + opened
        elif isinstance(value, dict):
            given = arguments.get(str(value["argument"]))
            if given is None:
                continue
            text = _word(str(value["argument"]), given)
        if not _PRINTED.fullmatch(text):
            raise InvalidRequest(f"what stands in the header `{name}` must be one line of ASCII")
        if name.lower() in ("accept", "user-agent"):
            found = [each for each in found if each[0] != name.lower().encode()]
        found.append((name.lower().encode("ascii"), text.strip().encode("ascii")))
    return found, tuple(secrets)


def _body(options: Mapping[str, Json], method: Method, left: Mapping[str, Json]) -> bytes:
    form = body_form(options)
    if form == "none" or method is Method.GET:
        return b""
    if isinstance(form, dict):
        name = str(form["argument"])
        return msgspec.json.encode(left[name]) if name in left else b""
    return msgspec.json.encode(left)


def _unfit(name: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"the argument `{name}` {why}", errors=[FieldError(pointer("", name), why)])
