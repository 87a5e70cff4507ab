"""When something was last done for a study."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dcasearch.store.tables import EvaluationRow, LeaseRow, RoleRow, StudyRow, TrialRow


def last_activity(session: Session, study: str) -> datetime:
    """Return the latest of: the study's first run, its newest stored training, its driver's heartbeat."""
    mine = [select(row.evaluation).where(row.study == study) for row in (TrialRow, RoleRow)]
    moments = (
        select(StudyRow.created).where(StudyRow.name == study),
        select(LeaseRow.heartbeat).where(LeaseRow.study == study),
        *(select(func.max(EvaluationRow.created)).where(EvaluationRow.id.in_(ids)) for ids in mine),
    )
    return max(moment for query in moments for moment in session.scalars(query) if moment is not None)
