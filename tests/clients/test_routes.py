"""The client has a method for each route, and no method for a route that isn't there."""

import inspect
import re

import httpx
import pytest
from tenantry_client import APIError, Tenantry, models
from tenantry_client._sync.pages import Pages
from tenantry_client._sync.resource import Resource
from tenantry_client._sync.stream import EventStream

from tests.isolation.routes import read_routes


def list_methods(client):
    """Each method that asks the service for something, by its name."""
    resources = {"": client} | {
        name: value for name, value in vars(client).items() if isinstance(value, Resource)
    }
    return {
        f"{prefix}.{name}".strip("."): method
        for prefix, resource in resources.items()
        for name, method in inspect.getmembers(resource, inspect.ismethod)
        if not name.startswith("_") and name != "close"
    }


def ask(method, **more):
    """Call a method with anything, and take the first of what it gives."""
    names = [
        name
        for name, parameter in inspect.signature(method).parameters.items()
        if parameter.default is parameter.empty
    ]
    made = method(**{name: _ANYTHING.get(name, "x") for name in names} | more)
    if isinstance(made, Pages | EventStream) or inspect.isgenerator(made):
        next(iter(made))


_ANYTHING = {"message": {}, "messages": [{}], "content": b"x", "lines": b"x", "at_seq": 1}


@pytest.fixture
def asked():
    return []


@pytest.fixture
def methods(asked):
    def refuse(request):
        asked.append((request.method, request.url.path))
        return httpx.Response(418)

    with (
        httpx.Client(transport=httpx.MockTransport(refuse)) as http,
        Tenantry("http://service", "tnt_x", http_client=http) as client,
    ):
        yield list_methods(client)


@pytest.fixture(scope="module")
def document(service):
    return httpx.get(f"{service.base_url}/api/openapi.json").json()


def test_every_route_has_a_method_and_every_method_a_route(document, methods, asked):
    routes = {
        str(route): re.compile(f"{route.method} " + re.sub(r"{\w+}", "[^/]+", route.template))
        for route in read_routes(document)
        if route.module == "conversations"
    }
    for name, method in methods.items():
        before = len(asked)
        with pytest.raises(APIError):
            ask(method)
        assert len(asked) == before + 1, name
    with pytest.raises(APIError):
        ask(methods["feedback.list"], message_id="x")  # On one message alone.
    requests = [" ".join(each) for each in asked]

    assert [each for each in requests if not any(r.fullmatch(each) for r in routes.values())] == []
    unasked = [
        name
        for name, route in routes.items()
        if not any(route.fullmatch(each) for each in requests)
    ]
    assert unasked == []


# Where the document has another word, and where it has several shapes for one of ours.
_OTHERWISE = {
    "StartedConversation": "ConversationWithMessages",
    "ToolCall": "PlacedToolCall",
    "Context": "NativeContext",
}
_LOCAL = {"Event", "Model"}
_MODELS = {
    name: kind
    for name, kind in vars(models).items()
    if inspect.isclass(kind) and issubclass(kind, models.Model) and name not in _LOCAL
}


@pytest.mark.parametrize("name", _MODELS)
def test_models_have_the_fields_that_are_documented(document, name):
    documented = document["components"]["schemas"][_OTHERWISE.get(name, name)]["properties"]
    fields = {field.alias or name for name, field in _MODELS[name].model_fields.items()}
    assert fields == set(documented)
