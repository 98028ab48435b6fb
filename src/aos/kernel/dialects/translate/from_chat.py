"""Reading a chat/completions request for a model that speaks another dialect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from aos.kernel.dialects.read import refuse_field
from aos.kernel.dialects.translate.fields import (
    arguments_at,
    cannot_carry,
    flag_at,
    image_of,
    list_at,
    number_at,
    object_at,
    refuse_others,
    text_at,
)
from aos.kernel.dialects.translate.neutral import (
    Ask,
    Block,
    Call,
    Function,
    Image,
    Result,
    Role,
    Schema,
    Text,
    Turn,
    Use,
)
from aos.kernel.json import Json

_KNOWN: Final = frozenset(
    "model messages stream max_tokens max_completion_tokens temperature top_p stop tools tool_choice parallel_tool_calls "
    "response_format reasoning_effort verbosity user safety_identifier".split()
)
# Hints about caching, storing and tiers change no answer; usage in the stream is the gate's own.
_LEFT_OUT: Final = frozenset(
    "metadata store prompt_cache_key prompt_cache_options prompt_cache_retention service_tier stream_options".split()
)
_HARMLESS: Final[Mapping[str, Sequence[Json]]] = {
    "n": [1],
    "logprobs": [False],
    "top_logprobs": [0],
    "frequency_penalty": [0],
    "presence_penalty": [0],
    "logit_bias": [{}],
    "modalities": [["text"]],
    "functions": [[]],
}
_TURN: Final = frozenset("role content tool_calls tool_call_id refusal name".split())  # names of speakers are left out


def read_chat(read: Mapping[str, Json]) -> Ask:
    """Return a request in neutral form; raise InvalidRequest with the pointer of what no other dialect can say."""
    refuse_others(read, "", known=_KNOWN | _LEFT_OUT, harmless=_HARMLESS)
    turns = [_turn(each, f"/messages/{index}") for index, each in enumerate(list_at(read.get("messages"), "/messages"))]
    use, use_name = _use(read.get("tool_choice"))
    stop = read.get("stop")
    return Ask(
        tuple(turns),
        functions=tuple(
            _function(each, f"/tools/{index}") for index, each in enumerate(list_at(read.get("tools"), "/tools"))
        ),
        use=use,
        use_name=use_name,
        parallel=flag_at(read, "parallel_tool_calls"),
        temperature=number_at(read, "temperature"),
        top_p=number_at(read, "top_p"),
        stop=(stop,) if isinstance(stop, str) else texts_at(stop, "/stop"),
        stop_pointer="/stop",
        schema=_schema(read.get("response_format")),
        effort=text_at(read, "reasoning_effort", "", default=""),
        verbosity=text_at(read, "verbosity", "", default=""),
        verbosity_pointer="/verbosity",
        user=text_at(read, "safety_identifier", "", default="") or text_at(read, "user", "", default=""),
        stream=bool(read.get("stream")),
    )


def texts_at(value: Json, pointer: str) -> tuple[str, ...]:
    """Return a list of texts, empty for null."""
    found = list_at(value, pointer)
    for index, each in enumerate(found):
        if not isinstance(each, str):
            raise refuse_field(f"{pointer}/{index}", "expected a text")
    return tuple(str(each) for each in found)


def read_function(read: Mapping[str, Json], pointer: str) -> Function:
    """Return a function that OpenAI describes; one without parameters takes none."""
    refuse_others(
        read,
        pointer,
        known={"type", "name", "description", "parameters", "strict"},
        harmless={"defer_loading": [False], "async": [False], "allowed_callers": [["direct"]]},
    )
    schema = read.get("parameters")
    return Function(
        text_at(read, "name", pointer),
        {"type": "object", "properties": {}} if not schema else object_at(schema, f"{pointer}/parameters"),
        text_at(read, "description", pointer, default=""),
        flag_at(read, "strict", pointer),
    )


def read_schema(read: Mapping[str, Json], pointer: str) -> Schema:
    """Return the JSON form that OpenAI's structured output names."""
    refuse_others(read, pointer, known={"type", "name", "description", "schema", "strict"})
    return Schema(
        object_at(read.get("schema"), f"{pointer}/schema"),
        text_at(read, "name", pointer, default="answer"),
        text_at(read, "description", pointer, default=""),
        flag_at(read, "strict", pointer),
        pointer,
    )


