"""One message a connection to a mail server, by aiosmtplib: the implementation of `Mailer`.

- The host must be permitted; the connection goes to an address that was looked at, and TLS asks for the host's own name.
- A sender, recipient or sign-in that is refused ends the call before the message is given: nothing was sent. All recipients
  are taken or none gets it. From the first byte of the message on, a lost connection is an outcome that is unknown.
- A password is never sent in the clear, nor over `tls: none`, which is for a server on this machine alone.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from enum import IntEnum
from typing import Final

import aiosmtplib
from aiosmtplib import SMTPDataError, SMTPException, SMTPResponseException

from aos.kernel.email_tools import Letter, MailServer, Tls
from aos.kernel.errors import UpstreamFailed
from aos.kernel.ports import Addresses, ToolOutcome

CONNECT_SECONDS_MAX: Final = 10.0
SENDING_MAX: Final = 32
"""Messages that one process hands over at once."""
_ERROR_CHARS: Final = 500


class _Stage(IntEnum):
    """How far a call is."""

    BEFORE = 0
    GIVEN = 1
    """The message is on its way: what comes of it only the server can say."""


class SmtpMailer:
    """Implements `Mailer`; `tls` is the context of every connection, None for the system's authorities."""

    def __init__(self, addresses: Addresses, tls: ssl.SSLContext | None = None) -> None:
        self._addresses = addresses
        self._tls = tls
        self._room = asyncio.Semaphore(SENDING_MAX)

    async def send(self, server: MailServer, letter: Letter, *, deadline_seconds: float) -> ToolOutcome:
        """Hand over one message; see `Mailer`."""
        stage = [_Stage.BEFORE]
        try:
            message = write_message(letter)
            async with asyncio.timeout(deadline_seconds), self._room:
                await self._hand_over(server, letter, message, stage=stage)
        except SMTPDataError as error:
            return ToolOutcome(ok=False, error=_said(error))
        except TimeoutError:
            return _lost(f"the mail server did not answer within {deadline_seconds:g} seconds", stage[0])
        except (UpstreamFailed, SMTPException, OSError, ValueError) as error:
            return _lost(_said(error), stage[0])
        return ToolOutcome(ok=True, value={"message_id": letter.id, "accepted": [*letter.to, *letter.cc]})

    async def _hand_over(self, server: MailServer, letter: Letter, message: bytes, *, stage: list[_Stage]) -> None:
        async with self._connected(server) as client:
            await client.mail(letter.sender)
            for each in (*letter.to, *letter.cc):
                await client.rcpt(each)
            stage[0] = _Stage.GIVEN
            await client.data(message)

    @asynccontextmanager
    async def _connected(self, server: MailServer) -> AsyncIterator[aiosmtplib.SMTP]:
        """Connect, take TLS and sign in; raise what shows that one of them was refused."""
        addresses = await self._addresses.permitted(server.host, server.port, permitted=server.permitted)
        if server.tls is Tls.NONE and not all(ipaddress.ip_address(each).is_loopback for each in addresses):
            raise UpstreamFailed(f"`{server.host}` is no server on this machine: `tls: none` is not for it", sent=False)
        if server.tls is Tls.NONE and server.username:
            raise UpstreamFailed("a password is not sent in the clear: take `starttls` or `implicit`", sent=False)
        context = None if server.tls is Tls.NONE else self._context()
        opened = await _open(addresses, server.port)
        client = aiosmtplib.SMTP(
            hostname=server.host,
            sock=opened,
            use_tls=server.tls is Tls.IMPLICIT,
            start_tls=False,
            tls_context=context,
            local_hostname="aos.invalid",
            timeout=None,
        )
        try:
            await client.connect()
            if server.tls is Tls.STARTTLS:
                await client.starttls(server_hostname=server.host, tls_context=context)
            if server.username:
                await client.login(server.username, server.password)
            yield client
            with suppress(SMTPException, OSError):
                await client.quit(timeout=1)
        finally:
            client.close()
            opened.close()

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


def write_message(letter: Letter) -> bytes:
    """Return a message as it goes over the wire (RFC 5322), seven-bit throughout; raise ValueError for a broken header."""
    message = EmailMessage(policy=SMTP_POLICY)
    message["From"] = letter.sender
    message["To"] = ", ".join(letter.to)
    if letter.cc:
        message["Cc"] = ", ".join(letter.cc)
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(letter.at)
    message["Message-ID"] = letter.id
    message.set_content(letter.text, cte="quoted-printable")
    return message.as_bytes()


async def _open(addresses: list[str], port: int) -> socket.socket:
    """Return a connection to the first address that answers; raise UpstreamFailed where none does."""
    loop = asyncio.get_running_loop()
    failure: Exception | None = None
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_STREAM)
        opened.setblocking(False)
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                await loop.sock_connect(opened, (address, port))
        except (OSError, TimeoutError) as error:
            opened.close()
            failure = error
        except BaseException:
            opened.close()
            raise
        else:
            return opened
    raise UpstreamFailed(f"no connection to the mail server: {failure}", sent=False)


def _lost(detail: str, stage: _Stage) -> ToolOutcome:
    if stage is _Stage.BEFORE:
        return ToolOutcome(ok=False, error=detail, sent=False, frees_key=True)
    return ToolOutcome(ok=False, error=detail, unknown=True)


def _said(error: Exception) -> str:
    if isinstance(error, SMTPResponseException):
        return f"the mail server answered {error.code}: {' '.join(error.message.split())}"[:_ERROR_CHARS]
    if isinstance(error, UpstreamFailed):
        return error.detail
    return f"the mail server could not be used: {error}"[:_ERROR_CHARS]
