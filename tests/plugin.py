"""Starts the embedded PostgreSQL for the tests, before Django reads its settings.

It is a plugin and not a conftest, because pytest-django loads the settings before any conftest.
"""

import contextlib
import gc
import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from project.dev.database import LOGINS, ensure_database
from project.dev.settings import ENV_PREFIX

_resources = contextlib.ExitStack()
# Nothing of a test run has to survive the machine.
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
# Lets the tests run on other binaries than the wheel's.
_KEPT = {f"{ENV_PREFIX}POSTGRES_BIN_DIR"}


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, Any, Any]:
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        if name not in _KEPT:
            del os.environ[name]
    folder = Path(tempfile.mkdtemp(prefix="tenantry-tests-"))
    # Under root the server runs as an account that must be able to pass through here.
    folder.chmod(0o711)
    _resources.callback(shutil.rmtree, folder, ignore_errors=True)
    os.environ[f"{ENV_PREFIX}DATA_DIR"] = str(folder)
    os.environ[f"{ENV_PREFIX}MODULES"] = '["conversations", "tests.sample"]'
    # Tests run jobs when they want them to be run.
    os.environ[f"{ENV_PREFIX}JOBS_AT_ONCE"] = "0"
    # Looking for garbage takes nearly half the time of a collection, and finds none.
    gc.disable()
    processes = getattr(early_config.known_args_namespace, "numprocesses", None)
    if processes and "PYTEST_XDIST_WORKER" not in os.environ:
        # This process only hands out the tests: it needs settings, and no database.
        for login in LOGINS:
            os.environ[f"{ENV_PREFIX}{login.upper()}_URL"] = "postgresql://nobody@localhost/none"
        return (yield)
    _resources.enter_context(ensure_database(server_settings=_FAST))
    return (yield)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    _resources.close()
