"""Serves the dashboard on this machine's loopback address."""

from __future__ import annotations

import errno
import socketserver
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from dcasearch.dashboard.additions import Additions
from dcasearch.dashboard.drawings import Drawings
from dcasearch.dashboard.guards import NotesOnly, OwnHost
from dcasearch.dashboard.pages import Pages
from dcasearch.errors import UserError
from dcasearch.store import Store

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

HOST = "127.0.0.1"
"""Loopback alone: the dashboard asks nobody for a password."""


def serve(store: Store, name: str | None, port: int, begun: Callable[[str], None]) -> None:
    """Serve the dashboard until it is interrupted; safe while a study runs.

    Args:
        store: The database.
        name: The study that is shown; None: all of the database.
        port: To listen on; 0 is any free one.
        begun: Is told the address once the dashboard listens.

    Raises:
        UserError: optuna-dashboard is not installed, or the port cannot be used.
    """
    with _listen(port) as server:
        server.set_app(application(store, name, server.server_port))
        begun(f"http://{HOST}:{server.server_port}/dashboard")
        server.serve_forever()


def application(store: Store, name: str | None, port: int) -> WSGIApplication:
    """Return the dashboard as a WSGI application, for a server that listens on this port of the loopback address.

    Raises:
        UserError: optuna-dashboard is not installed.
    """
    try:
        from optuna_dashboard import wsgi
    except ImportError:
        raise UserError("the dashboard is an extra: pip install 'dcasearch[dashboard]'") from None
    drawings = Drawings(store)
    plain = wsgi(store.optuna, artifact_store=drawings)
    return OwnHost(NotesOnly(Additions(plain, Pages(store, name), drawings)), port)


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """One thread a request: a page asks for several things at once, and some take a second."""

    daemon_threads = True

    def server_bind(self) -> None:
        """Bind without asking for this machine's name, which waits where no name server answers."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say what went wrong; a browser that has gone away is nothing wrong."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Quiet(WSGIRequestHandler):
    """Writes no line for each request."""

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing."""


def _listen(port: int) -> _Server:
    try:
        return _Server((HOST, port), _Quiet)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            other = port + 1 if port < 65535 else port - 1
            raise UserError(
                f"port {port} is in use, perhaps by another dashboard; take another one, e.g. --port {other}, or any "
                "free one with --port 0"
            ) from None
        raise UserError(f"cannot listen on port {port}: {error.strerror}; take another one, e.g. --port 8080") from None
