"""The doors that agents speak at, one line each: what the reference, `/docs` and the OpenAPI document's description show.

They are answered by the data plane, each in its own protocol's words. A test asks every one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class AgentDoor:
    """One address; `takes` is what the caller shows, `guide` the page that explains it."""

    method: str
    path: str
    does: str
    takes: str
    guide: str


KEY: Final = "an agent's key, access token, task token or personal token"
TASK: Final = "the task's token"
_NOTHING: Final = "nothing"

DOORS: Final = (
    AgentDoor("POST", "/v1/chat/completions", "Ask a model in OpenAI's chat dialect, streamed or whole", KEY, "models"),
    AgentDoor("POST", "/v1/responses", "Ask a model in OpenAI's responses dialect, streamed or whole", KEY, "models"),
    AgentDoor("POST", "/v1/embeddings", "Have texts embedded, in OpenAI's dialect", KEY, "models"),
    AgentDoor("GET", "/v1/models", "List the models that the caller may ask", KEY, "models"),
    AgentDoor("POST", "/v1/messages", "Ask a model in Anthropic's dialect, streamed or whole", KEY, "models"),
    AgentDoor("POST", "/v1/messages/count_tokens", "Count the tokens of such a request", KEY, "models"),
    AgentDoor("POST", "/tools/{name}/call", 'Call a tool: `{"arguments": {...}}`, with an `Idempotency-Key`', KEY, "agents"),
    AgentDoor("POST", "/mcp", "Speak MCP: every tool that the caller may call", KEY, "mcp"),
    AgentDoor("GET", "/.well-known/oauth-protected-resource/mcp", "Show who gives tokens for `/mcp` (RFC 9728)", _NOTHING, "mcp"),
    AgentDoor("POST", "/a2a/{agent}", "Speak A2A with an agent: JSON-RPC, or HTTP+JSON below it", KEY, "a2a"),
    AgentDoor("GET", "/a2a/{agent}/.well-known/agent-card.json", "Show an agent's card", KEY, "a2a"),
    AgentDoor("POST", "/tasks/take", "Take tasks, for an agent outside", "the agent's own key", "outside-agents"),
    AgentDoor("POST", "/tasks/{task}/heartbeat", "Keep a task that was taken", TASK, "outside-agents"),
    AgentDoor("POST", "/tasks/{task}/complete", "End a task with its output", TASK, "outside-agents"),
    AgentDoor("POST", "/tasks/{task}/fail", "End an attempt as failed", TASK, "outside-agents"),
    AgentDoor("POST", "/tasks/{task}/park", "Let go of a task until an approval is answered", TASK, "outside-agents"),
    AgentDoor("POST", "/hooks/{organization}/{hook}", "Send a signed message that starts or signals a run", "its signature", "starts"),
    AgentDoor("POST", "/mcp-servers/{name}/discover", "Ask a registered MCP server what it offers", "a personal token", "mcp"),
    AgentDoor("GET", "/runs/{id}/events", "Follow a run, as server-sent events", "a personal token", "steer-a-run"),
    AgentDoor("POST", "/oauth/token", "Sign in by a key (RFC 7523) for an access token", "a signed assertion", "oauth"),
    AgentDoor("GET", "/.well-known/oauth-authorization-server", "Show how that is done (RFC 8414)", _NOTHING, "oauth"),
    AgentDoor("GET", "/.well-known/jwks.json", "Show the keys that access tokens are signed with", _NOTHING, "oauth"),
)  # fmt: skip
