"""Graphs of LangGraph, LangChain and DeepAgents as agents: governed, kept at checkpoints, asked about, and never done twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from aos.kernel.agents import Runtime
from aos.kernel.json import Json
from aos.kernel.policy.values import Outcome, Rule
from aos.kernel.ports import ToolOutcome
from aos.operations.approvals import Answer as Yes
from tests import working
from tests.databases import Database
from tests.operations.test_runs_waits import at_work
from tests.scripted_models import Answer, ScriptedModels, chat, model
from tests.working import Working
from tests.working import working as at_home
from tests.worlds import Caller, World, agent, make_world, payments, tool

NAMES = (
    "graph",
    "builder",
    "agent",
    "careful_agent",
    "deep_agent",
    "ungoverned",
    "steps",
    "asks",
    "stops",
    "talks",
    "large",
    "remembers",
)
PAYMENT: dict[str, Json] = {"iban": "DE71500105175813421938", "amount": "12", "currency": "EUR"}
Story = Callable[[Working, UUID], Awaitable[None]]


def calling(*calls: tuple[str, Json], text: str = "") -> Answer:
    """Return an answer that asks for tools."""
    said = [
        {"id": f"call_{place}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for place, (name, arguments) in enumerate(calls, 1)
    ]
    answer = json.loads(chat(text, finish="tool_calls").body)
    answer["choices"][0]["message"]["tool_calls"] = said
    return Answer(200, json.dumps(answer).encode())


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait long enough for hosts that import the frameworks, several at once on a small machine."""
    monkeypatch.setattr(working, "ENDED_SECONDS", 120.0)


def company(database: Database, *, inline: bool = True) -> World:
    """Return an organization whose agents are graphs, with two tools and a model; in hosts where not inline."""
    agents = [
        replace(
            agent(name, "payments.create", "erp.read"),
            runtime=Runtime("langgraph", f"tests.graph_agents:{name}", inline=inline),
            models=("gpt",),
        )
        for name in NAMES
    ]
    return make_world(database, agents=agents, tools=[payments(price=None), tool("erp.read")], models=[model("gpt")])


def caller() -> Caller:
    """Return tools that say which they are."""
    return Caller(lambda tool, arguments: ToolOutcome(ok=True, value={"by": tool.name, "id": len(arguments)}))


def play(
    world: World, name: str, input: Json, answers: Sequence[Answer], *, story: Story | None = None, **more: Any
) -> tuple[dict[str, Any], ScriptedModels, Caller, list[Any]]:
    """Run a graph to its end; return the run, what models and tools were asked, and the acts."""
    models, tools = ScriptedModels(list(answers)), caller()

    async def run() -> tuple[dict[str, Any], list[Any]]:
        in_hosts = not any(each.runtime and each.runtime.inline for each in world.agents.values())
        async with AsyncExitStack() as stack:
            if in_hosts:
                aos, _ = await stack.enter_async_context(at_work(world, tools, models=models))
            else:
                aos = await stack.enter_async_context(at_home(world, tools, models=models))
            run_id = await aos.start(agent=name, input=input, **more)
            if story is not None:
                await story(aos, run_id)
            ended = await aos.ended(run_id)
            (task,) = aos.tasks(run_id).values()
            if task["error_content_id"]:
                ended["error"] = aos.content(task["error_content_id"])
            ended["task"] = task
            await aos.check_books()
            return ended, aos.rows("select kind, name, state, error_code from action order by id")

    ended, acts = asyncio.run(run())
    return ended, models, tools, [(row["kind"], row["name"], row["state"]) for row in acts]


TURNS = [
    calling(("erp_read", {"order": "A1"})),
    calling(("payments_create", PAYMENT)),
    chat("paid"),
]
ACTS = [
    ("run", None, "performed"),
    ("delegate", None, "performed"),
    ("model", "gpt", "performed"),
    ("tool", "erp.read", "performed"),
    ("model", "gpt", "performed"),
    ("tool", "payments.create", "performed"),
    ("model", "gpt", "performed"),
]


