"""The routes of the running API, as its OpenAPI document tells of them."""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from tenants.modules import get_modules, list_operations

PREFIX = "/api/v1"
JSON = "application/json"
FORM = "multipart/form-data"


@dataclass(frozen=True)
class Route:
    """One operation. bodies: what may be sent to it, the likeliest first; empty if nothing is.

    query: parameters of the URL that it can't do without. is_stream: it answers with events.
    is_form: whether that is a form, with a file beside what the body says.
    """

    method: str
    template: str
    module: str
    parameters: tuple[str, ...]
    has_cursor: bool
    bodies: tuple[Any, ...]
    query: tuple[str, ...] = ()
    is_stream: bool = False
    is_form: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.template}"

    @property
    def reads(self) -> bool:
        return self.method == "GET"

    def path(self, values: Mapping[str, str]) -> str:
        path = self.template.format(**{name: quote(value) for name, value in values.items()})
        query = urlencode({name: values[name] for name in self.query if name in values})
        return f"{path}?{query}" if query else path


def read_routes(document: dict[str, Any], owner: str | None = None) -> list[Route]:
    """Every operation in an OpenAPI document, those that read first: they may share objects.

    owner: whose all of them are; without one, each is a module's.
    Raises KeyError for one that no module has.
    """
    owners = {} if owner else _owners()
    routes = [
        Route(
            method=method.upper(),
            template=template,
            module=owner or owners[method.upper(), _shape(template)],
            parameters=tuple(re.findall(r"{(\w+)}", template)),
            has_cursor=any(
                parameter["name"] == "after" for parameter in operation.get("parameters", ())
            ),
            bodies=tuple(_bodies(operation, document)),
            query=tuple(
                parameter["name"]
                for parameter in operation.get("parameters", ())
                if parameter.get("in") == "query" and parameter.get("required")
            ),
            is_stream="text/event-stream" in str(operation.get("responses", {})),
            is_form=FORM in operation.get("requestBody", {}).get("content", {}),
        )
        for template, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    return sorted(routes, key=lambda route: not route.reads)


def list_mounted() -> set[tuple[str, str]]:
    """Method and shape of every route that the modules bring, documented or not."""
    return set(_owners())


def shape_of(route: Route) -> tuple[str, str]:
    return route.method, _shape(route.template)


def _owners() -> dict[tuple[str, str], str]:
    return {
        (method, _shape(f"{prefix}/{path.strip('/')}")): module.name
        for module in get_modules()
        for prefix, router in [
            (PREFIX, module.router),
            *((f"/{wire.prefix}", wire.router) for wire in module.wires),
        ]
        for path, operation in list_operations(router)
        for method in operation.methods
    }


def _shape(template: str) -> str:
    return re.sub(r"{[^}]*}", "{}", template)


def _bodies(operation: dict[str, Any], document: dict[str, Any]) -> Iterator[Any]:
    content = operation.get("requestBody", {}).get("content", {})
    if FORM in content:
        for body in _examples(content[FORM]["schema"], document):
            yield {name: value for name, value in body.items() if name != "file"}
    elif content:
        yield from _examples(content[JSON]["schema"], document)


def _examples(schema: dict[str, Any], document: dict[str, Any]) -> Iterator[Any]:
    """Values that fit a JSON schema: its own examples, else the least, else with one more field."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        schema = {**document["components"]["schemas"][name], **schema}
    if "examples" in schema:
        yield from schema["examples"]
    elif "const" in schema or "enum" in schema or "default" in schema:
        yield schema.get("const", schema.get("default", schema.get("enum", [None])[0]))
    elif alternatives := schema.get("oneOf") or schema.get("anyOf") or schema.get("allOf"):
        for alternative in alternatives:
            yield from _examples(alternative, document)
    elif schema.get("type") == "object":
        yield from _objects(schema, document)
    elif schema.get("type") == "array":
        for item in _examples(schema.get("items", {}), document):
            yield [item] * max(schema.get("minItems", 0), 1)
    elif schema.get("type") in {"integer", "number"}:
        yield schema.get("minimum", 1)
    elif schema.get("type") == "boolean":
        yield True
    elif schema.get("type") == "null":
        yield None
    else:
        yield "x" * max(schema.get("minLength", 0), 1)


def _objects(schema: dict[str, Any], document: dict[str, Any]) -> Iterator[Any]:
    fields = schema.get("properties", {})
    values = {name: list(_examples(field, document)) for name, field in fields.items()}
    least = {name: values[name][0] for name in schema.get("required", ())}
    for choice in itertools.islice(
        itertools.product(*(values[name] for name in schema.get("required", ()))), 20
    ):
        yield dict(zip(schema.get("required", ()), choice, strict=True))
    for name in fields:
        if name not in least:
            yield {**least, name: values[name][0]}
