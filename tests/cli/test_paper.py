"""`dcasearch paper`: what is printed, at which width, from which database."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from dcasearch.cli.paper import print_detection, print_table
from dcasearch.paper import detection_table, paper_tables, row_of
from dcasearch.paper.accuracy import Reached
from dcasearch.paper.counts import Counts
from dcasearch.paper.rows import PRECISIONS
from dcasearch.paper.tables import FilledTable, fill, fill_detection
from dcasearch.store import Store
from tests.cli.conftest import Command
from tests.cli.test_start_up import imported_by
from tests.paper.samples import put_study, train

LONG = Reached(values={"top1": (77.123,), "top5": (93.456,)}, how="Trained here: so.")


def filled(number: int) -> FilledTable:
    """Return a table whose counts cost nothing; its second row is trained here."""
    table = paper_tables()[number - 1]
    counts = Counts(params=69_680_491, unused=17_667, macs=11_523_053_000, operations=11_603_361_000)
    return fill(table, {table.rows[1].architecture.id: [LONG]}, lambda architecture: counts)


@pytest.mark.parametrize("width", [120, 80])
@pytest.mark.parametrize("number", range(1, 7))
def test_a_table_fits_the_terminal_and_breaks_no_number(number: int, width: int) -> None:
    console = Console(width=width, highlight=False, markup=False, soft_wrap=True)
    table = filled(number)
    with console.capture() as capture:
        print_table(console, table)
    shown = capture.get()
    assert max(map(len, (line.rstrip() for line in shown.splitlines()))) <= width
    assert shown.count("69,680,491") == len(table.lines)
    for line in table.lines:
        assert f"{line.row.printed.params:.2f}" in shown
        assert f"{line.row.printed.top5:.2f}" in shown
        assert all(part in shown for part in line.row.name.rpartition("-")[2].split())
    assert shown.count("not trained") == len(table.lines) - sum(bool(line.reached) for line in table.lines)
    assert "77.12" in shown
    assert f"\n{len(table.notes)}. " in shown


@pytest.mark.parametrize("width", [120, 80])
def test_table_7_fits_the_terminal_and_has_ours_below_the_printed_values(width: int) -> None:
    console = Console(width=width, highlight=False, markup=False, soft_wrap=True)
    table = detection_table()
    ours = Reached(values=dict.fromkeys(PRECISIONS, (41.0, 41.4)), how="Trained here: so.")
    last = table.rows[-1]
    filled = fill_detection(table, {(last.detector, last.architecture.id): [ours]})
    with console.capture() as capture:
        print_detection(console, filled)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    assert max(map(len, lines)) <= width
    cells = [line.split() for line in lines]
    for row in table.rows:
        assert [row.name, "paper", *(f"{row.printed[metric]:.1f}" for metric in PRECISIONS)] in [
            line[:8] for line in cells
        ]
    assert cells.count(["not", "trained", "here"]) == 5
    printed = next(n for n, line in enumerate(cells) if line[:1] == [last.name])
    assert cells[printed + 1] == ["ours", *["41.2"] * 6]
    assert [line for line in lines if line in ("RetinaNet", "Cascade R-CNN")] == ["RetinaNet", "Cascade R-CNN"]
    assert f"{len(filled.notes)}. Trained here: so." in lines


def test_table_7_is_printed_without_a_database(dcasearch: Command, tmp_path: Path) -> None:
    done = dcasearch("paper", "tables", "--table", 7, "--csv", tmp_path / "t7.csv")
    assert done.code == 0
    assert done.out.count("not trained here") == 6
    assert "DCA-GC-ResNet50" in done.out
    assert len((tmp_path / "t7.csv").read_text().splitlines()) == 7
    assert "Table 1." not in done.out


def test_a_table_shows_ours_beside_the_printed_figures(dcasearch: Command) -> None:
    done = dcasearch("paper", "tables", "--table", 2)
    assert done.code == 0
    assert "no database: accuracies of ours are unknown" in done.out
    lines = {line.split()[0]: line.split() for line in done.out.splitlines() if line.startswith(("SE", "softmax"))}
    assert lines["SE"][1:5] == ["28.09", "28,088,024", "4.130", "4.130"]
    assert lines["softmax"][1:7] == ["30.90", "30,840,551≠", "16,385", "4.133", "4.133", "77.49"]
    assert "Form unknown" in done.out


@pytest.mark.slow
def test_accuracies_are_those_of_the_database_and_a_csv_has_all_of_it(dcasearch: Command, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/paper.db"
    with Store.open(url, create=True) as store:
        put_study(store)
        train(store, row_of("t2_se").architecture, [77.0, 77.5])
    done = dcasearch("paper", "tables", "--table", 2, "--storage", url, "--csv", tmp_path / "t2.csv")
    assert done.code == 0
    assert "77.25 / 88.62" in done.out
    assert "mean of seeds 0, 1" in done.out
    assert len((tmp_path / "t2.csv").read_text().splitlines()) == 5


def test_figure_1_is_drawn_from_any_studies(dcasearch: Command, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/paper.db"
    with Store.open(url, create=True) as store:
        put_study(store)
        train(store, row_of("t2_se").architecture, [77.0, 77.5])
    done = dcasearch("paper", "figure1", "--storage", url, "--out", tmp_path / "figure.svg")
    assert (done.code, (tmp_path / "figure.svg").exists()) == (0, True)
    assert "1 networks, paper: full" in done.out


def test_a_figure_without_anything_to_draw_says_so(dcasearch: Command, tmp_path: Path) -> None:
    done = dcasearch("paper", "figure1", "--out", tmp_path / "figure.svg")
    assert done.code == 2
    assert "There is nothing to draw" in done.err
    assert dcasearch("paper", "figure1", "--printed", "--study", "s", "--out", "f.svg").code == 2


def test_the_help_of_the_paper_imports_nothing_heavy() -> None:
    assert imported_by("paper", "--help") == set()
