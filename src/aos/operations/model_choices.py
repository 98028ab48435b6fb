"""Why a model answered: the choice of a recorded act, made again from what it was made of.

What a choice was made of is content, as all that a decision read: it is there for those who may read content.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from aos.kernel.acts import ActKind
from aos.kernel.errors import Forbidden, InvalidRequest, NotFound
from aos.kernel.json import Json
from aos.kernel.models.explanation import read_question, replay, sentences
from aos.kernel.people import Actor, Permission
from aos.operations.actions import ActionView, show_action
from aos.operations.drivers import Drivers
from aos.operations.model_answers import TRIED
from aos.operations.registry_records import reading
from aos.store.cold.connection import run_sql


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """One choice. `question` is None where the request named one model, which leaves nothing to choose.

    `order` and `reasons` are the choice made again; `agrees` says whether it begins with the model that was asked then.
    `used` are the models that were used, the last of them gave the answer; empty where none answered.
    """

    action_id: UUID
    asked: str
    dialect: str
    model: str
    state: str
    used: tuple[str, ...]
    question: Json
    order: tuple[str, ...]
    reasons: tuple[str, ...]
    agrees: bool


def show_choice(drivers: Drivers, actor: Actor, action_id: UUID) -> ModelChoice:
    """Return the choice of one model call.

    Raises NotFound, Forbidden without the permission `content.read`, and InvalidRequest for an act that is no model call.
    """
    view = show_action(drivers, actor, action_id)
    if view.kind != ActKind.MODEL:
        raise InvalidRequest(f"action `{action_id}` is {view.kind} `{view.name}`, no model call: nothing was chosen")
    if not actor.may(Permission.CONTENT_READ):
        raise Forbidden("what a choice was made of is content: it needs the permission `content.read`")
    given = view.arguments
    if not isinstance(given, dict):
        raise NotFound(f"what was asked in action `{action_id}` is erased: its choice cannot be made again")
    used, tried = _used(actor, view), _tried(view)
    if view.route is None:
        reason = _single(str(given.get("model", view.name)), view)
        return _choice(view, given, (view.name,), reasons=(reason, *tried), used=used, agrees=True)
    order, reasons = replay(view.route).names, sentences(read_question(view.route))
    return _choice(view, given, order, reasons=(*reasons, *tried), used=used, agrees=order[:1] == (view.name,))


def _tried(view: ActionView) -> tuple[str, ...]:
    """Say who was asked and gave no answer, in the order in which they were."""
    tried = view.result.get(TRIED) if isinstance(view.result, dict) else None
    said = [str(each.get("reason")) for each in tried if isinstance(each, dict)] if isinstance(tried, list) else []
    return tuple(f"asked without an answer: {each}" for each in said)


def _single(asked: str, view: ActionView) -> str:
    if asked == view.name:
        return f"the request named the single model `{asked}`: there was nothing to choose"
    return f"of what `{asked}` stands for policy allowed the single model `{view.name}`: there was nothing to choose"


def _choice(
    view: ActionView,
    given: Mapping[str, Json],
    order: tuple[str, ...],
    *,
    reasons: tuple[str, ...],
    used: tuple[str, ...],
    agrees: bool,
) -> ModelChoice:
    return ModelChoice(
        action_id=view.id,
        asked=str(given.get("model", view.name)),
        dialect=str(given.get("dialect", "")),
        model=view.name,
        state=view.state,
        used=used,
        question=view.route,
        order=order,
        reasons=reasons,
        agrees=agrees,
    )


def _used(actor: Actor, view: ActionView) -> tuple[str, ...]:
    """Return the models that an act used, in the order in which they were asked."""
    if view.concluded_at is None:
        return ()
    params = {
        "organization_id": actor.organization_id,
        "action_id": view.id,
        "from": view.intended_at,
        "to": view.concluded_at,
    }
    with reading(actor, Permission.TRACE_READ):
        return tuple(dict.fromkeys(str(row["name"]) for row in run_sql("list_action_models", params)))
