"""What the documents of the API show: each example is sent, and the answer has the shape shown."""

import json

import jsonschema
import pytest

from tests.isolation.routes import JSON, read_routes
from tests.isolation.test_routes import send

DOCUMENTS = ["/api/openapi.json", "/openai/v1/openapi.json"]


@pytest.fixture(scope="session", params=DOCUMENTS)
async def document(request, application, alice):
    answer = await alice.client.get(f"http://localhost{request.param}")
    return answer.json()


def operations(document):
    return [
        (method.upper(), template, operation)
        for template, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def has_example(schema, document):
    """Whether a schema, or what it refers to or chooses from, has an example of its own."""
    if "$ref" in schema:
        return has_example(
            document["components"]["schemas"][schema["$ref"].split("/")[-1]], document
        )
    if "examples" in schema or "example" in schema:
        return True
    choices = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf") or []
    return any(has_example(choice, document) for choice in choices)


def test_every_body_has_an_example(document):
    without = [
        f"{method} {template}"
        for method, template, operation in operations(document)
        for kind, content in operation.get("requestBody", {}).get("content", {}).items()
        if kind == JSON and not has_example(content["schema"], document)
    ]
    assert without == []


def shape_of(operation, status):
    content = operation["responses"].get(str(status), {}).get("content", {})
    return content.get(JSON, {}).get("schema")


async def test_every_example_is_answered_in_the_shape_that_is_shown(document, carol):
    tried, wrong = 0, []
    by_place = {(method, template): each for method, template, each in operations(document)}
    owner = None if document["paths"].keys() & {"/api/v1/conversations"} else "conversations"
    for route in read_routes(document, owner):
        operation = by_place[route.method, route.template]
        if route.is_stream:
            continue
        # Of a form it is the file that counts.
        for body in (route.bodies[:1] if route.is_form else route.bodies) or (None,):
            await carol.sow()
            answer = await send(carol.client, route, carol.values_for(route), body)
            shape = shape_of(operation, answer.status_code)
            if not answer.is_success:
                wrong.append((str(route), json.dumps(body)[:200], answer.text[:300]))
            elif shape is not None and answer.headers["content-type"].startswith(JSON):
                validator = jsonschema.Draft202012Validator({**document, **shape})
                problems = [
                    f"{'.'.join(map(str, each.absolute_path))}: {each.message[:200]}"
                    for each in validator.iter_errors(answer.json())
                ]
                if problems:
                    wrong.append((str(route), answer.status_code, problems[:3]))
                tried += 1
    assert wrong == []
    assert tried
