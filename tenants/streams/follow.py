"""The life of one stream: read when there may be something, wait, keep the connection alive."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import structlog

from tenants.db.engine import get_settings
from tenants.errors import DatabaseUnavailable
from tenants.streams.events import KEEP_ALIVE, encode_retry
from tenants.streams.hub import Subscription, hub
from tenants.streams.topic import Topic
from tenants.tenant import TenantRef

log = structlog.get_logger(__name__)

_PAUSE_SECONDS = 1.0


async def follow(
    tenant: TenantRef,
    topic: Topic,
    read: Callable[[Subscription], AsyncGenerator[bytes, None]],
    show_said: Callable[[bytes], bytes] | None = None,
) -> AsyncGenerator[bytes, None]:
    """A stream's bytes, until the process stops or `read` ends its subscription.

    read: the events since it was last called; where it was cut off by the database, it is called
    again and goes on from there. show_said: the event that is made of what was said on the topic.
    """
    yield encode_retry(get_settings().stream_retry_seconds)
    with hub.subscribe(tenant, topic) as subscription:
        while not subscription.ended:
            if not await subscription.wait(get_settings().stream_heartbeat_seconds):
                yield KEEP_ALIVE
                continue
            for content in subscription.take_said():
                if show_said is not None:
                    yield show_said(content)
            if subscription.ended or not subscription.take_change():
                continue
            try:
                async with aclosing(read(subscription)) as events:
                    async for event in events:
                        yield event
                        if subscription.ended:
                            break
            except DatabaseUnavailable as error:
                log.warning("stream.waits", code=error.code, reason=str(error.__cause__))
                await asyncio.sleep(_PAUSE_SECONDS)
                subscription.change()
