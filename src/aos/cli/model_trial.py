"""One short question to a model through the gate, as the person who is signed in, and what it says of how to mend a refusal.

The doors of models answer in OpenAI's form: a refusal of AOS has its problem beside it, one without is the provider's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx
from rich.console import Group, RenderableType
from rich.text import Text

from aos.cli.client import Object, path_to
from aos.cli.failures import CliError, ExitStatus, exit_status_of
from aos.cli.output import clean, cost_text, short
from aos.cli.session import Session
from aos.kernel.dialects.values import Dialect
from aos.kernel.errors import FieldError

PROMPT: Final = "Answer with one short sentence: what are you?"
QUIET_SECONDS: Final = 120.0
ANSWER_TOKENS: Final = 200
"""How long the answer may be: enough for a sentence of a model that reasons first, and cheap everywhere."""
_PURPOSE: Final = "purpose:"

_OWN: Final[Mapping[str, str]] = {
    "not-found": "{list} shows what is registered; `aos apply` registers more",
    "denied": "{explain} says why it was asked for; policies and roles decide: `aos policies list`",
    "budget-spent": "`aos budgets list` shows what is left",
    "approval-pending": "`aos approvals list` shows what waits; once somebody has said yes, ask again with `--approval ID`",
    "rate-limited": "its provider takes no more for now: wait, or ask another model",
    "unavailable": "it failed several times in a row, or AOS is not whole: `aos status`, then try again in a while",
    "upstream-failed": "look at its address, permitted hosts and secret: {show}, `aos secrets list`, `aos doctor`",
    "deadline-exceeded": "its server is slow: `--timeout`, and the model's own `timeout` in the manifest",
}
"""What helps against a refusal of AOS, by its slug."""
_THEIRS: Final[Mapping[int, str]] = {
    400: "the provider does not take this request: is the model's `name` at the provider right? {show}",
    401: "the provider refuses the key: `aos secrets rotate` gives its secret another value",
    402: "the provider wants to be paid: look at the account there",
    403: "the provider's key may not use this model: look at the account there",
    404: "the provider knows no model of this name: {show} says which it is asked for",
    429: "the provider takes no more for now, or the account there has no credit",
}
"""What helps against a refusal of the provider, by its status."""


def try_model(
    session: Session, name: str, prompt: str, *, quiet_seconds: float, approval_id: str | None = None
) -> Object:
    """Return what a model answered with latency, tokens and cost; `approval_id` names a yes to the very same question.

    Raises CliError with what helps where it did not answer. A model for embeddings is given the prompt to embed.
    """
    models = _models(session, name)
    embeds = bool(models) and all(each.get("dialects") == [Dialect.EMBEDDINGS] for each in models)
    path = "/v1/embeddings" if embeds else "/v1/chat/completions"
    body: dict[str, Any] = {"model": name, "input": prompt}
    if not embeds:
        limit = min([ANSWER_TOKENS, *(each["output"] for each in models if each.get("output"))])
        body = {"model": name, "messages": [{"role": "user", "content": prompt}], "max_tokens": limit}
    headers = {"AOS-Approval-Id": approval_id} if approval_id is not None else {}
    response = session.client.try_post(path, body, quiet_seconds=quiet_seconds, headers=headers)
    try:
        found = response.json()
    except ValueError:
        found = None
    answer: Object = found if isinstance(found, dict) else {}
    if response.status_code != httpx.codes.OK:
        raise _refused(session, name, response, answer)
    usage = answer.get("usage") or {}
    action_id = response.headers.get("aos-action-id", "")
    return {
        "model": response.headers.get("aos-model", name),
        "asked": name,
        "answer": _vector(answer) if embeds else _text(answer),
        "stop_reason": None if embeds else _first(answer, "choices").get("finish_reason"),
        "latency_ms": round(response.elapsed.total_seconds() * 1000, 1),
        "input_tokens": usage.get("prompt_tokens"),
        "output_tokens": usage.get("completion_tokens"),
        "cost": _cost(session, action_id),
        "action_id": action_id,
    }


def draw_trial(trial: Object) -> RenderableType:
    """Draw an answer and its figures."""
    text = clean(trial["answer"]).strip() or "(an empty answer)"
    figures = [str(trial["model"]), f"{trial['latency_ms']:g} ms"]
    counted = [(trial[f"{unit}_tokens"], unit) for unit in ("input", "output")]
    figures += [f"{count} {unit} tokens" for count, unit in counted if count is not None]
    if trial["cost"]:
        figures.append(cost_text(trial["cost"]))
    if trial["stop_reason"] == "length":
        figures.append("cut at its limit")
    figures.append(f"act {short(trial['action_id'])}")
    return Group(Text(text), Text(clean("  ".join(figures)), style="dim"))


def _known(session: Session, path: str, name: str) -> Object:
    """Return what is registered under a name; empty where that cannot be looked up, which the door will tell better."""
    try:
        return session.client.get(path_to(path, name))
    except CliError:
        return {}


def _models(session: Session, name: str) -> list[Object]:
    """Return the models that a name stands for, as far as they can be looked up."""
    if name == "auto":
        return []
    if not name.startswith(_PURPOSE):
        return [_known(session, "models", name)]
    members = _known(session, "purposes", name.removeprefix(_PURPOSE)).get("models") or []
    return [_known(session, "models", str(member)) for member in members]


def _first(answer: Object, name: str) -> Object:
    items = answer.get(name)
    return items[0] if isinstance(items, list) and items and isinstance(items[0], dict) else {}


def _vector(answer: Object) -> str:
    return f"a vector of {len(_first(answer, 'data').get('embedding') or [])} numbers"


def _text(answer: Object) -> str:
    message = _first(answer, "choices").get("message")
    content = message.get("content") if isinstance(message, dict) else None
    return content if isinstance(content, str) else ""


def _cost(session: Session, action_id: str) -> Object | None:
    """Return what the act cost; None where it may not be read."""
    if not action_id:
        return None
    try:
        cost = session.client.get(path_to("actions", action_id)).get("cost")
    except CliError:
        return None
    return cost if isinstance(cost, dict) else None


def _refused(session: Session, name: str, response: httpx.Response, answer: Object) -> CliError:
    """Turn a refusal at a model's door into a failure that says how to mend it."""
    said = answer.get("error")
    error: Object = said if isinstance(said, dict) else {}
    problem = error.get("aos")
    detail = str(error.get("message") or f"it answered {response.status_code} and no reason")
    status = exit_status_of(response.status_code)
    if not isinstance(problem, dict):
        hint = _hint(
            session, _THEIRS.get(response.status_code, "the model's server failed: try again in a while"), name
        )
        title = f"The provider of `{name}` answered {response.status_code}"
        # A provider's 401 says nothing of who is signed in here.
        status = ExitStatus.FAILED if status is ExitStatus.NOT_SIGNED_IN else status
        return CliError(title, detail, status, problem=answer, hints=[hint])
    slug = str(problem.get("type", "")).rpartition(":")[2]
    if status is ExitStatus.NOT_SIGNED_IN:
        detail += "; sign in with `aos login`"
    hints = [_hint(session, _OWN[slug], name)] if slug in _OWN else []
    errors = [
        FieldError(str(each.get("pointer", "")), str(each.get("detail", ""))) for each in problem.get("errors", ())
    ]
    reasons = [str(each) for each in problem.get("reasons", ())]
    status = ExitStatus.WAITS if problem.get("approval_id") else status
    title = str(problem.get("title") or f"Answer {response.status_code}")
    return CliError(title, detail, status, errors=errors, reasons=reasons, problem=problem, hints=hints)


def _hint(session: Session, words: str, name: str) -> str:
    show = session.hint("models list" if name == "auto" or ":" in name else f"models show {name}")
    return words.format(list=session.hint("models list"), show=show, explain=session.hint("models explain"))
