"""The JSON Schemas of tools that need no code: `http`, `openapi`, `sql` and `email`, as parts of the manifest's own."""

from __future__ import annotations

from typing import Final

from aos.kernel.email_tools import Tls
from aos.kernel.http_tools import Method
from aos.kernel.json import Json
from aos.kernel.limits import NAME_LENGTH_MAX
from aos.kernel.sql_tools import ROWS_MAX, ROWS_USUAL

_SECRET: Final = "^[a-z0-9][a-z0-9_./-]*$"
_HEADER: Final = "^[A-Za-z0-9-]+$"
_HOST: Final = "[^/?#@{} ]+"
_VALUE_MAX: Final = 4_000
_QUERY_MAX: Final = 50_000

_JsonObject = dict[str, Json]


def http_schema() -> Json:
    """Return the schema of a tool that is a request."""
    return _closed(
        {
            "method": {"enum": [each.value for each in Method], "description": "The method of the request"},
            "url": _text(
                "Where it goes; `{name}` is an argument, as one segment of the path. Its host must be one of "
                "`organization.hosts`",
                pattern=rf"^https?://{_HOST}(/[^?# ]*)?([?][^#{{}} ]*)?$",
                examples=["https://api.larkspur.example/orders/{id}"],
            ),
            "query": _names("The arguments that stand in the query; one that is a list stands there several times"),
            "headers": _headers(),
            "body": {
                "description": "What the body is: `json`, an object of the arguments that have no other place; `none`; or one "
                "argument whole. `none` for GET and DELETE, `json` for the others, unless it says so",
                "anyOf": [{"enum": ["json", "none"]}, _closed({"argument": _text("An argument")}, "argument")],
            },
        },
        "method",
        "url",
        description="An HTTP request: its answer, JSON or text, is the tool's value",
    )


def openapi_schema() -> Json:
    """Return the schema of an operation of an OpenAPI document; `aos apply` reads the document and sends `http` and `args`."""
    return _closed(
        {
            "document": _text("The file of the document, beside the manifest: OpenAPI 3.0 or 3.1, JSON or YAML"),
            "operation": _text("The `operationId`"),
            "server": _text(
                "Where the service is, before the operation's path; the document's first server, unless it says so",
                pattern=rf"^https?://{_HOST}(/[^?#{{}} ]*)?$",
            ),
            "headers": _headers(),
        },
        "document",
        "operation",
        description="An operation of an OpenAPI document: `aos apply` makes it an `http` tool with its arguments",
    )


def sql_schema() -> Json:
    """Return the schema of a tool that reads a database."""
    return _closed(
        {
            "dsn": _closed(
                {"secret": _secret("The secret that holds `postgresql://user:password@host:5432/database`")}, "secret"
            ),
            "query": {
                "type": "string",
                "minLength": 1,
                "maxLength": _QUERY_MAX,
                "description": "One SELECT; `%(name)s` is an argument, sent as a parameter. It runs in a read-only transaction",
            },
            "rows": {
                "type": "integer",
                "minimum": 1,
                "maximum": ROWS_MAX,
                "default": ROWS_USUAL,
                "description": "How many rows it answers at most; where there are more, `truncated` says so",
            },
        },
        "dsn",
        "query",
        description="A statement that reads a PostgreSQL database: `effect` is `read`",
    )


def email_tool_schema() -> Json:
    """Return the schema of a tool that sends e-mail."""
    return _closed(
        {
            "server": _text(
                "The mail server, `host:port`, one of `organization.hosts`",
                pattern=r"^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$",
                examples=["smtp.larkspur.example:587"],
            ),
            "username": _text("As whom AOS signs in there"),
            "password": _closed({"secret": _secret("The secret that holds the password")}, "secret"),
            "from": _text("Who writes: one address", format="email"),
            "tls": {
                "enum": [each.value for each in Tls],
                "default": Tls.STARTTLS.value,
                "description": "How the connection is kept secret; `none` only to a server on this machine",
            },
        },
        "server",
        "from",
        description="An e-mail a call, with `to`, `subject`, `text` and `cc`: `effect` is `send`",
    )


def _headers() -> Json:
    prefix = _text("What stands before it, as `Bearer ` does")
    return {
        "type": "object",
        "description": "Headers: texts, secrets by name, or arguments",
        "propertyNames": {"type": "string", "pattern": _HEADER, "maxLength": NAME_LENGTH_MAX},
        "additionalProperties": {
            "anyOf": [
                {"type": "string", "maxLength": _VALUE_MAX},
                _closed({"secret": _secret("The name of a secret of the organization"), "prefix": prefix}, "secret"),
                _closed({"argument": _text("An argument")}, "argument"),
            ]
        },
        "maxProperties": 50,
    }


def _names(description: str) -> Json:
    return {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": NAME_LENGTH_MAX},
        "maxItems": 100,
        "uniqueItems": True,
        "description": description,
    }


def _secret(description: str) -> Json:
    return _text(description, pattern=_SECRET)


def _text(description: str, **more: Json) -> Json:
    return {"type": "string", "minLength": 1, "maxLength": NAME_LENGTH_MAX, "description": description, **more}


def _closed(properties: _JsonObject, *required: str, description: str = "") -> Json:
    found: _JsonObject = {"type": "object", "properties": properties, "additionalProperties": False}
    found["required"] = list(required)
    return {**found, "description": description} if description else found
