"""The tree of routes finds what Django's resolver finds."""

import pytest
from django.http import Http404
from django.urls import URLResolver, get_resolver, include, path
from django.urls.resolvers import RegexPattern

from project.routes import Routes, _walk, get_routes


def view_of(name):
    def view(request):
        """One of many."""

    view.__name__ = name
    return view


def resolver_of(*patterns):
    return URLResolver(RegexPattern(r"^/"), list(patterns))


SAMPLES = sorted({route for route, _ in _walk(get_resolver().url_patterns, "/")})


@pytest.mark.parametrize("route", SAMPLES)
def test_each_route_leads_where_django_leads(route):
    asked = "/".join("so:me%" if part.startswith("<") else part for part in route.split("/"))
    ours, theirs = get_routes().resolve(asked), get_resolver().resolve(asked)
    assert (ours.func, ours.args, ours.kwargs) == (theirs.func, theirs.args, theirs.kwargs)


def test_the_apis_are_among_them():
    assert "/api/v1/conversations/<conversation_id>/messages" in SAMPLES
    assert "/openai/v1/conversations/<conversation_id>/items" in SAMPLES


@pytest.mark.parametrize(
    "asked",
    ["/api/v1/users/a/b/c/erase", "/api/v1/users/x/export", "/admin/tenants/tenant/", "/"],
)
def test_what_the_tree_cannot_hold_is_left_to_django(asked):
    assert get_routes().resolve(asked).func is get_resolver().resolve(asked).func


@pytest.mark.parametrize(
    "asked",
    [
        "/api/v1/conversations/",
        "/api/v1/conversations//messages",
        "/api/v1/conversations/x/messages/",
        "/api/v1/nothing",
        "/api/v1",
        "//api/v1/conversations",
        "",
    ],
)
def test_an_unknown_path_is_unknown_to_both(asked):
    with pytest.raises(Http404):
        get_resolver().resolve(asked)
    with pytest.raises(Http404):
        get_routes().resolve(asked)


def test_the_first_of_two_patterns_wins_as_with_django():
    any_first = resolver_of(
        path("things/<name>", view_of("any")), path("things/new", view_of("new"))
    )
    new_first = resolver_of(
        path("things/new", view_of("new")), path("things/<name>", view_of("any"))
    )
    for resolver in (any_first, new_first):
        for asked in ("/things/new", "/things/old"):
            assert Routes(resolver).resolve(asked).func is resolver.resolve(asked).func


def test_a_word_does_not_hide_a_parameter_that_goes_on():
    resolver = resolver_of(
        path("things/new", view_of("new")), path("things/<name>/parts", view_of("parts"))
    )
    match = Routes(resolver).resolve("/things/new/parts")
    assert (match.func.__name__, match.kwargs) == ("parts", {"name": "new"})


def test_typed_partial_and_extended_patterns_are_left_to_django():
    resolver = resolver_of(
        path("numbers/<int:number>", view_of("number")),
        path("v<version>/things", view_of("versioned")),
        path("extended", view_of("extended"), {"more": 1}),
        path("inner/", include([path("<name>", view_of("inner"))])),
    )
    assert [route for route, _ in _walk(resolver.url_patterns, "/")] == ["/inner/<name>"]
    assert Routes(resolver).resolve("/numbers/7").kwargs == {"number": 7}
    assert Routes(resolver).resolve("/v2/things").kwargs == {"version": "2"}
    assert Routes(resolver).resolve("/extended").kwargs == {"more": 1}
