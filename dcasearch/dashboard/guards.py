"""What stands before the dashboard: it answers its own address alone, and changes nothing but notes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_NOTE = re.compile(r"/api/studies/\d+(/\d+)?/note/?")
"""Of a study, or of one of its trials."""


class OwnHost:
    """Answers requests alone that name this machine as their host.

    A page of a stranger may let its own name point to 127.0.0.1 (DNS rebinding). The browser then sends the page's
    requests here, with the stranger's name as their host, and would show the page what comes back.
    """

    def __init__(self, application: WSGIApplication, port: int) -> None:
        self._application, self._port = application, port
        names = ("127.0.0.1", "localhost", "[::1]")
        self._own = {f"{name}:{port}" for name in names} | (set(names) if port == 80 else set())

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass a request on, or answer it with 421."""
        if environ.get("HTTP_HOST", "").lower() in self._own:
            return self._application(environ, start_response)
        said = (
            f"This dashboard answers http://127.0.0.1:{self._port} only. From another machine forward the same port: "
            f"ssh -L {self._port}:127.0.0.1:{self._port} HOST\n"
        )
        return answer(start_response, "421 Misdirected Request", said.encode(), "text/plain; charset=utf-8")


class NotesOnly:
    """Passes on what reads, and what saves a note; all else is refused.

    Only the driver of a study writes its tables. optuna-dashboard has buttons that delete or rename Optuna's part of
    a study, or end a running trial: our tables would say something else from then on.
    """

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass a request on, or answer it with 403."""
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        if method in ("GET", "HEAD") or (method == "PUT" and _NOTE.fullmatch(path)):
            return self._application(environ, start_response)
        said = {"reason": "Here only notes can be changed. `dcasearch` changes studies and their trials."}
        return answer(start_response, "403 Forbidden", json.dumps(said).encode(), "application/json")


def answer(start_response: StartResponse, status: str, body: bytes, content_type: str) -> list[bytes]:
    """Answer a request in full."""
    start_response(status, [("Content-Type", content_type), ("Content-Length", str(len(body)))])
    return [body]
