"""Where a path leads: Django's URL patterns, looked up segment by segment.

Django tries its patterns one after the other, each a regular expression, and so a route costs the
more the more routes there are before it. Here a path is followed through a tree of the same
patterns. The patterns stay the truth: one that the tree can't hold, or doesn't find as Django
would, is left to Django.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.urls import ResolverMatch, URLPattern, URLResolver, get_resolver
from django.urls.converters import StringConverter
from django.urls.exceptions import Resolver404
from django.urls.resolvers import RoutePattern


@dataclass(slots=True)
class _Node:
    """What a path has led to so far. names: those of the segments that are parameters."""

    static: dict[str, "_Node"] = field(default_factory=dict)
    parameter: "_Node | None" = None
    view: Any = None
    names: tuple[str, ...] = ()


def get_routes() -> "Routes":
    """Those of the URL configuration."""
    return _routes_of(get_resolver())


class Routes:
    """The routes of a resolver, for paths that begin with a slash."""

    def __init__(self, resolver: URLResolver) -> None:
        self._resolver = resolver
        self._root = _Node()
        for route, pattern in _walk(resolver.url_patterns, "/"):
            self._add(route, pattern)

    def resolve(self, path: str) -> ResolverMatch:
        """Raises Http404 as Django's resolver does."""
        node: _Node | None = self._root
        values = []
        for segment in path.split("/"):
            assert node is not None
            found = node.static.get(segment)
            if found is None and segment:
                found = node.parameter
                values.append(segment)
            node = found
            if node is None:
                return self._resolver.resolve(path)
        if node is None or node.view is None:
            return self._resolver.resolve(path)
        return ResolverMatch(node.view, (), dict(zip(node.names, values, strict=True)))

    def _add(self, route: str, pattern: URLPattern) -> None:
        segments = route.split("/")
        names = tuple(segment[1:-1] for segment in segments if segment.startswith("<"))
        sample = "/".join("x" if segment.startswith("<") else segment for segment in segments)
        try:
            if self._resolver.resolve(sample).func is not pattern.callback:
                return  # Another pattern comes before it.
        except Resolver404:
            return
        node = self._root
        for segment in segments:
            if not segment.startswith("<"):
                node = node.static.setdefault(segment, _Node())
                continue
            node.parameter = node.parameter or _Node()
            node = node.parameter
        node.view, node.names = pattern.callback, names


@lru_cache(maxsize=1)
def _routes_of(resolver: URLResolver) -> Routes:
    return Routes(resolver)


def _walk(patterns: list[Any], before: str) -> Iterator[tuple[str, URLPattern]]:
    """The patterns whose segments are each a word or a parameter, with their whole routes."""
    for pattern in patterns:
        if not isinstance(pattern.pattern, RoutePattern):
            continue
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            if not pattern.default_kwargs and not pattern.pattern.converters:
                yield from _walk(pattern.url_patterns, route)
        elif not pattern.default_args and _is_plain(route, pattern.pattern):
            yield route, pattern


def _is_plain(route: str, pattern: RoutePattern) -> bool:
    return all(
        type(converter) is StringConverter for converter in pattern.converters.values()
    ) and all(
        "<" not in segment or segment[1:-1] in pattern.converters for segment in route.split("/")
    )
