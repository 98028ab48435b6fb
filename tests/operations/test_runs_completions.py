"""What agents ask of models inside runs: recorded once, given again by every later pass, refused as tools are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from aos.kernel.agents import Runtime
from aos.kernel.errors import UpstreamFailed
from aos.kernel.models.values import Purpose
from aos.kernel.money import Money
from aos.kernel.policy.values import Outcome, Rule
from aos.kernel.workflow.spec import RetrySpec, TaskSpec, WorkflowSpec
from tests.databases import Database
from tests.operations.test_runs_waits import PAYMENT, at_work
from tests.scripted_models import Answer, ScriptedModels, chat, model, refusal
from tests.working import Working, add_workflow
from tests.worlds import World, agent, make_world, payments, tool

BOTH = pytest.mark.parametrize("colour", ["", "_async"])
NAMES = (
    "asks_then_pays",
    "asks_and_fails_once",
    "asks_twice",
    "asks_or_says_why",
    "asks_again",
    "lets_a_model_use_a_tool",
)
ASK = Rule("every-payment", 1, Outcome.ESCALATE, (), ("tool:payments.create",), "", "a person looks at it")
NEVER = Rule("no-strong", 1, Outcome.DENY, (), ("model:strong",), "", "the strong model is not for this")


def company(database: Database, *, limit: Money | None = None) -> World:
    """Return an organization with a light model, a strong one that policy denies, and a budget where a limit is given."""
    agents = [
        replace(
            agent(name + colour, "payments.create", "erp.read"),
            runtime=Runtime("python", f"tests.ask_agents:{name}{colour}"),
            models=("*",),
        )
        for name in NAMES
        for colour in ("", "_async")
    ]
    return make_world(
        database,
        agents=agents,
        tools=[payments(price=None), tool("erp.read")],
        rules=[ASK, NEVER],
        models=[model("light", strength=1), model("strong", strength=5)],
        purposes=[Purpose("quick", ("strong", "light"))],
        budgets=[("all", "organization", limit)] if limit is not None else [],
    )


def play(
    world: World,
    name: str,
    input: Any,
    answers: list[Answer | UpstreamFailed],
    *,
    act: Callable[..., Any] | None = None,
) -> tuple[Any, ScriptedModels, list[dict[str, Any]]]:
    """Run an agent to its end; return the run, the models' far side, and the recorded model calls in their order."""
    models = ScriptedModels(answers)

    async def story() -> tuple[Any, list[dict[str, Any]]]:
        async with at_work(world, models=models) as (aos, _):
            run_id = await aos.start(agent=name, input=input)
            if act is not None:
                await act(aos, run_id)
            run = await aos.ended(run_id)
            await aos.check_books()
            return run, aos.rows("select * from action where kind = 'model' order by id")

    run, acts = asyncio.run(story())
    return run, models, acts


async def approve(aos: Working, run_id: Any) -> None:
    """Say yes to what waits."""
    (approval,) = await aos.until("select id from approval where status = 'pending'")
    await aos.answer(approval["id"])


@BOTH
def test_a_later_pass_is_given_the_recorded_answer_and_pays_nothing_again(database: Database, colour: str) -> None:
    answers: list[Answer | UpstreamFailed] = [chat("100 euros", tokens=(12, 3)), chat("something else")]
    run, models, acts = play(company(database), f"asks_then_pays{colour}", PAYMENT, answers, act=approve)
    assert (run["state"], run["output"]) == (
        "succeeded",
        {"text": "100 euros", "tokens": [12, 3], "stop_reason": "stop", "model": "served"},
    )
    assert len(models.asked) == 1
    assert models.bodies[0]["messages"] == [{"role": "user", "content": "What is due?"}]
    ((state, cost),) = [(each["state"], each["cost_nanos"]) for each in acts]
    assert (state, cost) == ("performed", 12 * 1000 + 3 * 2000)


@BOTH
def test_a_new_attempt_keeps_the_answer_of_the_one_that_failed(database: Database, colour: str) -> None:
    world, models = company(database), ScriptedModels([chat("first"), chat("second")])
    task = TaskSpec("t", agent=f"asks_and_fails_once{colour}", retry=RetrySpec(2, 0.05, 0.05))
    add_workflow(world, WorkflowSpec("w", tasks=(task,)))

    async def story() -> Any:
        async with at_work(world, models=models) as (aos, _):
            run_id = await aos.start("w")
            run = await aos.ended(run_id)
            return run, aos.tasks(run_id)["t"]

    run, done = asyncio.run(story())
    assert (run["state"], done["attempt"], done["output"]) == ("succeeded", 2, "first")
    assert len(models.asked) == 1


