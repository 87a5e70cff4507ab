from __future__ import annotations

from pathlib import Path

import torch

from dcasearch.paper.released.table import RELEASED
from tests.cli.conftest import Command
from tests.paper.released.support import filled, truths


def test_the_list_names_every_network_that_can_be_imported(dcasearch: Command) -> None:
    done = dcasearch("paper", "import", "--list")
    assert done.code == 0, done.err
    for model in RELEASED:
        assert f"{model.row} " in done.out
    assert "37 networks; the keys of 33 were compared with the released code" in done.out
    assert "also t2_se, t3_se50, t4_se" in done.out


def test_an_import_says_what_it_mapped_and_dropped_and_what_to_do_next(dcasearch: Command, tmp_path: Path) -> None:
    torch.save(filled(truths()["dca_getheta_mobilenet_v2"].keys), "x.pth")
    done = dcasearch("paper", "import", "x.pth", "--row", "released_dca_getheta_mobilenet_v2", "--out", "a/x.yaml")
    assert done.code == 0, done.err
    assert "x.pth is dca_getheta_mobilenet_v2: 402 tensors mapped" in done.out
    assert "8 tensors dropped: the connection of the first block" in done.out
    assert "numbers were rounded from fp64 to fp32" in done.out
    assert "`dcasearch evaluate a/x.yaml --data FOLDER` measures them" in done.out
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["x.safetensors", "x.yaml"]


def test_a_checkpoint_without_a_row_is_told_where_the_ids_are(dcasearch: Command) -> None:
    done = dcasearch("paper", "import", "x.pth")
    assert done.code == 2
    assert "`dcasearch paper import --list` shows the ids" in done.err
