"""A model request as an act: what the gate decides on, and what a person sees of it.

Its body is no argument: no policy reads it. Where the organization keeps text it lies with the arguments, redacted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from aos.kernel.acts import Act, ActKind, CallKey, ModelAsk
from aos.kernel.dialects.values import Asked, Dialect
from aos.kernel.identity import Principal
from aos.kernel.json import Json
from aos.kernel.redaction import Capture, CaptureMode, capture_body
from aos.operations.model_routes import Route


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One model request as a door read it; `digest` is the SHA-256, in hexadecimal, of its body and `headers` if there are any."""

    principal: Principal
    asked: Asked
    body: bytes
    digest: str
    idempotency_key: str | None = None
    approval_id: UUID | None = None
    call: CallKey | None = None
    clock: datetime | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """What goes on to a server that speaks the caller's dialect."""


def _output_limit(asked: Asked) -> int | None:
    return 0 if asked.dialect in (Dialect.EMBEDDINGS, Dialect.COUNT_TOKENS) else asked.output_limit


def _arguments(call: ModelCall) -> Json:
    """Return what a person sees of a model request, and what makes two requests the same: its body by digest."""
    asked = call.asked
    said: dict[str, Json] = {
        "model": asked.model,
        "dialect": asked.dialect.value,
        "request_sha256": call.digest,
        "input_tokens_max": asked.input_tokens_max,
        "stream": asked.stream,
    }
    if asked.output_limit is not None:
        said["max_tokens"] = asked.output_limit
    if asked.tools:
        said["tools"] = list(asked.tools)
    if asked.images:
        said["images"] = asked.images
    for name, value in call.headers:
        said[name.decode().replace("-", "_")] = value.decode()
    return said


def act_of(call: ModelCall) -> Act:
    """Return the act of a request before it is known which models may answer."""
    return Act(
        call.principal,
        ActKind.MODEL,
        call.asked.model,
        _arguments(call),
        call=call.call,
        idempotency_key=call.idempotency_key,
        approval_id=call.approval_id,
        clock=call.clock,
        model=ModelAsk((call.asked.model,), call.asked.model, call.asked.input_tokens_max, _request_of(call)),
    )


def _request_of(call: ModelCall) -> bytes:
    """Return what tells this request from every other of the same caller."""
    return f"{call.asked.dialect}\0{call.digest}".encode()


def routed_act(act: Act, call: ModelCall, route: Route, *, free: bool, capture: Capture) -> Act:
    """Return the act of a request with the models that may answer it; `free` where none need be asked."""
    ask = ModelAsk(
        models=tuple(model.name for model in route.models),
        asked=call.asked.model,
        request=_request_of(call),
        input_tokens_max=route.input_tokens_max,
        output_limit=_output_limit(call.asked),
        choices=call.asked.choices,
        at_most=route.at_most,
        free=free or call.asked.dialect is Dialect.COUNT_TOKENS,
        route=route.document,
        captured=capture_body(call.body, capture.redact) if capture.models is CaptureMode.TEXT else "",
    )
    return replace(act, name=route.models[0].name, model=ask)
