from __future__ import annotations

import pytest

from dcasearch.analysis.asked import asked_of, short
from tests.analysis.test_table import make as make_list
from tests.support import make_study


def test_a_study_is_asked_in_words_with_space_constraints_and_budget() -> None:
    fidelities = [
        {"name": "proxy", "trials": 12, "resolution": 16, "epochs": 4},
        {"name": "full", "promote": {"top": 2, "random": 1}, "resolution": 16, "epochs": 8, "seeds": [0, 1]},
    ]
    study = make_study(
        objectives={"top1": "maximize", "params": "minimize"},
        constraints={"params": {"max": "262k"}},
        fidelities=fidelities,
        final={"seeds": [1000]},
    )
    said = asked_of(study)
    assert said.startswith("How should the attention blocks of resnet18 be connected for high top-1 accuracy and few ")
    assert "attention SE, chosen once for the network; channel connections, chosen per stage; topology chain" in said
    assert "Allowed: at most 262k parameters." in said
    assert "12 trials (proxy: 4 epochs); then the best 2 and 1 drawn at random (full: 8 epochs)" in said
    assert said.endswith("then the chosen network and its baselines anew with 1 fresh seed on the test images.")


def test_a_list_is_asked_how_its_networks_compare() -> None:
    said = asked_of(make_list())
    assert said.startswith("How do the networks of a list compare in high top-1 accuracy on digits? The list has 4")
    assert "every network (table: 3 epochs, 3 seeds each)" in said


@pytest.mark.parametrize(
    ("number", "said"),
    [(12, "12"), (750_432, "750k"), (5_210_000, "5.21M"), (30_000_000, "30M"), (4_092_000_000, "4.09G"), (1000, "1k")],
)
def test_counts_are_short(number: float, said: str) -> None:
    assert short(number) == said
