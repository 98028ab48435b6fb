"""Why a model answered: the choice of a recorded act, made again from what it was made of.

What a choice was made of is content, as all that a decision read: it is there for those who may read content.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from aos.kernel.acts import ActKind
from aos.kernel.errors import Forbidden, InvalidRequest, NotFound
from aos.kernel.json import Json
from aos.kernel.models.explanation import read_question, replay, sentences
from aos.kernel.people import Actor, Permission
from aos.operations.actions import ActionView, show_action
from aos.operations.drivers import Drivers


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """One choice. `question` is None where the request named one model, which leaves nothing to choose.

    `order` and `reasons` are the choice made again; `agrees` says whether it begins with the model that was asked then.
    `answered` are the models that were used, the last of them gave the answer; empty where none answered.
    """

    action_id: UUID
    asked: str
    dialect: str
    model: str
    state: str
    answered: tuple[str, ...]
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
    asked = str(given.get("model", view.name))
    if view.route is None:
        reasons = (_single(asked, view),)
        return _choice(view, asked, str(given.get("dialect", "")), (view.name,), reasons, agrees=True)
    order = replay(view.route).names
    told = sentences(read_question(view.route))
    return _choice(view, asked, str(given.get("dialect", "")), order, told, agrees=order[:1] == (view.name,))


def _single(asked: str, view: ActionView) -> str:
    if asked == view.name:
        return f"the request named the single model `{asked}`: there was nothing to choose"
    return f"of what `{asked}` stands for policy allowed the single model `{view.name}`: there was nothing to choose"


def _choice(
    view: ActionView, asked: str, dialect: str, order: tuple[str, ...], reasons: tuple[str, ...], *, agrees: bool
) -> ModelChoice:
    return ModelChoice(
        action_id=view.id,
        asked=asked,
        dialect=dialect,
        model=view.name,
        state=view.state,
        answered=_answered(view.result),
        question=view.route,
        order=order,
        reasons=reasons,
        agrees=agrees,
    )


def _answered(result: Json) -> tuple[str, ...]:
    """Return the models that an outcome names as used."""
    used = result.get("used") if isinstance(result, dict) else None
    return tuple(str(each["model"]) for each in used if isinstance(each, dict)) if isinstance(used, list) else ()
