from __future__ import annotations

import pytest

from dcasearch.errors import UserError
from dcasearch.paper import paper_tables
from dcasearch.paper.released.table import RELEASED, released_of, twin_of
from dcasearch.paper.released.unreleased import ROWS, VARIANTS
from tests.paper.released.support import released, truths

PAPER = {row.id: row for table in paper_tables() for row in table.rows}


def test_every_row_that_released_code_builds_can_be_imported_and_no_other() -> None:
    importable = {row for model in RELEASED for row in model.rows if not row.startswith("released_")}
    assert importable == {id for id, row in PAPER.items() if row.evidence == "released"}


def test_every_other_row_says_why_no_checkpoint_can_be_it() -> None:
    assert set(ROWS) == {id for id, row in PAPER.items() if row.evidence != "released"}
    assert all(ROWS.values())


def test_rows_that_are_one_released_model_are_one_network() -> None:
    for model in RELEASED:
        for row in model.rows:
            if row in PAPER:
                assert PAPER[row].architecture.id == model.architecture.id, row


def test_all_33_released_models_are_there_and_what_was_never_compared_says_so() -> None:
    assert {model.factory for model in RELEASED if not model.by_rule} == set(truths())
    assert [model.row for model in RELEASED if model.by_rule] == [
        "t3_resnet101",
        "t3_se101",
        "t3_resnet152",
        "t3_se152",
    ]


def test_no_two_models_share_an_id() -> None:
    rows = [row for model in RELEASED for row in model.rows]
    assert len(rows) == len(set(rows))
    assert sum(row.startswith("released_") for row in rows) == 15
    assert len({model.architecture.id for model in RELEASED}) == len(RELEASED)


def test_no_known_variant_is_a_released_model() -> None:
    released = {model.architecture.id for model in RELEASED}
    assert not released & {variant.architecture.id for variant in VARIANTS}


def test_a_row_that_no_released_code_builds_says_so_and_lists_the_importable_ones() -> None:
    with pytest.raises(
        UserError, match=r"no released code builds row 't4_2fc_r16'.* has two\. Importable: t1_resnet50, .*t1_cbam_mbv2"
    ):
        released_of("t4_2fc_r16")


def test_an_unknown_row_is_told_the_nearest() -> None:
    with pytest.raises(UserError, match=r"'t1_dca_se_resnet5' is not a row; did you mean 't1_dca_se_resnet50'\?"):
        released_of("t1_dca_se_resnet5")


def test_models_whose_files_have_equal_keys_know_each_other_and_no_others_have() -> None:
    shapes = {
        factory: sorted((key, tuple(entry[0])) for key, entry in truth.keys.items())
        for factory, truth in truths().items()
    }
    twins = {(one, other) for one in shapes for other in shapes if one != other and shapes[one] == shapes[other]}
    assert twins == {(one, twin.factory) for one in shapes if (twin := twin_of(released(one)))}
    assert ("old_resnet50", "getheta_resnet50") in twins
    assert len(twins) == 6
