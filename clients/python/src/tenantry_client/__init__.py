"""The Python client of Tenantry: `Tenantry`, and `AsyncTenantry` for asyncio."""

from tenantry_client._async.client import AsyncTenantry
from tenantry_client._calls import __version__
from tenantry_client._sync.client import Tenantry
from tenantry_client.errors import (
    APIError,
    Conflict,
    ConnectionFailed,
    InvalidRequest,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    PreconditionFailed,
    ServerFailed,
    TenantryError,
    TooManyRequests,
)
from tenantry_client.inputs import NewMessage, NewToolCall, NewUsage
from tenantry_client.models import Conversation, Event, Message, SearchHit, ToolCall

__all__ = [
    "APIError",
    "AsyncTenantry",
    "Conflict",
    "ConnectionFailed",
    "Conversation",
    "Event",
    "InvalidRequest",
    "Message",
    "NewMessage",
    "NewToolCall",
    "NewUsage",
    "NotAllowed",
    "NotAuthenticated",
    "NotFound",
    "PreconditionFailed",
    "SearchHit",
    "ServerFailed",
    "Tenantry",
    "TenantryError",
    "TooManyRequests",
    "ToolCall",
    "__version__",
]
