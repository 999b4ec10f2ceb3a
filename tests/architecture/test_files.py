"""Rules about files: size, words, transactions, packages, paths."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from project.dev.settings import ROOT
from tenants.settings import EngineSettings

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MODULES = EngineSettings.model_fields["modules"].default
SHIPPED = ["project", "tenants", *MODULES]
# What the project is written in, tests and benchmarks excepted.
SOURCES = sorted(
    path
    for folder in (*SHIPPED, "alembic", "clients/python/src")
    for path in (ROOT / folder).rglob("*.py")
    if "__pycache__" not in path.parts
)
MAX_LINES = 400
LOCKS = {"requirements.lock": ["embedded"], "requirements-dev.lock": ["embedded", "dev"]}
PINNED = re.compile(r"^([a-z0-9][a-z0-9._-]*(?:\[[a-z,-]+\])?)==", re.MULTILINE)
VERSION = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[a-z,-]+\])?==([^ ]+)", re.MULTILINE)


def name(path):
    return path.relative_to(ROOT).as_posix()


def list_files():
    """Every file that is or would be committed."""
    result = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    return [ROOT / line for line in result.stdout.split("\0") if line and (ROOT / line).is_file()]


def test_the_import_contracts_hold():
    result = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


@pytest.mark.parametrize("module", MODULES)
def test_every_module_is_under_the_contracts(module):
    settings = PYPROJECT["tool"]["importlinter"]
    assert module in settings["root_packages"]
    layers, inside, *_ = settings["contracts"]
    assert any(module in layer.split(" | ") for layer in layers["layers"])
    assert module in inside["containers"]


def test_no_source_file_is_longer_than_a_room():
    lengths = {name(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert lengths
    assert {path: lines for path, lines in lengths.items() if lines > MAX_LINES} == {}


def test_every_source_file_says_first_why_it_exists():
    silent = [
        name(path)
        for path in SOURCES
        if path.read_text().strip()
        and not {"migrations", "revisions"} & set(path.parts)
        and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


# Where a transaction may be ended. Data of tenants is read and written in sessions, and only the
# unit of work ends those. The other files change schemas, on connections of the owner login
# that they open and end themselves; no request ever comes there.
ENDS_TRANSACTIONS = {
    "tenants/db/unit_of_work.py": "sessions",
    "tenants/db/connection.py": "the driver's half of the unit of work's transactions",
    "tenants/db/transaction.py": "the driver's half of the unit of work's transactions",
    "tenants/lifecycle/": "owner connections, and Django's on the registry",
    "tenants/revisions/": "owner connections",
    "tenants/rollouts/": "owner connections",
    "alembic/env.py": "owner connections",
}
_ENDINGS = {"commit", "rollback", "begin", "begin_transaction", "atomic"}


def list_endings(path):
    """Calls that begin or end a transaction."""
    return [
        f"{name(path)}:{node.lineno} {node.func.attr}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in _ENDINGS
    ]


def test_transactions_are_ended_in_the_unit_of_work_and_where_schemas_change():
    elsewhere = [
        ending
        for path in SOURCES
        if not name(path).startswith(tuple(ENDS_TRANSACTIONS))
        for ending in list_endings(path)
    ]
    assert elsewhere == []


def test_in_sessions_only_the_unit_of_work_commits():
    committing = {
        name(path)
        for path in SOURCES
        if re.search(r"session\w*\.(commit|rollback)\(", path.read_text())
    }
    assert committing == {"tenants/db/unit_of_work.py"}


def test_the_engine_knows_no_business_noun():
    # The one place is the default of a setting. `message` is no such noun here: errors have one.
    nouns = re.compile(r"conversation|tool.?call|assistant", re.IGNORECASE)
    found = [
        f"{name(path)}: {line.strip()}"
        for path in (ROOT / "tenants").rglob("*.py")
        for line in path.read_text().splitlines()
        if nouns.search(line)
    ]
    assert found == ['tenants/settings.py: default=["conversations"],']


def list_imported(path):
    """The packages that a file imports from."""
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
    return {module.split(".")[0] for module in imported}


def test_the_engine_imports_no_module():
    for path in (ROOT / "tenants").rglob("*.py"):
        assert not list_imported(path) & {"project", "tests", *MODULES}, name(path)


def test_no_file_is_a_drawer_for_everything():
    drawers = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}
    assert [name(path) for path in list_files() if path.stem in drawers] == []


def test_every_package_is_shipped_and_nothing_else():
    packages = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for folder in SHIPPED
        for path in (ROOT / folder).rglob("__init__.py")
    }
    assert PYPROJECT["tool"]["setuptools"]["packages"] == sorted(packages)
    assert not (ROOT / "alembic" / "__init__.py").exists()


def test_clients_know_nothing_of_the_service():
    inside = {"project", "tests", "tenants", *MODULES, "django", "sqlalchemy", "asyncpg", "orjson"}
    for path in (ROOT / "clients").rglob("*.py"):
        assert not list_imported(path) & inside, name(path)


def test_every_folder_of_code_is_a_package():
    bare = {name(path.parent) for path in SOURCES if not (path.parent / "__init__.py").exists()}
    assert bare == {"alembic"}


def test_files_that_are_not_python_are_shipped_with_their_package():
    data = PYPROJECT["tool"]["setuptools"].get("package-data", {})
    for package in SHIPPED:
        patterns = data.get(package, [])
        shipped = {found for pattern in patterns for found in (ROOT / package).glob(pattern)}
        others = {
            path
            for path in list_files()
            if (ROOT / package) in path.parents and path.suffix not in {".py", ".md"}
        }
        assert others <= shipped


def test_alembics_command_line_knows_every_modules_revisions():
    assert PYPROJECT["tool"]["alembic"]["version_locations"] == [
        f"%(here)s/{module}/revisions" for module in MODULES
    ]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_address_and_every_hash(lock):
    text = (ROOT / lock).read_text()
    assert not re.search(r"://|--(extra-)?index|--find-links|^-e|@ file", text, re.MULTILINE)
    assert len(PINNED.findall(text)) > 30
    for requirement in re.split(r"\n(?=[a-z0-9])", text):
        assert "--hash=sha256:" in requirement, requirement


@pytest.mark.parametrize(("lock", "extras"), LOCKS.items())
def test_a_lock_pins_everything_that_the_project_asks_for(lock, extras):
    pinned = {name.partition("[")[0] for name in PINNED.findall((ROOT / lock).read_text())}
    project = PYPROJECT["project"]
    groups = [project["dependencies"], *(project["optional-dependencies"][e] for e in extras)]
    asked = {re.match(r"[A-Za-z0-9._-]+", each).group() for group in groups for each in group}
    assert asked <= pinned


def test_what_runs_is_what_was_tested():
    """The smaller lock pins nothing that the larger one does not pin alike."""
    run, dev = (set(VERSION.findall((ROOT / lock).read_text())) for lock in LOCKS)
    assert run < dev


def test_no_file_names_a_place_on_somebodys_machine():
    # Taken apart, so that this file is not the one that is found.
    places = re.compile(
        "|".join([re.escape(str(ROOT)) + r"\b", "/home" + r"/\w", "/Users" + r"/\w", "/root" + "/"])
    )
    found = [
        f"{name(path)}: {line.strip()[:120]}"
        for path in list_files()
        for line in path.read_text(errors="ignore").splitlines()
        if places.search(line)
    ]
    assert found == []


def test_every_file_is_text_of_one_kind():
    """UTF-8, with newlines as Unix has them, and one at the end; pictures excepted."""
    odd = []
    for path in list_files():
        if path.suffix == ".png":
            continue
        content = path.read_bytes()
        if b"\r" in content or (content and not content.endswith(b"\n")):
            odd.append(name(path))
        content.decode()
    assert odd == []


def test_pyproject_and_the_engine_agree_on_the_version():
    from tenants import __version__

    assert PYPROJECT["project"]["version"] == __version__


def test_json_in_the_repository_can_be_read():
    for path in list_files():
        if path.suffix == ".json":
            json.loads(path.read_text())