@pytest.mark.parametrize("name", ["graph", "builder", "agent", "deep_agent"])
def test_a_graphs_tools_and_models_go_through_the_gate(database: Database, name: str) -> None:
    run, models, tools, acts = play(company(database), name, "Pay order A1", TURNS)
    assert (run["state"], run["output"]) == ("succeeded", "paid"), run.get("error")
    assert acts == [(kind, called or name, state) for kind, called, state in ACTS]
    assert [called for called, *_ in tools.calls] == ["erp.read", "payments.create"]
    said = [message for message in models.bodies[-1]["messages"] if message["role"] == "tool"]
    assert [json.loads(message["content"])["by"] for message in said] == ["erp.read", "payments.create"]


def test_a_tool_that_is_not_registered_is_refused_and_the_model_reads_why(database: Database) -> None:
    answers = [calling(("shell", {"command": "rm"})), chat("I may not")]
    run, models, tools, acts = play(company(database), "graph", "Clean up", answers)
    assert (run["state"], run["output"]) == ("succeeded", "I may not"), run.get("error")
    assert ("tool", "shell", "refused") in acts
    assert tools.calls == []
    (told,) = [each for each in models.bodies[-1]["messages"] if each["role"] == "tool"]
    assert "there is no tool `shell`" in told["content"]


@pytest.mark.parametrize("name", ["graph", "agent", "deep_agent"])
def test_a_graph_that_asks_again_and_again_for_what_is_refused_is_ended(database: Database, name: str) -> None:
    run, models, _, acts = play(company(database), name, "Clean up", [calling(("shell", {"command": "rm"}))])
    assert run["state"] == "failed"
    assert run["task"]["error_code"] == "refused-again"
    assert acts.count(("tool", "shell", "refused")) == 5
    assert len(models.asked) == 5


def test_tools_of_a_graph_that_is_not_governed_run_in_the_framework_and_the_coverage_says_so(
    database: Database,
) -> None:
    world = company(database)
    run, _, tools, _ = play(world, "ungoverned", "Pay order A1", TURNS)
    assert run["state"] == "succeeded", run.get("error")
    assert tools.calls == []
    ((told,),) = world.rows("select attributes from span where name = 'coverage'")
    assert (told["governed"], told["tools"]) == ([], ["dies", "erp_read", "payments_create", "shell"])
    assert (told["models"], told["models_governed"]) == (["gpt"], ["gpt"])


def test_a_host_that_is_killed_in_the_middle_costs_no_call_twice(database: Database, tmp_path: Path) -> None:
    world = company(database, inline=False)
    run, models, _, acts = play(world, "steps", {"folder": str(tmp_path), "log": []}, [chat("a"), chat("b"), chat("c")])
    assert (tmp_path / "died").exists()
    assert (run["state"], run["output"]["log"]) == ("succeeded", ["first a", "second b"]), run.get("error")
    assert len(models.asked) == 2
    assert [kind for kind, *_ in acts] == ["run", "delegate", "model", "model"]
    assert run["task"]["claims"] == 1
    names = [name for (name,) in world.rows("select name from span order by started_at")]
    assert "one" not in names  # what the killed host had not sent is lost: spans are evidence, no record
    assert {"two", "coverage"} <= set(names)


@pytest.mark.parametrize("name", ["graph", "agent"])
def test_an_agent_that_is_killed_between_its_turns_goes_on_and_pays_once(
    database: Database, tmp_path: Path, name: str
) -> None:
    dies = calling(("dies", {"folder": str(tmp_path)}))
    run, models, tools, acts = play(
        company(database, inline=False), name, "Pay order A1", [TURNS[0], TURNS[1], dies, TURNS[2]]
    )
    assert (tmp_path / "died").exists()
    assert (run["state"], run["output"]) == ("succeeded", "paid"), run.get("error")
    assert [called for called, *_ in tools.calls] == ["erp.read", "payments.create"]
    assert len(models.asked) == 4
    assert [each for each in acts if each[0] == "tool"] == [
        ("tool", "erp.read", "performed"),
        ("tool", "payments.create", "performed"),
    ]


