"""How Ninja reads a body: as strict JSON, whatever the endpoint."""

from typing import Any

from django.http import HttpRequest
from ninja.parser import Parser

from tenants.errors import UnsupportedMediaType
from tenants.strict_json import parse_json


class StrictParser(Parser):
    """Ninja's parser with the rules of `tenants.strict_json`."""

    def parse_body(self, request: HttpRequest) -> Any:
        """The body as JSON. Raises UnsupportedMediaType (415), or as `parse_json` does."""
        content_type = request.content_type or ""
        if content_type != "application/json" and not content_type.endswith("+json"):
            raise UnsupportedMediaType
        return parse_json(request.body)
