"""Every escalate rule that matched needs a yes from a person who holds its role; the approval is one row, used once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from aos.kernel.acts import ActionState, Pending
from aos.kernel.errors import Conflict, Forbidden
from aos.kernel.people import Actor, Role
from aos.kernel.policy.values import Approvers, Outcome, Rule
from aos.operations.approvals import Answer, Approval, Approvals
from tests.databases import Database
from tests.worlds import Running, World, agent, make_world, payments

PAY: Any = {"iban": "DE89370400440532013000", "amount": "5000.00", "currency": "EUR"}


def rule(id: str, role: str, *, version: int = 1) -> Rule:
    return Rule(id, version, Outcome.ESCALATE, (), ("tool:payments.create",), reason=id, approvers=Approvers(role))


@pytest.fixture
def world(database: Database) -> World:
    return make_world(
        database,
        agents=[agent("finance", "payments.create")],
        tools=[payments()],
        rules=[rule("large", "approver"), rule("legal", "auditor"), rule("again", "approver")],
    )


class Desk:
    """The gate with people who answer."""

    def __init__(self, world: World, running: Running) -> None:
        self._world, self._running = world, running
        self.approvals = Approvals(running.database, running.facts, running.drivers)

    async def ask(self) -> Any:
        """Ask for the payment, always the same one."""
        return await self._running.gate.perform(self._world.act("finance", "payments.create", PAY, idempotency_key="k"))

    async def say(self, approval: UUID, *roles: Role, answer: Answer = Answer.APPROVE) -> Approval:
        """Answer as a person with these roles."""
        return await self.approvals.answer_approval(self.person(*roles), approval, answer=answer, comment="so")

    def person(self, *roles: Role) -> Actor:
        """Return the world's person in these roles."""
        return Actor(self._world.organization_id, self._world.person_id, "maria@larkspur.example", frozenset(roles))


@asynccontextmanager
async def desk_of(world: World) -> AsyncIterator[Desk]:
    async with world.running() as running:
        yield Desk(world, running)


def run(world: World, work: Callable[[Desk], Coroutine[Any, Any, Any]]) -> Any:
    """Run work at a desk."""

    async def go() -> Any:
        async with desk_of(world) as desk:
            return await work(desk)

    return asyncio.run(go())


def test_a_yes_of_one_role_does_not_stand_in_for_another(world: World) -> None:
    async def work(desk: Desk) -> None:
        waits = await desk.ask()
        assert isinstance(waits, Pending)
        first = await desk.say(waits.approval_id, Role.APPROVER)
        assert (first.status, first.roles, first.roles_left) == ("pending", ("approver", "auditor"), ("auditor",))
        assert (first.answered_by, first.answered_at) == (None, None)
        assert isinstance(await desk.ask(), Pending)
        with pytest.raises(Forbidden, match="still waits for the role `auditor`"):
            await desk.say(waits.approval_id, Role.APPROVER)
        last = await desk.say(waits.approval_id, Role.APPROVER, Role.AUDITOR)
        assert (last.status, last.roles_left) == ("approved", ())
        assert (await desk.ask()).state is ActionState.PERFORMED

    run(world, work)
    assert world.rows("select status, jsonb_array_length(answers) from approval") == [("used", 2)]
    kinds = [kind for (kind,) in world.rows("select kind from record order by id")]
    assert kinds.count("approval.answered") == 2
    assert world.states() == [("payments.create", "performed")]


@pytest.mark.parametrize("roles", [(Role.APPROVER, Role.AUDITOR), (Role.ADMIN,)])
def test_one_person_who_holds_every_role_answers_at_once(world: World, roles: tuple[Role, ...]) -> None:
    async def work(desk: Desk) -> None:
        waits = await desk.ask()
        assert (await desk.say(waits.approval_id, *roles)).status == "approved"

    run(world, work)


def test_one_no_refuses_whoever_said_yes_before(world: World) -> None:
    async def work(desk: Desk) -> None:
        waits = await desk.ask()
        await desk.say(waits.approval_id, Role.APPROVER)
        assert (await desk.say(waits.approval_id, Role.APPROVER, answer=Answer.DENY)).status == "denied"
        with pytest.raises(Conflict, match="is denied"):
            await desk.say(waits.approval_id, Role.APPROVER, Role.AUDITOR)

    run(world, work)
    assert world.states() == [("payments.create", "refused")]


def test_answers_at_once_are_each_counted_and_the_last_gives_it(world: World) -> None:
    async def work(desk: Desk) -> list[Any]:
        waits = await desk.ask()
        yes = [desk.say(waits.approval_id, Role.APPROVER, role) for role in (Role.AUDITOR, Role.AUDITOR)]
        yes += [desk.say(waits.approval_id, Role.APPROVER) for _ in range(3)]
        done = await asyncio.gather(*yes, return_exceptions=True)
        return [each for each in done if isinstance(each, Approval)]

    assert run(world, work)
    rows = world.rows("select status, roles_left, answers from approval")
    assert [(status, left) for status, left, _ in rows] == [("approved", [])]
    given = [role for answer in rows[0][2] for role in answer["roles"]]
    assert sorted(given) == ["approver", "auditor"]


def test_an_approval_that_a_new_rule_outdates_is_asked_anew_for_all_and_then_used(world: World) -> None:
    async def work(desk: Desk) -> None:
        waits = await desk.ask()
        await desk.say(waits.approval_id, Role.ADMIN)
        world.publish(rule("fresh", "finance"))
        again = await desk.ask()
        assert isinstance(again, Pending)
        assert again.approval_id != waits.approval_id
        assert (await desk.approvals.load_approval(world.organization_id, again.approval_id)).roles == (
            "approver",
            "finance",
            "auditor",
        )
        await desk.say(again.approval_id, Role.ADMIN)
        assert (await desk.ask()).state is ActionState.PERFORMED

    run(world, work)
    assert [status for (status,) in world.rows("select status from approval order by id")] == ["expired", "used"]
