"""API keys as text."""

import hashlib
import re

import pytest

from tenants.keys import KEY_IN_TEXT, OPERATOR_PREFIX, find_public_id, generate_key, hash_key


def test_a_new_key_has_the_documented_shape():
    key = generate_key()
    assert re.fullmatch(r"tnt_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}", key.text)
    assert key.text.startswith(f"tnt_{key.public_id}_")
    assert key.secret_hash == hashlib.sha256(key.text.encode()).digest() == hash_key(key.text)


def test_an_operators_key_is_told_from_a_tenants():
    key = generate_key(OPERATOR_PREFIX)
    assert re.fullmatch(r"tno_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}", key.text)
    assert find_public_id(key.text, OPERATOR_PREFIX) == key.public_id
    assert find_public_id(key.text) is None
    assert find_public_id(generate_key().text, OPERATOR_PREFIX) is None
    # Nor does it become one by its prefix: the checksum is of the whole.
    assert find_public_id(key.text.replace("tno_", "tnt_")) is None
    assert KEY_IN_TEXT.search(key.text.encode())


def test_a_seed_always_gives_the_same_key_and_each_another():
    seeds = [number.to_bytes(32) for number in range(200)]
    keys = [generate_key(seed=seed) for seed in seeds]
    assert keys == [generate_key(seed=seed) for seed in seeds]
    for part in (slice(4, 16), slice(17, 49)):
        assert len({key.text[part] for key in keys}) == len(keys)
    assert {key.public_id for key in keys} == {find_public_id(key.text) for key in keys}
    # Every character stands at every place, sooner or later.
    assert len({key.text[20] for key in keys}) > 50


def test_keys_differ_in_every_part():
    keys = [generate_key() for _ in range(200)]
    for part in (slice(4, 16), slice(17, 49), slice(None)):
        assert len({key.text[part] for key in keys}) == len(keys)


def test_the_public_id_of_a_whole_key_is_found():
    key = generate_key()
    assert find_public_id(key.text) == key.public_id


def test_a_key_with_any_character_changed_is_recognised_as_mistyped():
    text = generate_key().text
    for position, character in enumerate(text):
        for other in ("x" if character != "x" else "y", "_", " ", "é", "\n", "\0"):
            if other != character:
                mistyped = text[:position] + other + text[position + 1 :]
                assert find_public_id(mistyped) is None, mistyped


def test_a_key_with_two_neighbours_swapped_is_recognised_as_mistyped():
    text = generate_key().text
    for position in range(len(text) - 1):
        one, two = text[position : position + 2]
        if one != two:
            swapped = text[:position] + two + one + text[position + 2 :]
            assert find_public_id(swapped) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text[:-1],
        lambda text: text[1:],
        lambda text: f"{text}0",
        lambda text: f"{text}\n",
        lambda text: f" {text}",
        lambda text: f"{text} ",
        lambda text: text.upper(),
        lambda text: text.replace("tnt_", "sk_"),
        lambda text: text * 2,
        lambda text: "tnt_" + "x" * 10_000,
        lambda text: text.replace("_", "-"),
        # Digits to Python, and not to us.
        lambda text: text[:17] + "٣" * 32 + text[49:],
    ],
)
def test_what_is_no_whole_key_has_no_public_id(change):
    assert find_public_id(change(generate_key().text)) is None


def test_a_key_is_recognised_wherever_it_stands():
    text = generate_key().text.encode()
    for around in (b"%s", b"a=b&key=%s&c=d", b"/%s/x", b"Bearer%%20%s", b"x%sx"):
        assert KEY_IN_TEXT.search(around % text)
    # A part of the secret is worth hiding too.
    assert KEY_IN_TEXT.search(text[:30])
    for harmless in (b"tnt_", b"tnt_short_x", text[:16], text[17:], b"/conversations/conv_0193"):
        assert not KEY_IN_TEXT.search(harmless)
