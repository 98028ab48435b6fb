"""What the doors act through, bound once by boot."""

from __future__ import annotations

from dataclasses import dataclass, field

from aos.data_plane.front import Front
from aos.data_plane.loops import Loops
from aos.kernel.ports import McpUpstream
from aos.operations.a2a_pushes import A2aPushes
from aos.operations.a2a_tasks import A2aTasks
from aos.operations.authenticate import Authenticator
from aos.operations.bell import Bell
from aos.operations.facts import FactsCache
from aos.operations.gate import Gate
from aos.operations.held_tools import HeldNotes
from aos.operations.hook_calls import HookCalls
from aos.operations.model_calls import ModelCalls
from aos.operations.oauth import TokenEndpoint
from aos.operations.outside_tasks import OutsideTasks
from aos.operations.run_feeds import RunFeeds


@dataclass(frozen=True, slots=True)
class Services:
    """One data plane's operations."""

    gate: Gate
    authenticator: Authenticator
    facts: FactsCache
    bell: Bell
    feeds: RunFeeds
    front: Front
    hooks: HookCalls
    models: ModelCalls
    oauth: TokenEndpoint
    a2a: A2aTasks
    a2a_pushes: A2aPushes
    work: OutsideTasks
    upstream: McpUpstream | None = None
    """Who asks MCP servers; None where nobody does."""
    held: HeldNotes | None = None
    """Where tools that such a server no longer offers as they were accepted are marked."""
    loops: Loops = field(default_factory=Loops)
