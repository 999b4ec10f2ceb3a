"""What a first look needs: a demo tenant with a short conversation, and an operator's key."""

from conversations import service
from conversations.schemas import NewConversation, NewMessage, NewToolCall
from project.dev.database import Credentials
from tenants import lifecycle
from tenants.actor import acting_command
from tenants.db.unit_of_work import write_session
from tenants.keys import OPERATOR_PREFIX, find_public_id
from tenants.management.output import run
from tenants.models import ApiKey, OperatorKey, Tenant

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
            key = run(lifecycle.issue_key(SLUG, "Demo key", by=acting_command())).text
        else:
            key = run(lifecycle.create_tenant(SLUG, "Demo", by=acting_command())).key.text
        credentials.write(demo_api_key=key)
    if "demo_conversation" not in credentials.read():
        run(_start_conversation())
        credentials.write(demo_conversation="started")
    return key


def ensure_operator(credentials: Credentials) -> str:
    """Have an operator's key, and return it."""
    key = credentials.read().get("operator_key", "")
    public_id = find_public_id(key, OPERATOR_PREFIX) or ""
    if not OperatorKey.objects.filter(public_id=public_id, revoked_at=None).exists():
        key = run(lifecycle.create_operator("Development", by=acting_command())).text
        credentials.write(operator_key=key)
    return key


async def _start_conversation() -> None:
    tenant = await lifecycle.get_tenant(SLUG)
    async with write_session(tenant.ref) as session:
        await service.start_conversation(session, _CONVERSATION)
