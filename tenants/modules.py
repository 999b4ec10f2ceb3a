"""Loads the modules, refuses clashes, and orders them by what they need."""

import importlib
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from graphlib import CycleError, TopologicalSorter
from typing import Any

from alembic.script import Script, ScriptDirectory
from django.core.exceptions import ImproperlyConfigured
from ninja import Router
from ninja.constants import NOT_SET
from ninja.operation import Operation

from tenants.apps import get_settings
from tenants.auth import TenantAuth
from tenants.errors import InvalidInput
from tenants.module import Module, Wire

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_PREFIX = re.compile(r"[a-z][a-z0-9-]*(/[a-z0-9-]+)+")
# Where the engine itself and its pages are.
_RESERVED_PREFIXES = frozenset({"accounts", "admin", "api", "static"})
# Made by the engine in every tenant's schema.
_RESERVED_TABLES = frozenset({"alembic_version"})


@cache
def get_modules() -> tuple[Module, ...]:
    """The modules of this process, each after those that it needs.

    Raises ImproperlyConfigured, naming every clash, if they can't stand beside each other.
    """
    return order_modules([_load(package) for package in get_settings().modules])


def get_module(name: str) -> Module:
    """Raises InvalidInput (422) for a name that no loaded module has."""
    for module in get_modules():
        if module.name == name:
            return module
    known = ", ".join(module.name for module in get_modules())
    raise InvalidInput(f"There is no module `{name}`. There are: {known}.")


@cache
def get_wires() -> dict[str, Wire]:
    """The wires of all modules, by the path that all of theirs begin with: `/openai/v1/`."""
    return {f"/{wire.prefix}/": wire for module in get_modules() for wire in module.wires}


def find_wire(path: str) -> Wire | None:
    """The wire that a path belongs to, if it is none of the engine's own."""
    for start, wire in get_wires().items():
        if path.startswith(start):
            return wire
    return None


def with_required(names: Iterable[str]) -> list[Module]:
    """The named modules and all that they need, in order."""
    wanted: set[str] = set()
    waiting = list(names)
    while waiting:
        module = get_module(waiting.pop())
        if module.name not in wanted:
            wanted.add(module.name)
            waiting += module.requires
    return [module for module in get_modules() if module.name in wanted]


def order_modules(modules: Sequence[Module]) -> tuple[Module, ...]:
    """Sort modules so that each comes after those it needs, by name where that leaves a choice.

    Raises ImproperlyConfigured with all that is wrong: bad or double names, missing or circular
    needs, tables or routes of two modules, routes with a way in of their own, wires without a
    place of their own, bad or double names of jobs, revisions that aren't one line or whose names
    two modules share.
    """
    problems = [*_name_clashes(modules), *_table_clashes(modules), *_route_clashes(modules)]
    for module in modules:
        problems += [*_auth_problems(module), *_job_problems(module)]
    problems += _wire_problems(modules)
    problems += _revision_problems(modules)
    by_name = {module.name: module for module in sorted(modules, key=lambda module: module.name)}
    for module in modules:
        problems += [
            f"module {module.name} requires {needed}, which is not loaded"
            for needed in module.requires
            if needed not in by_name
        ]
    if problems:
        raise ImproperlyConfigured("; ".join(problems))
    graph = TopologicalSorter({name: module.requires for name, module in by_name.items()})
    try:
        return tuple(by_name[name] for name in graph.static_order())
    except CycleError as error:
        raise ImproperlyConfigured(
            f"modules require each other in a circle: {' > '.join(error.args[1])}"
        ) from error


def list_operations(router: Router) -> Iterator[tuple[str, Operation]]:
    """Every operation of a router and those nested in it, with its path template."""
    for mount in router.build_routers(""):
        for path, view in mount.template.path_operations.items():
            for operation in view.operations:
                yield f"{mount.prefix}{path}", operation


def _load(package: str) -> Module:
    try:
        module = importlib.import_module(f"{package}.module").module
    except ModuleNotFoundError as error:
        raise ImproperlyConfigured(f"there is no module package {package!r}: {error}") from error
    except AttributeError as error:
        raise ImproperlyConfigured(f"{package}/module.py defines no `module`") from error
    if not isinstance(module, Module):
        raise ImproperlyConfigured(f"`module` in {package}/module.py is not a Module")
    return module


def _name_clashes(modules: Sequence[Module]) -> list[str]:
    problems = [
        f"{module.name!r} is not a lower-case identifier of up to 40 characters"
        for module in modules
        if not _NAME.fullmatch(module.name)
    ]
    names = [module.name for module in modules]
    problems += [
        f"two modules are named {name}" for name in sorted(set(names)) if names.count(name) > 1
    ]
    return problems


