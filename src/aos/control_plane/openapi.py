"""The OpenAPI document: what each operation takes and answers, said beside it, errors included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from aos.control_plane.mcp_wire import mcp_components
from aos.control_plane.model_shapes import model_components
from aos.control_plane.problems import PROBLEM
from aos.control_plane.runs_shapes import run_components
from aos.control_plane.shapes import Schema, components, page_of, ref
from aos.control_plane.starts_shapes import start_components
from aos.kernel.doors import DOORS

_DOORS_HEAD: Final = (
    "\n\nAgents speak at the same address to other doors, each in its own protocol's words:\n\n"
    "| door | does | takes |\n| --- | --- | --- |\n"
)

F = TypeVar("F", bound=Callable[..., Any])

_READ_ERRORS: Final = (400, 401, 403, 404, 406)
_WRITE_ERRORS: Final = (*_READ_ERRORS, 409, 413, 415, 422)
_WORDS: Final = {
    400: "A field or parameter is wrong; `errors` points at each",
    401: "Not signed in",
    403: "No role permits this",
    404: "Nothing of that name or id is visible",
    406: "The version asked for is not served",
    409: "The name is taken, the state forbids it, or it is too early",
    413: "The body is too large",
    415: "The body is not JSON",
    422: "The manifest or condition is wrong, or the Idempotency-Key was used for another request",
}
_ORGANIZATION: Final = OpenApiParameter(
    "AOS-Organization", str, OpenApiParameter.HEADER, description="The organization's name or id; else the newest"
)
_PAGE: Final = (
    OpenApiParameter("limit", int, description="Items in a page, 1 to 200; 50 unless given"),
    OpenApiParameter("cursor", str, description="`next` of the page before"),
    OpenApiParameter("order", str, description="`created`, `-created`, `name` or `-name`; `-created` unless given"),
    OpenApiParameter("from", str, description="Made at or after this time (RFC 3339)"),
    OpenApiParameter("to", str, description="Made before this time (RFC 3339)"),
)
_WRITE: Final = (
    OpenApiParameter(
        "Idempotency-Key",
        str,
        OpenApiParameter.HEADER,
        description=(
            "Under one key a write is done once: the same request is answered the same again, another is 422; a key is "
            "kept for a day"
        ),
    ),
    OpenApiParameter("dry_run", bool, description="Try everything and change nothing"),
)


def operation(
    id: str,
    summary: str,
    *,
    answer: Schema | str,
    status: int = 200,
    body: str | None = None,
    page: bool = False,
    filters: Sequence[str] = (),
    open_to_all: bool = False,
    takes: Sequence[str] = ("Idempotency-Key", "dry_run"),
    media_type: str = "application/json",
) -> Callable[[F], F]:
    """Describe a view's method: its answer by schema or component's name, its body by component's name, its filters.

    A method other than GET is a write: `body` None then means that it takes none, and `takes` says which of the means of
    writes it knows.
    """
    write = not id.startswith(("list_", "show_"))
    answered = (
        page_of(answer) if page and isinstance(answer, str) else ref(answer) if isinstance(answer, str) else answer
    )
    responses: dict[Any, Any] = {(str(status), media_type): OpenApiResponse(answered, description=summary)}
    for code in _WRITE_ERRORS if write else _READ_ERRORS:
        responses[str(code), PROBLEM] = OpenApiResponse(ref("Problem"), description=_WORDS[code])
    parameters = [OpenApiParameter(name, str, description=f"Only those of this {name}") for name in filters]
    parameters += _PAGE if page else ()
    parameters += [each for each in _WRITE if write and not open_to_all and each.name in takes]
    parameters += () if open_to_all else (_ORGANIZATION,)
    described: Callable[[F], F] = extend_schema(
        operation_id=id,
        summary=summary,
        parameters=parameters,
        request={"application/json": ref(body)} if body else None,
        responses=responses,
        auth=[] if open_to_all else None,
    )
    return described


class PersonScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How people sign in, in OpenAPI's words."""

    target_class = "aos.control_plane.authentication.PersonAuthentication"
    name = "personal_token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """Return the security scheme."""
        return {"type": "http", "scheme": "bearer", "description": "A personal token, `aosp_...`"}


def add_components(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Add every named schema to the document."""
    result.setdefault("components", {}).setdefault("schemas", {}).update(
        {**components(), **model_components(), **mcp_components(), **run_components(), **start_components()}
    )
    return result


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document of all paths."""
    document: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    doors = "\n".join(f"| `{each.method} {each.path}` | {each.does} | {each.takes} |" for each in DOORS)
    document["info"]["description"] += f"{_DOORS_HEAD}{doors}\n"
    return document
