"""What a streamed answer goes through on its way from the model's server to the client.

A flow lets everything go at once but the terminal event, which waits for the commit of the outcome. It learns what the
ledger needs (usage, how it ended, whether it failed) and keeps at most one event that is not whole, and the terminal one.

    feed(data) ... feed(data), close()  ->  look at finished, failed, tokens; commit  ->  end()
"""

from __future__ import annotations

from typing import Protocol

from aos.kernel.dialects.passing import ChatFlow, MessagesFlow, ResponsesFlow
from aos.kernel.dialects.translate.responses_writer import ResponsesWriter
from aos.kernel.dialects.translate.streams import FromChat, FromMessages
from aos.kernel.dialects.translate.writers import ChatWriter, MessagesWriter, Writer
from aos.kernel.dialects.values import Dialect, Tokens
from aos.kernel.errors import InvalidRequest


class Flow(Protocol):
    """A streamed answer under way. After `failed` or `finished` whatever is fed is kept or dropped, never let go."""

    tokens: Tokens | None
    """What the stream reported so far; None while it has not."""
    finished: bool
    """Whether the terminal event came."""
    failed: str
    """Why the answer is no answer: the upstream's own words, or what was wrong with its form; empty while it is one."""
    stop_reason: str
    """Why the answer ended, in the words of `tokens.Answered`; empty until it said so."""

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the upstream and return what may go to the client now."""
        ...

    def close(self) -> bytes:
        """Take note that the upstream's body is at its end, and return what may still go: a last event may lack its blank line.

        Afterwards the flow is finished or failed.
        """
        ...

    def end(self) -> bytes:
        """Return what was kept back: the terminal event, or the event of the failure. To be called once, after the commit."""
        ...


def open_flow(upstream: Dialect, client: Dialect, *, drop_usage: bool, model: str, created: int = 0) -> Flow:
    """Return the flow for a stream that `upstream` speaks and `client` reads.

    `drop_usage` leaves out the usage chunk that a chat client did not ask for; `model` and `created` (seconds)
    are what chunks made here bear.

    Raises:
        InvalidRequest: one of the dialects has no streams, or nothing translates between them.
    """
    match upstream, client:
        case Dialect.CHAT, Dialect.CHAT:
            return ChatFlow(drop_usage=drop_usage)
        case Dialect.MESSAGES, Dialect.MESSAGES:
            return MessagesFlow()
        case Dialect.RESPONSES, Dialect.RESPONSES:
            return ResponsesFlow()
        case (Dialect.CHAT, Dialect.MESSAGES | Dialect.RESPONSES):
            return FromChat(client, _writer(client, drop_usage=drop_usage, model=model, created=created))
        case (Dialect.MESSAGES, Dialect.CHAT | Dialect.RESPONSES):
            return FromMessages(client, _writer(client, drop_usage=drop_usage, model=model, created=created))
        case _:
            raise InvalidRequest(f"a stream of `{upstream}` cannot be given as `{client}`")


def _writer(client: Dialect, *, drop_usage: bool, model: str, created: int) -> Writer:
    if client is Dialect.CHAT:
        return ChatWriter(model=model, created=created, drop_usage=drop_usage)
    if client is Dialect.RESPONSES:
        return ResponsesWriter(model=model, created=created)
    return MessagesWriter(model=model)