def _table_clashes(modules: Sequence[Module]) -> list[str]:
    owners = dict.fromkeys(_RESERVED_TABLES, "the engine")
    problems = []
    for module in modules:
        for table in module.metadata.tables.values():
            if table.schema is not None:
                problems.append(f"table {table.name} of module {module.name} names a schema")
            owner = owners.setdefault(table.name, module.name)
            if owner != module.name:
                problems.append(f"table {table.name} belongs to both {owner} and {module.name}")
    return problems


def _route_clashes(modules: Sequence[Module]) -> list[str]:
    """Django gives a path to the first that has it, so that methods can't be shared out either."""
    owners: dict[str, str] = {}
    problems = []
    for module in modules:
        paths = {
            # What stands in the braces doesn't tell two paths apart.
            re.sub(r"\{[^}]*\}", "{}", path).lstrip("/"): path
            for path, _ in list_operations(module.router)
        }
        for template, path in paths.items():
            owner = owners.setdefault(template, module.name)
            if owner != module.name:
                problems.append(f"route {path} belongs to both {owner} and {module.name}")
    return problems


def _wire_problems(modules: Sequence[Module]) -> list[str]:
    prefixes: set[str] = set()
    problems = []
    for module, wire in [(each, wire) for each in modules for wire in each.wires]:
        label = f"wire {wire.prefix!r} of module {module.name}"
        if not _PREFIX.fullmatch(wire.prefix):
            problems.append(f"{label} is not a path of lower-case words")
        elif wire.prefix.partition("/")[0] in _RESERVED_PREFIXES:
            problems.append(f"{label} stands where the engine's own pages are")
        if wire.prefix in prefixes:
            problems.append(f"{label} stands where another does")
        prefixes.add(wire.prefix)
    return problems


def _auth_problems(module: Module) -> list[str]:
    """A route has the auth it is mounted with, or its own TenantAuth for the same module."""
    problems = []
    routers = [module.router, *(wire.router for wire in module.wires)]
    for mount in (mount for router in routers for mount in router.build_routers("")):
        # A router's own auth would win over the one that it is mounted with.
        brought = [mount.template.auth, mount.inherited_auth]
        for path, view in mount.template.path_operations.items():
            route = f"route {mount.prefix}{path} of module {module.name}"
            for operation in view.operations:
                if not all(_is_own(auth, module) for auth in [operation.auth_param, *brought]):
                    problems.append(f"{route} brings its own way to authenticate")
                if not operation.is_async:
                    problems.append(f"{route} is not async")
    return problems


def _job_problems(module: Module) -> list[str]:
    names = [job.name for job in module.jobs]
    problems = [
        f"job {name!r} of module {module.name} is not a lower-case identifier"
        for name in names
        if not _NAME.fullmatch(name)
    ]
    problems += [
        f"two jobs of module {module.name} are named {name}"
        for name in sorted(set(names))
        if names.count(name) > 1
    ]
    problems += [
        f"the period of job {job.name} of module {module.name} is negative"
        for job in module.jobs
        if job.every_seconds < 0
    ]
    return problems


def _is_own(auth: Any, module: Module) -> bool:
    ways = auth if isinstance(auth, list | tuple) else [auth]
    return auth is NOT_SET or all(
        isinstance(way, TenantAuth) and way.module == module.name for way in ways
    )


def _revision_problems(modules: Sequence[Module]) -> list[str]:
    owners: dict[str, str] = {}
    problems = []
    for module in modules:
        if not module.revisions.is_dir():
            problems.append(f"module {module.name} has no revisions folder {module.revisions}")
            continue
        try:
            revisions = _list_revisions(module)
        except Exception as error:  # A revision is a program of its author's.
            problems.append(f"the revisions of module {module.name} can't be read: {error!r}")
            continue
        if sum(revision.is_head for revision in revisions) > 1 or (
            sum(revision.is_base for revision in revisions) > 1
        ):
            problems.append(f"the revisions of module {module.name} are not one line")
        for revision in revisions:
            label = f"revision {revision.revision}"
            # They share the table `alembic_version`.
            owner = owners.setdefault(revision.revision, module.name)
            if owner != module.name:
                problems.append(f"{label} belongs to both {owner} and {module.name}")
            if revision.dependencies:
                problems.append(f"{label} of module {module.name} depends on another branch")
            if revision.is_base and set(revision.branch_labels) != {module.name}:
                problems.append(
                    f"the first revision of module {module.name} must have the branch label "
                    f"{module.name}"
                )
    return problems


def _list_revisions(module: Module) -> list[Script]:
    script = ScriptDirectory(str(module.revisions), version_locations=[str(module.revisions)])
    with warnings.catch_warnings():
        # Alembic only warns of a revision that stands there twice, or whose parent is missing.
        warnings.simplefilter("error", UserWarning)
        return list(script.walk_revisions())
