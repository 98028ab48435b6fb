"""Every maximum AOS keeps to, named once; past one is a clear error, never a truncation."""

from __future__ import annotations

from typing import Final

BODY_BYTES_MAX: Final = 1_000_000
"""Largest request body a door reads; more is 413."""
BODY_SECONDS_MAX: Final = 30
"""How long a request's body may take from the end of its headers; more is 408."""
TARGET_BYTES_MAX: Final = 60_000
"""Longest target (path and query) of a request; more is 414."""
HEAD_BYTES_MAX: Final = 65_536
"""Target and headers of a request together; more is 431."""
HEAD_SECONDS_MAX: Final = 10
"""How long they may take from their first byte, or from the connection's first moment; more is 408."""
UNREAD_SECONDS_MAX: Final = 30
"""How long an answer may wait for a client that does not read it, before the connection is cut."""
CONNECTIONS_MAX: Final = 1_000
"""Connections that a data plane serves at once; one more is 503."""
ARGUMENTS_DEPTH_MAX: Final = 32
ARGUMENTS_LIST_MAX: Final = 1_000
CONDITION_LENGTH_MAX: Final = 2_000
RULES_MAX: Final = 10_000
RULES_PER_ACT_MAX: Final = 200
"""Rules that may match the same agent and action; each costs an evaluation, so publication refuses more."""
PAGE_ITEMS_MAX: Final = 200
PAGE_ITEMS_DEFAULT: Final = 50
TASKS_PER_RUN_MAX: Final = 100_000
EDGES_PER_RUN_MAX: Final = 500_000
CONCURRENCY_MAX: Final = 10_000
"""The largest limit on how many tasks of an agent or queue, or calls of a tool, are under way at once."""
OPEN_TASKS_MAX: Final = 1_000_000
"""Open tasks of an organization past which it starts no further run."""
TASKS_PER_SPAWN_MAX: Final = 10_000
FOR_EACH_ITEMS_MAX: Final = 10_000
RUNS_PER_TREE_MAX: Final = 20_000
"""Open runs, one within another, that one order reaches at once."""
NESTED_RUNS_OPEN_MAX: Final = 10_000
"""Runs that may be open within one outermost run, at any depth; one more is not started. An order must reach all of them
within the time of one request, on a busy machine too: hence half of RUNS_PER_TREE_MAX, and as many as a `for_each` has items."""
NESTED_RUNS_NEAR: Final = 500
"""So near to that number those who start nested runs take turns; before it they need not, for fewer start one at once than this."""
DELEGATION_DEPTH_MAX: Final = 8
RUN_DEPTH_MAX: Final = 8
"""How deep runs nest: a run that a task of another run started is one deeper."""
INPUT_BYTES_MAX: Final = 1_000_000
"""Largest input of a run or a task, as compact JSON."""
TASK_PRIORITY_MAX: Final = 100
"""A priority of a run or a task is from minus this to this; larger goes first."""
QUEUE_LENGTH_MAX: Final = 60
ERROR_NAMES_MAX: Final = 100
"""How many errors `retry.on` and `retry.never` may name each."""
ATTEMPTS_MAX: Final = 100
CLAIMS_MAX: Final = 10
"""Claims of one task before it counts as poison: a killed process leaves no failure to count."""
CHECKPOINTS_PER_THREAD_MAX: Final = 5_000
"""Checkpoints that a graph keeps under one thread; past it the thread takes no more."""
CHECKPOINTS_LISTED_MAX: Final = 100
SPANS_PER_CALL_MAX: Final = 200
SPANS_PER_RUN_MAX: Final = 10_000
"""Spans that agents' own code may leave with one run; what comes after is not kept."""
REFUSALS_ALIKE_MAX: Final = 5
"""How often one pass may be refused the same act: an agent that asks again and again is ended."""
HISTORY_CALLS_MAX: Final = 10_000
"""Calls of a task before it must go on with a fresh history: every pass reads all of them."""
SLEEP_SECONDS_MAX: Final = 10 * 366 * 86_400
SIGNALS_OPEN_MAX: Final = 10_000
"""Signals of one run that nobody has taken."""
ORIGIN_TOKENS_RUN_MAX: Final = 20_000
ORIGIN_TOKENS_OUTCOME_MAX: Final = 2_000
WAIT_SECONDS_MAX: Final = 60
NAME_LENGTH_MAX: Final = 200
REPEATS_MAX: Final = 2
"""How often a call that was cut off is made again at once, where its tool allows it."""
LEASE_SECONDS: Final = 15
STALE_RETRIES_MAX: Final = 2
"""How often an act whose facts changed is decided again before it is answered `stale-facts`."""
EPOCH_AGE_SECONDS_MAX: Final = 1.0
"""A process that has not read the epochs for this long refuses decisions that write nothing."""
TOKEN_CACHE_MAX: Final = 50_000
FLUSH_MEMBERS_MAX: Final = 200
FLUSH_BYTES_MAX: Final = 8_000_000
"""Content that one flush writes; a member that alone has more goes alone."""
FLUSH_QUEUE_MAX: Final = 20_000
FLUSH_QUEUE_BYTES_MAX: Final = 128_000_000
"""Content that may wait for a flush; more is 503."""
MODEL_BODY_BYTES_MAX: Final = 32 * 1024 * 1024
"""Largest request to a model; images travel in it."""
MODEL_BODY_VALUES_MAX: Final = 500_000
"""How many objects, lists and named members it may have: reading ten million holds a process up for seconds."""
MODEL_BODIES_BYTES_MAX: Final = 256 * 1024 * 1024
"""What the requests to models that one process has under way may have together."""
MODEL_ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
"""Largest whole answer of a model; a stream has no such end."""
TOKEN_BODY_BYTES_MAX: Final = 16_384
"""Largest request to the token endpoint."""
JWT_BYTES_MAX: Final = 8_192
"""Longest assertion or access token."""
CLIENT_KEYS_MAX: Final = 20
"""Public keys that one assertion is tried against: a name that more agents bear needs a `kid` or an id."""
JWKS_KEYS_MAX: Final = 3_000
"""Public keys in one answer of `/.well-known/jwks.json`."""
TOOL_TIMEOUT_SECONDS: Final = 60
MCP_MESSAGE_BYTES_MAX: Final = 4 * 1024 * 1024
"""Largest message of an MCP server: a result, or a page of its list of tools."""
MCP_TOOLS_MAX: Final = 1_000
"""How many tools an MCP server may offer; of one that offers more, none is called."""
MCP_PAGES_MAX: Final = 100
MCP_SERVERS_MAX: Final = 64
"""Sessions with MCP servers that one process keeps, of all organizations; one that rests gives way."""
TOOL_ANSWER_BYTES_MAX: Final = 1_000_000
"""Largest answer of a tool that is an HTTP request."""
MONEY_UNITS_MAX: Final = 9_200_000_000
"""Largest amount in whole units: beyond it nanos no longer fit 64 bits."""
A2A_TASKS_WALKED_MAX: Final = 1_000
"""Tasks of an A2A client that one page looks at, and among which `totalSize` counts."""
AUTHORIZE_BATCH_MAX: Final = 256
"""Acts that one AuthorizeBatch decides on."""
GRPC_MESSAGE_BYTES_MAX: Final = 4 * 1024 * 1024
"""Largest message that the gRPC server reads; what stands in one field has limits of its own."""
GRPC_CALLS_MAX: Final = 4_096
"""Calls that one gRPC process answers at once, Work streams included."""
WORK_SLOTS_MAX: Final = 1_000
"""Tasks that one stream, or one request, of an agent outside may hold."""
WORK_SLOTS_DEFAULT: Final = 16
OUTPUT_DEPTH_MAX: Final = 64
"""How deeply what an agent outside answers may nest."""
NANOS: Final = 1_000_000_000
