from __future__ import annotations

from collections.abc import Callable

import pytest

from dcasearch.errors import FailureKind, TrialFailure
from dcasearch.search.admission import Admission
from dcasearch.search.retrying import take_up_again
from dcasearch.store import Store
from dcasearch.trial import State, Trial
from tests.search.support import HALVING, Bench, proxy, train
from tests.support import DriverDied, make_evaluation


@pytest.mark.parametrize("failure", ["lost", "nan"])
def test_a_lost_trial_that_is_taken_up_again_keeps_its_rungs_and_one_that_starts_anew_does_not(
    bench: Callable[..., Bench], failure: FailureKind
) -> None:
    run = bench(fidelities=proxy(epochs=9, pruner={**HALVING, "startup": 1}), executor={"retries": 0})
    work = run.trials()
    job = work.ask()
    assert job is not None
    seen = train(work, job, 50.0, 7)
    for level in range(70, 74):  # four better ones
        other = work.ask()
        assert other is not None
        work.finish(other, make_evaluation(other, train(work, other, level, 9)))
    work.fail(job, TrialFailure(failure, "its worker has died"))
    take_up_again(run.study, Store.open(run.url), [failure])
    assert run.trials().ask() is not None
    work = run.trials()  # a further driver, which reads from the database what was passed
    again = work.ask()
    assert again is not None
    assert again.number != job.number
    assert [work.report(again, epoch) for epoch in seen[:1]] == [failure == "lost"]
    if failure == "lost":
        assert [work.report(again, epoch) for epoch in seen[1:]] == [True] * 6


def test_recovery_settles_each_of_several_waiting_duplicates_once(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    space = {"backbone": {"name": "resnet18", "stem": "small"}, "attention": {"name": "se", "reduction": [8, 16]}}
    for failure in (None, TrialFailure("lost", "its worker has died"), TrialFailure("nan", "the loss is nan")):
        run = bench(space=space, fidelities=proxy(trials=3), executor={"retries": 0})
        work = run.trials()
        job, _other = work.ask(), work.ask()
        assert job is not None
        assert work.ask() is None
        waiting = [t.number for t in run.ledger() if t.state is State.WAITING and t.duplicate_of == job.number]
        assert len(waiting) >= 2

        def die(admission: Admission, original: Trial) -> None:
            raise DriverDied

        record = make_evaluation(job, train(work, job, 50.0, 4))
        with monkeypatch.context() as patch:
            patch.setattr(Admission, "settle_waiting", die)
            with pytest.raises(DriverDied):
                work.finish(job, record) if failure is None else work.fail(job, failure)
        successor = run.trials()
        handed_out = list(iter(successor.ask, None))
        assert len({job.number for job in handed_out}) == len(handed_out)
        states = {t.number: t.state for t in run.ledger()}
        if failure is not None and failure.kind == "lost":
            assert states[waiting[0]] is State.RUNNING  # the first of them takes over, the others wait for it
            assert {states[number] for number in waiting[1:]} == {State.WAITING}
        else:
            assert {states[number] for number in waiting} == {State.DUPLICATE}
        run.trials()  # and a third driver finds nothing wrong
