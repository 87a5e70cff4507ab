from __future__ import annotations

import socket
import sys
from wsgiref.types import WSGIApplication

import pytest

from dcasearch.dashboard import application, serve
from dcasearch.errors import UserError
from dcasearch.store import Store
from tests.dashboard.support import PORT, ask


@pytest.fixture(scope="module")
def dashboard(ended: Store) -> WSGIApplication:
    return application(ended, None, PORT)


@pytest.mark.parametrize("host", [f"127.0.0.1:{PORT}", f"localhost:{PORT}", f"LOCALHOST:{PORT}", f"[::1]:{PORT}"])
def test_requests_to_this_machine_by_its_own_names_are_answered(dashboard: WSGIApplication, host: str) -> None:
    assert ask(dashboard, "/api/studies", host=host).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", "", "127.0.0.1", "localhost:80", f"localhost:{PORT}.evil.example"]
)
@pytest.mark.parametrize("path", ["/", "/dashboard", "/api/studies", "/drawings/0123456789abcdef.svg"])
def test_requests_to_any_other_host_are_refused(dashboard: WSGIApplication, host: str, path: str) -> None:
    refused = ask(dashboard, path, host=host)
    assert refused.status == 421
    assert "ssh -L 8080:127.0.0.1:8080" in refused.body.decode()


def test_on_the_port_of_http_the_host_needs_no_port(ended: Store) -> None:
    at_80 = application(ended, None, 80)
    assert ask(at_80, "/api/studies", host="localhost").status == 200
    assert ask(at_80, "/api/studies", host="evil.example").status == 421


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/api/studies/1"),
        ("POST", "/api/studies"),
        ("POST", "/api/studies/1/rename"),
        ("POST", "/api/trials/1/tell"),
        ("POST", "/api/trials/1/user-attrs"),
        ("POST", "/api/artifacts/1/1"),
        ("DELETE", "/api/artifacts/1/1/0123456789abcdef"),
        ("PUT", "/api/studies/1"),
    ],
)
def test_whatever_would_change_a_study_is_refused(
    dashboard: WSGIApplication, ended: Store, method: str, path: str
) -> None:
    before = ended.optuna.get_all_trials(1)
    refused = ask(dashboard, path, method=method, body={"state": "Fail", "study_name": "other"})
    assert refused.status == 403
    assert "only notes can be changed" in refused.json["reason"]
    assert ended.optuna.get_all_trials(1) == before


def test_a_port_in_use_is_said_with_what_to_do(ended: Store) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} is in use.* --port 0"):
            serve(ended, None, port, lambda address: None)


class _Seen(Exception):
    pass


def test_port_0_is_a_free_one_and_its_address_is_told(ended: Store) -> None:
    addresses: list[str] = []

    def begun(address: str) -> None:
        addresses.append(address)
        raise _Seen

    with pytest.raises(_Seen):
        serve(ended, None, 0, begun)
    [address] = addresses
    assert address.startswith("http://127.0.0.1:")
    assert not address.startswith("http://127.0.0.1:0/")


def test_without_its_extra_it_says_what_to_install(ended: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    with pytest.raises(UserError, match=r"pip install 'dcasearch\[dashboard\]'"):
        serve(ended, "tiny", 0, lambda address: None)
