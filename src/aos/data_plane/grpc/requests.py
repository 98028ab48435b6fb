"""What every call says of itself: who calls, and its fields as the kernel reads them. Nothing here knows an operation."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import msgspec

from aos.data_plane.grpc import aos_pb2
from aos.data_plane.grpc.binding import GrpcServices as Services
from aos.data_plane.grpc.statuses import Context
from aos.data_plane.http import bearer_of
from aos.data_plane.tools import NAME_PATTERN
from aos.kernel.acts import Act, ActKind
from aos.kernel.errors import FieldError, InvalidRequest, TooLarge
from aos.kernel.identity import Principal
from aos.kernel.json import Json, depth
from aos.kernel.limits import ARGUMENTS_DEPTH_MAX, BODY_BYTES_MAX, NAME_LENGTH_MAX

_decode = msgspec.json.Decoder().decode
_KINDS: Final = {kind.value: kind for kind in ActKind} | {"": ActKind.TOOL}


def headers_of(context: Context) -> dict[str, str]:
    """Return a call's metadata as headers; binary values are nobody's here."""
    return {name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)}


async def principal_of(services: Services, context: Context) -> Principal:
    """Return who calls; raise Unauthenticated."""
    headers = headers_of(context)
    return await services.authenticator.principal(bearer_of(headers), organization=headers.get("aos-organization"))


def act_of(principal: Principal, asked: aos_pb2.Act, at: str = "/act") -> Act:
    """Return the act that a message states."""
    kind = _KINDS.get(asked.kind)
    if kind is None:
        raise wrong(f"{at}/kind", f"`{asked.kind[:40]}` is no kind of act: give one of {', '.join(ActKind)}")
    return Act(principal, kind, name_of(asked.name, at, "/name"), arguments_of(asked.arguments, at, "/arguments"))


def name_of(name: str, at: str, field: str = "") -> str:
    """Return a name that the ledger can hold."""
    if len(name) > NAME_LENGTH_MAX or not NAME_PATTERN.fullmatch(name):
        raise wrong(at + field, f"`{name[:80]}` cannot be the name of a tool")
    return name


def arguments_of(data: bytes, at: str, field: str = "") -> dict[str, Json]:
    """Return arguments: a JSON object, `{}` where the field is empty."""
    value = json_of(data, at, field) if data else {}
    if not isinstance(value, dict):
        raise wrong(at + field, "must be a JSON object")
    opened = data.count(b"{") + data.count(b"[")  # where there are few it cannot be deep
    if opened > ARGUMENTS_DEPTH_MAX and depth(value, at_most=ARGUMENTS_DEPTH_MAX) > ARGUMENTS_DEPTH_MAX:
        raise wrong(at + field, f"nests deeper than {ARGUMENTS_DEPTH_MAX} levels")
    return value


def json_of(data: bytes, at: str, field: str = "") -> Json:
    """Return a JSON field's value, None where the field is empty; raise InvalidRequest or TooLarge naming the field."""
    if not data:
        return None
    if len(data) > BODY_BYTES_MAX:
        raise TooLarge(f"`{at}{field}` has {len(data)} bytes, at most {BODY_BYTES_MAX} are read")
    try:
        data.decode()
        value: Json = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise wrong(at + field, f"is not valid JSON: {error}") from error
    return value


def key_of(text: str) -> str | None:
    """Return an Idempotency-Key, None for an empty field."""
    if not text:
        return None
    if len(text) > NAME_LENGTH_MAX or not text.isprintable():
        raise wrong("/idempotency_key", f"must have 1 to {NAME_LENGTH_MAX} printable characters")
    return text


def uuid_of(text: str, at: str) -> UUID | None:
    """Return an id, None for an empty field."""
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError as error:
        raise wrong(at, f"`{text[:60]}` is not an id") from error


def wrong(at: str, detail: str) -> InvalidRequest:
    """Return the error of one wrong field."""
    return InvalidRequest(f"`{at}` {detail}" if detail[0] != "`" else detail, errors=[FieldError(at, detail)])
