from tenants.streams import KEEP_ALIVE, encode_event, encode_retry
from tests.sse import Event, EventReader


def test_what_is_written_is_what_a_reader_reads():
    written = [
        encode_retry(2.5),
        encode_event("message", b'{"a":1}', "5"),
        KEEP_ALIVE,
        encode_event("draft", b"[1,\n2]"),
    ]
    for size in (1, 7, 1000):
        data, reader = b"".join(written), EventReader()
        events = [
            event
            for start in range(0, len(data), size)
            for event in reader.feed(data[start : start + size])
        ]
        assert events == [Event("message", "5", {"a": 1}), Event("draft", None, [1, 2])]
        assert (reader.retry_ms, reader.comments, reader.last_id) == (2500, 1, "5")
