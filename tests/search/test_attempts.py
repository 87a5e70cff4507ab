from __future__ import annotations

from dcasearch.config.study import Resources
from dcasearch.errors import TrialFailure
from dcasearch.search.attempts import Attempts
from dcasearch.search.work import Event, Job
from tests.training.support import make_assignment

LOST = TrialFailure("lost", "its worker is gone")


def test_a_lost_worker_is_forgiven_as_often_as_the_study_says_and_per_job() -> None:
    told: list[Event] = []
    attempts = Attempts(2, told.append)
    job, other = (
        Job(label=f"job {n}", number=n, assignment=make_assignment(seed=n), resources=Resources()) for n in (1, 2)
    )
    first = attempts.again(job, LOST)
    assert first is not None
    assert first.resumed
    assert attempts.again(first, LOST) is not None
    assert attempts.again(first, LOST) is None
    assert attempts.again(other, LOST) is not None
    assert [event.kind for event in told] == ["lost"] * 3


def test_a_failure_of_the_model_is_final() -> None:
    told: list[Event] = []
    job = Job(label="job", number=1, assignment=make_assignment(), resources=Resources())
    assert Attempts(2, told.append).again(job, TrialFailure("nan", "the loss is nan")) is None
    assert told == []
