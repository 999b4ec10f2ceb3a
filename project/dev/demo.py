"""A demo tenant with a short conversation, so that the first request has something to show."""

from asgiref.sync import async_to_sync

from conversations import service
from conversations.schemas import NewConversation, NewMessage, NewToolCall
from project.dev.database import Credentials
from tenants import lifecycle
from tenants.db.engine import dispose_engines
from tenants.db.unit_of_work import write_session
from tenants.keys import find_public_id
from tenants.models import ApiKey, Tenant

SLUG = "demo"

_CONVERSATION = NewConversation(
    user_id="user-42",
    agent_id="travel-assistant",
    title="A weekend in Oslo",
    metadata={"channel": "web"},
    messages=[
        NewMessage(role="system", content="You are a travel assistant. Be brief."),
        NewMessage(role="user", content="Should I take an umbrella to Oslo this weekend?"),
        NewMessage(
            role="assistant",
            model="example-model-1",
            token_count=38,
            tool_calls=[
                NewToolCall(
                    call_id="call_weather_1",
                    name="get_forecast",
                    arguments={"city": "Oslo", "days": 2},
                )
            ],
        ),
        NewMessage(
            role="tool",
            call_id="call_weather_1",
            content='{"saturday": "light rain, 11 °C", "sunday": "sunny, 14 °C"}',
        ),
        NewMessage(
            role="assistant",
            content="Yes, for Saturday: light rain at 11 °C. Sunday will be sunny.",
            model="example-model-1",
            token_count=21,
        ),
    ],
)


def ensure_demo(credentials: Credentials) -> str:
    """Have the demo tenant, and return a valid API key for it."""
    key = credentials.read().get("demo_api_key", "")
    valid = ApiKey.objects.filter(
        public_id=find_public_id(key) or "", revoked_at=None, tenant__slug=SLUG
    ).exists()
    if valid:
        return key
    if Tenant.objects.filter(slug=SLUG, status="active").exists():
        key = async_to_sync(lifecycle.issue_key)(SLUG, "Demo key").text
    else:
        key = async_to_sync(_create)()
    credentials.write(demo_api_key=key)
    return key


async def _create() -> str:
    tenant, key = await lifecycle.create_tenant(SLUG, "Demo")
    try:
        async with write_session(tenant.ref) as session:
            await service.start_conversation(session, _CONVERSATION)
    finally:
        await dispose_engines()
    return key.text
