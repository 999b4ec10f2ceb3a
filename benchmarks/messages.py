"""What is sent to be appended, and the words of the texts that are searched."""

import orjson

PAGE_MESSAGES = 50
# Of a page that is as long however much has been appended to its conversation.
SHORT_PAGE_MESSAGES = 10
# Two of these make a word, so that there are 400 words.
SYLLABLES = (
    *("ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu"),
    *("na", "pe", "ri", "so", "tu", "va", "we", "xi", "yo", "zu"),
)


def message_body(number: int) -> bytes:
    """An append's body: one message with two tool calls, whose ids the number makes unique."""
    calls = [
        {
            "call_id": f"call_{number:012d}_{index}",
            "name": "get_forecast",
            "arguments": {"city": "Oslo", "days": 2, "units": {"temperature": "celsius"}},
        }
        for index in range(2)
    ]
    return orjson.dumps(
        {
            "role": "assistant",
            "content": "Let me look at the forecast for Saturday and Sunday, hour by hour. " * 3,
            "model": "example-model-1",
            "token_count": 57,
            "tool_calls": calls,
        }
    )


def word(number: int) -> str:
    count = len(SYLLABLES)
    return SYLLABLES[number // count % count] + SYLLABLES[number % count]
