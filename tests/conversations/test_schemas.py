import orjson
import pytest
from pydantic import ValidationError

from conversations.schemas import (
    CallResult,
    ConversationChanges,
    ConversationQuery,
    NewConversation,
    NewMessage,
    NewMessages,
)
from conversations.settings import get_settings

SETTINGS = get_settings()


def metadata_of(size: int) -> dict[str, str]:
    """An object that has this many bytes as JSON."""
    padding = size - len(orjson.dumps({"x": ""}))
    return {"x": "y" * padding}


def test_metadata_may_have_exactly_its_bound():
    limit = SETTINGS.max_metadata_bytes

    assert NewConversation(metadata=metadata_of(limit)).metadata == metadata_of(limit)
    for model in (NewConversation, ConversationChanges):
        with pytest.raises(ValidationError, match=f"may have {limit} bytes"):
            model(metadata=metadata_of(limit + 1))


def test_metadata_is_measured_in_bytes_and_not_in_characters():
    with pytest.raises(ValidationError, match="bytes"):
        NewConversation(metadata={"x": "é" * (SETTINGS.max_metadata_bytes // 2)})


def test_text_may_have_exactly_its_bound():
    limit = SETTINGS.max_text_characters

    assert NewMessage(role="user", content="é" * limit).content == "é" * limit
    for part in ("x" * (limit + 1), [{"type": "text", "text": "x" * (limit + 1)}]):
        with pytest.raises(ValidationError, match=f"at most {limit} characters"):
            NewMessage(role="user", content=part)
        with pytest.raises(ValidationError, match=f"at most {limit} characters"):
            CallResult(output=part)


@pytest.mark.parametrize("call_id", ["a", "call_8Zt1", "toolu_01A", "x" * 255, "!~.-:|{}"])
def test_the_call_ids_of_providers_are_accepted(call_id):
    assert NewMessage(role="tool", call_id=call_id, content="x").call_id == call_id


@pytest.mark.parametrize("call_id", ["", "x" * 256, "a b", "a/b", "é", "a\n", "\x7f", "a\u200b"])
def test_a_call_id_that_could_not_stand_in_a_path_is_refused(call_id):
    with pytest.raises(ValidationError, match="call_id"):
        NewMessage(role="tool", call_id=call_id, content="x")


@pytest.mark.parametrize(
    "model", [NewConversation, NewMessage, NewMessages, ConversationChanges, CallResult]
)
def test_no_input_takes_a_field_that_it_does_not_know(model):
    with pytest.raises(ValidationError) as caught:
        model.model_validate({"surprise": 1})

    assert ("surprise",) in [
        problem["loc"] for problem in caught.value.errors() if problem["type"] == "extra_forbidden"
    ]


def test_a_change_knows_a_title_that_is_absent_from_one_that_is_null():
    absent = ConversationChanges.model_validate({"status": "active"})
    null = ConversationChanges.model_validate({"title": None})

    assert absent.model_dump(exclude_unset=True) == {"status": "active"}
    assert null.model_dump(exclude_unset=True) == {"title": None}


def test_a_filter_of_metadata_is_read_from_its_json():
    query = ConversationQuery.model_validate({"metadata": '{"a": {"b": [1]}}'})

    assert query.metadata == {"a": {"b": [1]}}
