"""The live feed over several server processes, and through what befalls them."""

import asyncio
import contextlib
import random
import signal
import socket
import time

import httpx
import pytest

from conversations import service
from conversations.schemas import NewMessage
from tenants.db.unit_of_work import write_session
from tests.conversations.test_router import append, start
from tests.project.processes import running_serve, until
from tests.sse import EventReader
from tests.tenants.cuts import cut_connections

USER = {"role": "user", "content": "Hello"}
SUBSCRIBERS, SECONDS = 200, 12.0


class Reader:
    """Reads a stream over HTTP, and comes back from where it was however it was cut off.

    services: where it may connect. seen: conversation and position of each message, as they came.
    """

    def __init__(self, services, tenant, path, chance):
        self.services, self.tenant, self.path, self.chance = services, tenant, path, chance
        self.seen, self.drafts, self.times = [], [], []
        self.connections = 0
        self.last_id = None

    async def run(self, client, wanted):
        """Read until there are as many messages as `wanted` gives, once it gives a number."""
        while wanted() is None or len(self.seen) < wanted():
            leave_at = time.monotonic() + self.chance.uniform(0.5, 4.0)
            try:
                await self._read(client, leave_at, wanted)
            except httpx.HTTPError:
                await asyncio.sleep(0.2)

    async def _read(self, client, leave_at, wanted):
        reader = EventReader(self.last_id)
        headers = dict(self.tenant.headers)
        if self.last_id is not None:
            headers["Last-Event-ID"] = self.last_id
        url = self.chance.choice(self.services).base_url + "/api/v1" + self.path
        async with client.stream("GET", url, headers=headers) as answer:
            if answer.status_code == 503:
                await answer.aread()
                await asyncio.sleep(0.2)
                return
            assert answer.status_code == 200, await answer.aread()
            self.connections += 1
            async for data in answer.aiter_bytes():
                for event in reader.feed(data):
                    self.last_id = event.id or self.last_id
                    if event.name == "message":
                        self.seen.append((event.data["conversation_id"], event.data["seq"]))
                        self.times.append(time.monotonic())
                    elif event.name == "draft":
                        self.drafts.append(event.data)
                if time.monotonic() > leave_at or (wanted() and len(self.seen) >= wanted()):
                    return


def connect():
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
    return httpx.AsyncClient(limits=limits, timeout=httpx.Timeout(10, read=5))


async def post(services, tenant, path, body):
    async with httpx.AsyncClient(timeout=10) as client:
        url = f"{services.base_url}/api/v1{path}"
        answer = await client.post(url, json=body, headers=tenant.headers)
        assert answer.is_success, answer.text
        return answer


@pytest.mark.slow
async def test_processes_hear_of_each_others_writes_and_drafts_at_once(tenant, api):
    conversation = await start(api, user_id="user-7")
    path = f"/conversations/{conversation['id']}"
    # Without notices an event would take up to a minute.
    settings = {"TENANTRY_STREAM_POLL_SECONDS": "60", "TENANTRY_DRAIN_DELAY_SECONDS": "0"}
    with running_serve(**settings) as first, running_serve(**settings) as second:
        readers = [
            Reader([service], tenant, events, random.Random(1))
            for service in (first, second)
            for events in (f"{path}/events", "/events?user_id=user-7")
        ]
        async with connect() as client:
            done = None
            tasks = [
                asyncio.create_task(reader._read(client, float("inf"), lambda: done))
                for reader in readers
            ]
            await asyncio.sleep(1.5)
            await post(first, tenant, f"{path}/drafts/d", {"delta": "Hel", "index": 0})
            await post(first, tenant, f"{path}/drafts/d", {"delta": "Hel", "index": 0})
            done = 1
            began = time.monotonic()
            await post(first, tenant, f"{path}/messages", USER)
            await asyncio.wait_for(asyncio.gather(*tasks), 10)

        for reader in readers:
            assert reader.seen == [(conversation["id"], 1)]
            assert reader.times[0] - began < 2
        assert [len(reader.drafts) for reader in readers] == [2, 0, 2, 0]


@pytest.mark.slow
async def test_without_notices_polling_is_enough(tenant, api):
    conversation = await start(api, user_id="user-7")
    settings = {"TENANTRY_STREAM_NOTICES": "false", "TENANTRY_DRAIN_DELAY_SECONDS": "0"}
    with running_serve(**settings) as served:
        readers = [
            Reader([served], tenant, path, random.Random(1))
            for path in (f"/conversations/{conversation['id']}/events", "/events?user_id=user-7")
        ]
        async with connect() as client:
            tasks = [asyncio.create_task(each.run(client, lambda: 3)) for each in readers]
            await asyncio.sleep(1)
            for _ in range(3):
                await append(api, conversation, USER)  # By this process.
            await asyncio.wait_for(asyncio.gather(*tasks), 10)
        for reader in readers:
            assert reader.seen == [(conversation["id"], seq) for seq in (1, 2, 3)]


@pytest.mark.slow
async def test_streams_end_within_the_drain_and_the_process_exits_well(tenant, api):
    conversation = await start(api)
    with running_serve(
        TENANTRY_DRAIN_DELAY_SECONDS="1", TENANTRY_SHUTDOWN_TIMEOUT_SECONDS="20"
    ) as served:
        path = f"/conversations/{conversation['id']}/events"
        readers = [Reader([served], tenant, path, random.Random(n)) for n in range(20)]
        async with connect() as client:
            tasks = [
                asyncio.create_task(reader._read(client, float("inf"), lambda: None))
                for reader in readers
            ]
            await asyncio.sleep(1)
            told_at = time.monotonic()
            served.tell(signal.SIGTERM)
            # It ends as a whole answer does: a cut one would raise here.
            await asyncio.wait_for(asyncio.gather(*tasks), 5)
            assert time.monotonic() - told_at > 0.8
        assert await asyncio.to_thread(served.process.wait, 5) == 0
        assert "Traceback" not in served.log.read_text()


