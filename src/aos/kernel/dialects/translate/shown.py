"""What answers are written with, whole or streamed: stop reasons, usage and items in the words of each dialect."""

from __future__ import annotations

from typing import Final

from aos.kernel.dialects.translate.from_responses import REDACTED, SIGNED
from aos.kernel.dialects.translate.neutral import Block, Call, Redacted, Text, Thought
from aos.kernel.dialects.values import Tokens

_CHAT_STOPS: Final = frozenset({"stop", "length", "tool_calls", "content_filter"})
_MESSAGES_STOPS: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}


def chat_stop(stop: str) -> str:
    """Return a stop reason that a chat client knows; a word of another provider's is an ordinary end."""
    return stop if stop in _CHAT_STOPS else "stop"


def messages_stop(stop: str, stop_sequence: str | None) -> str:
    """Return a stop reason that a messages client knows."""
    return "stop_sequence" if stop_sequence is not None else _MESSAGES_STOPS.get(stop, "end_turn")


def chat_usage(tokens: Tokens) -> dict[str, object]:
    """Return usage as chat/completions reports it: parts inside their wholes."""
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cached, "cache_write_tokens": tokens.cache_writes},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning},
    }


def responses_usage(tokens: Tokens) -> dict[str, object]:
    """Return usage as responses reports it: parts inside their wholes."""
    return {
        "input_tokens": tokens.input,
        "input_tokens_details": {"cached_tokens": tokens.cached, "cache_write_tokens": tokens.cache_writes},
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.input + tokens.output,
    }


def messages_usage(tokens: Tokens) -> dict[str, object]:
    """Return usage as messages reports it: cached and newly cached input beside `input_tokens`."""
    return {
        "input_tokens": tokens.input - tokens.cached - tokens.cache_writes,
        "cache_creation_input_tokens": tokens.cache_writes,
        "cache_read_input_tokens": tokens.cached,
        "output_tokens": tokens.output,
        "output_tokens_details": {"thinking_tokens": tokens.reasoning},
    }


def response_id(upstream_id: str) -> str:
    """Return the id of a response that was made of an answer with another's id."""
    return f"resp_{upstream_id}"


def item_of(block: Block, *, response: str, index: int, status: str = "completed") -> dict[str, object]:
    """Return one block of an answer as an item of responses; its id follows from the response's and its place."""
    match block:
        case Text(text):
            part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
            return {
                "id": f"msg_{response}_{index}",
                "type": "message",
                "role": "assistant",
                "status": status,
                "content": [part],
            }
        case Call(call_id, name, arguments):
            return {
                "id": f"fc_{response}_{index}",
                "type": "function_call",
                "status": status,
                "call_id": call_id,
                "name": name,
                "arguments": arguments,
            }
        case Thought(text, signature):
            told = [{"type": "summary_text", "text": text}] if text else []
            sealed = f"{SIGNED}{signature}" if signature else None
            return {"id": f"rs_{response}_{index}", "type": "reasoning", "summary": told, "encrypted_content": sealed}
        case Redacted(data):
            sealed = f"{REDACTED}{data}"
            return {"id": f"rs_{response}_{index}", "type": "reasoning", "summary": [], "encrypted_content": sealed}
        case _:
            raise ValueError("an answer holds no pictures and no results")


def response_of(
    *, response: str, model: str, created: int, status: str, output: list[dict[str, object]], usage: object = None
) -> dict[str, object]:
    """Return a response object; `status` is in_progress, completed, or `incomplete:` and the reason."""
    state, _, reason = status.partition(":")
    return {
        "id": response,
        "object": "response",
        "created_at": created,
        "status": state,
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": output,
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": usage,
    }


def response_status(stop: str) -> str:
    """Return the status of a response, with the reason where it is incomplete."""
    match stop:
        case "length":
            return "incomplete:max_output_tokens"
        case "content_filter":
            return "incomplete:content_filter"
        case _:
            return "completed"