@BOTH
def test_the_same_question_asked_twice_is_two_calls(database: Database, colour: str) -> None:
    run, models, acts = play(company(database), f"asks_twice{colour}", None, [chat("one"), chat("two")])
    assert run["output"] == ["one", "two"]
    assert (len(models.asked), [each["state"] for each in acts]) == (2, ["performed", "performed"])


@BOTH
def test_a_model_that_policy_denies_raises_denied_with_the_rule_and_is_not_asked(
    database: Database, colour: str
) -> None:
    run, models, acts = play(company(database), f"asks_or_says_why{colour}", {"model": "strong"}, [chat("no")])
    assert (run["output"]["raised"], run["output"]["slug"]) == ("Denied", "denied")
    assert run["output"]["reasons"] == ["no-strong: the strong model is not for this"]
    assert models.asked == []
    assert [each["state"] for each in acts] == ["refused"]


@BOTH
def test_of_a_purpose_the_model_that_policy_allows_answers(database: Database, colour: str) -> None:
    run, models, acts = play(company(database), f"asks_or_says_why{colour}", {"model": "purpose:quick"}, [chat("yes")])
    assert run["output"] == "yes"
    assert [body["model"] for body in models.bodies] == ["light"]
    assert [each["name"] for each in acts] == ["light"]


@BOTH
def test_a_spent_budget_raises_budget_spent_and_no_model_is_asked(database: Database, colour: str) -> None:
    world = company(database, limit=Money(1_000, "EUR"))
    input = {"model": "light", "parameters": {"max_tokens": 500}}
    run, models, _ = play(world, f"asks_or_says_why{colour}", input, [chat("no")])
    assert (run["output"]["raised"], run["output"]["slug"]) == ("BudgetSpent", "budget-spent")
    assert models.asked == []


@BOTH
@pytest.mark.parametrize(
    ("input", "answer", "raised", "says"),
    [
        ({"model": "light"}, refusal(400, "no such parameter"), "ModelFailed", "model `light` answered 400"),
        ({"model": "light"}, UpstreamFailed("it cut the answer"), "ModelFailed", "it cut the answer"),
        ({"model": "nowhere"}, chat("no"), "ModelFailed", "there is no model `nowhere`"),
        ({"model": "light", "parameters": {"max_tokens": -1}}, chat("no"), "ModelFailed", "max_tokens"),
        ({"model": "light", "parameters": {"stream": True}}, chat("no"), "InvalidCall", "the answer comes whole"),
    ],
    ids=["refused by its server", "cut", "unknown", "a wrong parameter", "a stream"],
)
def test_a_question_that_cannot_be_answered_raises_with_the_reason(
    database: Database, colour: str, input: Any, answer: Any, raised: str, says: str
) -> None:
    run, _, _ = play(company(database), f"asks_or_says_why{colour}", input, [answer])
    assert (run["state"], run["output"]["raised"]) == ("succeeded", raised)
    assert says in json.dumps(run["output"])


@BOTH
def test_a_question_that_failed_is_asked_again_under_the_same_call(database: Database, colour: str) -> None:
    answers: list[Answer | UpstreamFailed] = [refusal(400, "not now"), chat("now")]
    run, models, acts = play(company(database), f"asks_again{colour}", None, answers)
    assert (run["output"], len(models.asked)) == ("now", 2)
    assert [each["state"] for each in acts] == ["failed", "performed"]
    assert len({each["call_key"] for each in acts}) == 1


@BOTH
def test_a_model_may_ask_for_a_tool_and_is_told_what_came_of_it(database: Database, colour: str) -> None:
    wants = {"id": "t1", "type": "function", "function": {"name": "erp_read", "arguments": '{"id": 1}'}}
    asked = json.loads(chat("", finish="tool_calls").body)
    asked["choices"][0]["message"] = {"role": "assistant", "content": None, "tool_calls": [wants]}
    answers: list[Answer | UpstreamFailed] = [Answer(200, json.dumps(asked).encode()), chat("it is due")]
    run, models, _ = play(company(database), f"lets_a_model_use_a_tool{colour}", None, answers)
    assert run["output"] == ["tool_calls", "it is due"]
    assert [each["role"] for each in models.bodies[1]["messages"]] == ["user", "assistant", "tool"]
    assert models.bodies[1]["messages"][1]["tool_calls"] == [wants]
