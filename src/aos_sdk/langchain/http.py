"""How the models of unchanged code reach AOS from a host: requests of their clients become calls of the task that makes them.

The clients of OpenAI and Anthropic find AOS's address in the environment, and no key that is worth anything. What they send
there never leaves the host as HTTP: it is a `complete` call of the pass in whose context it was sent, decided, recorded and
replayed as any. A stream, or what such a call cannot carry, goes to AOS's own door under the task's token.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from aos_sdk.errors import AosCallError
from aos_sdk.frames import ARGUMENTS_BYTES_MAX
from aos_sdk.parking import ParkingPass, current_pass

NOWHERE: Final = "http://aos.invalid"
"""What a host that is told no address calls AOS: requests to it are calls of the task."""
DIALECTS: Final[Mapping[str, str]] = {
    "/v1/chat/completions": "openai-chat",
    "/v1/responses": "openai-responses",
    "/v1/embeddings": "openai-embeddings",
    "/v1/messages": "anthropic-messages",
}
_CLIENTS: Final = ("httpx", "httpx2")
_STATUS: Final[Mapping[str, int]] = {
    "denied": 403,
    "budget-spent": 402,
    "invalid-request": 422,
    "not-found": 404,
    "rate-limited": 429,
    "too-large": 413,
    "unavailable": 503,
}
_FAILED: Final = 502
_sent: WeakKeyDictionary[ParkingPass, Counter[str]] = WeakKeyDictionary()
_asked: WeakKeyDictionary[ParkingPass, set[str]] = WeakKeyDictionary()
_url: list[str] = []


def models_url() -> str | None:
    """Return where clients in this process find AOS, None where they are not led there."""
    return _url[0] if _url else None


def models_asked(calls: ParkingPass) -> set[str]:
    """Return the models that were asked for through AOS in this pass."""
    return _asked.setdefault(calls, set())


def reach_models() -> None:
    """Lead the clients of models in this process to AOS, once. Addresses that the operator gave to hosts stand."""
    if _url:
        return
    url = (os.environ.get("AOS_URL") or NOWHERE).rstrip("/")
    _url.append(url)
    for name, value in (("OPENAI", f"{url}/v1"), ("ANTHROPIC", url)):
        os.environ.setdefault(f"{name}_BASE_URL", value)
        os.environ.setdefault(f"{name}_API_KEY", "aos")
    for name in _CLIENTS:
        try:
            library: Any = importlib.import_module(name)
        except ImportError:
            continue
        _wrap(library)


def _wrap(library: Any) -> None:
    """Have both clients of a library ask here first."""
    send, send_async = library.Client.send, library.AsyncClient.send

    def wrapped(client: Any, request: Any, **options: Any) -> Any:
        calls = _pass_of(request)
        if calls is None:
            return send(client, request, **options)
        body = request.read()
        question = _question(request, body)
        if question is None:
            return send(client, _signed(request, calls, body), **options)
        return _response(library, request, calls.wait(_answer(calls, *question)))

    async def wrapped_async(client: Any, request: Any, **options: Any) -> Any:
        calls = _pass_of(request)
        if calls is None:
            return await send_async(client, request, **options)
        body = await request.aread()
        question = _question(request, body)
        if question is None:
            return await send_async(client, _signed(request, calls, body), **options)
        return _response(library, request, await _answer(calls, *question))

    library.Client.send, library.AsyncClient.send = wrapped, wrapped_async


def _pass_of(request: Any) -> ParkingPass | None:
    """Return the pass that a request is a call of, None where it does not go to AOS or belongs to no task."""
    ours = urlsplit(_url[0])
    url = request.url
    same = url.host == ours.hostname and url.scheme == ours.scheme and url.port in (ours.port, None)
    return current_pass() if same and str(url.path).startswith("/v1/") else None


def _question(request: Any, body: bytes) -> tuple[str, str, dict[str, Any]] | None:
    """Return dialect, model and arguments of what a call can carry, None for what must go to the door."""
    dialect = DIALECTS.get(request.url.path)
    if dialect is None or len(body) > ARGUMENTS_BYTES_MAX or "anthropic-beta" in request.headers:
        return None
    asked = json.loads(body)
    if asked.pop("stream", False):
        return None
    return dialect, str(asked.pop("model", "auto")), asked


async def _answer(
    calls: ParkingPass, dialect: str, model: str, arguments: dict[str, Any]
) -> tuple[int, dict[str, str], bytes]:
    models_asked(calls).add(model)
    try:
        said = await calls.call("complete", model, arguments=arguments, key=None, options={"dialect": dialect})
    except AosCallError as error:
        told = _told(dialect, error)
        headers = {"content-type": "application/json", "x-should-retry": "false"}
        return _STATUS.get(error.slug, _FAILED), headers, json.dumps(told).encode()
    return said["status"], {"content-type": said["media_type"]}, said["body"].encode()


def _told(dialect: str, error: AosCallError) -> dict[str, Any]:
    """Return an error in the caller's dialect."""
    kind = "permission_error" if error.slug == "denied" else "api_error"
    if dialect == "anthropic-messages":
        return {"type": "error", "error": {"type": kind, "message": error.detail}}
    return {"error": {"message": error.detail, "type": kind, "code": error.slug, "param": None}}


def _response(library: Any, request: Any, said: tuple[int, dict[str, str], bytes]) -> Any:
    status, headers, body = said
    return library.Response(status, headers=headers, content=body, request=request)


def _signed(request: Any, calls: ParkingPass, body: bytes) -> Any:
    """Return a request for the door with the task's token, and a key under which the same request is answered once."""
    start = calls.core.start
    place = [start.task_id, start.context.generation, start.context.attempt, *calls.core.scope(), request.url.path]
    told = hashlib.sha256(json.dumps(place).encode() + b"\0" + body).hexdigest()
    counted = _sent.setdefault(calls, Counter())
    counted[told] += 1
    request.headers["authorization"] = f"Bearer {start.token}"
    request.headers.pop("x-api-key", None)
    request.headers["idempotency-key"] = f"{told}.{counted[told]}"
    return request
