from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import pytest

from dcasearch.config.study import Resources
from dcasearch.errors import TrialFailure
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.search.pipeline import Phase, Pipeline
from dcasearch.search.work import Job
from dcasearch.training import Assignment
from tests.support import make_epoch, make_evaluation
from tests.training.support import make_assignment


@dataclass
class Few:
    """A source of some jobs."""

    name: str
    assignments: list[Assignment]
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ready = [
            Job(label=f"{self.name} {n}", number=n, assignment=assignment, resources=Resources())
            for n, assignment in enumerate(self.assignments)
        ]

    def ask(self) -> Job | None:
        return self.ready.pop(0) if self.ready else None

    def put_back(self, job: Job) -> None:
        self.ready.append(job)

    def report(self, job: Job, epoch: Epoch) -> bool:
        self.told.append(f"{job.label} epoch")
        return True

    def finish(self, job: Job, evaluation: Evaluation) -> None:
        self.told.append(f"{job.label} finished")

    def fail(self, job: Job, failure: TrialFailure) -> None:
        self.told.append(f"{job.label} failed")


def assignments(*seeds: int) -> list[Assignment]:
    return [make_assignment(seed=seed) for seed in seeds]


def labels(pipeline: Pipeline) -> list[str]:
    """Of everything that can be asked for now."""
    found = []
    while (job := pipeline.ask()) is not None:
        found.append(job.label)
    return found


def finish(pipeline: Pipeline, job: Job) -> None:
    pipeline.finish(job, make_evaluation(job, (make_epoch(job, 1),)))


def test_a_part_begins_only_when_the_parts_it_waits_for_have_ended() -> None:
    first, second = Few("first", assignments(0)), Few("second", assignments(1))
    begun: list[str] = []

    def begin() -> Few:
        begun.append("second")
        return second

    before = Phase(lambda: first)
    pipeline = Pipeline([before, Phase(begin, after=(before,))])
    job = pipeline.ask()
    assert job is not None
    assert pipeline.ask() is None
    assert begun == []
    finish(pipeline, job)
    assert labels(pipeline) == ["second 0"]


def test_free_slots_go_to_a_part_that_waits_for_nothing_while_an_earlier_one_still_runs() -> None:
    first, second = Few("first", assignments(0, 1)), Few("second", assignments(2))
    pipeline = Pipeline([Phase(lambda: first), Phase(lambda: second)])
    assert labels(pipeline) == ["first 0", "first 1", "second 0"]


def test_earlier_parts_come_first_even_where_one_gets_a_job_back() -> None:
    first, second = Few("first", assignments(0)), Few("second", assignments(1, 2))
    pipeline = Pipeline([Phase(lambda: first), Phase(lambda: second)])
    job, _ = pipeline.ask(), pipeline.ask()
    assert job is not None
    first.ready.append(job)
    pipeline.fail(job, TrialFailure("lost", "its worker died"))
    assert labels(pipeline) == ["first 0", "second 1"]


def test_reports_and_ends_reach_the_part_that_handed_the_job_out() -> None:
    first, second = Few("first", assignments(0)), Few("second", assignments(1, 2))
    pipeline = Pipeline([Phase(lambda: first), Phase(lambda: second)])
    one, two, three = pipeline.ask(), pipeline.ask(), pipeline.ask()
    assert one is not None
    assert two is not None
    assert three is not None
    pipeline.report(two, make_epoch(two, 1))
    finish(pipeline, two)
    pipeline.fail(three, TrialFailure("nan", "diverged"))
    finish(pipeline, one)
    assert first.told == ["first 0 finished"]
    assert second.told == ["second 0 epoch", "second 0 finished", "second 1 failed"]


def test_a_training_that_two_parts_ask_for_runs_once_and_the_other_asks_again_when_it_has_ended() -> None:
    first, second = Few("first", assignments(0)), Few("second", assignments(0, 1))
    pipeline = Pipeline([Phase(lambda: first), Phase(lambda: second)])
    job = pipeline.ask()
    assert job is not None
    assert labels(pipeline) == ["second 1"]
    finish(pipeline, job)
    assert labels(pipeline) == ["second 0"]


