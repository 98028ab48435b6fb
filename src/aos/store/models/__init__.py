"""What Django knows of the tables: fields, constraints and indexes, nothing else.

The tables themselves are made by SQL files of the migrations; a test compares them with these models. Models of tenant
tables have a composite key over plain UUID fields and no ForeignKey, which could not point at such a key.
"""

from aos.store.models.a2a import A2aPush, A2aRemote, A2aTask
from aos.store.models.agents import Agent, AgentKey, AgentPresence, AgentVersion, ApiKey, UsedAssertion
from aos.store.models.asked import Model, ModelVersion, Purpose, PurposeVersion
from aos.store.models.budgets import Budget, BudgetAccount, UsageEvent
from aos.store.models.checkpoints import Checkpoint, CheckpointWrite
from aos.store.models.ledger import Action, LedgerCheckpoint, LedgerHead, LedgerLeaf, LedgerNode, LedgerPending, Record
from aos.store.models.mcp_servers import HeldTool, McpServer, McpServerVersion
from aos.store.models.organizations import Department, Idempotency, Member, Organization, OrganizationSettings
from aos.store.models.people import Person, PersonToken, Session
from aos.store.models.policies import Approval, Policy, PolicyVersion
from aos.store.models.processes import Partitioned, Process
from aos.store.models.runs import Call, Edge, OriginToken, Report, Run, Signal
from aos.store.models.secrets import Content, DataKey, Secret, SigningKey
from aos.store.models.spans import Span
from aos.store.models.starts import ConcurrencyLimit, Hook, Schedule
from aos.store.models.tasks import Task, TaskFinished
from aos.store.models.tools import Tool, ToolVersion
from aos.store.models.workflows import Workflow, WorkflowVersion

__all__ = [
    "A2aPush",
    "A2aRemote",
    "A2aTask",
    "Action",
    "Agent",
    "AgentKey",
    "AgentPresence",
    "AgentVersion",
    "ApiKey",
    "Approval",
    "Budget",
    "BudgetAccount",
    "Call",
    "Checkpoint",
    "CheckpointWrite",
    "ConcurrencyLimit",
    "Content",
    "DataKey",
    "Department",
    "Edge",
    "HeldTool",
    "Hook",
    "Idempotency",
    "LedgerCheckpoint",
    "LedgerHead",
    "LedgerLeaf",
    "LedgerNode",
    "LedgerPending",
    "McpServer",
    "McpServerVersion",
    "Member",
    "Model",
    "ModelVersion",
    "Organization",
    "OrganizationSettings",
    "OriginToken",
    "Partitioned",
    "Person",
    "PersonToken",
    "Policy",
    "PolicyVersion",
    "Process",
    "Purpose",
    "PurposeVersion",
    "Record",
    "Report",
    "Run",
    "Schedule",
    "Secret",
    "Session",
    "Signal",
    "SigningKey",
    "Span",
    "Task",
    "TaskFinished",
    "Tool",
    "ToolVersion",
    "UsageEvent",
    "UsedAssertion",
    "Workflow",
    "WorkflowVersion",
]
