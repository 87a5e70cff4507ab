"""Secrets in texts for people: passwords and keys of URLs and options are replaced by `***`.

Everything that is shown, logged or stored as a message passes here. It is better to hide too much of a text than to
show a part of a password: a password may hold `@`, `/` and `:`, so all up to the last `@` is hidden.
"""

from __future__ import annotations

import logging
import re

HIDDEN = "***"
_NAMES = (
    r"\w*(?:passw|passf|pwd|secret|token|credential|signature|api_?key|access_?key|account_?key|private_?key)\w*"
    r"|\w*pass|sig|key"
)
_IS_SECRET = re.compile(rf"(?:{_NAMES})\Z", re.IGNORECASE)
_OF_USER = re.compile(r"(?P<start>(?:[A-Za-z][\w+.-]*:)?//)(?P<user>[^\s'\"/@:]*):(?!password@)[^\s'\"]*@")
_BARE = re.compile(r"(?<![\w/*])(?P<user>[^\s'\"/@:*()\[\]{},=]+):(?!\*\*\*@)[^\s'\"/:][^\s'\"]*@(?=[\w\[])")
_OPTION = re.compile(
    rf"(?<![\w-])(?P<name>{_NAMES})(?P<between>\s?=\s?['\"]?|['\"]\s?:\s?['\"]?)(?!\*\*\*)(?P<value>[^\s'\"&;,)\]}}}}]+)",
    re.IGNORECASE,
)
_QUERY = re.compile(rf"(?P<start>[?&;](?:{_NAMES})=)[^&;\s'\"]+", re.IGNORECASE)
_WHOLE = re.compile(r"(?P<start>\A[^/]*//[^/@:]*):.*@", re.DOTALL)


def masked(text: str, *secrets: str | None) -> str:
    """Return a text without the secrets in it: those of URLs and of `password=…` anywhere, and the given ones."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, HIDDEN)
    if "@" in text:
        text = _OF_USER.sub(rf"\g<start>\g<user>:{HIDDEN}@", text)
        text = _BARE.sub(rf"\g<user>:{HIDDEN}@", text)
    if "=" in text or ":" in text:
        text = _QUERY.sub(rf"\g<start>{HIDDEN}", text)
        text = _OPTION.sub(rf"\g<name>\g<between>{HIDDEN}", text)
    return text


def masked_url(url: str) -> str:
    """Return one whole URL without the secrets in it; its password may hold spaces and quotes too."""
    return masked(_WHOLE.sub(rf"\g<start>:{HIDDEN}@", url))


def holds_secret(url: str) -> bool:
    """Tell whether a URL holds a password or a key, one that is masked already included."""
    return masked_url(url) != url or f":{HIDDEN}@" in url or f"={HIDDEN}" in url


def is_secret(option: str) -> bool:
    """Tell whether an option of a URL holds a secret, by its name."""
    return _IS_SECRET.match(option) is not None


class _Masking(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return a record, its traceback included, without the secrets in it."""
        return masked(super().format(record))


def mask_logs() -> None:
    """Let no secret stand in what this process logs to standard error."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_Masking())
