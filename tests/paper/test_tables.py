"""The paper's tables with ours beside them: footnotes, differences, CSV."""

from __future__ import annotations

import csv
from pathlib import Path

from dcasearch.architecture import Architecture
from dcasearch.paper import detection_table, paper_tables, row_of
from dcasearch.paper.accuracy import Reached
from dcasearch.paper.counts import Counts
from dcasearch.paper.rows import PRECISIONS
from dcasearch.paper.tables import fill, fill_detection, write_csv

T2, T4 = paper_tables()[1], paper_tables()[3]


def counts(architecture: Architecture) -> Counts:
    """Stand in for a count: as printed of the vanilla network, and of no other."""
    return Counts(params=28_088_024, unused=17, macs=4_091_699_000, operations=4_129_959_000)


def test_footnotes_are_numbered_as_they_appear_and_two_rows_may_share_one() -> None:
    table = fill(T2, {}, counts)
    assert [line.notes for line in table.lines] == [(), (1,), (2,), (2,)]
    assert table.notes[0].startswith("The released code fuses by a learned sum")
    assert table.notes[1].startswith("Form unknown")


def test_a_reconstruction_says_that_its_figures_were_fitted() -> None:
    table = fill(T4, {}, counts)
    assert "No released code builds this row." in table.notes[table.lines[2].notes[0] - 1]
    assert table.lines[1].notes == ()


def test_what_does_not_round_to_the_printed_figure_is_known() -> None:
    table = fill(T2, {}, counts)
    assert [line.same_params for line in table.lines] == [True, False, False, False]
    assert [line.same_gflops for line in table.lines] == [True, False, False, False]


def test_an_accuracy_stands_in_every_row_of_its_network_with_a_footnote() -> None:
    architecture = row_of("t2_direct").architecture
    one = Reached(values={"top1": (77.0, 78.0), "top5": (93.0, 94.0)}, how="Trained here: so.")
    for table, row in ((T2, 1), (T4, 1)):
        filled = fill(table, {architecture.id: [one]}, counts)
        assert filled.lines[row].reached == (one,)
        assert filled.notes[filled.lines[row].notes[-1] - 1] == "Trained here: so."
        assert filled.lines[0].reached == ()


def test_a_csv_has_a_line_a_row_with_exact_counts_and_mean_accuracies(tmp_path: Path) -> None:
    architecture = row_of("t2_direct").architecture
    one = Reached(values={"top1": (77.0, 78.0), "top5": (93.0, 94.0)}, how="Trained here: so.")
    path = tmp_path / "tables.csv"
    write_csv([fill(T2, {architecture.id: [one]}, counts)], path)
    with path.open(newline="") as file:
        vanilla, direct, *_ = csv.DictReader(file)
    assert (vanilla["row"], vanilla["top1"], vanilla["trainings"]) == ("t2_se", "", "0")
    assert (direct["params"], direct["unused_params"], direct["gflops"]) == ("28088024", "17", "4.129959")
    assert (direct["paper_params_millions"], direct["paper_gflops"]) == ("30.90", "4.133")
    assert (direct["top1"], direct["top5"], direct["trainings"]) == ("77.5", "93.5", "2")
    assert direct["notes"].endswith("Trained here: so.")


def detector(*aps: float) -> Reached:
    """Return trainings of a detector; AP50 is 20 points above AP, and there are no small objects."""
    values = {metric: aps for metric in PRECISIONS if metric != "ap_small"}
    return Reached(values=values | {"ap50": tuple(ap + 20 for ap in aps)}, how="Trained here: so.")


def test_a_detector_of_ours_stands_beside_that_detector_alone() -> None:
    plain = row_of("t1_resnet50").architecture
    ours = detector(36.0, 37.0)
    filled = fill_detection(detection_table(), {("cascade_rcnn", plain.id): [ours]})
    assert [line.reached for line in filled.lines] == [(), (), (), (ours,), (), ()]
    assert filled.notes[filled.lines[3].notes[0] - 1] == "Trained here: so."
    assert [line.notes for line in filled.lines[:3]] == [(), (), (1,)]


def test_a_csv_of_detectors_has_their_precisions_and_no_columns_of_the_other_tables(tmp_path: Path) -> None:
    plain = row_of("t1_resnet50").architecture
    path = tmp_path / "t7.csv"
    write_csv([fill_detection(detection_table(), {("retinanet", plain.id): [detector(36.0, 37.0)]})], path)
    with path.open(newline="") as file:
        first, *others = csv.DictReader(file)
    assert (first["row"], first["detector"], first["trainings"]) == ("t7_retinanet_resnet50", "retinanet", "2")
    assert (first["paper_ap"], first["ap"], first["paper_ap50"], first["ap50"]) == ("36.2", "36.5", "55.9", "56.5")
    assert (first["paper_ap_small"], first["ap_small"]) == ("19.4", "")
    assert [(line["ap"], line["trainings"]) for line in others] == [("", "0")] * 5
    assert "params" not in first
    assert "18 and 22" in first["notes"]
    assert first["notes"].endswith("Trained here: so.")


def test_a_csv_of_all_tables_leaves_empty_what_a_table_does_not_have(tmp_path: Path) -> None:
    path = tmp_path / "tables.csv"
    write_csv([fill(T2, {}, counts), fill_detection(detection_table(), {})], path)
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["paper_ap"] != "" for line in lines] == [False] * 4 + [True] * 6
    assert [line["paper_top1"] != "" for line in lines] == [True] * 4 + [False] * 6
