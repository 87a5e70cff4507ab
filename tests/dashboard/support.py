"""A study with a trial of every state, and requests to the dashboard within the process."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication
from wsgiref.util import setup_testing_defaults

from dcasearch import study as study_room
from dcasearch.errors import TrialFailure
from dcasearch.search.work import Job
from dcasearch.space import LoadedStudy, read_space
from dcasearch.store import Store
from tests.support import Simulated, make_study

PORT = 8080
STUDY: dict[str, Any] = {
    "baselines": True,
    "objectives": {"top1": "maximize", "params": "minimize"},
    "constraints": {"params": {"max": 11_480_000}},
    "fidelities": [
        {
            "name": "proxy",
            "trials": 9,
            "resolution": 16,
            "epochs": 4,
            "pruner": {"name": "successive_halving", "startup": 3},
        },
        {"name": "full", "promote": {"top": 1, "random": 1}, "resolution": 16, "epochs": 5},
    ],
}


def run_study(folder: Path, **changes: Any) -> Store:
    """Run the study; its trial 4 fails."""
    study = make_study(**{"artifacts": str(folder), **STUDY, **changes})
    store = Store.open(f"sqlite:///{folder}/study.db", create=True)

    def fail(job: Job) -> TrialFailure | None:
        return TrialFailure("nan", "the loss is nan") if job.label == "proxy trial 4" else None

    study_room.run(LoadedStudy(study, read_space(study.space), folder, frozenset()), store, Simulated(fail=fail))
    return store


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    application: WSGIApplication,
    path: str,
    *,
    method: str = "GET",
    host: str = f"127.0.0.1:{PORT}",
    body: Any = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Return how an application answers a request."""
    sent = b"" if body is None else json.dumps(body).encode()
    path, _, query = path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "HTTP_HOST": host,
        "HTTP_ACCEPT_ENCODING": "",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(sent)),
        "wsgi.input": io.BytesIO(sent),
        **(headers or {}),
    }
    setup_testing_defaults(environ)
    told: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        told[:] = [status, dict(headers)]
        return lambda data: None

    chunks = application(environ, start_response)
    answered = b"".join(chunks)
    getattr(chunks, "close", lambda: None)()
    return Answer(int(told[0].split()[0]), told[1], answered)
