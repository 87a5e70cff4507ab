"""The rows of the paper's tables: all of them, each with what is printed and what builds it."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from dcasearch.errors import UserError
from dcasearch.models import cost
from dcasearch.paper import detection_table, paper_tables, row_of
from dcasearch.paper.rows import PRECISIONS
from tests.models.test_paper import PRINTED_AGAIN, WITHOUT_CODE
from tests.models.test_paper import ROWS as ARCHITECTURES

ROWS = [row for table in paper_tables() for row in table.rows]


def test_tables_1_to_6_have_52_rows_whose_ids_say_the_table() -> None:
    assert [len(table.rows) for table in paper_tables()] == [27, 4, 9, 5, 3, 4]
    assert len({row.id for row in ROWS}) == 52
    assert all(row.id.startswith(f"t{row.table}_") for row in ROWS)


def test_a_row_builds_what_the_models_tests_count() -> None:
    written = {row["row"]: row["architecture"] for row in ARCHITECTURES}
    again = {name: row for row, names in PRINTED_AGAIN.items() for name in names}
    for row in ROWS:
        if row.id not in WITHOUT_CODE:
            assert row.written == written[again.get(row.id, row.id)], row.id


def test_a_network_that_is_printed_twice_has_the_same_figures_both_times() -> None:
    for row, names in PRINTED_AGAIN.items():
        for name in names:
            assert row_of(name).printed == row_of(row).printed


def test_the_evidence_of_19_rows_is_a_reconstruction_or_a_count() -> None:
    assert Counter(row.evidence for row in ROWS) == {"released": 31, "reconstruction": 19, "count": 2}


@pytest.mark.parametrize(
    ("id", "words"),
    [
        ("t4_2fc_r8", "Confounded: r also sets the SE block"),
        ("t4_2fc_r4", "Confounded: r also sets the SE block"),
        ("t1_dca_se_mnas", "Confounded"),
        ("t1_dca_cbam_mnas", "Confounded"),
        ("t1_dca_gc_resnet50", "two layers"),
        ("t3_resnet152", "copied it from AANet"),
        ("t2_softmax", "Form unknown"),
        ("t2_weighted", "Form unknown"),
        ("t1_dca_ge_mnas", "cannot be reconstructed"),
        ("t1_ge_mbv2", "cannot be reconstructed"),
        ("t1_dca_ge_mbv2", "cannot be reconstructed"),
    ],
)
def test_a_row_that_is_confounded_or_unknown_says_so(id: str, words: str) -> None:
    assert words in " ".join(row_of(id).notes)


def test_an_unknown_row_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 't1_se_mnas'"):
        row_of("t1_se_mnass")


def _params(id: str, **changes: object) -> int:
    """Count a row's network with other parts."""
    row = row_of(id)
    return cost(type(row.architecture).parse({**row.written, **changes}), 224, 1000).params


@pytest.mark.slow
def test_the_counts_that_the_notes_name_are_those_of_the_networks_at_equal_reduction() -> None:
    r16 = {"fc2": {"reduction": 16, "norm_act": True, "min_hidden": 1}}
    learned = row_of("t1_dca_se_mnas").written["connections"]
    unused = 16 + 1 + 2 + 24 + 24 + 48 + 3 + 48  # the first block, with 24 // 16 = 1 hidden feature
    same = _params("t1_dca_se_mnas", attention={"name": "se"}, connections={**learned, "channel_matching": r16})
    assert f"{(same + unused) / 1e6:.3f}M" in " ".join(row_of("t1_dca_se_mnas").notes)
    note = " ".join(row_of("t1_dca_cbam_mnas").notes)
    connected = _params("t1_dca_cbam_mnas", attention={"name": "cbam", "reduction": 16}) + 488
    vanilla = _params("t1_cbam_mnas", attention={"name": "cbam", "reduction": 8})
    assert f"{connected / 1e6:.3f}M (connected, r=16)" in note
    assert f"{vanilla / 1e6:.3f}M (vanilla, r=8)" in note
    note = " ".join(row_of("t4_2fc_r8").notes)
    for r, unused in ((8, 11619), (4, 21955)):
        assert f"{(_params(f't4_2fc_r{r}', attention={'name': 'se'}) + unused) / 1e6:.2f}M (r={r})" in note


SEVENTH = detection_table()


def test_table_7_has_two_detectors_with_three_backbones_of_table_1_each() -> None:
    backbones = {(row.detector, row.name): row.architecture.id for row in SEVENTH.rows}
    of_table_1 = {
        ("retinanet", "ResNet50"): "t1_resnet50",
        ("retinanet", "SE-ResNet50"): "t1_se_resnet50",
        ("retinanet", "DCA-SE-ResNet50"): "t1_dca_se_resnet50",
        ("cascade_rcnn", "ResNet50"): "t1_resnet50",
        ("cascade_rcnn", "GC-ResNet50"): "t1_gc_resnet50",
        ("cascade_rcnn", "DCA-GC-ResNet50"): "t1_dca_gc_resnet50",
    }
    assert backbones == {key: row_of(id).architecture.id for key, id in of_table_1.items()}
    assert len({row.id for row in SEVENTH.rows}) == 6
    assert all(row.table == SEVENTH.number == 7 and row.id.startswith("t7_") for row in SEVENTH.rows)


def test_every_detector_has_six_precisions_that_are_ordered_as_precisions_are() -> None:
    for row in SEVENTH.rows:
        assert tuple(row.printed) == PRECISIONS
        assert row.printed["ap"] < row.printed["ap75"] < row.printed["ap50"]
        assert row.printed["ap_small"] < row.printed["ap_medium"] < row.printed["ap_large"]


def test_a_connected_detector_is_printed_above_the_vanilla_one_and_that_above_the_plain_one() -> None:
    gains = [
        [round(row.printed["ap"] - before.printed["ap"], 1) for before, row in pairwise(rows)]
        for rows in (SEVENTH.rows[:3], SEVENTH.rows[3:])
    ]
    assert gains == [[1.2, 0.3], [0.5, 0.3]]


def test_table_7_says_where_text_and_released_code_differ() -> None:
    remarks = " ".join(SEVENTH.remarks)
    assert "18 and 22 in the text" in remarks
    assert "16 and 22 in all six released configurations" in remarks
    assert "resumed" in remarks
    assert "30.90M" in " ".join(SEVENTH.rows[2].notes)
    assert "two layers" in " ".join(SEVENTH.rows[5].notes)
