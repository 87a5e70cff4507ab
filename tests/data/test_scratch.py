import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from upath import UPath

from dcasearch.config.data_set import Data
from dcasearch.data.scratch import alone, scratch_of
from dcasearch.errors import MachineError

DIGITS = Data(name="digits")


def test_a_node_keeps_what_it_needs_where_the_data_section_says(tmp_path: Path) -> None:
    assert scratch_of(Data(name="digits", scratch=str(tmp_path)), UPath("memory://store")) == tmp_path


def test_else_under_the_artifacts_where_they_are_a_folder(tmp_path: Path) -> None:
    assert scratch_of(DIGITS, tmp_path) == tmp_path


def test_else_in_a_temporary_folder_of_the_user() -> None:
    scratch = scratch_of(DIGITS, UPath("memory://store"))
    assert scratch.parent == Path(tempfile.gettempdir())
    assert scratch.name.startswith("dcasearch-")


def test_the_temporary_folder_is_the_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    scratch = scratch_of(DIGITS, UPath("memory://store"))
    assert stat.S_IMODE(scratch.stat().st_mode) == 0o700
    assert scratch_of(DIGITS, UPath("memory://store")) == scratch


def test_a_folder_of_its_name_that_a_stranger_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"dcasearch-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MachineError, match=r"data\.scratch"):
        scratch_of(DIGITS, UPath("memory://store"))


def test_one_works_at_a_time(tmp_path: Path) -> None:
    order: list[str] = []
    begun = threading.Event()

    def first() -> None:
        with alone(tmp_path / "set"):
            begun.set()
            time.sleep(0.2)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    assert begun.wait(10)
    with alone(tmp_path / "set"):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


HOLD = """
import sys, time
from pathlib import Path
from dcasearch.data.scratch import alone
with alone(Path(sys.argv[1])):
    print("holds", flush=True)
    time.sleep(60)
"""


def test_a_process_that_is_killed_gives_its_turn_back(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "set")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holds\n"
        process.kill()
    with alone(tmp_path / "set"):
        pass
