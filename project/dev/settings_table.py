"""Writes `docs/settings.md` from the settings models: `python -m project.dev.settings_table`."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import orjson
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from project.command_line import lead_nowhere
from project.dev.settings import ROOT

TABLE = ROOT / "docs" / "settings.md"
_INTRODUCTION = """\
# Settings

Each setting is an environment variable, or a line of a file `.env` in the working directory.
What is wrong or unknown stops the start; all mistakes are reported at once.

This file is written by `python -m project.dev.settings_table`; change the models instead.
"""
_HEAD = "| variable | values | default | what it does |\n|---|---|---|---|\n"
_WORDS = {
    str: "text",
    SecretStr: "text",
    Path: "path",
    int: "whole number",
    float: "number",
    bool: "true or false",
    list: "JSON list",
    dict: "JSON object",
}
_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "min_length": "at least"}


def render_table() -> str:
    """The whole file: a table for the service, one for each module with settings."""
    from project.settings import Settings, find_module_settings

    parts = [_INTRODUCTION, "## The service\n", _HEAD + "\n".join(_list_rows(Settings)) + "\n"]
    for model in find_module_settings(Settings.model_fields["modules"].default):
        module = model.__module__.rpartition(".")[0]
        parts += [f"## The module `{module}`\n", _HEAD + "\n".join(_list_rows(model)) + "\n"]
    return "\n".join(parts)


def _list_rows(model: type[BaseSettings]) -> Iterator[str]:
    from project.settings import name_variable

    for name, field in model.model_fields.items():
        cells = [
            f"`{name_variable(model, name)}`",
            _describe_values(field),
            "required" if field.is_required() else _show(field.default),
            field.description or "",
        ]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _describe_values(field: FieldInfo) -> str:
    choices = [choice for choice in _flatten(field.annotation) if choice is not type(None)]
    if all(isinstance(choice, str) for choice in choices):
        words = " or ".join(f"`{choice}`" for choice in choices)
    else:
        words = _WORDS[get_origin(choices[0]) or choices[0]]
    bounds = [
        f"{phrase} {getattr(constraint, attribute)}"
        for constraint in field.metadata
        for attribute, phrase in _BOUNDS.items()
        if hasattr(constraint, attribute)
    ]
    return ", ".join([words, *bounds])


def _flatten(annotation: Any) -> list[Any]:
    """The members of a union and the values of a literal."""
    arguments = get_args(annotation)
    if not arguments or get_origin(annotation) in {list, dict}:
        return [annotation]
    return [member for argument in arguments for member in _flatten(argument)]


def _show(default: Any) -> str:
    if default is None:
        return ""
    if isinstance(default, Path):
        default = default.relative_to(ROOT).as_posix()
    if not isinstance(default, str):
        default = orjson.dumps(default, default=_dump_set_values).decode()
    return f"`{default}`"


def _dump_set_values(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(exclude_none=True)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    lead_nowhere()
    TABLE.write_text(render_table())


if __name__ == "__main__":
    main()
