"""What a study's numbers were made with, and of what: versions, commits, devices, data, database, times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dcasearch.analysis.networks import Records
from dcasearch.analysis.standing import Standing
from dcasearch.evaluation import Evaluation
from dcasearch.report.cells import Cells
from dcasearch.store import Store

_SHOWN = ("dcasearch", "commit", "torch", "torchvision", "python")
"""Of an evaluation's provenance, in this order; the rest says how one trial was run."""


def provenance(store: Store, standing: Standing, records: Records) -> Cells:
    """Return a row for each thing that a reader needs to know to trust or to repeat the numbers."""
    study = standing.study
    record = store.get_study(study.name)
    meaning: Mapping[str, object] = {} if record is None else record.meaning
    rows = [("database", store.url), ("data", _data(study.data.name, meaning))]
    rows += [(name, _among(records.evaluations.values(), name)) for name in _SHOWN]
    rows.append(("device", ", ".join(sorted({e.device for e in records.evaluations.values()})) or "nothing trained"))
    if record is not None:
        rows.append(("begun", f"{record.created.astimezone():%Y-%m-%d %H:%M}"))
        rows.append(("last change", f"{store.last_activity(study.name).astimezone():%Y-%m-%d %H:%M}"))
    rows.append(("sampler", f"{study.sampler.name}, seed {study.sampler.seed}"))
    return Cells(("", ""), tuple(row for row in rows if row[1]), (0, 1), long=(1,))


def _data(name: str, meaning: Mapping[str, object]) -> str:
    counted = {
        "data.classes": "classes",
        "data.validation_images": "held-out images",
        "data.test_images": "test images",
    }
    said = [f"{meaning[key]:,} {noun}" for key, noun in counted.items() if isinstance(meaning.get(key), int)]
    mark = f"fingerprint {meaning['data']}" if "data" in meaning else ""
    return ", ".join([name, *said, *([mark] if mark else [])])


def _among(evaluations: Iterable[Evaluation], name: str) -> str:
    """Return the values of one entry, the most frequent first."""
    counts: dict[str, int] = {}
    for evaluation in evaluations:
        if name in evaluation.provenance:
            counts[evaluation.provenance[name]] = counts.get(evaluation.provenance[name], 0) + 1
    return ", ".join(sorted(counts, key=lambda value: (-counts[value], value)))
