"""A demo tenant with a short conversation, so that the first request has something to show."""

from conversations import service
from conversations.schemas import NewConversation, NewMessage, NewToolCall
from project.dev.database import Credentials
from tenants import lifecycle
from tenants.db.unit_of_work import write_session
from tenants.keys import find_public_id
from tenants.management.output import run
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
    if not valid:
        if Tenant.objects.filter(slug=SLUG).exclude(status="provisioning").exists():
            key = run(lifecycle.issue_key(SLUG, "Demo key")).text
        else:
            key = run(lifecycle.create_tenant(SLUG, "Demo"))[1].text
        credentials.write(demo_api_key=key)
    if "demo_conversation" not in credentials.read():
        run(_start_conversation())
        credentials.write(demo_conversation="started")
    return key


async def _start_conversation() -> None:
    tenant = await lifecycle.get_tenant(SLUG)
    async with write_session(tenant.ref) as session:
        await service.start_conversation(session, _CONVERSATION)
