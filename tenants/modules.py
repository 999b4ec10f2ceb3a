"""Loads the modules, refuses clashes, and orders them by what they need."""

import importlib
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from graphlib import CycleError, TopologicalSorter

from alembic.script import ScriptDirectory
from django.core.exceptions import ImproperlyConfigured
from ninja import Router
from ninja.constants import NOT_SET
from ninja.operation import Operation

from tenants.apps import get_settings
from tenants.auth import KeyAuth
from tenants.errors import InvalidInput
from tenants.module import Module

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
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
    needs, two modules with the same table or route, revisions that aren't one line.
    """
    problems = [*_name_clashes(modules), *_table_clashes(modules), *_route_clashes(modules)]
    for module in modules:
        problems += [*_auth_problems(module), *_revision_problems(module)]
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
        for table in module.metadata.tables:
            if table in owners:
                problems.append(f"table {table} belongs to both {owners[table]} and {module.name}")
            owners[table] = module.name
    return problems


def _route_clashes(modules: Sequence[Module]) -> list[str]:
    owners: dict[tuple[str, str], str] = {}
    problems = []
    for module in modules:
        for path, operation in list_operations(module.router):
            # What stands in the braces doesn't tell two paths apart.
            template = re.sub(r"\{[^}]*\}", "{}", path)
            for method in operation.methods:
                owner = owners.setdefault((method, template), module.name)
                if owner != module.name:
                    problems.append(
                        f"route {method} {path} belongs to both {owner} and {module.name}"
                    )
    return problems


def _auth_problems(module: Module) -> list[str]:
    """A route has the auth it is mounted with, or its own KeyAuth for the same module."""
    return [
        f"route {path} of module {module.name} brings its own way to authenticate"
        for path, operation in list_operations(module.router)
        if operation.auth_param is not NOT_SET
        and not (
            isinstance(operation.auth_param, KeyAuth) and operation.auth_param.module == module.name
        )
    ] + [
        f"route {path} of module {module.name} is not async"
        for path, operation in list_operations(module.router)
        if not operation.is_async
    ]


def _revision_problems(module: Module) -> list[str]:
    if not module.revisions.is_dir():
        return [f"module {module.name} has no revisions folder {module.revisions}"]
    script = ScriptDirectory(str(module.revisions), version_locations=[str(module.revisions)])
    revisions = list(script.walk_revisions())
    problems = []
    if len(script.get_heads()) > 1 or len(script.get_bases()) > 1:
        problems.append(f"the revisions of module {module.name} are not one line")
    problems += [
        f"revision {revision.revision} of module {module.name} depends on another branch"
        for revision in revisions
        if revision.dependencies
    ]
    problems += [
        f"the first revision of module {module.name} must have the branch label {module.name}"
        for revision in revisions
        if revision.is_base and set(revision.branch_labels) != {module.name}
    ]
    return problems
