"""Reading a messages request for a model that speaks another dialect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from aos.kernel.dialects.translate.fields import (
    cannot_carry,
    encode_text,
    flag_at,
    list_at,
    number_at,
    object_at,
    refuse_others,
    text_at,
)
from aos.kernel.dialects.translate.from_chat import texts_at
from aos.kernel.dialects.translate.neutral import (
    Ask,
    Block,
    Call,
    Function,
    Image,
    Redacted,
    Result,
    Role,
    Schema,
    Text,
    Thought,
    Turn,
    Use,
)
from aos.kernel.json import Json

LOW_BUDGET_TOKENS: Final = 2_048
MEDIUM_BUDGET_TOKENS: Final = 8_192
"""Budgets of thinking up to these are low and medium effort where only an effort can be said; above is high."""

_KNOWN: Final = frozenset(
    "model messages system stream max_tokens temperature top_p stop_sequences tools tool_choice thinking output_config "
    "output_format metadata".split()
)
# Hints about caching and tiers change no answer.
_LEFT_OUT: Final = frozenset("cache_control service_tier".split())
_HARMLESS: Final[Mapping[str, Sequence[Json]]] = {"speed": ["standard"], "mcp_servers": [[]]}
_ROLES: Final = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}


def read_messages(read: Mapping[str, Json]) -> Ask:
    """Return a request in neutral form; raise InvalidRequest with the pointer of what no other dialect can say."""
    refuse_others(read, "", known=_KNOWN | _LEFT_OUT, harmless=_HARMLESS)
    turns = [_turn(each, f"/messages/{index}") for index, each in enumerate(list_at(read.get("messages"), "/messages"))]
    system = _content(read.get("system"), "/system")
    config = object_at(read.get("output_config") or {}, "/output_config")
    refuse_others(config, "/output_config", known={"effort", "format"})
    effort, adaptive = _thinking(read.get("thinking"), text_at(config, "effort", "/output_config", default=""))
    use, use_name, parallel = _use(read.get("tool_choice"))
    metadata = object_at(read.get("metadata") or {}, "/metadata")
    return Ask(
        (*((Turn(Role.SYSTEM, system),) if system else ()), *turns),
        functions=tuple(
            _function(each, f"/tools/{index}") for index, each in enumerate(list_at(read.get("tools"), "/tools"))
        ),
        use=use,
        use_name=use_name,
        parallel=parallel,
        temperature=number_at(read, "temperature"),
        top_p=number_at(read, "top_p"),
        stop=texts_at(read.get("stop_sequences"), "/stop_sequences"),
        stop_pointer="/stop_sequences",
        schema=_schema(config.get("format"), "/output_config/format")
        or _schema(read.get("output_format"), "/output_format"),
        effort=effort,
        adaptive=adaptive,
        user=text_at(metadata, "user_id", "/metadata", default=""),
        stream=bool(read.get("stream")),
    )


def _turn(value: Json, pointer: str) -> Turn:
    read = object_at(value, pointer)
    role = text_at(read, "role", pointer)
    if role not in _ROLES:
        raise cannot_carry(f"{pointer}/role", f"a message of the role `{role}` is not known there")
    return Turn(_ROLES[role], _content(read.get("content"), f"{pointer}/content"))


def _content(value: Json, pointer: str) -> tuple[Block, ...]:
    if isinstance(value, str):
        return (Text(value),)
    return tuple(_block(each, f"{pointer}/{index}") for index, each in enumerate(list_at(value, pointer)))


def _block(value: Json, pointer: str) -> Block:
    read = object_at(value, pointer)
    match read.get("type"):
        case "text":
            return Text(text_at(read, "text", pointer))
        case "image":
            return _image(object_at(read.get("source"), f"{pointer}/source"), f"{pointer}/source")
        case "thinking":
            signature = text_at(read, "signature", pointer, default="")
            return Thought(text_at(read, "thinking", pointer, default=""), signature)
        case "redacted_thinking":
            return Redacted(text_at(read, "data", pointer, default=""))
        case "tool_use":
            arguments = encode_text(object_at(read.get("input"), f"{pointer}/input"))
            return Call(text_at(read, "id", pointer), text_at(read, "name", pointer), arguments)
        case "tool_result":
            return _result(read, pointer)
        case sort:
            raise cannot_carry(f"{pointer}/type", f"content of the type `{sort}` is not known there")


def _result(read: Mapping[str, Json], pointer: str) -> Result:
    parts: list[Text | Image] = []
    for block in _content(read.get("content"), f"{pointer}/content"):
        if not isinstance(block, Text | Image):
            raise cannot_carry(f"{pointer}/content", "a result may hold text alone there")
        parts.append(block)
    failed = flag_at(read, "is_error", pointer) or False
    return Result(text_at(read, "tool_use_id", pointer), tuple(parts), is_error=failed, pointer=f"{pointer}/content")


def _image(read: Mapping[str, Json], pointer: str) -> Image:
    match read.get("type"):
        case "base64":
            return Image(media_type=text_at(read, "media_type", pointer), data=text_at(read, "data", pointer))
        case "url":
            return Image(url=text_at(read, "url", pointer))
        case sort:
            raise cannot_carry(f"{pointer}/type", f"a picture from `{sort}` is not known there")


def _function(value: Json, pointer: str) -> Function:
    read = object_at(value, pointer)
    if read.get("type") not in (None, "custom"):
        raise cannot_carry(f"{pointer}/type", f"the tool `{read.get('type')}` is Anthropic's own")
    refuse_others(
        read,
        pointer,
        known={"type", "name", "description", "input_schema", "strict", "cache_control", "eager_input_streaming"},
        harmless={"defer_loading": [False], "allowed_callers": [["direct"]], "input_examples": [[]]},
    )
    return Function(
        text_at(read, "name", pointer),
        object_at(read.get("input_schema"), f"{pointer}/input_schema"),
        text_at(read, "description", pointer, default=""),
        flag_at(read, "strict", pointer),
    )


def _use(value: Json) -> tuple[Use | None, str, bool | None]:
    if value is None:
        return None, "", None
    read = object_at(value, "/tool_choice")
    parallel = False if flag_at(read, "disable_parallel_tool_use", "/tool_choice") else None
    match read.get("type"):
        case "auto":
            return Use.AUTO, "", parallel
        case "none":
            return Use.NONE, "", parallel
        case "any":
            return Use.ANY, "", parallel
        case "tool":
            return Use.ONE, text_at(read, "name", "/tool_choice"), parallel
        case _:
            raise cannot_carry("/tool_choice/type", "this choice of tools is not known there")


def _thinking(value: Json, effort: str) -> tuple[str, bool]:
    """Return the effort that is meant, and whether thinking is wanted at all."""
    match value:
        case None | {"type": "disabled"}:
            return effort, False
        case {"type": "adaptive" | "between_tools"}:
            return effort, True
        case {"type": "enabled", "budget_tokens": int(budget)}:
            meant = "low" if budget <= LOW_BUDGET_TOKENS else "medium" if budget <= MEDIUM_BUDGET_TOKENS else "high"
            return effort or meant, True
        case _:
            raise cannot_carry("/thinking", "this way of thinking is not known there")


def _schema(value: Json, pointer: str) -> Schema | None:
    match value:
        case None:
            return None
        case {"type": "json_schema", "schema": dict(schema)}:
            return Schema(schema, strict=True, pointer=pointer)
        case _:
            raise cannot_carry(pointer, "this form of answer is not known there")
