"""The JSON Schemas of models and purposes, as parts of the manifest's own."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from aos.kernel.dialects.values import Dialect
from aos.kernel.json import Json
from aos.kernel.limits import CONCURRENCY_MAX, NAME_LENGTH_MAX
from aos.kernel.models.values import Capability, CascadeCheck, Objective, Provider

FREE: Final = "free"
"""What is written for a price where nothing is charged."""
TOKENS_MAX: Final = 100_000_000
PURPOSE_ATTEMPTS_MAX: Final = 10

_JsonObject = dict[str, Json]


def model_schema() -> Json:
    """Return the schema of one model; what is left out comes from the catalogue."""
    return _closed(
        {
            "provider": _one_of(Provider, "Who serves it; the catalogue's, where it knows the name"),
            "api_key": _part(
                {"secret": _text("The name of the secret that holds the key", pattern=_SECRET)},
                "The provider's key: a secret, which no agent and no record ever sees",
                required=("secret",),
            ),
            "upstream": _text("Its name at the provider; the name it has here, unless it says so", minLength=1),
            "base_url": _text(
                "Where its server is, without the path of a request; the provider's own, unless it says so",
                pattern="^https?://[^/?#@ ]+(/[^?# ]*)?$",
                examples=["https://models.larkspur.example/v1"],
            ),
            "dialects": _list(_one_of(Dialect, "A form of requests"), "What its server speaks"),
            "context": _tokens("How many tokens a request and its answer may have together"),
            "output": _tokens("How many tokens an answer may have"),
            "price": {
                "description": "What it costs: `free`; or figures, `input_per_million`, `output_per_million`, `cached_per_million`, "
                "`cache_write_per_million`, `cache_write_hour_per_million`, with `since`, `above_tokens` and `source`; or a "
                "list of them where they change with time or size",
                "anyOf": [
                    {"type": "string", "const": FREE},
                    _price(),
                    {"type": "array", "items": _price(), "minItems": 1},
                ],
            },
            "capabilities": _list(_one_of(Capability, "Something it can do"), "What requests may need of it"),
            "tags": _list(_text("A word"), "Words that it is found by"),
            "region": _text("Where data is worked on, as purposes name it", examples=["eu"]),
            "strength": _integer("How much it can: 1 is light, 5 the strongest", 1, 5),
            "fallbacks": _list(_ref("model"), "What is asked instead where it fails, in this order"),
            "concurrency": _integer(
                "How many of its calls may be under way at once; past it a caller waits, then is told to",
                1,
                CONCURRENCY_MAX,
            ),
            "timeout": _ref("duration", "How long an answer may take; 10m unless it says so"),
            "options": {
                "type": "object",
                "description": "What one provider needs besides: `api_version` and `deployment` of Azure",
                "additionalProperties": _text("A setting"),
                "maxProperties": 20,
            },
        }
    )


def purpose_schema() -> Json:
    """Return the schema of one purpose."""
    return _closed(
        {
            "models": _list(_ref("model"), "The models that may do it, in order of preference", minItems=1),
            "objective": _one_of(Objective, "What is preferred among them", default=Objective.BALANCED),
            "residency": _list(_text("A region"), "The regions that its requests may go to; any, when left out"),
            "canary": {
                "type": "object",
                "description": "Per cent of its requests that go to a model first, by the model's name",
                "propertyNames": _ref("model"),
                "additionalProperties": _integer("Per cent", 0, 100),
                "examples": [{"gpt-4o-mini": 5}],
            },
            "hedge_after": _ref("duration", "After how long without a first byte a second model is asked too"),
            "cascade": _list(
                _one_of(CascadeCheck, "A check"),
                "Models are asked from the lightest on, until an answer passes each of these",
            ),
            "cache": _ref("duration", "How long the same request is answered by the same answer"),
            "attempts": _integer("How many models may be tried for one request", 1, PURPOSE_ATTEMPTS_MAX, default=2),
        },
        required=("models",),
    )


def host_schema() -> Json:
    """Return the schema of a host that models may be reached at."""
    return _text(
        "A host, or a host and its port", pattern=_HOST, examples=["models.larkspur.example", "127.0.0.1:8080"]
    )


_SECRET: Final = "^[a-z0-9][a-z0-9_./-]*$"
_HOST: Final = r"^([a-z0-9][a-z0-9.-]*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?$"


def _price() -> Json:
    return _closed(
        {
            "input_per_million": _ref("money", "A million tokens of input"),
            "output_per_million": _ref("money", "A million tokens of output"),
            "cached_per_million": _ref("money", "A million tokens of input that the provider had cached"),
            "cache_write_per_million": _ref("money", "A million tokens of input that the provider put into its cache"),
            "cache_write_hour_per_million": _ref("money", "A million of these to be kept for an hour"),
            "since": {"type": "string", "format": "date", "description": "The day that these figures hold from"},
            "above_tokens": _integer("The least input of a call that they hold for", 0, TOKENS_MAX, default=0),
            "source": _text("Where the figures were read"),
        },
        required=("input_per_million",),
    )


def _closed(properties: _JsonObject, *, required: tuple[str, ...] = ()) -> _JsonObject:
    found: _JsonObject = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**found, "required": list(required)} if required else found


def _part(properties: _JsonObject, description: str, *, required: tuple[str, ...]) -> _JsonObject:
    return {**_closed(properties, required=required), "description": description}


def _text(description: str, **more: Json) -> _JsonObject:
    return {"type": "string", "description": description, "maxLength": NAME_LENGTH_MAX, **more}


def _list(items: Json, description: str, **more: Json) -> _JsonObject:
    return {
        "type": "array",
        "items": items,
        "description": description,
        "maxItems": 1_000,
        "uniqueItems": True,
        **more,
    }


def _ref(name: str, description: str = "") -> _JsonObject:
    return {"$ref": f"#/$defs/{name}", **({"description": description} if description else {})}


def _one_of(values: type[StrEnum], description: str, *, default: StrEnum | None = None) -> _JsonObject:
    found: _JsonObject = {"enum": [value.value for value in values], "description": description}
    return found if default is None else {**found, "default": default.value}


def _integer(description: str, least: int, most: int, *, default: int | None = None) -> _JsonObject:
    found: _JsonObject = {"type": "integer", "minimum": least, "maximum": most, "description": description}
    return found if default is None else {**found, "default": default}


def _tokens(description: str) -> _JsonObject:
    return _integer(description, 1, TOKENS_MAX)
