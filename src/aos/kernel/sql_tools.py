"""Tools that are one statement of SQL: which arguments it names, and where its database is.

The statement is the operator's; what an agent gives are parameters, sent apart from it. A database is named by host, and by
nothing that would let the client library read files, run other settings or go to another address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from aos.kernel.errors import FieldError, InvalidRequest
from aos.kernel.json import Json
from aos.kernel.schema import pointer
from aos.kernel.tools import Effect

ROWS_USUAL: Final = 100
ROWS_MAX: Final = 5_000
RESULT_BYTES_MAX: Final = 1_000_000
_MARK: Final = re.compile(r"%(?:%|\(([A-Za-z_][A-Za-z0-9_]*)\)s)?")
_SSL_MODES: Final = frozenset({"disable", "prefer", "require", "verify-ca", "verify-full"})
_OPTIONS: Final = frozenset({"sslmode", "sslrootcert", "connect_timeout", "application_name"})


@dataclass(frozen=True, slots=True)
class SqlServer:
    """Where a database is and as whom it is read."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    ssl_mode: str = ""
    """Empty: the client's own, which takes TLS where the server has it."""
    system_authorities: bool = False


def placeholders(query: str) -> tuple[list[str], bool]:
    """Return the arguments that a statement names, and whether every `%` in it is one or is doubled."""
    found, sound = [], True
    for mark in _MARK.finditer(query):
        if mark[1]:
            found.append(mark[1])
        elif mark[0] != "%%":
            sound = False
    return list(dict.fromkeys(found)), sound


def statement_problems(
    options: Mapping[str, Json], schema: Json, fixed: Mapping[str, Json], *, effect: Effect, at: str
) -> Iterator[FieldError]:
    """Yield what is wrong with the `sql` of a tool, which stands at pointer `at` and has passed the manifest's schema."""
    if effect is not Effect.READ:
        yield FieldError(at, f"a statement only reads: its effect is `read`, not `{effect}`")
    properties = schema.get("properties") if isinstance(schema, dict) else None
    known = {*(properties if isinstance(properties, dict) else {}), *fixed}
    names, sound = placeholders(str(options["query"]))
    place = pointer(at, "query")
    if not sound:
        yield FieldError(place, "a `%` begins an argument, `%(name)s`; write `%%` where you mean the sign")
    for name in names:
        if name not in known:
            yield FieldError(place, f"`{name}` is not an argument: declare it under `args`")
    for name in sorted(known - set(names)):
        yield FieldError(place, f"the argument `{name}` does not stand in the statement: write it as `%({name})s`")
    if isinstance(schema, dict) and schema.get("additionalProperties", True) is not False:
        yield FieldError(
            at, "arguments that nobody named do not stand in the statement: `additionalProperties` is false"
        )


def read_dsn(text: str) -> SqlServer:
    """Return the database that a URL names: `postgresql://user:password@host:5432/database?sslmode=verify-full`.

    Raises InvalidRequest, which repeats nothing of the URL, where it is none or says more than that.
    """
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname or "", parts.port or 5432
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise _unfit("it is no URL") from None
    if parts.scheme not in ("postgresql", "postgres"):
        raise _unfit("write it as `postgresql://user:password@host:5432/database`")
    database, user, password = unquote(parts.path[1:]), unquote(parts.username or ""), unquote(parts.password or "")
    if not host or "," in host or "%" in host or not database or not user or parts.password is None:
        raise _unfit("it names one host, a user, a password and a database")
    if wrong := sorted(set(options) - _OPTIONS):
        raise _unfit(
            f"`{wrong[0][:40]}` is not read: of options only {', '.join(f'`{each}`' for each in sorted(_OPTIONS))}"
        )
    if options.get("sslmode", "prefer") not in _SSL_MODES or options.get("sslrootcert", "system") != "system":
        raise _unfit("`sslmode` is one of the client's own, and `sslrootcert` is `system`")
    return SqlServer(host.lower(), port, database, user, password, options.get("sslmode", ""), "sslrootcert" in options)


def _unfit(why: str) -> InvalidRequest:
    return InvalidRequest(f"the secret that names the database cannot be used: {why}")
