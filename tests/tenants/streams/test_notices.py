"""What processes tell each other."""

import asyncio

import orjson
import pytest

from tenants.apps import get_settings
from tenants.ids import new_id
from tenants.streams import Topic, notices
from tenants.streams.notices import Notices
from tests.tenants.cuts import cut_connections
from tests.tenants.test_running import until

TOPIC = Topic("thing", 'a "name"')


class Process:
    """Stands for a process: what it has heard."""

    def __init__(self):
        self.written, self.said = [], []
        self.notices = Notices(
            get_settings().runtime_url.get_secret_value(),
            on_write=self.written.append,
            on_said=lambda *said: self.said.append(said),
        )


@pytest.fixture
async def processes(application, monkeypatch):
    monkeypatch.setattr(notices, "_RECONNECT_SECONDS", 0.05)
    two = [Process(), Process()]
    for process in two:
        process.notices.start()
    await greet(*two)
    yield two
    for process in two:
        await process.notices.stop()


async def greet(first, second):
    """Wait until each hears the other."""
    for teller, hearer in ((first, second), (second, first)):
        tenant_id = new_id()

        def is_heard(teller=teller, hearer=hearer, tenant_id=tenant_id):
            teller.notices.note_write(tenant_id)
            return tenant_id in hearer.written

        await until(is_heard)
    await asyncio.sleep(0.2)
    first.written.clear()
    second.written.clear()


async def test_others_hear_of_a_write_and_the_writer_does_not(processes):
    first, second = processes
    tenants = [new_id() for _ in range(500)]
    for tenant_id in tenants * 3:
        first.notices.note_write(tenant_id)

    await until(lambda: len(second.written) >= 500)
    await asyncio.sleep(0.1)

    assert sorted(second.written) == tenants
    assert first.written == []


async def test_what_is_said_comes_in_order_also_when_it_is_the_same(processes):
    first, second = processes
    tenant_id = new_id()
    contents = [b'{"delta":"x"}', b'{"delta":"x"}', b'{"delta":"\\"\xc3\xa9\\n"}', b"1"]
    for content in contents:
        first.notices.say(tenant_id, TOPIC, content)
    first.notices.say(tenant_id, TOPIC, b'"%b"' % (b"x" * 8000))  # Longer than a notice may be.
    first.notices.say(tenant_id, TOPIC, b"2")

    await until(lambda: len(second.said) >= 5)

    assert second.said == [(tenant_id, TOPIC, content) for content in [*contents, b"2"]]
    assert first.said == []


async def test_they_find_together_again_after_the_database_cut_them(processes):
    first, second = processes
    for _ in range(2):
        await cut_connections()
        await greet(first, second)


def test_a_write_names_nothing_but_its_tenant():
    notices_of_one = Process().notices
    tenant_id = new_id()
    notices_of_one.note_write(tenant_id)

    (notice,) = notices_of_one._take()

    assert orjson.loads(notice) | {"from": "", "number": 0} == {
        "from": "",
        "number": 0,
        "written": [tenant_id.hex],
    }
