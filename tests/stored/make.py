"""Makes `unfinished.tar.gz`: what the version before issue 4 left of a study that was killed. Not run by the tests.

    git checkout 6b087a8
    python -m tests.stored.make tests/stored/unfinished.tar.gz

It must be made with an old version: a newer one writes other checkpoints, and then shows nothing. The archive holds

- `study.yaml`, `study.db` and `artifacts/`: a study whose third trial was killed (`kill -9`) after an epoch of it,
- `mid_epoch.pt`: the checkpoint of the same trial after a SIGTERM within a later epoch, and `first_format.pt`: that
  between two epochs in format 1, which older versions wrote,
- `spec.yaml` and `spec.safetensors`: the export of the best of the complete trials,
- `expected.json`: the keys and ids, the logits of the exported network, and the epochs of each checkpoint.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import torch

from dcasearch.export import load_model
from dcasearch.store import Store
from dcasearch.training.checkpoint import parse_checkpoint

STUDY = """\
name: stored
space:
  backbone: {name: resnet18, width: 0.05, stem: small}
  attention: {name: [se, cbam], reduction: 4}
  connections:
    granularity: stage
    dimensions: {channel: [true, false]}
    topology: [chain, dense]
    function: [direct, weighted]
data: {name: digits}
objectives: {top1: maximize}
sampler: {name: random, seed: 0}
fidelities:
  - name: proxy
    trials: 3
    resolution: 8
    train_fraction: 0.5
    epochs: 3
    recipe: {base: small, batch_size: 8, lr: 0.02}
baselines: false
executor: {name: local, max_concurrent: 1}
storage: sqlite:///study.db
artifacts: artifacts
"""


def _run_until(folder: Path, said: str, sent: signal.Signals) -> None:
    """Run the study until its log says something; then send a signal, SIGKILL to its workers too."""
    log = folder.parent / f"{folder.name}.log"
    with log.open("w") as out:
        run = subprocess.Popen(
            [sys.executable, "-m", "dcasearch", "run", "study.yaml"],
            cwd=folder, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        while said not in log.read_text():
            if run.poll() is not None:
                raise RuntimeError(log.read_text())
            time.sleep(0.01)
        time.sleep(0.2)
        os.killpg(run.pid, sent) if sent is signal.SIGKILL else run.send_signal(sent)
        run.wait()


def _make(folder: Path) -> None:
    (folder / "study.yaml").write_text(STUDY)
    _run_until(folder, "trial 2 epoch 1/3", signal.SIGKILL)
    (checkpoint,) = (folder / "artifacts" / "checkpoints").glob("*.pt")
    again = folder.with_name("again")
    shutil.copytree(folder, again)
    _run_until(again, "trial 2 epoch 2/3", signal.SIGTERM)
    shutil.copy(again / "artifacts" / "checkpoints" / checkpoint.name, folder / "mid_epoch.pt")
    content = torch.load(checkpoint, weights_only=True)
    del content["middle"]
    for epoch in content["history"]:
        del epoch["device"]
    torch.save({**content, "format": 1}, folder / "first_format.pt")
    command = [sys.executable, "-m", "dcasearch", "export", "stored", "--storage", "sqlite:///study.db"]
    subprocess.run([*command, "--out", "spec.yaml"], cwd=folder, check=True)
    (folder / "expected.json").write_text(json.dumps(_expected(folder, checkpoint), indent=1))
    for name in ("study.db-wal", "study.db-shm"):
        (folder / name).unlink(missing_ok=True)


def _expected(folder: Path, checkpoint: Path) -> dict[str, object]:
    with Store.open(f"sqlite:///{folder}/study.db") as store:
        trials = store.trials("stored", "proxy")
        records = store.evaluations([t.evaluation for t in trials if t.evaluation is not None])
    files = {"between": checkpoint, "mid_epoch": folder / "mid_epoch.pt", "first_format": folder / "first_format.pt"}
    read = {name: parse_checkpoint(path.read_bytes(), torch.device("cpu")) for name, path in files.items()}
    assert read["mid_epoch"].middle is not None
    assert trials[2].state == "running"
    model = load_model(folder / "spec.yaml")
    torch.manual_seed(0)
    with torch.no_grad():
        logits = model.eval()(torch.rand(2, 3, 8, 8)).tolist()
    return {
        "trials": [[t.number, t.state, t.architecture_id, t.evaluation] for t in trials],
        "histories": {id: [e.loss for e in record.history] for id, record in records.items()},
        "running": checkpoint.stem,
        "checkpoints": {name: [e.seconds for e in c.history] for name, c in read.items()},
        "batches": read["mid_epoch"].middle.batches,
        "logits": logits,
    }


def main(out: Path) -> None:
    """Write the archive."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "study"
        folder.mkdir()
        _make(folder)
        with tarfile.open(out, "w:gz") as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file() and not path.name.endswith((".lock", ".log")):
                    archive.add(path, str(path.relative_to(folder)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