def test_a_sub_agent_of_deep_agents_is_governed_and_not_made_to_pay_twice(database: Database, tmp_path: Path) -> None:
    task = calling(("task", {"description": "pay", "subagent_type": "general-purpose"}))
    pay_and_die = calling(("payments_create", PAYMENT), ("dies", {"folder": str(tmp_path)}))
    answers = [task, TURNS[0], pay_and_die, chat("sub-agent is done"), chat("paid")]
    run, models, tools, _ = play(company(database, inline=False), "deep_agent", "Pay order A1", answers)
    assert (tmp_path / "died").exists()
    assert (run["state"], run["output"]) == ("succeeded", "paid"), run.get("error")
    assert [called for called, *_ in tools.calls] == ["erp.read", "payments.create"]
    assert len(models.asked) == 5


def test_a_model_that_is_asked_in_a_thread_waits_for_a_person_and_is_asked_once(database: Database) -> None:
    async def story(aos: Working, run_id: UUID) -> None:
        for _ in range(2):
            (waiting,) = await aos.until("select id from approval where status = 'pending' and run_id = %s", run_id)
            await aos.until("select 1 from task where run_id = %s and state = 'waiting'", run_id)
            await aos.answer(waiting["id"])

    world = company(database, inline=False)
    world.publish(Rule("look", 1, Outcome.ESCALATE, (), ("model:gpt",), "", "a person looks at each question"))
    run, models, _, acts = play(world, "steps", {"folder": "", "log": []}, [chat("a"), chat("b")], story=story)
    assert (run["state"], run["output"]["log"]) == ("succeeded", ["first a", "second b"]), run.get("error")
    assert len(models.asked) == 2
    assert [each for each in acts if each[0] == "model"] == [("model", "gpt", "performed")] * 2
    assert run["task"]["claims"] == 0


async def _answered(aos: Working, run_id: UUID, times: int, **answer: Any) -> None:
    for n in range(1, times + 1):
        query = "select id, act_kind from approval where status = 'pending' and run_id = %s"
        (waiting,) = await aos.until(query, run_id)
        await aos.until("select 1 from task where run_id = %s and state = 'waiting' and waits_for = 'approval'", run_id)
        assert waiting["act_kind"] == "ask"
        given: dict[str, Any] = {key: f"{value} {n}" if key == "value" else value for key, value in answer.items()}
        await aos.do.approvals.answer_approval(
            aos.approver, waiting["id"], answer=given.pop("answer", Yes.APPROVE), **given
        )


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"value": "left"}, ["left 1", "left 2"]),
        ({"comment": "fine"}, ["fine", "fine"]),
        ({}, [True, True]),
        ({"answer": Yes.DENY, "comment": "no"}, [False, False]),
        ({"answer": Yes.DENY, "comment": "no", "suggested_args": {"do": "less"}}, [{"do": "less"}] * 2),
    ],
    ids=["value", "comment", "yes", "no", "instead"],
)
def test_interrupts_wait_for_a_person_whose_answer_resumes_the_graph(
    database: Database, answer: dict[str, Any], said: list[Json]
) -> None:
    async def story(aos: Working, run_id: UUID) -> None:
        await _answered(aos, run_id, 2, **answer)

    world = company(database)
    run, _, _, acts = play(world, "asks", {"name": "x", "said": []}, [chat("")], story=story)
    assert (run["state"], run["output"]) == ("succeeded", {"name": "x", "said": said}), run.get("error")
    state = "refused" if answer.get("answer") is Yes.DENY else "performed"
    assert [each for each in acts if each[0] == "ask"] == [("ask", "interrupt", state)] * 2
    assert world.rows("select 1 from span where name = 'asks' and attributes ->> 'error' = 'GraphInterrupt'")
    assert run["task"]["attempt"] == 1


def test_anthropics_client_and_a_model_of_ours_ask_through_the_task(database: Database) -> None:
    run, models, _, acts = play(company(database), "talks", "Hello", [chat("one"), chat("two")])
    assert (run["state"], run["output"]) == ("succeeded", "two"), run.get("error")
    assert [body["messages"][-1]["content"] for body in models.bodies] == ["Hello", "and?"]
    assert [each for each in acts if each[0] == "model"] == [("model", "gpt", "performed")] * 2


