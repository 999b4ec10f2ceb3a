"""What all account pages have in common: they are kept by no cache, run nothing that isn't ours,
and show the errors of `tenants.errors` to people."""

import functools
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from tenants.errors import ApplicationError, CsrfFailed

View = Callable[..., HttpResponseBase]

_POLICY = (
    "default-src 'none'; style-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


def as_page(view: View) -> View:
    """A view with all that its page needs."""

    @never_cache
    @functools.wraps(view)
    def show(request: HttpRequest, *args: Any, **values: Any) -> HttpResponseBase:
        try:
            response = view(request, *args, **values)
        except ApplicationError as error:
            response = refuse(request, error)
        response["Content-Security-Policy"] = _POLICY
        return response

    return show


def refuse(request: HttpRequest, error: ApplicationError) -> HttpResponse:
    """A page with the error's status and what it tells the caller."""
    response = render(request, "accounts/refused.html", {"error": error}, status=error.status)
    for name, value in error.headers.items():
        response[name] = value
    return response


def refuse_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's answer to a form without its token, as a page of ours.

    reason: Django's words for programmers, which it logs.
    """
    return refuse(
        request,
        CsrfFailed("This form is too old, or cookies are blocked. Go back, reload and try again."),
    )
