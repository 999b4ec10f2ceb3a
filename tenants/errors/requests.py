"""What a request can have wrong, whatever it is for."""

from collections.abc import Mapping
from typing import ClassVar

from tenants.errors.base import ApplicationError

# What a caller sent.


class MalformedBody(ApplicationError):
    status = 400
    code = "malformed_json"
    message = "The request body is not valid JSON."


class MalformedForm(ApplicationError):
    status = 400
    code = "malformed_form"
    message = "The request body is not a valid form of type multipart/form-data."


class UnsupportedMediaType(ApplicationError):
    status = 415
    code = "unsupported_media_type"
    message = "Send the body as application/json."


class BodyTooLarge(ApplicationError):
    status = 413
    code = "body_too_large"
    message = "The request body is larger than this server accepts."


class InvalidCursor(ApplicationError):
    status = 400
    code = "invalid_cursor"
    message = "The cursor in `after` does not belong to this list. Start without one."


class InvalidHost(ApplicationError):
    status = 400
    code = "invalid_host"
    message = "This server does not serve the requested host."


class RequestTimeout(ApplicationError):
    status = 408
    code = "request_timeout"
    message = "The request body took too long to arrive."


class KeyInUrl(ApplicationError):
    status = 400
    code = "key_in_url"
    message = (
        "An API key was sent in the URL, where it ends up in logs. Revoke that key and send "
        "its successor in the header `Authorization: Bearer …`."
    )


# Who a caller is.


class Unauthenticated(ApplicationError):
    status = 401
    code = "unauthenticated"
    message = "Send a valid API key in the header `Authorization: Bearer …`, or sign in."
    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": "Bearer"}


class ScopeMissing(ApplicationError):
    status = 403
    code = "scope_missing"

    def __init__(self, scope: str) -> None:
        super().__init__(f"This API key, or your role, does not have the scope `{scope}`.")


class TenantSuspended(ApplicationError):
    status = 403
    code = "tenant_suspended"
    message = "This tenant is suspended. Its data is kept; an administrator can resume it."


class TenantDeleting(ApplicationError):
    status = 403
    code = "tenant_deleting"
    message = "This tenant is being deleted."


class ModuleNotEnabled(ApplicationError):
    status = 404
    code = "module_not_enabled"

    def __init__(self, module: str) -> None:
        super().__init__(f"The module `{module}` is not enabled for this tenant.")


class CsrfFailed(ApplicationError):
    status = 403
    code = "csrf_failed"
    message = (
        "A signed-in browser must send the value of the cookie `csrftoken` in the header "
        "`X-CSRFToken`."
    )


class TenantMissing(ApplicationError):
    status = 400
    code = "tenant_missing"
    message = "Name the tenant: by its host, or in the header `X-Tenant`."


class TooManyRequests(ApplicationError):
    """limit: how many requests of the tenant are answered at once."""

    status = 429
    code = "too_many_requests"
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} requests of this tenant are being answered. Try again.")


class TooManyStreams(ApplicationError):
    """limit: how many event streams of the tenant may be open at once."""

    status = 429
    code = "too_many_streams"
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "5"}

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} event streams of this tenant are open. Close some, or wait.")
