"""Puts what our tables know into optuna-dashboard's answers: notes, drawings, graphs, names of objectives.

The same could be stored where optuna-dashboard looks for it, in the attributes of Optuna's studies. It searches all of
them for each trial: with a note on each of 10,000 trials one page takes a minute (docs/decisions.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from optuna.artifacts.exceptions import ArtifactNotFound

from dcasearch.dashboard.drawings import Drawings
from dcasearch.dashboard.guards import answer
from dcasearch.dashboard.pages import Page, Pages
from dcasearch.errors import StorageError
from dcasearch.store.optuna_private import drawing_of

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_LIST = re.compile(r"/api/studies/?")
_STUDY = re.compile(r"/api/studies/(\d+)/?")
_DRAWING = re.compile(r"/(?:drawings|artifacts/\d+/\d+)/([0-9a-f]{16})(?:\.svg)?/?")
"""Of a network. An artifact is asked for by study and trial; Optuna's own artifacts have longer ids."""
_HTML = re.compile(r"/dashboard(/.*)?")
_CACHED = ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_NONE_MATCH")
"""What a browser asks with that has kept a page, perhaps of optuna-dashboard itself at the same port."""
_OF_THE_BODY = ("content-length", "last-modified", "etag")
"""Headers that do not hold for a changed body."""
_STYLE = b"""<style>
a:not([class]) { color: #4a86e8 }
td.MuiTableCell-root { white-space: nowrap }
[aria-label="delete study"], [aria-label="rename study"] { display: none }
@media (prefers-color-scheme: dark) { [id^="user-defined-plot"] { filter: invert(.88) hue-rotate(180deg) } }
</style></head>"""
"""Hides two buttons that `NotesOnly` refuses, keeps the rows of the table of trials one line high, and makes links of
notes and our graphs readable on a dark background.

The links stay in the browser's blue there. The graphs are drawn without optuna-dashboard's theme: light, and inverted
where the system is dark. Where the user has chosen the other theme they are dark on light, and can be read too."""


class Additions:
    """optuna-dashboard with our additions."""

    def __init__(self, application: WSGIApplication, pages: Pages, drawings: Drawings) -> None:
        self._application, self._pages, self._drawings = application, pages, drawings

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        try:
            return self._answer(environ, start_response)
        except StorageError as error:  # the page shows the reason and asks again
            said = json.dumps({"reason": str(error)}).encode()
            return answer(start_response, "503 Service Unavailable", said, "application/json")

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "") if environ["REQUEST_METHOD"] == "GET" else ""
        if _LIST.fullmatch(path):
            return self._changed(environ, start_response, _json(self._choose))
        if (match := _STUDY.fullmatch(path)) and (page := self._pages.of(int(match[1]))) is not None:
            return self._changed(environ, start_response, _json(lambda detail: add(detail, page)))
        if match := _DRAWING.fullmatch(path):
            return self._draw(match[1], start_response)
        if _HTML.fullmatch(path):
            return self._changed(environ, start_response, lambda page: page.replace(b"</head>", _STYLE))
        return self._application(environ, start_response)

    def _choose(self, listed: dict[str, Any]) -> None:
        """Leave the studies in the list that are shown."""
        listed["study_summaries"] = [s for s in listed["study_summaries"] if self._pages.shows(s["study_name"])]

    def _draw(self, id: str, start_response: StartResponse) -> list[bytes]:
        try:
            with self._drawings.open_reader(id) as drawing:
                return answer(start_response, "200 OK", drawing.read(), "image/svg+xml")
        except ArtifactNotFound as error:
            return answer(start_response, "404 Not Found", str(error).encode(), "text/plain; charset=utf-8")

    def _changed(
        self, environ: WSGIEnvironment, start_response: StartResponse, change: Callable[[bytes], bytes]
    ) -> list[bytes]:
        """Answer as optuna-dashboard does, with its body changed; what is no success passes as it is."""
        head: list[Any] = []

        def keep(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
            head[:] = [status, headers]
            return lambda data: None

        asked = {name: value for name, value in environ.items() if name not in _CACHED}
        chunks = self._application(asked, keep)
        body = b"".join(chunks)
        getattr(chunks, "close", lambda: None)()  # a file stays open else
        status, headers = head
        if status.startswith("200"):
            body = change(body)
        others = [(name, value) for name, value in headers if name.lower() not in _OF_THE_BODY]
        start_response(status, [*others, ("Content-Length", str(len(body)))])
        return [body]


def _json(change: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    """Return a change of JSON as one of a body."""

    def changed(body: bytes) -> bytes:
        told = json.loads(body)
        change(told)
        return json.dumps(told).encode()

    return changed


def add(detail: dict[str, Any], page: Page) -> None:
    """Add to what optuna-dashboard says of a study what we know of it.

    Args:
        detail: Its answer, as JSON. A note that was saved in the dashboard stays: its version is above 0.
        page: What is known.
    """
    # Older versions stored the note of a study.
    if detail["note"]["version"] == 0 or detail["note"]["body"].startswith(page.heading):
        detail["note"]["body"] = page.note
    detail.setdefault("objective_names", list(page.objectives))
    detail["plotly_graph_objects"] = [*detail["plotly_graph_objects"], *page.graphs]
    for trial in (*detail["trials"], *detail["best_trials"]):
        known = page.trials.get(trial["number"])
        if known is None:
            continue
        if trial["note"]["version"] == 0:
            trial["note"]["body"] = known.note
        if all(artifact["artifact_id"] != known.architecture_id for artifact in trial["artifacts"]):
            trial["artifacts"].append(drawing_of(known.architecture_id))  # a trial of an older version
