"""A password is shown nowhere and stored nowhere: every output and every stored byte of a whole study is searched."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from dcasearch.cli.storage import named_storage
from dcasearch.errors import StorageError
from dcasearch.store import Store
from tests.cli.conftest import Command
from tests.postgres import PASSWORD, Server, running_server

LEVEL = {"name": "proxy", "trials": 3, "resolution": 16, "epochs": 2}
READING = ("status", "trials", "list", "compare", "report", "export", "doctor", "check")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as running:
        yield running


@pytest.fixture(autouse=True)
def _closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what commands open: a process that ends does so by itself, and here many commands share one."""
    opened: list[Store] = []
    original = Store.open

    def noting(url: str, *, create: bool = False) -> Store:
        opened.append(original(url, create=create))
        return opened[-1]

    monkeypatch.setattr(Store, "open", noting)
    yield
    for store in opened:
        store.close()


@pytest.fixture
def url(server: Server) -> str:
    return server.new_database()


def stored_text(url: str) -> str:
    """Everything that a database holds, as text."""
    engine = create_engine(url)
    with engine.connect() as connection:
        tables = inspect(connection).get_table_names()
        found = [str(connection.execute(text(f'SELECT * FROM "{table}"')).all()) for table in tables]
    engine.dispose()
    return "\n".join(found)


@pytest.mark.usefixtures("simulated")
def test_no_output_and_no_stored_byte_of_a_study_holds_the_password(
    dcasearch: Command, write_study: Callable[..., Path], url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = write_study(fidelities=[LEVEL], storage="${DCASEARCH_STORAGE}")
    monkeypatch.setenv("DCASEARCH_STORAGE", url)
    said = ""
    for command in (
        ("check", study), ("run", study), ("run", study, "--json"), ("status", "tiny"), ("status", "tiny", "--json"),
        ("status", study, "--detail"), ("trials", "tiny"), ("list",), ("compare", "tiny"), ("doctor", study),
        ("report", "tiny", "--out", tmp_path / "page"), ("stop", "other"), ("cancel", "tiny", 99), ("db", "upgrade"),
    ):  # fmt: skip
        done = dcasearch(*command)
        said += done.out + done.err
    assert "tiny" in said
    assert ":***@" in said
    assert PASSWORD not in said
    assert PASSWORD not in stored_text(url)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"report.html", "studies.json"} <= {path.name for path in files}
    assert not [path for path in files if PASSWORD.encode() in path.read_bytes()]


@pytest.mark.usefixtures("simulated")
def test_what_is_remembered_logs_in_with_no_masked_password(
    dcasearch: Command, write_study: Callable[..., Path], url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert dcasearch("run", write_study(fidelities=[LEVEL]), "--storage", url).code == 0
    remembered = json.loads((tmp_path / "state" / "dcasearch" / "studies.json").read_text())["tiny"]
    assert "***" not in remembered
    assert PASSWORD not in remembered
    seen: list[str] = []
    opened = Store.open

    def noting(url: str, *, create: bool = False) -> Store:
        seen.append(url)
        return opened(url, create=create)

    monkeypatch.setattr(Store, "open", noting)
    dcasearch("status", "tiny")
    assert seen == [remembered]


def test_a_link_of_an_older_version_with_a_masked_password_is_not_used(tmp_path: Path) -> None:
    links = tmp_path / "state" / "dcasearch" / "studies.json"
    links.parent.mkdir(parents=True)
    links.write_text(json.dumps({"tiny": "postgresql+psycopg://ann:***@db.example/search"}))
    with pytest.raises(StorageError, match=r"masked.*DCASEARCH_STORAGE.*--storage"):
        named_storage("tiny", None)


@pytest.mark.parametrize("command", ["status", "stop", "list"])
@pytest.mark.parametrize(
    "hostile",
    [
        "postgresql://ann:S3CRET@127.0.0.1:1/db",
        "postgresql://ann:S3@CRET@127.0.0.1:1/db",
        "postgresql://ann@127.0.0.1:1/db?password=S3CRET",
        "postgresql://ann:S3CRET@127.0.0.1:1/db?connect_timeout=abc",
        "postgresql://ann:S3CRET@127.0.0.1:1/db?nonsense=1",
        "postgresql://ann:S3CRET@127.0.0.1:abc/db",
        "mysql://ann:S3CRET@h/db",
        "ann:S3CRET@h/db",
    ],
)
def test_a_storage_that_cannot_be_opened_is_a_sentence_without_the_password(
    dcasearch: Command, command: str, hostile: str
) -> None:
    done = dcasearch(command, *(() if command == "list" else ("tiny",)), "--storage", hostile)
    assert done.code == 2
    assert done.err
    assert "S3" not in done.out + done.err
    assert "CRET" not in done.out + done.err


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("storage", ["postgresql://u:S3CRET@127.0.0.1:1/db"]),
        ("storage", {"url": "postgresql://u:S3CRET@127.0.0.1:1/db"}),
        ("artifacts", "s3://AKIA:S3CRET@bucket/art"),
        ("artifacts", "s3://bucket/art?secret=S3CRET"),
        ("artifacts", ["s3://AKIA:S3CRET@bucket/art"]),
        ("nonsense", "postgresql://u:S3CRET@127.0.0.1:1/db"),
        ("postgresql://u:S3CRET@127.0.0.1:1/db", 1),
        ("seed", "postgresql://u:S3CRET@127.0.0.1:1/db"),
    ],
)
def test_a_mistake_does_not_tell_the_secret_that_it_is_about(
    dcasearch: Command, tmp_path: Path, write_study: Callable[..., Path], key: str, value: object
) -> None:
    import yaml

    plain = yaml.safe_load(write_study().read_text()) | {key: value}
    (tmp_path / "hostile.yaml").write_text(yaml.safe_dump(plain))
    done = dcasearch("check", "hostile.yaml")
    assert done.code == 2
    assert "S3CRET" not in done.out + done.err


@pytest.mark.usefixtures("simulated")
def test_a_role_that_may_only_read_reads(
    dcasearch: Command, write_study: Callable[..., Path], url: str, tmp_path: Path
) -> None:
    assert dcasearch("run", write_study(fidelities=[LEVEL]), "--storage", url).code == 0
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE ROLE reader LOGIN PASSWORD 'x'"))
        connection.execute(text("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader"))
    engine.dispose()
    reader = url.replace("postgres:", "reader:", 1)
    for command in (("status", "tiny"), ("list",), ("trials", "tiny"), ("report", "tiny", "--out", tmp_path / "page")):
        done = dcasearch(*command, "--storage", reader)
        assert done.code == 0, done.err
    for command, said in ((("stop", "tiny"), "does not run"), (("retry", "tiny"), "permission denied")):
        done = dcasearch(*command, "--storage", reader)
        assert done.code == 2
        assert said in done.err


@pytest.mark.usefixtures("simulated")
def test_the_dashboard_of_a_role_that_may_only_read_answers(
    dcasearch: Command, write_study: Callable[..., Path], url: str
) -> None:
    from dcasearch.dashboard.serving import application

    assert dcasearch("run", write_study(fidelities=[LEVEL]), "--storage", url).code == 0
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE ROLE watcher LOGIN"))
        connection.execute(text("GRANT SELECT ON ALL TABLES IN SCHEMA public TO watcher"))
    engine.dispose()
    with Store.open(url.replace("postgres:", "watcher:", 1)) as store:
        assert application(store, "tiny", 8080)
