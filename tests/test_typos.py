"""What is suggested for a word that nobody knows, and what is not."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcasearch.typos import meant, question, slips_between

COMMANDS = (
    "run",
    "stop",
    "status",
    "check",
    "chaos",
    "cancel",
    "compare",
    "report",
    "retry",
    "train",
    "trials",
    "verify",
)
KINDS = ("bam", "cbam", "eca", "gc", "ge_theta", "ge_theta_minus", "ge_theta_plus", "se", "sge", "sk", "srm")
NETWORKS = ("mobilenet_v2", "mnasnet0_5", "mnasnet1_0", "resnet18", "resnet50", "resnet101")
KEYS = ("epochs", "resolution", "recipe", "promote", "pruner", "seeds", "train_fraction", "trials")


@pytest.mark.parametrize(
    ("word", "known", "suggested"),
    [
        ("chekc", COMMANDS, ["check"]),
        ("stauts", COMMANDS, ["status"]),
        ("verfy", COMMANDS, ["verify"]),
        ("runn", COMMANDS, ["run"]),
        ("trial", COMMANDS, ["trials"]),
        ("comp", COMMANDS, ["compare"]),
        ("CBAM", KINDS, ["cbam"]),
        ("ge", KINDS, ["ge_theta", "ge_theta_minus", "ge_theta_plus"]),
        ("ge-theta", KINDS, ["ge_theta"]),
        ("cbma", KINDS, ["cbam"]),
        ("ResNet-50", NETWORKS, ["resnet50"]),
        ("mobilenetv2", NETWORKS, ["mobilenet_v2"]),
        ("resnet05", NETWORKS, ["resnet50"]),
        ("epoch", KEYS, ["epochs"]),
        ("resolutoin", KEYS, ["resolution"]),
        ("prune", KEYS, ["pruner"]),
        ("trainfraction", KEYS, ["train_fraction"]),
        ("initial", ("init", "shape"), ["init"]),
    ],
)
def test_a_slip_is_answered_with_the_word_that_was_meant(
    word: str, known: tuple[str, ...], suggested: list[str]
) -> None:
    assert list(meant(word, known)) == suggested


@pytest.mark.parametrize(
    ("word", "known"),
    [
        ("go", COMMANDS),
        ("delete", COMMANDS),
        ("x", KINDS),
        ("gg", KINDS),
        ("transformer", KINDS),
        ("convolutions", ("detections", "channels")),
        ("lite", ("light", "small")),
        ("vgg16", NETWORKS),
        ("densenet121", NETWORKS),
        ("lr", KEYS),
        ("--root", ("--out", "--data", "--help")),
        ("", KINDS),
        ("e" * 1000, KEYS),
        ("s", COMMANDS),
    ],
)
def test_a_word_that_is_no_slip_is_answered_with_nothing(word: str, known: tuple[str, ...]) -> None:
    assert meant(word, known) == ()


def test_several_words_are_asked_for_in_one_question() -> None:
    assert question("ge", KINDS) == "did you mean 'ge_theta', 'ge_theta_minus' or 'ge_theta_plus'? "
    assert question("go", COMMANDS) == ""


@given(st.text("abc", max_size=5), st.text("abc", max_size=5))
def test_slips_are_as_few_as_any_way_from_word_to_word(one: str, other: str) -> None:
    """The distance of two, one and no slips is searched anew, by trying all of them."""
    counted = slips_between(one, other, 2)
    assert counted == slips_between(other, one, 2)
    if counted == 0:
        assert one == other
    if one == other:
        assert counted == 0
    elif other in slipped(one):
        assert counted == 1
    elif counted <= 2:
        assert counted == 2


def slipped(word: str) -> set[str]:
    """All words that are one slip away."""
    places = range(len(word) + 1)
    dropped = {word[:n] + word[n + 1 :] for n in places}
    added = {word[:n] + letter + word[n:] for n, letter in itertools.product(places, "abc")}
    wrong = {word[:n] + letter + word[n + 1 :] for n, letter in itertools.product(places[:-1], "abc")}
    exchanged = {word[:n] + word[n + 1] + word[n] + word[n + 2 :] for n in range(len(word) - 1)}
    return dropped | added | wrong | exchanged
