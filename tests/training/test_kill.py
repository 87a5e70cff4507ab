"""A training process that is killed with SIGKILL at several moments, as a machine that loses its power would."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.training.support import curve, make_assignment, run

TRAIN = """
import json, sys
from upath import UPath
from tests.training.support import curve, make_assignment, run

def report(epoch):
    print(epoch.epoch, flush=True)
    return True

evaluation = run(make_assignment(epochs=6), UPath(sys.argv[1]), report)
print(json.dumps([curve(evaluation), evaluation.weights_sha256]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("delay", "protocol"), [(0.0, ""), (0.1, ""), (0.25, ""), (0.1, "file://")])
def test_a_killed_process_is_followed_by_one_that_ends_with_equal_values(
    tmp_path: Path, delay: float, protocol: str
) -> None:
    whole = run(make_assignment(epochs=6), tmp_path / "whole")
    command = [sys.executable, "-c", TRAIN, f"{protocol}{tmp_path / 'killed'}"]
    for epoch in ("1", "3", "5"):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.strip() == epoch:
                    time.sleep(delay)
                    process.kill()
                    break
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    *reported, last = done.stdout.splitlines()
    assert reported == ["1", "2", "3", "4", "5", "6"]
    values, digest = json.loads(last)
    assert [tuple(epoch) for epoch in values] == curve(whole)
    assert digest == whole.weights_sha256
