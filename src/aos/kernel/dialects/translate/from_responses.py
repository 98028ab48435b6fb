"""Reading a responses request for a model that speaks another dialect.

A responses answer that was translated carries the thoughts of an Anthropic model as reasoning items; sent back, they are
known again by the mark on their encrypted content. Reasoning of an OpenAI model can be read by no other and is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

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
from aos.kernel.dialects.translate.from_chat import read_function, read_schema, texts_at
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

SIGNED: Final = "aos.thought."
"""Marks encrypted content that is the signature of an Anthropic thought."""
REDACTED: Final = "aos.redacted."
"""Marks encrypted content that is an Anthropic thought itself."""

_KNOWN: Final = frozenset(
    "model input instructions stream max_output_tokens temperature top_p tools tool_choice parallel_tool_calls text "
    "reasoning user safety_identifier include".split()
)
_LEFT_OUT: Final = frozenset(
    "metadata store prompt_cache_key prompt_cache_options prompt_cache_retention service_tier stream_options".split()
)
_HARMLESS: Final[Mapping[str, Sequence[Json]]] = {
    "background": [False],
    "truncation": ["disabled"],
    "top_logprobs": [0],
    "context_management": [[]],
}
_INCLUDED: Final = "reasoning.encrypted_content"


def read_responses(read: Mapping[str, Json]) -> Ask:
    """Return a request in neutral form; raise InvalidRequest with the pointer of what no other dialect can say."""
    refuse_others(read, "", known=_KNOWN | _LEFT_OUT, harmless=_HARMLESS)
    for index, each in enumerate(texts_at(read.get("include"), "/include")):
        if each != _INCLUDED:
            raise cannot_carry(f"/include/{index}", "this is not known there")
    text = object_at(read.get("text") or {}, "/text")
    refuse_others(text, "/text", known={"format", "verbosity"})
    thinking = object_at(read.get("reasoning") or {}, "/reasoning")
    refuse_others(
        thinking,
        "/reasoning",
        known={"effort", "summary", "generate_summary"},
        harmless={"context": ["auto"], "mode": ["standard"]},
    )
    use, use_name = _use(read.get("tool_choice"))
    return Ask(
        _turns(read),
        turns_pointer="/input",
        functions=tuple(
            _function(each, f"/tools/{index}") for index, each in enumerate(list_at(read.get("tools"), "/tools"))
        ),
        use=use,
        use_name=use_name,
        parallel=flag_at(read, "parallel_tool_calls"),
        temperature=number_at(read, "temperature"),
        top_p=number_at(read, "top_p"),
        schema=_schema(text.get("format")),
        effort=text_at(thinking, "effort", "/reasoning", default=""),
        verbosity=text_at(text, "verbosity", "/text", default=""),
        verbosity_pointer="/text/verbosity",
        user=text_at(read, "safety_identifier", "", default="") or text_at(read, "user", "", default=""),
        stream=bool(read.get("stream")),
    )


def _turns(read: Mapping[str, Json]) -> tuple[Turn, ...]:
    """Return the items as turns, those of one speaker joined: a model's thoughts, words and calls are one turn."""
    turns: list[Turn] = []
    instructions = text_at(read, "instructions", "", default="")
    if instructions:
        turns.append(Turn(Role.SYSTEM, (Text(instructions),)))
    given = read.get("input")
    items: list[Json] = [{"role": "user", "content": given}] if isinstance(given, str) else list_at(given, "/input")
    joined = False
    for index, each in enumerate(items):
        turn = _turn(object_at(each, f"/input/{index}"), f"/input/{index}")
        if turn is None:
            continue
        if joined and turns[-1].role is turn.role is Role.ASSISTANT:
            turns[-1] = Turn(turn.role, turns[-1].blocks + turn.blocks)
        else:
            turns.append(turn)
        joined = True
    return tuple(turns)


def _turn(read: Mapping[str, Json], pointer: str) -> Turn | None:
    match read.get("type", "message"):
        case "message":
            return _message(read, pointer)
        case "function_call":
            arguments = arguments_at(read, "arguments", pointer)
            call = Call(text_at(read, "call_id", pointer), text_at(read, "name", pointer), arguments)
            return Turn(Role.ASSISTANT, (call,))
        case "function_call_output":
            blocks = _content(read.get("output"), f"{pointer}/output")
            parts = tuple(block for block in blocks if isinstance(block, Text | Image))
            return Turn(Role.USER, (Result(text_at(read, "call_id", pointer), parts, pointer=f"{pointer}/output"),))
        case "reasoning":
            return _thought(read, pointer)
        case sort:
            raise cannot_carry(f"{pointer}/type", f"an item of the type `{sort}` is not known there")


def _message(read: Mapping[str, Json], pointer: str) -> Turn:
    content = _content(read.get("content"), f"{pointer}/content")
    match text_at(read, "role", pointer):
        case "system" | "developer":
            return Turn(Role.SYSTEM, content)
        case "user":
            return Turn(Role.USER, content)
        case "assistant":
            return Turn(Role.ASSISTANT, content)
        case role:
            raise cannot_carry(f"{pointer}/role", f"a message of the role `{role}` is not known there")


def _thought(read: Mapping[str, Json], pointer: str) -> Turn | None:
    sealed = text_at(read, "encrypted_content", pointer, default="")
    if sealed.startswith(REDACTED):
        return Turn(Role.ASSISTANT, (Redacted(sealed.removeprefix(REDACTED)),))
    if not sealed.startswith(SIGNED):
        return None
    told = [object_at(each, f"{pointer}/summary") for each in list_at(read.get("summary"), f"{pointer}/summary")]
    text = "".join(text_at(each, "text", f"{pointer}/summary") for each in told)
    return Turn(Role.ASSISTANT, (Thought(text, sealed.removeprefix(SIGNED)),))


def _content(value: Json, pointer: str) -> tuple[Block, ...]:
    if isinstance(value, str):
        return (Text(value),)
    return tuple(_part(each, f"{pointer}/{index}") for index, each in enumerate(list_at(value, pointer)))


def _part(value: Json, pointer: str) -> Block:
    read = object_at(value, pointer)
    match read.get("type"):
        case "input_text" | "output_text" | "text":
            return Text(text_at(read, "text", pointer))
        case "refusal":
            return Text(text_at(read, "refusal", pointer))
        case "input_image" if read.get("image_url") is not None:
            return image_of(text_at(read, "image_url", pointer), f"{pointer}/image_url")
        case sort:
            raise cannot_carry(f"{pointer}/type", f"content of the type `{sort}` is not known there by a file's id")


def _function(value: Json, pointer: str) -> Function:
    read = object_at(value, pointer)
    if read.get("type") != "function":
        raise cannot_carry(f"{pointer}/type", f"the tool `{read.get('type')}` is OpenAI's own")
    return read_function(read, pointer)


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
        case {"type": "function", "name": str(name)}:
            return Use.ONE, name
        case _:
            raise cannot_carry("/tool_choice", "this choice of tools is not known there")


def _schema(value: Json) -> Schema | None:
    pointer = "/text/format"
    match value:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object"}:
            return Schema(None, pointer=pointer)
        case {"type": "json_schema"}:
            return read_schema(object_at(value, pointer), pointer)
        case _:
            raise cannot_carry(pointer, "this form of answer is not known there")
