"""Does an exported model still do what its spec says? Rebuilt in a new process, from the two files alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch

from dcasearch.architecture import Architecture
from dcasearch.data import describe
from dcasearch.errors import ArchitectureError, DataError, DcasearchError, UserError
from dcasearch.export.checks import Check, digest, equal, logits, sizes
from dcasearch.export.model_files import build_network, load_weights, weights_of
from dcasearch.export.spec import Spec, load_spec
from dcasearch.processes import child_environment
from dcasearch.training import evaluate_weights, sha256_of

POINTS = 0.1
"""Points that a re-measured accuracy may differ by (one image where that is more): rounding in another
order, or in another precision, flips images that lie on a border."""
RELATIVE = 0.01
"""Share by which another re-measured metric may differ, for the same reason."""


def verify(path: str | Path, *, data_root: str | None = None) -> list[Check]:
    """Rebuild an exported model in a new process and hold it against its spec; nothing there knows this process.

    Args:
        path: The spec.
        data_root: Folder of the data, for the accuracy. Data sets that need none are always read.

    Raises:
        UserError: the spec, its weights or its data are missing, or the spec is broken.
    """
    load_spec(path)
    command = [sys.executable, "-m", "dcasearch.export", str(path), *([] if data_root is None else [data_root])]
    done = subprocess.run(command, capture_output=True, text=True, env=child_environment(), check=False)
    if done.returncode == UserError.exit_code:
        raise UserError(done.stderr.strip())
    if done.returncode != 0:
        raise DcasearchError(f"the process that rebuilds {path} ended with {done.returncode}:\n{done.stderr}")
    return [Check(**entry) for entry in json.loads(done.stdout)]


def to_json(checks: list[Check]) -> str:
    """Return checks as `verify` reads them from its process."""
    return json.dumps([asdict(check) for check in checks])


def check_here(path: str | Path, data_root: str | None = None) -> list[Check]:
    """Do what `verify` does, in this process."""
    spec = load_spec(path)
    try:
        architecture = spec.build()
    except ArchitectureError as error:
        return [Check("id", spec.id, str(error), False)]
    weights = weights_of(spec, path)
    checks = [
        equal("id", spec.id, architecture.id),
        digest(spec.weights.sha256, sha256_of(weights)),
        *sizes(spec, architecture),
    ]
    try:
        model = load_weights(build_network(spec), weights)
    except UserError as error:
        return [*checks, Check("weights fit the network", "every tensor", str(error), False)]
    return [*checks, logits(spec, model), *_accuracy(spec, architecture, weights, data_root)]


def _accuracy(spec: Spec, architecture: Architecture, weights: Path, data_root: str | None) -> Iterator[Check]:
    """Measure the accuracy anew, on the same images, if they are here."""
    measured = spec.measured
    if measured is None or spec.data is None:
        yield Check("accuracy", "not said", "the weights were imported: `dcasearch evaluate` measures them", None)
        return
    data = spec.data.at(data_root)
    metric = measured.headline
    split = "" if measured.split_seed is None else f", split_seed {measured.split_seed}"
    name = f"{metric.label} on {data.name} ({measured.protocol}{split})"
    try:
        found = describe(data)
    except DataError as error:
        if data_root is not None:
            raise
        yield Check(name, f"{measured.value:{metric.digits}}", f"not measured, give `--data FOLDER`: {error}", None)
        return
    yield equal("data", spec.data.fingerprint, found.fingerprint)
    if found.fingerprint != spec.data.fingerprint:
        return
    device = "cuda" if torch.cuda.is_available() else "cpu"
    values = evaluate_weights(
        architecture,
        weights,
        data,
        measured.protocol,
        resolution=spec.resolution,
        device=device,
        task=spec.task,
        detector=spec.detector,
    )
    got = values[metric.name]
    images = found.test_images if measured.protocol == "test" else found.validation_images
    allowed = max(POINTS, 100 / images) if metric.share else max(RELATIVE * abs(measured.value), RELATIVE)
    digits = metric.digits
    yield Check(
        name,
        f"{measured.value:{digits}} ± {allowed:{digits}}",
        f"{got:{digits}}",
        abs(got - measured.value) <= allowed + 1e-6,
    )
