"""Agents elsewhere as AOS's own: tasks sent by A2A or a POST, looked after, taken back, and refused where the far side lies."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from aos.kernel.agents import Agent, AgentType, Runtime
from aos.kernel.money import Money
from aos.kernel.workflow.spec import RetrySpec, TaskSpec, WorkflowSpec
from aos.operations.remote_agents import NotSent, RemoteAgents, RemoteFailed, card_digest
from aos.workers.worker import WorkerConfig
from tests.contract.a2a_elsewhere import Elsewhere, drip, elsewhere, task
from tests.contract.a2a_peer import run_agent
from tests.databases import Database
from tests.doors import open_door
from tests.working import Working, add_workflow, working
from tests.worlds import World, agent, make_world

DONE = {"result": {"task": task("COMPLETED", {"data": {"verdict": "fine"}})}}


def remote(far: Elsewhere, *, kind: str = "a2a", **options: Any) -> Agent:
    return agent("reviews", runtime=Runtime(kind, options={"url": far.url, **options}))


def company(database: Database, far: Elsewhere, *, hosts: list[str] | None = None, **options: Any) -> World:
    leads = run_agent("leads_reviews", type=AgentType.EXECUTIVE, delegates=("reviews",))
    return make_world(
        database,
        agents=[remote(far, **options), leads],
        hosts=[far.host] if hosts is None else hosts,
        secrets={"partner": "s3cret"},
        budgets=[("all", "organization", Money(5_000_000_000, "EUR"))],
    )


def story(world: World, work: Callable[[Working], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with working(world) as aos:
            await work(aos)

    asyncio.run(main())


async def failed(aos: Working, **given: Any) -> str:
    """Return why a run of the agent elsewhere failed."""
    run = await aos.ended(await aos.start(agent="reviews", **given))
    assert run["state"] == "failed"
    (row,) = aos.rows("select error_content_id from task where run_id = %s", run["id"])
    told: Any = aos.content(row["error_content_id"])
    return str(told["detail"])


def test_a_task_is_sent_with_its_trace_its_budget_and_its_deadline_and_its_output_comes_back(
    database: Database,
) -> None:
    with elsewhere(lambda method, params: DONE) as far:
        world = company(database, far, secret="partner")
        flow = WorkflowSpec("flow", (TaskSpec("review", "reviews", input={"vendor": "V1"}, total_timeout_seconds=60),))
        add_workflow(world, flow)

        async def work(aos: Working) -> None:
            run = await aos.ended(await aos.start("flow", goal="review the vendor"))
            assert run["state"] == "succeeded"
            task_row = aos.tasks(run["id"])["review"]
            assert task_row["output"] == {"verdict": "fine"}
            assert [each.path for each in far.heard] == ["/.well-known/agent-card.json", "/rpc"]
            assert {each.headers["authorization"] for each in far.heard} == {"Bearer s3cret"}
            asked = far.heard[1]
            assert asked.headers["a2a-version"] == "1.0"
            trace = f"00-{run['id'].hex}-{task_row['id'].hex[16:]}-01"
            assert asked.headers["traceparent"] == trace
            params = asked.body["params"]
            assert params["message"]["messageId"] == f"{task_row['id']}-1"
            assert params["message"]["parts"][0] == {"text": "review the vendor"}
            assert params["message"]["parts"][1]["data"] == {"vendor": "V1"}
            assert params["metadata"]["traceparent"] == trace
            assert params["metadata"]["aos/budget-left"] == {"amount": "5.00", "currency": "EUR"}
            assert "aos/deadline" in params["metadata"]
            assert aos.rows("select ended_at is not null as over, remote_task_id from a2a_remote") == [
                {"over": True, "remote_task_id": "t-1"}
            ]

        story(world, work)


def test_a_task_that_takes_its_time_is_looked_after_while_it_holds_no_worker(database: Database) -> None:
    looks: list[str] = []

    def answer(method: str, params: dict[str, Any]) -> Any:
        if method == "SendMessage":
            return {"result": {"task": task("SUBMITTED")}}
        looks.append(params["id"])
        return {"result": task("WORKING") if len(looks) < 3 else task("COMPLETED", {"text": "done"})}

    with elsewhere(answer) as far:

        async def work(aos: Working) -> None:
            run_id = await aos.start(agent="reviews", input={"n": 1})
            rows = await aos.until("select id from task where run_id = %s and state = 'waiting'", run_id)
            assert not any(held.id == rows[0]["id"] for held in aos.worker.tasks.held)
            run = await aos.ended(run_id)
            assert (run["state"], run["output"]) == ("succeeded", "done")

        story(company(database, far), work)
        assert far.verbs() == ["SendMessage", "GetTask", "GetTask", "GetTask"]
        assert looks == ["t-1"] * 3


def test_another_agent_delegates_to_it_like_to_any_other(database: Database) -> None:
    with elsewhere(lambda method, params: DONE) as far:

        async def work(aos: Working) -> None:
            run = await aos.ended(await aos.start(agent="leads_reviews", input={"vendor": "V2"}))
            assert run["output"] == {"verdict": "fine"}

        story(company(database, far), work)


def test_an_agent_elsewhere_is_told_of_its_tasks_own_budget(database: Database) -> None:
    with elsewhere(lambda method, params: DONE) as far:

        async def work(aos: Working) -> None:
            run = await aos.ended(await aos.start(agent="leads_reviews", input={"budget": "0.25 EUR"}))
            assert run["state"] == "succeeded"

        story(company(database, far), work)
        assert far.heard[-1].body["params"]["metadata"]["aos/budget-left"] == {"amount": "0.25", "currency": "EUR"}


@pytest.mark.parametrize("kind", ["a2a", "http"])
@pytest.mark.parametrize("in_doubt", [True, False])
def test_only_what_was_answered_is_sent_again_as_another_message(database: Database, kind: str, in_doubt: bool) -> None:
    sent: list[str] = []

    def first(handler: BaseHTTPRequestHandler) -> bool:
        """Take a task twice and go away without a word, or say that it failed; take it then."""
        if handler.command == "GET":
            return False
        body = far.heard[-1].body
        sent.append(body["params"]["message"]["messageId"] if kind == "a2a" else handler.headers["idempotency-key"])
        if len(sent) < 3 and in_doubt:
            handler.close_connection = True
            return True
        far.status = 200 if len(sent) == 3 or kind == "a2a" else 500
        return False

    def answer(method: str, params: dict[str, Any]) -> Any:
        return DONE if len(sent) == 3 else {"result": {"task": task("FAILED", said="no")}}

    with elsewhere(answer) as far:
        far.raw = first
        world = company(database, far, kind=kind)
        add_workflow(world, WorkflowSpec("flow", (TaskSpec("review", "reviews", retry=RetrySpec(3, 0.01, 0.01)),)))

        async def work(aos: Working) -> None:
            run = await aos.ended(await aos.start("flow"))
            assert run["state"] == "succeeded", (
                sent,
                [
                    (t["state"], t["error_code"], t["attempt"], aos.content(t["error_content_id"]))
                    for t in aos.tasks(run["id"]).values()
                ],
            )
            ident = aos.tasks(run["id"])["review"]["id"]
            numbers = (1, 1, 1) if in_doubt else (1, 2, 3)
            assert sent == [f"{ident}-{number}" for number in numbers]
            await aos.until("select 1 from a2a_remote having bool_and(ended_at is not null)")

        story(world, work)


def test_a_task_whose_worker_stops_while_it_is_sent_is_the_same_message_to_the_far_side(database: Database) -> None:
    sending, go_on = threading.Event(), threading.Event()

    def answer(method: str, params: dict[str, Any]) -> Any:
        sending.set()
        go_on.wait(20)
        return DONE

    with elsewhere(answer) as far:
        world = company(database, far)

        async def main() -> None:
            async with working(world, config=WorkerConfig(finish_seconds=0.0)) as first:
                run_id = await first.start(agent="reviews")
                await asyncio.to_thread(sending.wait, 20)
            assert first.run(run_id)["state"] == "running"
            go_on.set()
            async with working(world) as second:
                run = await second.ended(run_id)
                assert (run["state"], run["output"]) == ("succeeded", {"verdict": "fine"})

        asyncio.run(main())
        sent = [each.body["params"]["message"]["messageId"] for each in far.heard if isinstance(each.body, dict)]
        assert len(sent) == 2
        assert len(set(sent)) == 1


def test_a_message_is_an_answer_that_needs_no_looking_after(database: Database) -> None:
    said = {"message": {"messageId": "r", "role": "ROLE_AGENT", "parts": [{"text": "at once"}]}}
    with elsewhere(lambda method, params: {"result": said}) as far:

        async def work(aos: Working) -> None:
            assert (await aos.ended(await aos.start(agent="reviews")))["output"] == "at once"

        story(company(database, far), work)


def test_a_cancelled_run_is_cancelled_there_too(database: Database) -> None:
    def answer(method: str, params: dict[str, Any]) -> Any:
        return {"result": {"task": task("WORKING")} if method == "SendMessage" else task("WORKING")}

    with elsewhere(answer) as far:

        async def work(aos: Working) -> None:
            run_id = await aos.start(agent="reviews")
            await aos.until("select 1 from a2a_remote where remote_task_id = 't-1'")
            await aos.do.runs.cancel_run(aos.person, run_id)
            await aos.until("select 1 from a2a_remote where ended_at is not null")
            assert far.verbs()[-1] == "CancelTask"
            assert far.heard[-1].body["params"]["id"] == "t-1"

        story(company(database, far), work)


def test_where_a_task_went_is_told_nothing_once_its_agent_is_at_another_address(database: Database) -> None:
    with elsewhere(lambda method, params: DONE) as far, elsewhere(lambda method, params: DONE) as other:
        world = company(database, far, hosts=[far.host, other.host])

        async def work() -> None:
            async with world.running() as running:
                facts = await running.facts.of(world.organization_id)
                agents = RemoteAgents(running.drivers)
                place = await agents.locate(remote(far), facts)
                for moved in (remote(other, secret="partner"), remote(far, secret="partner", card="sha256:0")):
                    with pytest.raises(RemoteFailed, match="another address or card"):
                        await agents.look(moved, facts, place, task_id="t-1")
                    with pytest.raises(RemoteFailed, match="another address or card"):
                        await agents.cancel(moved, facts, place, task_id="t-1")

        asyncio.run(work())
        assert far.verbs() == []


def test_a_card_that_drips_is_given_up_and_may_be_read_again(database: Database) -> None:
    with elsewhere() as far:
        far.raw = drip
        world = company(database, far)

        async def work() -> None:
            async with world.running() as running:
                agents = RemoteAgents(running.drivers)
                agents.exchange_seconds = 0.2
                with pytest.raises(NotSent, match="not whole within"):
                    await agents.locate(remote(far), await running.facts.of(world.organization_id))

        asyncio.run(work())


@pytest.mark.parametrize("state", ["INPUT_REQUIRED", "AUTH_REQUIRED"])
def test_what_the_far_side_asks_back_fails_the_task_with_its_words_and_takes_it_back(
    database: Database, state: str
) -> None:
    with elsewhere(lambda method, params: {"result": {"task": task(state, said="which year?")}}) as far:

        async def work(aos: Working) -> None:
            why = await failed(aos)
            assert why == f"RemoteFailed: {state.lower().replace('_', '-')}: which year?"
            await aos.until("select 1 from a2a_remote where ended_at is not null")
            assert far.verbs()[-1] == "CancelTask"

        story(company(database, far), work)


def test_a_far_side_that_repeats_its_secret_tells_it_to_nobody(database: Database) -> None:
    with elsewhere(lambda method, params: {"error": {"code": 1, "message": "no Bearer s3cret here"}}) as far:

        async def work(aos: Working) -> None:
            assert "no Bearer [secret] here" in await failed(aos)

        story(company(database, far, secret="partner"), work)


def test_what_fails_there_fails_here_with_its_reason(database: Database) -> None:
    with elsewhere(lambda method, params: {"result": {"task": task("REJECTED", said="not my job")}}) as far:

        async def work(aos: Working) -> None:
            assert await failed(aos) == "RemoteFailed: rejected: not my job"

        story(company(database, far), work)


# --- a far side that lies -------------------------------------------------------------------------------------------------


def test_a_card_that_is_not_the_pinned_one_is_refused_before_anything_is_sent(database: Database) -> None:
    with elsewhere(lambda method, params: DONE) as far:
        pin = card_digest(far.card)

        async def work(aos: Working) -> None:
            assert (await aos.ended(await aos.start(agent="reviews")))["state"] == "succeeded"
            sent = len(far.verbs())
            honest = dict(far.card)
            changes: tuple[dict[str, Any], ...] = (
                {"name": "payments"},
                {"skills": []},
                {"supportedInterfaces": []},
                {"description": "x"},
            )
            for changed in changes:
                far.card = {**honest, **changed}
                why = await failed(aos)
                assert "another than the one that was accepted" in why
                assert card_digest(far.card) in why
            far.card = {**honest, "signatures": [{"protected": "e30", "signature": "AA"}]}
            assert (await aos.ended(await aos.start(agent="reviews")))["state"] == "succeeded"
            assert len(far.verbs()) == sent + 1

        story(company(database, far, card=pin), work)


def test_an_unpinned_card_may_not_send_us_to_another_address(database: Database) -> None:
    with elsewhere(lambda method, params: DONE) as far, elsewhere(lambda method, params: DONE) as thief:
        far.card["supportedInterfaces"][0]["url"] = f"{thief.url}/rpc"

        async def work(aos: Working) -> None:
            assert "its card sends us from" in await failed(aos)
            assert thief.heard == []

        story(company(database, far, hosts=[far.host, thief.host], secret="partner"), work)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"supportedInterfaces": []}, "no JSON-RPC at all"),
        ({"supportedInterfaces": [{"url": "x", "protocolBinding": "GRPC", "protocolVersion": "1.0"}]}, "no JSON-RPC"),
        ({"supportedInterfaces": [{"url": "x", "protocolBinding": "JSONRPC", "protocolVersion": "0.3"}]}, "0.3"),
        ({"supportedInterfaces": "everywhere"}, "is no AgentCard"),
    ],
)
def test_a_far_side_that_speaks_another_version_or_none_is_refused(
    database: Database, changed: dict[str, Any], says: str
) -> None:
    with elsewhere(lambda method, params: DONE) as far:
        far.card |= changed

        async def work(aos: Working) -> None:
            assert says in await failed(aos)
            assert far.verbs() == []

        story(company(database, far), work)


ANSWERS: list[tuple[Any, str]] = [
    (
        {"error": {"code": -32009, "message": "version 1.0 is not spoken here"}},
        "version 1.0 is not spoken here (-32009)",
    ),
    ({"result": {}}, "neither a task nor a message"),
    ({"result": {"task": {"id": ""}}}, "a task without an id"),
    ({"result": {"task": 7}}, "is no SendMessageResponse"),
    ({"result": [1]}, "is no SendMessageResponse"),
    ({}, "is no JSON-RPC"),
]


@pytest.mark.parametrize(("answered", "says"), ANSWERS)
def test_an_answer_that_is_none_fails_the_task_and_says_so(database: Database, answered: Any, says: str) -> None:
    with elsewhere(lambda method, params: answered) as far:

        async def work(aos: Working) -> None:
            assert says in await failed(aos)

        story(company(database, far), work)


def test_an_answer_that_streams_for_ever_is_cut_at_its_limit(database: Database) -> None:
    def forever(handler: Any) -> bool:
        if not handler.path.endswith("/rpc"):
            return False
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        chunk = b"data: " + b"x" * 100_000 + b"\n\n"
        try:
            while True:
                handler.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        except OSError:
            handler.close_connection = True
        return True

    with elsewhere() as far:
        far.raw = forever

        async def work(aos: Working) -> None:
            why = await failed(aos)
            assert "whether it arrived is not known" in why
            assert "longer than" in why

        story(company(database, far), work)


def test_a_far_side_that_never_ends_is_left_when_the_tasks_time_is_over(database: Database) -> None:
    def answer(method: str, params: dict[str, Any]) -> Any:
        return {"result": {"task": task("WORKING")} if method == "SendMessage" else task("WORKING")}

    with elsewhere(answer) as far:
        world = company(database, far)
        add_workflow(world, WorkflowSpec("flow", (TaskSpec("review", "reviews", total_timeout_seconds=0.8),)))

        async def work(aos: Working) -> None:
            run = await aos.ended(await aos.start("flow"))
            assert run["state"] == "failed"
            assert aos.tasks(run["id"])["review"]["error_code"] == "timed-out"
            await aos.until("select 1 from a2a_remote where ended_at is not null")
            assert far.verbs()[-1] == "CancelTask"

        story(world, work)


def test_a_far_side_that_answers_for_another_task_is_not_believed(database: Database) -> None:
    def answer(method: str, params: dict[str, Any]) -> Any:
        if method == "SendMessage":
            return {"result": {"task": task("WORKING")}}
        return {"result": task("COMPLETED", {"text": "not yours"}, ident="t-2")}

    with elsewhere(answer) as far:

        async def work(aos: Working) -> None:
            assert "was asked for task `t-1` and answered with `t-2`" in await failed(aos)

        story(company(database, far), work)


def test_a_host_that_is_not_permitted_is_not_asked(database: Database) -> None:
    with elsewhere(lambda method, params: DONE) as far:

        async def work(aos: Working) -> None:
            assert "is not at one of the permitted hosts" in await failed(aos)
            assert far.heard == []

        story(company(database, far, hosts=["*.larkspur.example"]), work)


# --- one AOS to another ---------------------------------------------------------------------------------------------------


def test_an_agent_of_one_organization_does_a_task_of_another(database: Database) -> None:
    away = make_world(database, agents=[run_agent("naps"), agent("partner", delegates=("naps",), runtime=None)])
    with open_door(away) as door:
        host = f"127.0.0.1:{door.port}"
        ours = agent("naps_there", runtime=Runtime("a2a", options={"url": f"{door.url}/a2a/naps", "secret": "partner"}))
        key = door.api_key("partner")
        world = make_world(database, agents=[ours], hosts=[host], secrets={"partner": key}, keys=away.keys)

        async def work(aos: Working) -> None:
            run = await aos.ended(await aos.start(agent="naps_there", input={"seconds": 0.1}))
            assert (run["state"], run["output"]) == ("succeeded", {"seconds": 0.1})
            rows = aos.rows("select name, labels, state from run order by id")
            assert [row["name"] for row in rows] == ["naps_there", "naps"]
            assert rows[1]["labels"]["traceparent"].startswith(f"00-{run['id'].hex}-")

        story(world, work)


def test_an_agent_that_knows_no_more_than_http_and_json_does_a_task(database: Database) -> None:
    def answer(_: str, body: dict[str, Any]) -> Any:
        return {"said": f"{body['agent']} got {body['input']['n']}"}

    with elsewhere(answer) as far:

        async def work(aos: Working) -> None:
            run = await aos.ended(await aos.start(agent="reviews", input={"n": 7}, goal="count"))
            assert run["output"] == {"said": "reviews got 7"}
            (heard,) = far.heard
            assert heard.headers["authorization"] == "Bearer s3cret"
            assert heard.headers["idempotency-key"].endswith("-1")
            assert heard.body["goal"] == "count"

        story(company(database, far, kind="http", secret="partner"), work)


def test_an_agent_that_answers_with_an_error_fails_its_task(database: Database) -> None:
    with elsewhere(lambda method, body: {"detail": "no"}) as far:
        far.status = 500

        async def work(aos: Working) -> None:
            assert 'it answered 500: {"detail": "no"}' in await failed(aos)

        story(company(database, far, kind="http"), work)
