"""Mail: what a URL means to Django, which URLs are refused, and what happens without a server."""

import asyncio
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from django.core.mail import send_mail
from pydantic import ValidationError

from project.mail import MailSettings, NoServer, django_mail


def django(url):
    return django_mail(MailSettings(email_url=url), Path("data"), in_production=True)


@pytest.mark.parametrize(
    ("url", "host", "port", "user", "password", "starttls", "tls"),
    [
        ("smtp://me:pw@mail.example.com:587", "mail.example.com", 587, "me", "pw", True, False),
        ("smtp://mail.example.com", "mail.example.com", 587, "", "", True, False),
        ("smtps://me:pw@mail.example.com", "mail.example.com", 465, "me", "pw", False, True),
        ("smtps://me:pw@mail.example.com:2465/", "mail.example.com", 2465, "me", "pw", False, True),
        ("smtp://localhost:25?tls=off", "localhost", 25, "", "", False, False),
        ("smtp://a%40b.de:p%3A%2F%25+w@[::1]:25", "::1", 25, "a@b.de", "p:/%+w", True, False),
    ],
)
def test_django_gets_what_the_url_says(url, host, port, user, password, starttls, tls):
    given = django(url)

    assert given.pop("EMAIL_TIMEOUT") == 10
    assert given == {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": host,
        "EMAIL_PORT": port,
        "EMAIL_HOST_USER": user,
        "EMAIL_HOST_PASSWORD": password,
        "EMAIL_USE_TLS": starttls,
        "EMAIL_USE_SSL": tls,
    }


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "must begin with smtp://"),
        ("mail.example.com:587", "must begin with smtp://"),
        ("http://mail.example.com", "must begin with smtp://"),
        ("smtp://mail.example.com:port", "is not a URL"),
        ("smtp://mail.example.com:99999", "is not a URL"),
        ("smtp://[::1", "is not a URL"),
        ("smtp://", "must name a host"),
        ("smtp://:587", "must name a host"),
        ("smtp://me:hush@mail.example.com:0", "must name a host"),
        ("smtp://mail.example.com/inbox", "must name a host"),
        ("smtp://mail.example.com#x", "must name a host"),
        ("smtp://me@mail.example.com", "must have both user and password"),
        ("smtp://me:@mail.example.com", "must have both user and password"),
        ("smtp://:hush@mail.example.com", "must have both user and password"),
        ("smtp://mail.example.com?tls=on", "may end with ?tls=off"),
        ("smtps://mail.example.com?tls=off", "may end with ?tls=off"),
    ],
)
def test_a_url_that_is_none_is_refused_without_showing_it(url, reason):
    with pytest.raises(ValidationError) as refusal:
        MailSettings(email_url=url)

    (problem,) = refusal.value.errors(include_input=False, include_context=False)
    message = problem["msg"].removeprefix("Value error, ")
    assert message.startswith(reason)
    assert "hush" not in message


@pytest.mark.parametrize("sender", ["a@example.com", "Acme <a@example.com>", '"A, B" <a@b.de>'])
def test_a_sender_is_an_address_with_or_without_a_name(sender):
    assert MailSettings(email_from=sender).email_from == sender


@pytest.mark.parametrize("sender", ["", "Acme", "Acme <>", "<a@b", "A <a@b.de>\nBcc: c@d.de"])
def test_a_sender_that_is_no_address_is_refused(sender):
    with pytest.raises(ValidationError, match="must be an address"):
        MailSettings(email_from=sender)


def test_without_a_server_sending_fails_as_with_one_that_is_out_of_reach():
    with pytest.raises(OSError, match="set TENANTRY_EMAIL_URL"):
        NoServer().send_messages([])


class MailServer:
    """Speaks as much SMTP as Django needs to leave a mail. stalls: accepts, and says nothing."""

    def __init__(self, *, stalls=False):
        self.stalls = stalls
        self.received = []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"smtp://127.0.0.1:{port}?tls=off"
        return self

    async def __aexit__(self, *_exception):
        self._server.close()

    async def _talk(self, reader, writer):
        if self.stalls:
            await reader.read()
        else:
            writer.write(b"220 here\r\n")
            while line := await reader.readline():
                if line.upper().startswith(b"DATA"):
                    writer.write(b"354 go on\r\n")
                    self.received.append(await reader.readuntil(b"\r\n.\r\n"))
                writer.write(b"250 fine\r\n")
        writer.close()


@sync_to_async(thread_sensitive=False)
def send():
    send_mail("Subject", "Words", "a@example.com", ["b@example.com"])


async def test_a_mail_arrives_at_the_server_that_the_url_names(settings):
    async with MailServer() as server:
        for name, value in django(server.url).items():
            setattr(settings, name, value)
        await send()

    (message,) = server.received
    assert b"Subject: Subject" in message
    assert b"To: b@example.com" in message


async def test_a_server_that_says_nothing_is_given_up(settings):
    async with MailServer(stalls=True) as server:
        for name, value in django(server.url).items():
            setattr(settings, name, value)
        settings.EMAIL_TIMEOUT = 0.1
        with pytest.raises(OSError, match="timed out"):
            await send()
