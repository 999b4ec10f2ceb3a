"""What the documents of the API show: each example is sent, and the answer has the shape shown."""

from datetime import datetime

import jsonschema
import pytest

from tenants.modules import get_wires
from tests.isolation.routes import JSON, read_routes
from tests.isolation.test_routes import send

FORMATS = jsonschema.FormatChecker()


@FORMATS.checks("date-time", raises=ValueError)
def is_moment(value):
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@pytest.fixture(scope="session")
async def documents(application, alice):
    """The document of our own API and those of the wires, by address.

    They are read so that an object has no fields but those that are shown.
    """
    places = ["/api/openapi.json", *(f"{start}openapi.json" for start in get_wires())]
    documents = {
        place: (await alice.client.get(f"http://localhost{place}")).json() for place in places
    }
    for document in documents.values():
        for schema in document["components"]["schemas"].values():
            if "properties" in schema and "additionalProperties" not in schema:
                schema["unevaluatedProperties"] = False
    return documents


def operations(document):
    """Method and path of each operation, with what the document says of it."""
    return {
        (method.upper(), template): operation
        for template, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def find_examples(node):
    """Each schema that has examples, with one of them."""
    if isinstance(node, dict):
        if isinstance(node.get("examples"), list):
            yield from ((node, example) for example in node["examples"])
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from find_examples(child)


def has_example(schema, document):
    """Whether a schema, or each that it may be, has an example of its own."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return has_example(document["components"]["schemas"][name], document)
    choices = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf") or []
    choices = [choice for choice in choices if choice.get("type") != "null"]
    return bool(schema.get("examples")) or (
        bool(choices) and all(has_example(choice, document) for choice in choices)
    )


def problems_of(value, schema, document):
    """How a value does not fit a schema; references are resolved against the document."""
    validator = jsonschema.Draft202012Validator({**document, **schema}, format_checker=FORMATS)
    return [
        f"{'.'.join(map(str, each.absolute_path))}: {each.message[:200]}"
        for each in validator.iter_errors(value)
    ]


def problems_of_answer(answer, operation, document):
    """How an answer is not as documented: no success, or another shape."""
    if not answer.is_success:
        return [answer.text[:300]]
    documented = operation["responses"].get(str(answer.status_code))
    if documented is None:
        return [f"{answer.status_code} is not documented"]
    content = documented.get("content", {})
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if kind != JSON:
        is_shown = any(each in content for each in (kind, "*/*")) if content else not answer.content
        return [] if is_shown else [f"{kind} is not documented"]
    if JSON not in content:
        return [f"{JSON} is not documented"]
    return problems_of(answer.json(), content[JSON]["schema"], document)


def test_every_body_has_an_example(documents):
    without = [
        place
        for document in documents.values()
        for place, operation in operations(document).items()
        for kind, content in operation.get("requestBody", {}).get("content", {}).items()
        if kind == JSON and not has_example(content["schema"], document)
    ]
    assert without == []


def test_every_example_is_one_of_what_it_is_an_example_of(documents):
    found = [
        (schema.get("title"), example, problems_of(example, schema, document))
        for document in documents.values()
        for schema, example in find_examples([document["components"], document["paths"]])
    ]
    assert [each for each in found if each[-1]] == []
    assert len(found) >= 40


async def test_every_example_is_answered_in_the_shape_that_is_shown(documents, carol):
    tried, wrong = 0, []
    for place, document in documents.items():
        owner = None if place.startswith("/api/") else "conversations"
        shown = operations(document)
        for route in read_routes(document, owner):
            if route.is_stream:
                continue
            # Of a form it is the file that counts.
            for body in (route.bodies[:1] if route.is_form else route.bodies) or (None,):
                await carol.sow_for(route)
                answer = await send(carol.client, route, carol.values_for(route), body)
                operation = shown[route.method, route.template]
                if problems := problems_of_answer(answer, operation, document):
                    wrong.append((str(route), body, problems[:3]))
                tried += 1
    assert wrong == []
    assert tried > 50


async def test_every_example_of_a_query_is_answered_in_the_shape_that_is_shown(documents, carol):
    tried, wrong = 0, []
    for place, document in documents.items():
        owner = None if place.startswith("/api/") else "conversations"
        shown = operations(document)
        for route in read_routes(document, owner):
            operation = shown[route.method, route.template]
            if route.is_stream or not route.reads:
                continue
            for parameter in operation.get("parameters", ()):
                for _, example in find_examples(parameter if parameter["in"] == "query" else {}):
                    answer = await send(
                        carol.client,
                        route,
                        carol.values_for(route),
                        params={parameter["name"]: example},
                    )
                    if problems := problems_of_answer(answer, operation, document):
                        wrong.append((str(route), parameter["name"], example, problems[:3]))
                    tried += 1
    assert wrong == []
    assert tried >= 5
