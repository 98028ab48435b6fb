"""Tools that send e-mail, through the gate to a real SMTP server: what arrives, what is refused, and what is known of it."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from aos.drivers.model_http import ListedAddresses
from aos.drivers.smtp_mailer import SmtpMailer
from aos.kernel.acts import ActionState, Recorded
from aos.kernel.email_tools import Letter, MailServer, Tls
from aos.kernel.ports import ToolOutcome
from tests.contract.outside_peer import done, kept, outside_world, perform, tools_of, with_gate
from tests.contract.test_model_http_addresses import certificate
from tests.databases import Database
from tests.worlds import THIS_MACHINE, Running, World

LETTER = {"to": "maria@larkspur.example", "subject": "März, 3 × 2", "text": "Grüße\n.\nend\n"}


@dataclass
class Mailbox:
    """What a mail server took, and what it answers to each step."""

    port: int = 0
    taken: list[Envelope] = field(default_factory=list)
    rcpt: str = "250 OK"
    data: str = "250 OK"
    cuts: bool = False

    async def handle_RCPT(self, server: Any, session: Session, envelope: Envelope, address: str, options: Any) -> str:  # noqa: N802
        if self.rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.taken.append(envelope)
        if self.cuts:
            cast(Any, server).transport.abort()
        return self.data

    def message(self) -> EmailMessage:
        (envelope,) = self.taken
        return email.message_from_bytes(cast(bytes, envelope.content), policy=email.policy.default)


@contextmanager
def mail_server(**more: Any) -> Iterator[Mailbox]:
    """Serve a mailbox in a thread of its own until the end."""
    box, started, loop = Mailbox(), threading.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        server = await loop.create_server(lambda: SMTP(box, loop=loop, **more), "127.0.0.1", 0)
        box.port = server.sockets[0].getsockname()[1]
        started.set()
        with contextlib.suppress(asyncio.CancelledError):
            await server.serve_forever()

    serving = loop.create_task(serve())
    thread = threading.Thread(target=loop.run_until_complete, args=(serving,), name="smtp")
    thread.start()
    try:
        assert started.wait(10)
        yield box
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join(10)
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mail_server() as found:
        yield found


def tool(port: int, **more: Any) -> dict[str, Any]:
    said = {"server": f"127.0.0.1:{port}", "from": "clerk@larkspur.example", "tls": "none", **more}
    return {"mail.send": {"email": said, "effect": "send", "timeout": "5s"}}


def world_of(database: Database, port: int, *, hosts: tuple[str, ...] = ("127.0.0.1",), **more: Any) -> World:
    return outside_world(database, tool(port, **more), hosts=hosts, secrets={"smtp": "pw-of-the-clerk"})


def send(database: Database, port: int, letter: Any = LETTER, **more: Any) -> Any:
    return done(world_of(database, port, **more), "mail.send", letter)


def test_one_message_arrives_as_it_was_written(database: Database, box: Mailbox) -> None:
    recorded = send(database, box.port, {**LETTER, "cc": ["ops@larkspur.example"]})
    assert recorded.state is ActionState.PERFORMED, recorded.detail
    message = box.message()
    assert box.taken[0].rcpt_tos == ["maria@larkspur.example", "ops@larkspur.example"]
    assert (message["From"], message["To"], message["Cc"]) == (
        "clerk@larkspur.example", "maria@larkspur.example", "ops@larkspur.example",
    )  # fmt: skip
    assert message["Subject"] == LETTER["subject"]
    assert message.get_content().splitlines() == ["Grüße", ".", "end"]
    assert message["Message-ID"] == recorded.value["message_id"]


def test_the_message_id_follows_from_the_key(database: Database, box: Mailbox) -> None:
    world = world_of(database, box.port)

    async def work(aos: Running) -> None:
        for key in ("a", "a", "b"):
            await perform(world, aos, "mail.send", LETTER, idempotency_key=key)

    with_gate(world, work)
    ids = [email.message_from_bytes(cast(bytes, each.content))["Message-ID"] for each in box.taken]
    assert len(ids) == len(set(ids)) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "hello\r\nBcc: evil@elsewhere.example"},
        {"subject": "hello\nX: y"},
        {"subject": "hello\u2028Bcc: evil@elsewhere.example"},
        {"to": "maria@larkspur.example, evil@elsewhere.example"},
        {"to": "maria@larkspur.example\r\nRCPT TO:<evil@elsewhere.example>"},
        {"to": "<evil@elsewhere.example> maria@larkspur.example"},
        {"to": "Maria <maria@larkspur.example>"},
        {"to": "maria@larkspur.example> NOTIFY=NEVER"},
        {"cc": ["a@larkspur.example\nBcc: evil@elsewhere.example"]},
        {"cc": ["a@larkspur.example"] * 30},
    ],
)
def test_no_argument_becomes_a_header_or_another_recipient(database: Database, box: Mailbox, change: Any) -> None:
    world = world_of(database, box.port)

    async def work(aos: Running) -> Any:
        return await aos.gate.perform(world.act("clerk", "mail.send", {**LETTER, **change}))

    answer = with_gate(world, work)
    assert not isinstance(answer, Recorded) or answer.state is ActionState.FAILED
    assert box.taken == []


def test_a_text_cannot_end_the_message(database: Database, box: Mailbox) -> None:
    text = "one\r\n.\r\nMAIL FROM:<evil@elsewhere.example>\r\n.\r\ntwo"
    assert send(database, box.port, {**LETTER, "text": text}).state is ActionState.PERFORMED
    assert box.message().get_content().splitlines() == text.splitlines()


def test_a_recipient_that_is_refused_means_that_nothing_was_sent(database: Database, box: Mailbox) -> None:
    box.rcpt = "550 no such box"
    recorded = send(database, box.port)
    assert (recorded.state, "550" in recorded.detail, box.taken) == (ActionState.FAILED, True, [])


def test_a_message_that_is_refused_has_failed(database: Database, box: Mailbox) -> None:
    box.data = "554 spam"
    recorded = send(database, box.port)
    assert (recorded.state, "554" in recorded.detail) == (ActionState.FAILED, True)


def test_a_connection_that_is_lost_after_the_message_leaves_it_unknown(database: Database, box: Mailbox) -> None:
    box.cuts = True
    recorded = send(database, box.port)
    assert (recorded.state, len(box.taken)) == (ActionState.UNKNOWN, 1)


def test_a_server_that_takes_no_connection_was_sent_nothing(database: Database, box: Mailbox) -> None:
    recorded = send(database, 1, hosts=("127.0.0.1:1",))
    assert recorded.state is ActionState.FAILED
    assert "no connection" in recorded.detail


@pytest.mark.parametrize("hosts", [(), ("*",), ("smtp.larkspur.example",)])
def test_a_mail_server_that_is_not_permitted_is_not_asked(
    database: Database, box: Mailbox, hosts: tuple[str, ...]
) -> None:
    recorded = send(database, box.port, hosts=hosts)
    assert (recorded.state, box.taken) == (ActionState.FAILED, [])
    assert "127.0.0.1" in recorded.detail


def test_no_password_goes_over_a_connection_in_the_clear(database: Database) -> None:
    seen: list[Any] = []

    def authenticate(*given: Any) -> AuthResult:
        seen.append(given)
        return AuthResult(success=True)

    with mail_server(authenticator=authenticate, auth_require_tls=False) as box:
        login: Any = {"username": "clerk", "password": {"secret": "smtp"}}
        world = world_of(database, box.port, **login)
        recorded = done(world, "mail.send", LETTER)
        assert (recorded.state, box.taken, seen) == (ActionState.FAILED, [], [])
        assert "pw-of-the-clerk" not in recorded.detail + kept(world)


def test_a_server_without_tls_is_not_given_a_message_where_tls_is_asked_for(database: Database, box: Mailbox) -> None:
    recorded = send(database, box.port, tls="starttls")
    assert (recorded.state, box.taken) == (ActionState.FAILED, [])


def test_recipients_are_sinks_unless_the_manifest_says_otherwise() -> None:
    (made,) = tools_of(tool(25))
    assert made.sinks == ("to", "cc")


@pytest.mark.parametrize("name", ["localhost", "elsewhere.example"])
def test_starttls_asks_for_the_hosts_own_name_before_anything_is_said(tmp_path: Path, name: str) -> None:
    cert, key = certificate(tmp_path, name)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(cert, key)
    seen: list[Any] = []

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: Any, data: Any) -> AuthResult:
        seen.append(data.password)
        return AuthResult(success=True)

    async def sent(port: int) -> ToolOutcome:
        mailer = SmtpMailer(ListedAddresses(THIS_MACHINE), ssl.create_default_context(cafile=str(cert)))
        server = MailServer("localhost", port, Tls.STARTTLS, "clerk", "pw-of-the-clerk", ("localhost",))
        letter = Letter(
            "c@x.example", ("m@x.example",), (), "s", "t", "<1@x.example>", datetime(2026, 3, 31, tzinfo=UTC)
        )
        return await mailer.send(server, letter, deadline_seconds=10)

    with mail_server(tls_context=serving, require_starttls=True, authenticator=authenticate) as box:
        outcome = asyncio.run(sent(box.port))
    if name == "localhost":
        assert (outcome.ok, seen, len(box.taken)) == (True, [b"pw-of-the-clerk"], 1), outcome
    else:
        assert (outcome.ok, outcome.sent, seen, box.taken) == (False, False, [], [])
