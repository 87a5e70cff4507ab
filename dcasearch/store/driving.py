"""What the database says of the process that drives a study, and what users ask of it from elsewhere."""

from __future__ import annotations

from sqlalchemy import delete, select

from dcasearch.store import records
from dcasearch.store.database import Database
from dcasearch.store.lease import Driver, driver_of
from dcasearch.store.outage import outlasting
from dcasearch.store.records import Request, RequestKind
from dcasearch.store.runs import Run, last_run
from dcasearch.store.tables import RequestRow


class Driving(Database):
    """The part of `Store` that is about a study's driver."""

    @outlasting
    def driver(self, study: str) -> Driver | None:
        """Return who holds a study's lease, alive or dead; None where nobody does."""
        with self.reading() as session:
            return driver_of(session, study)

    @outlasting
    def last_run(self, study: str) -> Run | None:
        """Return the newest run of a study that has ended; None of one that was never run by this version."""
        with self.reading() as session:
            return last_run(session, study)

    @outlasting
    def request(self, study: str, kind: RequestKind, fidelity: str | None = None, number: int | None = None) -> Request:
        """Ask the driver of a stored study for something; asking again before it is answered changes nothing."""
        wish = {"study": study, "kind": kind, "fidelity": fidelity, "number": number}
        with self.writing() as session:
            row = session.scalars(select(RequestRow).filter_by(**wish)).first() or RequestRow(**wish)
            session.add(row)
            session.flush()
            return records.request_of(row)

    @outlasting
    def requests(self, study: str) -> list[Request]:
        """Return what was asked of a study and not answered yet, the oldest first."""
        query = select(RequestRow).where(RequestRow.study == study).order_by(RequestRow.id)
        with self.reading() as session:
            return [records.request_of(row) for row in session.scalars(query)]

    @outlasting
    def answer(self, request: Request) -> None:
        """Delete a request: it was done, or there is nothing to do."""
        with self.writing() as session:
            session.execute(delete(RequestRow).where(RequestRow.id == request.id))
