"""The OpenAPI document: what Ninja makes of the routes, and the errors that all of them share."""

from typing import Any

from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

from project.problems import CONTENT_TYPE

_PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": (
        "An error. Match on `code`; `detail` is for people. Some codes bring members of their own. "
        "Source: RFC 9457."
    ),
    "required": ["type", "title", "status", "code", "detail", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "description": "The fields at fault, where values were invalid.",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "reason": {"type": "string"}},
            },
        },
    },
    "examples": [
        {
            "type": "about:blank",
            "title": "Invalid request",
            "status": 422,
            "code": "invalid_input",
            "detail": "The request has invalid values.",
            "request_id": "01a2070345f27d3cb0b6a3e1c9d2f4a8",
            "errors": [{"field": "limit", "reason": "Input should be less than or equal to 100"}],
        }
    ],
}
_ERROR = {
    "description": "Any error, as problem details.",
    "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


class DocumentedAPI(NinjaAPI):
    """A Ninja API whose document names the error answer of every operation."""

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        document = super().get_openapi_schema(**options)
        document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = _PROBLEM
        for operations in document["paths"].values():
            for operation in operations.values():
                operation["responses"]["default"] = _ERROR
        return document
