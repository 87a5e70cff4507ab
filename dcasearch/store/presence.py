"""Whether a SQLite database is still the file that was opened.

A process keeps a file open that was deleted or replaced: its writes succeed, and nobody finds them afterwards.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL

from dcasearch.errors import StorageError
from dcasearch.store.urls import redact


class DatabaseGone(StorageError):
    """The database was deleted or replaced while it was open; no other attempt helps."""

    exit_code = 1


class Presence:
    """The file of a SQLite database as it was when it was opened; every other database is always present."""

    def __init__(self, url: URL) -> None:
        self._shown = redact(url.render_as_string(hide_password=False))
        is_file = url.get_backend_name() == "sqlite" and url.database
        self._file = Path(url.database) if is_file and url.database else None
        self._identity = self._now()
        self._wal_seen = False

    def check(self) -> None:
        """Compare the file with the one that was opened.

        Raises:
            DatabaseGone: it was deleted or replaced.
        """
        now = self._now()
        if self._identity is None:  # the file is made by the first connection
            self._identity = now
        elif now != self._identity:
            what = "was deleted" if now is None else "was replaced by another file"
            self._raise(f"the database {what}")

    def check_written(self) -> None:
        """Do the same after a commit, for the write-ahead log too: it is there while a connection is open.

        Raises:
            DatabaseGone: one of both was deleted, or the database was replaced; the commit may be lost.
        """
        self.check()
        if self._file is None:
            return
        wal = self._file.with_name(f"{self._file.name}-wal").exists()
        if self._wal_seen and not wal:
            self._raise("its write-ahead log (-wal) was deleted")
        self._wal_seen = wal

    def _raise(self, what: str) -> None:
        raise DatabaseGone(
            f"{self._shown}: {what} while the study ran. Results since then are not stored. Put the file back "
            "and run the same command: it goes on from what that file holds."
        )

    def _now(self) -> tuple[int, int] | None:
        """Return device and inode of the file, None where there is none."""
        if self._file is None:
            return None
        try:
            found = self._file.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino
