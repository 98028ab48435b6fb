"""The short-lived tokens by which a console page listens to one run's events at the data plane."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from aos.kernel.errors import Forbidden
from aos.kernel.people import Actor, Permission
from aos.operations.bridge import Hot
from aos.operations.tokens import StreamToken, make_stream_token

STREAM_SECONDS: Final = 600
"""How long a page may open its stream; one that stays longer asks for its page again and gets a new token with it."""


async def make_run_stream(hot: Hot, actor: Actor, run_id: UUID) -> str:
    """Return a token that opens the event stream of one run of the actor's organization; raise Forbidden."""
    if not actor.may(Permission.RUN_READ):
        raise Forbidden(f"this needs the permission `{Permission.RUN_READ}`")
    facts = await hot.facts.of(actor.organization_id)
    expires_at = int(hot.facts.now().timestamp()) + STREAM_SECONDS
    return make_stream_token(StreamToken(actor.organization_id, run_id, expires_at), facts.key("token").private)
