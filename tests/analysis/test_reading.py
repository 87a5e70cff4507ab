"""A study goes on reading its image files as it began."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import update

from dcasearch import study as study_room
from dcasearch.analysis.data import as_begun
from dcasearch.config.study import Study
from dcasearch.data import describe
from dcasearch.errors import StudyChanged
from dcasearch.space import load_study
from dcasearch.store import Store
from dcasearch.store.tables import StudyRow
from tests.data.support import write_folder, write_image
from tests.support import Simulated

YAML = """
name: photos
space:
  backbone: {name: resnet18, width: 0.25, stem: small}
  attention: {name: se}
  connections: {function: [direct, softmax]}
data: {name: imagefolder, root: ROOT, validation_fraction: 0.3MORE}
fidelities: [{name: proxy, trials: 1, resolution: 16, epochs: 1}]
artifacts: ARTIFACTS
"""


def study_file(folder: Path, more: str = "") -> Path:
    path = folder / "study.yaml"
    text = YAML.replace("ROOT", str(folder / "data")).replace("ARTIFACTS", str(folder)).replace("MORE", more)
    path.write_text(text)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_folder(tmp_path / "data")
    write_image(tmp_path / "data" / "train" / "cat" / "below" / "99.jpg", seed=99)
    return tmp_path


def stored(store: Store) -> Study:
    record = store.get_study("photos")
    assert record is not None
    return Study.model_validate_json(record.resolved)


def test_a_new_study_reads_as_the_newest_version_does_and_says_so(folder: Path) -> None:
    loaded = load_study(study_file(folder))
    assert loaded.study.data.reading == 2
    with Store.open(f"sqlite:///{folder}/study.db", create=True) as store:
        study_room.run(loaded, store, Simulated())
        assert stored(store).data.reading == 2
    assert describe(loaded.study.data).train_images == 13  # of 19, the one below its class among them


def test_a_study_of_before_versions_goes_on_with_its_reading_and_its_keys(folder: Path) -> None:
    with Store.open(f"sqlite:///{folder}/study.db", create=True) as store:
        study_room.run(load_study(study_file(folder, ", reading: 1")), store, Simulated())
        before = [trial.evaluation for trial in store.trials("photos")]
        record = store.get_study("photos")
        assert record is not None
        resolved = json.loads(record.resolved)
        for name in ("reading", "split", "file", "columns"):
            del resolved["data"][name]
        with store.writing() as session:
            session.execute(update(StudyRow).values(resolved=json.dumps(resolved)))
        loaded = load_study(study_file(folder))
        assert as_begun(loaded, store).study.data.reading == 1
        study_room.run(loaded, store, Simulated())
        assert [trial.evaluation for trial in store.trials("photos")] == before
        assert describe(as_begun(loaded, store).study.data).train_images == 13


def test_a_yaml_that_names_another_reading_means_another_study(folder: Path) -> None:
    with Store.open(f"sqlite:///{folder}/study.db", create=True) as store:
        study_room.run(load_study(study_file(folder, ", reading: 1")), store, Simulated())
        with pytest.raises(StudyChanged, match="data: "):
            study_room.run(load_study(study_file(folder, ", reading: 2")), store, Simulated())
