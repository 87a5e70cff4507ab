from __future__ import annotations

from pathlib import Path

import pytest

from dcasearch.errors import StorageError
from dcasearch.store.urls import DEFAULT, default_url, parse, password_of, redact


def test_the_environment_names_the_default_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCASEARCH_STORAGE", "sqlite:///elsewhere.db")
    assert default_url() == "sqlite:///elsewhere.db"


@pytest.mark.parametrize("value", [None, ""])
def test_without_it_the_default_is_a_file_in_this_folder(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("DCASEARCH_STORAGE", raising=False)
    if value is not None:
        monkeypatch.setenv("DCASEARCH_STORAGE", value)
    assert default_url() == DEFAULT


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://ann:s3cret@db.example/search",
        "postgresql://ann@db.example/search?password=s3cret",
        "postgresql://ann:s3%40cret@db.example/search?passfile=s3cret",
        "ann:s3cret@db.example",
        "postgresql//ann:s3cret@db.example",
    ],
)
def test_no_password_is_ever_shown(url: str) -> None:
    assert "s3" not in redact(url)


@pytest.mark.parametrize("url", ["ann:s3cret@db.example", "postgresql//ann:s3cret@db.example", "mysql://a:s3cret@h/d"])
def test_a_url_that_is_refused_does_not_tell_its_password(url: str) -> None:
    with pytest.raises(StorageError) as error:
        parse(url)
    assert "s3" not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_postgresql_is_spoken_to_through_psycopg_3(scheme: str) -> None:
    assert parse(f"{scheme}://ann:x@db/search").drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    "url", ["postgresql://ann:s3%40@db/search", "postgresql://ann@db/search?password=s3%40", "postgresql://db/s"]
)
def test_the_password_is_found_wherever_it_stands(url: str) -> None:
    assert password_of(url) == ("s3@" if "s3" in url else None)


def test_what_is_no_secret_stays_readable() -> None:
    assert redact("postgresql://ann:x@db/search?sslmode=require") == "postgresql://ann:***@db/search?sslmode=require"
    assert redact("sqlite:///a.db") == "sqlite:///a.db"


def test_a_relative_path_means_this_folder_whatever_the_folder_is_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse("sqlite:///a.db").database == str(tmp_path / "a.db")
    assert parse(f"sqlite:///{tmp_path}/b.db").database == str(tmp_path / "b.db")


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///a.db?mode=ro",
        "mysql://h/d",
        "postgresql://h",
        "postgresql+asyncpg://h/d",
        "redis://h",
        "a.db",
        "",
    ],
)
def test_what_cannot_be_a_storage_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(StorageError, match=r"sqlite:///dcasearch\.db"):
        parse(url)
