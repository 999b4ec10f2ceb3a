"""The development server's own settings."""

import os

import pytest

from project.dev.database import Credentials
from project.management.commands.dev import _publish
from project.settings import load_settings

NAME = "TENANTRY_PUBLIC_URL"


@pytest.fixture
def load(settings, monkeypatch):
    """Load the settings as another process would, with this public URL or none."""

    def load(public_url):
        # So that it is put back after the test, whatever is set in it.
        monkeypatch.setenv(NAME, public_url or "")
        if public_url is None:
            monkeypatch.delenv(NAME)
        settings.TENANTRY = load_settings()
        return settings.TENANTRY

    return load


@pytest.fixture
def credentials(tmp_path):
    return Credentials(tmp_path)


def test_links_in_mails_lead_to_the_address_that_is_served(load, credentials):
    running = load(None)

    _publish("http://127.0.0.1:54321", credentials)

    assert running.public_url == "http://127.0.0.1:54321"
    assert os.environ[NAME] == running.public_url  # For workers.
    assert credentials.read()["public_url"] == running.public_url  # For other commands.


def test_they_follow_when_it_is_served_at_another(load, credentials):
    load(None)
    _publish("http://127.0.0.1:54321", credentials)
    running = load("http://127.0.0.1:54321")  # As the next start finds it in the data folder.

    _publish("http://127.0.0.1:9000", credentials)

    assert running.public_url == credentials.read()["public_url"] == "http://127.0.0.1:9000"


def test_a_setting_counts_more_than_the_address_that_is_served(load, credentials):
    running = load("https://example.com")

    _publish("http://127.0.0.1:54321", credentials)

    assert (running.public_url, os.environ[NAME]) == ("https://example.com",) * 2
    assert "public_url" not in credentials.read()