@pytest.mark.parametrize(("answer", "state"), [(Yes.APPROVE, "succeeded"), (Yes.DENY, "failed")])
def test_a_breakpoint_is_passed_with_a_persons_yes_alone(database: Database, answer: Yes, state: str) -> None:
    async def story(aos: Working, run_id: UUID) -> None:
        await _answered(aos, run_id, 1, answer=answer, comment="said so")

    run, _, _, acts = play(company(database), "stops", {"name": "x", "said": []}, [chat("")], story=story)
    assert run["state"] == state
    assert [name for kind, name, _ in acts if kind == "ask"] == ["breakpoint"]
    if answer is Yes.APPROVE:
        assert run["output"]["said"] == ["first", "second"]


@pytest.mark.parametrize(
    ("answer", "paid"),
    [
        ({}, ["12"]),
        ({"answer": Yes.DENY, "comment": "too much"}, []),
        ({"answer": Yes.DENY, "comment": "too much", "suggested_args": {**PAYMENT, "amount": "3"}}, ["3"]),
    ],
    ids=["approve", "reject", "edit"],
)
def test_a_middlewares_question_about_a_tool_call_is_answered_in_its_form(
    database: Database, answer: dict[str, Any], paid: list[str]
) -> None:
    async def story(aos: Working, run_id: UUID) -> None:
        await _answered(aos, run_id, 1, **answer)

    answers = [calling(("payments_create", PAYMENT)), chat("done")]
    run, models, tools, acts = play(company(database), "careful_agent", "Pay", answers, story=story)
    assert (run["state"], run["output"]) == ("succeeded", "done"), run.get("error")
    assert [arguments["amount"] for _, arguments, _ in tools.calls] == paid
    assert len(models.asked) == 2
    assert [name for kind, name, _ in acts if kind == "ask"] == ["payments_create"]
    if not paid:
        (told,) = [each for each in models.bodies[-1]["messages"] if each["role"] == "tool"]
        assert "too much" in told["content"]


def test_a_checkpoint_that_is_too_large_is_a_clear_error(database: Database) -> None:
    run, *_ = play(company(database), "large", {"text": ""}, [chat("")])
    assert run["state"] == "failed"
    assert "more than the 4194304 that one may have" in run["error"]["detail"]


def test_a_thread_goes_on_over_runs_and_belongs_to_one_organization(database: Database) -> None:
    keys = None
    for company_name in ("first", "second"):
        world = (
            company(database)
            if keys is None
            else make_world(
                database,
                agents=[
                    replace(
                        agent("remembers"), runtime=Runtime("langgraph", "tests.graph_agents:remembers", inline=True)
                    )
                ],
                keys=keys,
            )
        )
        keys = world.keys
        for n in (1, 2):
            said = f"{company_name} {n}"
            run, *_ = play(world, "remembers", {"seen": [said]}, [chat("")], thread="shared")
            assert run["output"] == {"seen": [f"{company_name} {each}" for each in range(1, n + 1)]}, run.get("error")


def test_what_a_graph_keeps_is_sealed_and_forgotten_with_its_run(database: Database) -> None:
    world = company(database)

    async def story() -> None:
        async with at_home(world, caller(), models=ScriptedModels([chat("secret words")])) as aos:
            run_id = await aos.start(agent="graph", input="Pay")
            await aos.ended(run_id)
            contents = aos.rows("select sealed from content where purpose = 'checkpoint'")
            assert contents
            assert all(b"secret words" not in row["sealed"] for row in contents)
            while not aos.rows("select 1 from run where archived_at is not null"):
                await aos.do.housekeeping.archive_runs(after_seconds=0)
            assert aos.rows("select 1 from checkpoint union all select 1 from checkpoint_write") == []
            assert aos.rows("select 1 from content where purpose = 'checkpoint' and sealed is not null") == []

    asyncio.run(story())
