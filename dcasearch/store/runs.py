"""The runs of a study: who drove it, from when to when, and what ended each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from dcasearch.masking import masked
from dcasearch.store.tables import LeaseRow, RunRow

COMPLETE = "the study is complete"
DIED = "its process died"
_LONGEST = 500
"""Characters of an outcome that are stored."""


@dataclass(frozen=True)
class Run:
    """One run that has ended."""

    host: str
    pid: int
    since: datetime
    ended: datetime
    outcome: str
    """What ended it, e.g. `the study is complete` or `stopped by a user`."""

    def in_words(self) -> str:
        """Return when it ended and why, in a sentence."""
        since, ended = (f"{moment.astimezone():%Y-%m-%d %H:%M:%S}" for moment in (self.since, self.ended))
        who = f"process {self.pid} on {self.host}, {since} to {ended}"
        return f"Not running. The last run ended: {self.outcome} ({who})."


def begin(session: Session, lease: LeaseRow, *, noted: bool = True) -> None:
    """Note that a driver begins, unless it trains nothing; runs before it that nobody has ended died."""
    before = update(RunRow).where(RunRow.study == lease.study, RunRow.ended.is_(None), RunRow.token != lease.token)
    session.execute(before.values(ended=lease.since, outcome=DIED))
    if noted and session.scalars(select(RunRow.id).where(RunRow.token == lease.token)).first() is None:
        same = {"study": lease.study, "host": lease.host, "pid": lease.pid, "since": lease.since}
        session.add(RunRow(token=lease.token, outcome="", **same))


def end(session: Session, token: str, moment: datetime, outcome: str) -> None:
    """Note what ended the run of a lease."""
    values = {"ended": moment, "outcome": masked(outcome)[:_LONGEST]}
    session.execute(update(RunRow).where(RunRow.token == token).values(**values))


def last_run(session: Session, study: str) -> Run | None:
    """Return the newest run of a study that has ended; None where there is none, as in studies of older versions."""
    newest = select(RunRow).where(RunRow.study == study, RunRow.ended.is_not(None)).order_by(RunRow.id.desc())
    row = session.scalars(newest.limit(1)).first()
    return None if row is None or row.ended is None else Run(row.host, row.pid, row.since, row.ended, row.outcome)
