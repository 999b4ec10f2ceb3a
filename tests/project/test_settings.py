"""The settings: read from the environment and `.env`, refused whole and with every reason."""

import os
import runpy
import subprocess
import sys

import asyncpg
import psycopg
import pytest
from asyncpg.connect_utils import _parse_connect_dsn_and_args
from django.core.exceptions import ImproperlyConfigured
from pydantic import SecretStr

from project.dev.settings import ROOT
from project.settings import Settings, _django_database, load_settings

KEY = "k" * 32


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    """No `.env`, no variables but the three URLs."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("TENANTRY_") and not name.endswith("_URL"):
            monkeypatch.delenv(name)


@pytest.fixture
def load(monkeypatch):
    """Load the settings with these variables, prefix and capitals left out."""

    def load(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(f"TENANTRY_{name.upper()}", value)
        return load_settings()

    return load


@pytest.fixture
def list_mistakes(load):
    """The lines that the settings are refused with."""

    def find(**variables):
        with pytest.raises(ImproperlyConfigured) as refusal:
            load(**variables)
        return str(refusal.value).splitlines()

    return find


class TestReading:
    def test_three_urls_are_enough(self, load):
        settings = load()
        assert settings.environment == "development"
        assert settings.modules == ["conversations"]
        assert settings.runtime_url.get_secret_value() == os.environ["TENANTRY_RUNTIME_URL"]

    def test_a_dotenv_file_is_read_and_the_environment_wins(self, load, tmp_path):
        (tmp_path / ".env").write_text("TENANTRY_POOL_SIZE=7\nTENANTRY_LOG_LEVEL=DEBUG\n")
        settings = load(log_level="ERROR")
        assert (settings.pool_size, settings.log_level) == (7, "ERROR")

    def test_lists_are_json(self, load):
        settings = load(allowed_hosts='["example.com", "[::1]"]', modules="[]")
        assert settings.allowed_hosts == ["example.com", "[::1]"]
        assert settings.modules == []

    def test_what_is_said_of_the_settings_says_no_password(self, load):
        settings = load(
            owner_url="postgresql://o:hushhush@localhost/db",
            secret_key="hush" * 9,
            email_url="smtp://me:hushhush@localhost",
        )
        for text in (repr(settings), str(settings), settings.model_dump_json()):
            assert "hush" not in text

    def test_every_setting_has_a_description_and_units_stand_in_names(self):
        for name, field in Settings.model_fields.items():
            assert field.description, name
            if field.annotation is float:
                assert name.endswith("_seconds"), name


class TestMistakes:
    def test_all_mistakes_are_reported_at_once(self, list_mistakes):
        assert list_mistakes(
            registry_url="mysql://a@b/c",
            runtime_url="postgresql://localhost/db",
            owner_url="nonsense",
            pool_size="many",
            pool_timeout_seconds="0",
            allowed_hosts="example.com",
            modules="{}",
            environment="staging",
            secret_key="short",
            log_levl="INFO",
        ) == [
            "TENANTRY_REGISTRY_URL: must begin with postgresql://",
            "TENANTRY_RUNTIME_URL: must name a user and a database",
            "TENANTRY_OWNER_URL: is not a URL such as postgresql://user:password@host/db",
            "TENANTRY_MODULES: Input should be a valid list",
            'TENANTRY_ALLOWED_HOSTS: must be JSON, such as ["one", "two"] or {"one": {}}',
            "TENANTRY_POOL_SIZE: Input should be a valid integer, unable to parse string as an "
            "integer",
            "TENANTRY_POOL_TIMEOUT_SECONDS: Input should be greater than 0",
            "TENANTRY_ENVIRONMENT: Input should be 'development' or 'production'",
            "TENANTRY_SECRET_KEY: Value should have at least 32 items after validation, not 5",
            "TENANTRY_LOG_LEVL: there is no such setting",
        ]

    def test_missing_urls_are_each_named(self, list_mistakes, monkeypatch):
        for login in ("REGISTRY", "RUNTIME", "OWNER"):
            monkeypatch.delenv(f"TENANTRY_{login}_URL")
        assert list_mistakes() == [
            f"TENANTRY_{login}_URL: Field required" for login in ("REGISTRY", "RUNTIME", "OWNER")
        ]

    def test_a_mistake_never_shows_what_was_given(self, list_mistakes):
        mistakes = list_mistakes(
            runtime_url="mysql://me:hushhush@localhost/db",
            secret_key="hushhush",
            email_url="smtp://me:hushhush@localhost:port",
        )
        assert len(mistakes) == 3
        assert "hush" not in "".join(mistakes)

    def test_unknown_names_are_reported_however_close_they_are(self, list_mistakes):
        assert list_mistakes(c="1", conv_limit="1", module="[]") == [
            "TENANTRY_C: there is no such setting",
            "TENANTRY_CONV_LIMIT: there is no such setting",
            "TENANTRY_MODULE: there is no such setting",
        ]

    def test_unknown_names_in_the_dotenv_file_are_reported_too(self, list_mistakes, tmp_path):
        (tmp_path / ".env").write_text("TENANTRY_POOLSIZE=7\nOTHER=1\n")
        assert list_mistakes() == ["TENANTRY_POOLSIZE: there is no such setting"]

    def test_other_programs_variables_are_left_alone(self, load, monkeypatch):
        monkeypatch.setenv("TENANTRYX", "1")
        monkeypatch.setenv("MY_TENANTRY_DEBUG", "1")
        load()


class TestModules:
    def test_a_modules_settings_are_known(self, load):
        load(conversations_default_page_limit="50")

    def test_a_modules_mistakes_are_reported_with_the_others(self, list_mistakes):
        assert list_mistakes(
            conversations_default_page_limit="1000",
            conversations_defalt_page_limit="5",
            pool_size="0",
        ) == [
            "TENANTRY_POOL_SIZE: Input should be greater than or equal to 1",
            "TENANTRY_CONVERSATIONS_DEFAULT_PAGE_LIMIT: Input should be less than or equal to 100",
            "TENANTRY_CONVERSATIONS_DEFALT_PAGE_LIMIT: there is no such setting",
        ]

    def test_settings_of_a_module_that_is_not_loaded_are_unknown(self, list_mistakes):
        assert list_mistakes(modules="[]", conversations_default_page_limit="5") == [
            "TENANTRY_CONVERSATIONS_DEFAULT_PAGE_LIMIT: there is no such setting"
        ]

    def test_the_modules_are_found_in_the_dotenv_file_too(self, load, tmp_path, monkeypatch):
        package = tmp_path / "other_feature"
        package.mkdir()
        (package / "settings.py").write_text(
            "from pydantic_settings import BaseSettings, SettingsConfigDict\n"
            "class OtherSettings(BaseSettings):\n"
            "    model_config = SettingsConfigDict(env_prefix='TENANTRY_OTHER_FEATURE_')\n"
            "    limit: int = 1\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        (tmp_path / ".env").write_text('TENANTRY_MODULES=["other_feature"]\n')
        load(other_feature_limit="5")

    @pytest.mark.parametrize("modules", ['[""]', '["gone"]', '["a b"]', '[".x"]'])
    def test_a_module_that_is_not_there_is_for_its_loading_to_report(self, load, modules):
        load(modules=modules)


class TestProduction:
    def test_it_demands_a_secret_key_and_refuses_the_debug_flag(self, list_mistakes):
        assert list_mistakes(environment="production", debug="on") == [
            "TENANTRY_DEBUG: must be off in production",
            "TENANTRY_SECRET_KEY: is required in production",
        ]

    def test_it_does_so_beside_other_mistakes(self, list_mistakes):
        assert list_mistakes(environment="production", pool_size="0") == [
            "TENANTRY_POOL_SIZE: Input should be greater than or equal to 1",
            "TENANTRY_SECRET_KEY: is required in production",
        ]

    def test_it_loads_with_a_key_and_without_debug(self, load):
        assert load(environment="production", secret_key=KEY).environment == "production"

    def test_development_may_do_without_a_key_and_with_debug(self, load):
        assert load(debug="true").secret_key is None

    def test_a_command_is_refused_with_one_line_for_each_mistake(self):
        result = subprocess.run(
            [sys.executable, "manage.py", "check"],
            cwd=ROOT,
            env={**os.environ, "TENANTRY_ENVIRONMENT": "production", "TENANTRY_DEBUG": "1"},
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert result.returncode == 2
        assert result.stdout == ""
        assert result.stderr.splitlines() == [
            "error: TENANTRY_DEBUG: must be off in production",
            "error: TENANTRY_SECRET_KEY: is required in production",
        ]


class TestSignIn:
    """What Django makes of the settings, for cookies and for what a proxy says."""

    @pytest.fixture
    def django(self, load):
        """Django's settings under these variables."""

        def read(**variables):
            load(**variables)
            return runpy.run_path(str(ROOT / "project" / "settings.py"))

        return read

    def test_cookies_need_tls_in_production(self, django):
        names = ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE")
        assert [django()[name] for name in names] == [False, False]
        production = django(environment="production", secret_key=KEY)
        assert [production[name] for name in names] == [True, True]

    def test_a_proxy_is_believed_if_the_settings_say_so(self, django):
        assert django()["SECURE_PROXY_SSL_HEADER"] is None
        trusting = django(trust_proxy_headers="true")
        assert trusting["SECURE_PROXY_SSL_HEADER"] == ("HTTP_X_FORWARDED_PROTO", "https")

    def test_mails_come_from_the_base_domain_unless_a_setting_says_otherwise(self, django):
        assert (
            django(base_domain="example.com")["DEFAULT_FROM_EMAIL"]
            == "Tenantry <tenantry@example.com>"
        )
        assert (
            django(email_from="Acme <a@example.com>")["DEFAULT_FROM_EMAIL"]
            == "Acme <a@example.com>"
        )

    def test_mails_are_files_in_development_and_refused_in_production(self, django, tmp_path):
        development = django(data_dir=str(tmp_path))
        assert development["EMAIL_BACKEND"].endswith("filebased.EmailBackend")
        assert development["EMAIL_FILE_PATH"] == tmp_path / "mail"
        production = django(environment="production", secret_key=KEY)
        assert production["EMAIL_BACKEND"] == "project.mail.NoServer"


# URL, and what Django gets: name, user, password, host, port, options.
URLS = [
    ("postgresql://me@localhost/db", "db", "me", "", "localhost", "", {}),
    ("postgres://me:pw@db.example:6543/db", "db", "me", "pw", "db.example", "6543", {}),
    (
        "postgresql://me:p%40%3A%2F%25+w@localhost/my%20db",
        "my db",
        "me",
        "p@:/%+w",
        "localhost",
        "",
        {},
    ),
    ("postgresql://me:pw@/db?host=/run/pg&port=5432", "db", "me", "pw", "/run/pg", "5432", {}),
    ("postgresql://me@%2Frun%2Fpg:5433/db", "db", "me", "", "/run/pg", "5433", {}),
    ("postgresql://me@[::1]:5432/db", "db", "me", "", "::1", "5432", {}),
    (
        "postgresql://me@db/db?sslmode=require&sslrootcert=/etc/ca.pem",
        "db",
        "me",
        "",
        "db",
        "",
        {"sslmode": "require", "sslrootcert": "/etc/ca.pem"},
    ),
]


class TestDatabases:
    @pytest.mark.parametrize(
        ("url", "name", "user", "password", "host", "port", "options"),
        URLS,
        ids=[url[0] for url in URLS],
    )
    def test_django_gets_what_the_url_says(self, url, name, user, password, host, port, options):
        assert _django_database(SecretStr(url)) == {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": name,
            "USER": user,
            "PASSWORD": password,
            "HOST": host,
            "PORT": port,
            "OPTIONS": options,
        }

    @pytest.mark.parametrize("url", [row[0] for row in URLS if "ssl" not in row[0]])
    def test_both_drivers_read_a_url_alike(self, url):
        django = _django_database(SecretStr(url))
        parsed = psycopg.conninfo.conninfo_to_dict(url)
        (address, *_), parameters, *_ = _parse_connect_dsn_and_args(
            dsn=url,
            **dict.fromkeys(
                [
                    *("host", "port", "user", "password", "passfile", "database", "ssl"),
                    *("service", "servicefile", "direct_tls", "server_settings"),
                    *("target_session_attrs", "krbsrvname", "gsslib"),
                ]
            ),
        )
        for read in (
            (parsed["dbname"], parsed["user"], parsed.get("password", "")),
            (parameters.database, parameters.user, parameters.password or ""),
        ):
            assert read == (django["NAME"], django["USER"], django["PASSWORD"])
        assert parsed["host"] == django["HOST"]
        folder, port = django["HOST"], int(django["PORT"] or 5432)
        expected = f"{folder}/.s.PGSQL.{port}" if folder.startswith("/") else (folder, port)
        assert address == expected

    async def test_the_three_urls_of_this_run_work_with_both_drivers(self, load):
        settings = load()
        for name in ("registry_url", "runtime_url", "owner_url"):
            url = getattr(settings, name).get_secret_value()
            database = _django_database(SecretStr(url))
            with psycopg.connect(
                host=database["HOST"],
                port=database["PORT"],
                user=database["USER"],
                password=database["PASSWORD"],
                dbname=database["NAME"],
                **database["OPTIONS"],
            ) as connection:
                assert connection.info.user == database["USER"]
            driver = await asyncpg.connect(url)
            assert await driver.fetchval("SELECT current_user") == database["USER"]
            await driver.close()

    @pytest.mark.parametrize(
        ("url", "reason"),
        [
            ("", "is not a URL"),
            ("localhost/db", "is not a URL"),
            ("postgresql+asyncpg://me@localhost/db", "must begin with postgresql://"),
            ("sqlite:///db", "must begin with postgresql://"),
            ("postgresql://localhost/db", "must name a user and a database"),
            ("postgresql://me@localhost", "must name a user and a database"),
            ("postgresql://me@localhost:port/db", "is not a URL"),
        ],
    )
    def test_a_url_that_is_none_is_refused(self, list_mistakes, url, reason):
        (mistake,) = list_mistakes(runtime_url=url)
        assert mistake.startswith(f"TENANTRY_RUNTIME_URL: {reason}")

    def test_the_base_domain_is_lower_case_without_outer_dots(self, load):
        assert load(base_domain=".Example.COM.").base_domain == "example.com"
