# Made by generate_sync.py from the file of this name in `_async`.
"""Requests and answers over one pool of connections, again where that may help."""

import time
from collections.abc import Generator
from typing import Any

import httpx

from tenantry_client._calls import (
    Call,
    make_headers,
    may_help,
    pause_before,
    raise_for,
    write_body,
    write_query,
)
from tenantry_client.errors import ConnectionFailed


class Transport:
    """Sends calls. All of its methods raise APIError and ConnectionFailed.

    http: None for a pool of its own.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        timeout: float,
        max_retries: int,
        http: httpx.Client | None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._api_key = api_key
        self._timeout = timeout
        self._max_retries = max_retries
        self._owns_http = http is None
        self._http = http or httpx.Client()

    def close(self) -> None:
        if self._owns_http:
            self._http.close()

    def call(self, call: Call) -> Any:
        """The answer's JSON, or None where it has no content."""
        response = self.send(call)
        return response.json() if response.content else None

    def send(self, call: Call, *, stream: bool = False) -> httpx.Response:
        """An answer that is success. stream: its body is still to be read, and it to be closed."""
        request = self._build(call)
        retries = self._max_retries if call.retries is None else call.retries
        attempt = 1
        while True:
            is_last = attempt > retries
            response = None
            try:
                response = self._http.send(request, stream=stream)
                if response.is_success:
                    return response
                response.read()
            except httpx.TransportError as error:
                if is_last:
                    raise ConnectionFailed(str(error) or repr(error)) from error
            else:
                if is_last or not may_help(response):
                    # Gone is what was wanted, and an earlier attempt may have seen to it.
                    is_gone = call.method == "DELETE" and response.status_code == 404
                    if not (is_gone and attempt > 1):
                        raise_for(response)
                    return response
            time.sleep(pause_before(attempt, response))
            attempt += 1

    def read_lines(self, call: Call) -> Generator[str, None]:
        """The lines of an answer as they come. Once it has begun, nothing is sent again."""
        response = self.send(call, stream=True)
        try:
            rest = b""
            # A line ends with a newline alone: JSON may have other separators of lines in it.
            for part in response.iter_bytes():
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    yield line.decode()
            if rest:
                yield rest.decode()
        except httpx.TransportError as error:
            raise ConnectionFailed(str(error) or repr(error)) from error
        finally:
            response.close()

    def _build(self, call: Call) -> httpx.Request:
        return self._http.build_request(
            call.method,
            self._base_url + call.prefix + call.path,
            params=write_query(call.query),
            content=write_body(call),
            files=call.files,
            data=call.form,
            headers=make_headers(call, self._api_key),
            timeout=httpx.Timeout(self._timeout, read=call.read_seconds or self._timeout),
        )