def _turn(value: Json, pointer: str) -> Turn:
    read = object_at(value, pointer)
    role = text_at(read, "role", pointer)
    refuse_others(read, pointer, known=_TURN, harmless={"annotations": [[]], "tool_calls": [[]]})
    content = _content(read.get("content"), f"{pointer}/content")
    match role:
        case "system" | "developer":
            return Turn(Role.SYSTEM, content)
        case "user":
            return Turn(Role.USER, content)
        case "tool":
            parts = tuple(block for block in content if isinstance(block, Text | Image))
            return Turn(Role.USER, (Result(text_at(read, "tool_call_id", pointer), parts, pointer=pointer),))
        case "assistant":
            said = text_at(read, "refusal", pointer, default="")
            calls = [
                _call(each, f"{pointer}/tool_calls/{index}")
                for index, each in enumerate(list_at(read.get("tool_calls"), f"{pointer}/tool_calls"))
            ]
            return Turn(Role.ASSISTANT, (*content, *((Text(said),) if said else ()), *calls))
        case _:
            raise cannot_carry(f"{pointer}/role", f"a message of the role `{role}` is not known there")


def _content(value: Json, pointer: str) -> tuple[Block, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (Text(value),)
    return tuple(_part(each, f"{pointer}/{index}") for index, each in enumerate(list_at(value, pointer)))


def _part(value: Json, pointer: str) -> Block:
    read = object_at(value, pointer)
    match read.get("type"):
        case "text":
            return Text(text_at(read, "text", pointer))
        case "refusal":
            return Text(text_at(read, "refusal", pointer))
        case "image_url":
            where = f"{pointer}/image_url"
            return image_of(text_at(object_at(read.get("image_url"), where), "url", where), f"{where}/url")
        case sort:
            raise cannot_carry(f"{pointer}/type", f"content of the type `{sort}` is not known there")


def _call(value: Json, pointer: str) -> Call:
    read = object_at(value, pointer)
    if read.get("type", "function") != "function":
        raise cannot_carry(f"{pointer}/type", "only calls of functions are known there")
    called = object_at(read.get("function"), f"{pointer}/function")
    arguments = arguments_at(called, "arguments", f"{pointer}/function")
    return Call(text_at(read, "id", pointer), text_at(called, "name", f"{pointer}/function"), arguments)


def _function(value: Json, pointer: str) -> Function:
    read = object_at(value, pointer)
    if read.get("type", "function") != "function":
        raise cannot_carry(f"{pointer}/type", "only functions are known there as tools")
    return read_function(object_at(read.get("function"), f"{pointer}/function"), f"{pointer}/function")


def _use(value: Json) -> tuple[Use | None, str]:
    match value:
        case None:
            return None, ""
        case "auto":
            return Use.AUTO, ""
        case "none":
            return Use.NONE, ""
        case "required":
            return Use.ANY, ""
        case {"type": "function", "function": {"name": str(name)}}:
            return Use.ONE, name
        case _:
            raise cannot_carry("/tool_choice", "this choice of tools is not known there")


def _schema(value: Json) -> Schema | None:
    pointer = "/response_format"
    match value:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object"}:
            return Schema(None, pointer=pointer)
        case {"type": "json_schema", "json_schema": dict(inner)}:
            return read_schema(inner, f"{pointer}/json_schema")
        case _:
            raise cannot_carry(pointer, "this form of answer is not known there")