def test_parts_end_in_order_and_once() -> None:
    ended: list[str] = []
    first, second = Few("first", assignments(0)), Few("second", assignments(1))
    pipeline = Pipeline(
        [
            Phase(lambda: first, end=lambda: ended.append("first")),
            Phase(lambda: second, end=lambda: ended.append("second")),
        ]
    )
    one, two = pipeline.ask(), pipeline.ask()
    assert one is not None
    assert two is not None
    finish(pipeline, two)
    assert labels(pipeline) == []
    assert ended == []  # the second has nothing left, but the first still runs
    finish(pipeline, one)
    assert labels(pipeline) == []
    assert labels(pipeline) == []
    assert ended == ["first", "second"]


def test_when_time_is_over_no_part_is_begun_or_ended() -> None:
    over: list[bool] = []
    ended: list[str] = []
    part = Phase(lambda: Few("first", []), end=lambda: ended.append("first"))
    pipeline = Pipeline([part, Phase(lambda: Few("second", assignments(1)))], stopped=lambda: bool(over))
    over.append(True)
    assert pipeline.ask() is None
    assert ended == []
    over.clear()
    assert labels(pipeline) == ["second 0"]
    assert ended == ["first"]


def test_an_error_at_the_end_of_a_part_is_raised_by_ask() -> None:
    def fail() -> None:
        raise RuntimeError("nothing was completed")

    pipeline = Pipeline([Phase(lambda: Few("first", []), end=fail)])
    with pytest.raises(RuntimeError, match="nothing was completed"):
        pipeline.ask()


def test_what_is_attended_to_are_the_running_jobs() -> None:
    seen: list[list[str]] = []

    def attend(running: object) -> list[Job]:
        jobs = list(running)  # type: ignore[call-overload]  # a sequence of jobs
        seen.append([job.label for job in jobs])
        return jobs[:1]

    pipeline = Pipeline([Phase(lambda: Few("first", assignments(0, 1)))], attend=attend)
    first, _ = pipeline.ask(), pipeline.ask()
    assert first is not None
    assert [job.label for job in pipeline.attend()] == ["first 0"]
    finish(pipeline, dataclasses.replace(first, resumed=True))
    pipeline.attend()
    assert seen == [["first 0", "first 1"], ["first 1"]]


def test_a_part_that_overtakes_another_is_asked_first_once_that_one_has_begun() -> None:
    first, second = Few("first", assignments(0, 1)), Few("second", [])
    before = Phase(lambda: first)
    pipeline = Pipeline([before, Phase(lambda: second, overtakes=before)])
    job = pipeline.ask()
    assert job is not None
    assert job.label == "first 0"  # nothing has begun before
    second.ready.append(Job(label="second 0", number=0, assignment=make_assignment(seed=9), resources=Resources()))
    assert labels(pipeline) == ["second 0", "first 1"]


def test_a_job_is_told_to_start_once_the_executor_has_a_place_for_it() -> None:
    told: list[tuple[str, str]] = []
    first, second = Few("first", assignments(0)), Few("second", assignments(0))
    pipeline = Pipeline(
        [Phase(lambda: first), Phase(lambda: second)], observe=lambda event: told.append((event.kind, event.label))
    )
    job = pipeline.ask()
    assert job is not None
    assert pipeline.ask() is None
    assert told == []  # it may wait for a place on a cluster
    pipeline.started(job)
    assert told == [("started", "first 0")]


def test_a_job_that_is_put_back_by_its_executor_is_handed_out_again_as_one_that_goes_on() -> None:
    told: list[tuple[str, str]] = []
    few = Few("first", assignments(0))
    pipeline = Pipeline([Phase(lambda: few)], observe=lambda event: told.append((event.kind, event.label)))
    job = pipeline.ask()
    assert job is not None
    pipeline.put_back(job)
    again = pipeline.ask()
    assert again is not None
    assert (again.label, again.resumed) == ("first 0", True)
    pipeline.started(again)
    assert told == [("resumed", "first 0")]
