"""The command line's one way to the server: JSON in, JSON out, problems (RFC 9457) turned into failures.

Redirects are not followed, so that a token goes to the address that was named and nowhere else.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, Final
from urllib.parse import quote

import httpx

from aos.cli.failures import CliError, ExitStatus, exit_status_of
from aos.kernel.errors import FieldError

ITEMS_MAX: Final = 10_000
"""The most items of a list that are fetched for one command."""

PAGE_ITEMS: Final = 200
OTHERS_NAMED: Final = 5
"""How many of a person's other organizations a failure to find something names."""

Params = Mapping[str, str | int | bool | None]
Object = dict[str, Any]
"""A JSON object of an answer, read by the names that the contract gives."""


class Client:
    """One server, one person; connections are kept for the length of a command."""

    def __init__(self, url: str, *, token: str = "", organization: str = "") -> None:
        headers = {"AOS-Version": "1", "Accept": "application/json", "User-Agent": "aos-cli"}
        self.signed_in = bool(token)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if organization:
            headers["AOS-Organization"] = organization
        try:
            timeout = httpx.Timeout(75, connect=5)
            # Reading the certificates takes longer than most commands: not where none is checked.
            secure = not url.startswith("http://")
            self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout, trust_env=False, verify=secure)
        except (httpx.InvalidURL, UnicodeEncodeError, ValueError) as error:
            raise CliError(
                "Usage", f"address `{url}` or the token cannot be used: {error}", ExitStatus.USAGE
            ) from error
        self.url = url

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, params: Params | None = None) -> Object:
        """Return the object at a path."""
        return self._send("GET", path, params=params)

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, params: Params | None = None) -> Object:
        """Send a body and return the answer; a fresh Idempotency-Key makes a repeat by the network harmless."""
        headers = {"Idempotency-Key": secrets.token_urlsafe(18)}
        return self._send("POST", path, body=body or {}, params=params, headers=headers)

    def try_post(
        self, path: str, body: Mapping[str, Any], *, quiet_seconds: float, headers: Mapping[str, str]
    ) -> httpx.Response:
        """Send a body and return the answer as it came, a refusal too: for doors that speak another form than REST."""
        try:
            timeout = httpx.Timeout(quiet_seconds, connect=5)
            return self._http.post(path, json=body, headers=dict(headers), timeout=timeout)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def post_form(self, path: str, fields: Mapping[str, str]) -> Object:
        """Send a form and return the answer: for OAuth's endpoint, whose errors are in a form of their own."""
        try:
            response = self._http.post(path, data=dict(fields))
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if response.is_success:
            return _object(response)
        said = _object(response) if "json" in response.headers.get("content-type", "") else {}
        if "error" not in said:
            raise _failure(response)
        detail = str(said.get("error_description") or said["error"])
        raise CliError("Token refused", detail, exit_status_of(response.status_code), problem=said)

    def put(self, path: str, body: Mapping[str, Any]) -> Object:
        """Replace what stands at a path."""
        return self._send("PUT", path, body=body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Object:
        """Change what stands at a path by a merge patch."""
        return self._send("PATCH", path, body=body)

    def delete(self, path: str) -> Object:
        """Take away what stands at a path."""
        return self._send("DELETE", path)

    def items(self, path: str, params: Params | None = None, *, most: int = ITEMS_MAX) -> list[Object]:
        """Return a list's items, page by page, at most `most`."""
        found: list[Object] = []
        cursor: str | None = None
        while len(found) < most:
            asked = {**(params or {}), "limit": min(PAGE_ITEMS, most - len(found)), "cursor": cursor}
            page = self.get(path, asked)
            found.extend(page.get("items") or [])
            cursor = page.get("next")
            if not cursor:
                break
        return found

    def download(self, path: str, into: BinaryIO) -> int:
        """Write what stands at a path into a file as it comes, and return its length in bytes."""
        size = 0
        with self.stream(path) as response:
            for piece in response.iter_bytes():
                size += into.write(piece)
        return size

    @contextmanager
    def stream(
        self, path: str, *, headers: Mapping[str, str] | None = None, quiet_seconds: float = 75
    ) -> Iterator[httpx.Response]:
        """Open an answer that comes piece by piece; `quiet_seconds` without a byte end it."""
        try:
            timeout = httpx.Timeout(quiet_seconds, connect=5)
            with self._http.stream("GET", path, headers=headers, timeout=timeout) as response:
                if response.status_code >= 300:
                    response.read()
                    raise _failure(response)
                yield response
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _send(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Object:
        given = {
            name: str(value).lower() if isinstance(value, bool) else value
            for name, value in (params or {}).items()
            if value is not None
        }
        try:
            response = self._http.request(method, path, params=given, headers=headers, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from error
        if not 200 <= response.status_code < 300:
            failure = _failure(response)
            raise self.looked_elsewhere(failure) if failure.status is ExitStatus.NOT_FOUND else failure
        return _object(response)

    def looked_elsewhere(self, failure: CliError) -> CliError:
        """Return a failure to find something, with the organization that was looked in, where the person has others."""
        try:
            answer = self._http.get("/whoami")
            found = _object(answer) if answer.status_code == httpx.codes.OK else {}
        except (httpx.HTTPError, CliError):
            return failure
        here, others = _named(found.get("organization")), [_named(each) for each in found.get("organizations") or []]
        others = [name for name in others if name and name != here]
        if here and others:
            named = ", ".join(f"`{name}`" for name in others[:OTHERS_NAMED])
            more = f" and {len(others) - OTHERS_NAMED} more" if len(others) > OTHERS_NAMED else ""
            failure.hints += (f"looked in the organization `{here}`; `--org` chooses another of yours: {named}{more}",)
        return failure

    def _unreachable(self, error: Exception) -> CliError:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            detail = f"nothing answers at `{self.url}`: start AOS with `aos up`, or set AOS_URL"
        elif isinstance(error, httpx.TimeoutException):
            detail = f"`{self.url}` did not answer in time; whether it did what was asked is not known"
        else:
            detail = f"the connection to `{self.url}` broke: {str(error) or type(error).__name__}"
        return CliError("Unavailable", detail, ExitStatus.UNAVAILABLE)


def _named(organization: object) -> str:
    return str(organization.get("name") or "") if isinstance(organization, dict) else ""


def path_to(*steps: str) -> str:
    """Return the path of a collection's member, each step escaped; raises CliError for an empty one, which names nothing."""
    if not all(steps):
        raise CliError("Usage", "an empty name or id names nothing: give one", ExitStatus.USAGE)
    return "/" + "/".join(quote(step, safe="") for step in steps)


def _object(response: httpx.Response) -> Object:
    """Return the answer's object; an empty body is an empty object."""
    if not response.content:
        return {}
    try:
        found = response.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise CliError("Unexpected answer", f"`{response.url}` is not AOS: its answer is no object", ExitStatus.FAILED)
    return found


def _failure(response: httpx.Response) -> CliError:
    """Turn a problem into a failure."""
    status = exit_status_of(response.status_code)
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        detail = (
            f"`{response.request.method} {response.url.path}` answered {response.status_code} and no problem document"
        )
        return CliError("Unexpected answer", detail, status)
    if problem.get("approval_id"):
        status = ExitStatus.WAITS
    title = str(problem.get("title") or f"Answer {response.status_code}")
    detail = str(problem.get("detail") or "the server gave no detail")
    if status is ExitStatus.NOT_SIGNED_IN:
        detail += "; sign in with `aos login`"
    errors = [
        FieldError(str(each.get("pointer", "")), str(each.get("detail", "")))
        for each in problem.get("errors") or []
        if isinstance(each, dict)
    ]
    reasons = [str(each) for each in problem.get("reasons") or []]
    return CliError(title, detail, status, errors=errors, reasons=reasons, problem=problem)