@pytest.mark.slow
async def test_a_reader_that_does_not_read_loses_its_place(tenant, api):
    conversation = await start(api)
    settings = {
        "TENANTRY_STREAM_SEND_TIMEOUT_SECONDS": "1",
        "TENANTRY_STREAMS_PER_TENANT": "1",
        "TENANTRY_DRAIN_DELAY_SECONDS": "0",
        "TENANTRY_SHUTDOWN_TIMEOUT_SECONDS": "2",
    }
    path = f"/api/v1/conversations/{conversation['id']}/events?after=0"
    with running_serve(**settings) as served:
        host, port = served.base_url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(
                f"GET {path} HTTP/1.1\r\nHost: localhost\r\n"
                f"Authorization: Bearer {tenant.key}\r\n\r\n".encode()
            )
            assert connection.recv(10).startswith(b"HTTP/1.1 2")

            def status():
                with httpx.stream("GET", served.base_url + path, headers=tenant.headers) as answer:
                    return answer.status_code

            assert status() == 429
            for _ in range(15):  # More than what the kernel's buffers hold for it.
                await append(api, conversation, {"role": "user", "content": "x" * 900_000})
            until(lambda: status() == 200)
        assert await asyncio.to_thread(served.end, signal.SIGTERM) == 0


@pytest.mark.slow
async def test_every_subscriber_gets_every_event_once_and_in_order(tenant, api):
    """200 readers that come and go over two processes, of which one is killed and started anew,
    while backends are cut off and a transaction takes long."""
    chance = random.Random(5)
    conversations = [await start(api, user_id="user-7") for _ in range(4)]
    paths = [f"/conversations/{each['id']}/events" for each in conversations]
    paths += ["/events?user_id=user-7"] * 4
    expected, finished = [], False

    async def write_for_long():
        """In the middle of all others' a transaction that takes three seconds."""
        slow = await start(api, user_id="user-7")
        await asyncio.sleep(1.5)
        async with write_session(tenant.ref) as session:
            new = [NewMessage(role="user", content="late")] * 2
            messages = await service.append_messages(session, slow["id"], new)
            await asyncio.sleep(3)
        expected.extend((slow["id"], message["seq"]) for message in messages)

    async def write(services):
        began = time.monotonic()
        async with httpx.AsyncClient(timeout=5) as client:
            while time.monotonic() - began < SECONDS:
                conversation = chance.choice(conversations)
                url = f"{chance.choice(services).base_url}/api/v1/conversations/"
                with contextlib.suppress(httpx.HTTPError):  # What was committed is read below.
                    await client.post(
                        f"{url}{conversation['id']}/messages", json=USER, headers=tenant.headers
                    )
                await asyncio.sleep(0.15)

    with running_serve(TENANTRY_DRAIN_DELAY_SECONDS="0") as first:
        services = [first]
        with running_serve(TENANTRY_DRAIN_DELAY_SECONDS="0") as second:
            services.append(second)
            readers = [
                Reader(services, tenant, paths[number % len(paths)], random.Random(number))
                for number in range(SUBSCRIBERS)
            ]

            def wanted_by(reader):
                def wanted():
                    if not finished:
                        return None
                    own = reader.path.split("/")[2] if "conversations" in reader.path else None
                    return sum(own in (None, key) for key, _ in expected)

                return wanted

            async with connect() as client:
                tasks = [asyncio.create_task(each.run(client, wanted_by(each))) for each in readers]
                until_all = time.monotonic() + 20
                while not all(each.last_id for each in readers):
                    assert time.monotonic() < until_all
                    await asyncio.sleep(0.1)
                writing = asyncio.gather(write_for_long(), write(services), write(services))
                await asyncio.sleep(1)
                await cut_connections()
                await asyncio.sleep(2)
                second.tell(signal.SIGKILL)
                services.remove(second)
                await asyncio.sleep(1)
                with contextlib.ExitStack() as stack:
                    # In a thread: readers and writers go on meanwhile.
                    starting = running_serve(TENANTRY_DRAIN_DELAY_SECONDS="0")
                    services.append(await asyncio.to_thread(stack.enter_context, starting))
                    await writing
                    for conversation in conversations:
                        head = (await api.get(f"/conversations/{conversation['id']}")).json()
                        expected.extend(
                            (conversation["id"], seq) for seq in range(1, head["last_seq"] + 1)
                        )
                    finished = True
                    await asyncio.wait_for(asyncio.gather(*tasks), 30)

    assert len(expected) > 30
    assert sum(reader.connections for reader in readers) > 3 * SUBSCRIBERS
    for reader in readers:
        own = reader.path.split("/")[2] if "conversations" in reader.path else None
        mine = [place for place in expected if own in (None, place[0])]
        assert len(reader.seen) == len(set(reader.seen))
        assert sorted(reader.seen) == sorted(mine)
        for conversation in {key for key, _ in mine}:
            positions = [seq for key, seq in reader.seen if key == conversation]
            assert positions == sorted(positions)
