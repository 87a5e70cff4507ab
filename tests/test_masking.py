from __future__ import annotations

import logging
import sys

import pytest

from dcasearch.masking import holds_secret, is_secret, mask_logs, masked, masked_url


@pytest.mark.parametrize(
    "text",
    [
        "got ['postgresql://u:S3CRET@127.0.0.1:1/db']",
        "cannot open s3://AKIA:S3CRET@bucket/art: no such bucket",
        "sftp://u:p@S3CRET@host/a",
        "u:S3CRET@db.example",
        "'u:S3CRET@db.example' is not allowed",
        "postgresql//u:S3CRET@db.example",
        "postgresql://u:a/S3CRET?b@db.example/x",
        "postgresql://u@h/db?password=S3CRET&sslmode=require",
        "s3://bucket/art?secret=S3CRET",
        "az://c/a?sig=S3CRET",
        "{'key': 'S3CRET', 'secret': 'S3CRET'}",
        "aws_secret_access_key=S3CRET",
        'storage_options={"account_key": "S3CRET"}',
        "connection failed: host=h password=S3CRET user=u",
        "abfs://c@a/x?sas_token=S3CRET",
        "a: postgresql://u:S3CRET@h/d, b: postgresql://v:S3CRET@h/d",
    ],
)
def test_no_secret_is_left_in_a_text(text: str) -> None:
    assert "S3CRET" not in masked(text)
    assert "***" in masked(text)
    assert masked(masked(text)) == masked(text)


@pytest.mark.parametrize("url", ["postgresql://u:my S3CRET@h/d", "postgresql://u:it's S3CRET\"@h/d", "a://u:S3@RET@h"])
def test_the_password_of_a_whole_url_may_hold_anything(url: str) -> None:
    assert "S3" not in masked_url(url)
    assert masked_url(url).startswith(url[: url.index("u:") + 2])


@pytest.mark.parametrize(
    "text",
    [
        "study.yaml:14:11: attention.name: 'sse' is not an attention block; did you mean 'se'?",
        "postgresql+psycopg://dcasearch@db.example/dcasearch",
        "sqlite:////home/ann/a@b/study.db",
        "sqlite:////home/ann/a:b@c/study.db",
        "https://example.org:8080/a?page=2",
        "key: value pairs of a mapping; first pass: 12 s; unknown key: 'foo'",
        "12:30 mail to ann@example.org",
        "top1=97.1, loss=0.3",
        "monkey=3, keyed: 4",
    ],
)
def test_what_is_no_secret_stays_readable(text: str) -> None:
    assert masked(text) == text


def test_a_known_secret_is_hidden_wherever_it_stands() -> None:
    assert masked('could not translate host name "rest@h"', "rest", None) == 'could not translate host name "***@h"'


@pytest.mark.parametrize("url", ["a://u:p@h", "a://u:***@h", "a://h?password=x", "a://h?token=***"])
def test_a_url_with_a_secret_is_known_masked_or_not(url: str) -> None:
    assert holds_secret(url)


@pytest.mark.parametrize("url", ["sqlite:///a.db", "postgresql://u@h/d?sslmode=require", "s3://bucket/art"])
def test_a_url_without_a_secret_is_known(url: str) -> None:
    assert not holds_secret(url)


def test_logs_are_masked_with_their_tracebacks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "lastResort", logging._StderrHandler(logging.WARNING))
    mask_logs()
    record = logging.LogRecord("x", logging.ERROR, "", 0, "cannot open %s", ("s3://a:S3CRET@b",), None)
    try:
        raise KeyError("postgresql://u:S3CRET@h/d")
    except KeyError:
        record.exc_info = sys.exc_info()
    assert logging.lastResort is not None
    logging.lastResort.handle(record)
    said = capsys.readouterr().err
    assert "cannot open s3://a:***@b" in said
    assert "KeyError" in said
    assert "S3CRET" not in said


def test_options_that_hold_secrets_are_known_by_their_names() -> None:
    assert all(map(is_secret, ["password", "passfile", "sslpassword", "secret", "sig", "key", "sas_token"]))
    assert not any(map(is_secret, ["sslmode", "keepalives", "connect_timeout", "application_name"]))
