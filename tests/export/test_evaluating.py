from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import dcasearch
from dcasearch.architecture import Architecture
from dcasearch.config.data_set import Data, Shares
from dcasearch.data import Loader, Preprocessing, Source, describe, open_part, preprocessing_of
from dcasearch.errors import DataError, StorageError, UserError
from dcasearch.export import Foreign, Spec, evaluate, export_foreign, load_spec
from dcasearch.export.evaluating import examine
from dcasearch.export.model_files import load_weights
from dcasearch.metrics import CLASSIFICATION
from dcasearch.models import build_model, cost
from dcasearch.store import Store
from dcasearch.training.weights import evaluate_weights, save_weights
from tests.data.support import write_folder, write_image
from tests.export.conftest import ARCHITECTURE, DATA, RESOLUTION, Exporter, Trained

IMAGENET = Source(class_names=(), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), size=None, reading="cropped")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'm.db'}"


@pytest.fixture
def spec_file(exported: Exporter, tmp_path: Path) -> Path:
    exported()
    return tmp_path / "best.yaml"


@pytest.fixture
def of_folder(tmp_path: Path) -> tuple[Path, Path]:
    """A spec without data for three classes of images, and a folder of such images."""
    made = foreign(tmp_path, 3)
    return made, write_folder(tmp_path / "images", images=4)


def foreign(folder: Path, classes: int, preprocessing: Preprocessing | None = None) -> Path:
    save_weights(build_model(ARCHITECTURE, classes), folder / "stored.safetensors")
    network = Foreign(
        architecture=ARCHITECTURE,
        num_classes=classes,
        resolution=RESOLUTION,
        preprocessing=preprocessing or preprocessing_of(IMAGENET, RESOLUTION),
        provenance={"from": "a test"},
    )
    export_foreign(folder / "foreign.yaml", network, folder / "stored.safetensors")
    return folder / "foreign.yaml"


def test_a_spec_is_measured_on_the_images_that_its_data_set_keeps_for_it(spec_file: Path, trained: Trained) -> None:
    measured = evaluate(spec_file, "digits")
    weights = trained.artifacts / "weights" / "x.safetensors"
    expected = evaluate_weights(ARCHITECTURE, weights, DATA, "test", resolution=RESOLUTION)
    assert {name: measured.values[name] for name in expected} == expected
    assert measured.values.keys() - expected.keys() == set(CLASSIFICATION.further)
    assert (measured.key.split, measured.key.classes, measured.key.resolution) == ("test", 10, RESOLUTION)
    assert measured.images == len(dcasearch.data.open_set(DATA).test.labels)


def test_images_come_mixed_where_a_message_is_that_of_another_image(
    of_folder: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def opened(*arguments: Any, mixed: bool = False, **settings: Any) -> Loader:
        asked.append(mixed)
        return open_part(*arguments, mixed=mixed, **settings)

    monkeypatch.setattr("dcasearch.training.tasks.base.open_part", opened)
    shuffled = Architecture.parse(ARCHITECTURE.to_dict() | {"connections": {"message": "shuffled"}})
    made, images = of_folder
    evaluate(made, images)
    loaded = load_weights(build_model(shuffled, load_spec(made).num_classes), made.with_suffix(".safetensors"))
    monkeypatch.setattr("dcasearch.export.spec.Spec.build", lambda spec: shuffled)
    monkeypatch.setattr("dcasearch.export.evaluating.load_model", lambda path: loaded)
    evaluate(made, images)
    assert asked == [False, True]


def test_the_package_offers_it_at_its_door() -> None:
    assert dcasearch.evaluate is evaluate


def test_without_a_storage_nothing_is_stored(spec_file: Path, tmp_path: Path) -> None:
    evaluate(spec_file, "digits")
    assert not list(tmp_path.glob("*.db"))


def test_a_repeated_measurement_replaces_nothing(spec_file: Path, url: str) -> None:
    first = evaluate(spec_file, "digits", storage=url)
    assert evaluate(spec_file, "digits", storage=url) == first
    with Store.open(url) as store:
        assert store.measurements() == [first]
        assert store.get_architecture(ARCHITECTURE.id) == ARCHITECTURE


@pytest.mark.slow
def test_another_resolution_is_another_measurement(spec_file: Path, url: str) -> None:
    evaluate(spec_file, "digits", storage=url)
    evaluate(spec_file, "digits", resolution=2 * RESOLUTION, storage=url)
    with Store.open(url) as store:
        assert sorted(m.key.resolution for m in store.measurements()) == [RESOLUTION, 2 * RESOLUTION]


def test_an_imported_network_is_measured_on_a_folder_of_images(of_folder: tuple[Path, Path]) -> None:
    spec, images = of_folder
    measured = evaluate(spec, images, workers=0)
    assert (measured.images, measured.key.split, measured.key.classes) == (6, "test", 3)
    assert [step["resize"] for step in measured.preprocessing["steps"]] == [round(RESOLUTION * 256 / 224), None]
    assert measured.values["top1"] * 6 / 100 == pytest.approx(round(measured.values["top1"] * 6 / 100), abs=1e-3)


@pytest.mark.slow
def test_the_size_of_a_batch_changes_no_number(of_folder: tuple[Path, Path]) -> None:
    spec, images = of_folder
    whole, split = evaluate(spec, images, workers=0), evaluate(spec, images, workers=0, batch_size=4)
    assert split.values == pytest.approx(whole.values, abs=1e-4)
    assert split.key == whole.key


def test_more_unreadable_images_than_a_run_allows_are_an_error(of_folder: tuple[Path, Path]) -> None:
    spec, images = of_folder
    next((images / "test" / "cat").iterdir()).write_bytes(b"no image")
    with pytest.raises(DataError, match=r"1 of 6 images is unreadable, more than data\.max_corrupt"):
        evaluate(spec, images, workers=0)


def test_data_with_another_number_of_classes_is_refused(tmp_path: Path) -> None:
    spec = foreign(tmp_path, 10)
    images = write_folder(tmp_path / "images", images=2)
    with pytest.raises(UserError, match=r"has 3 classes \(cat, dog, eel\), and the network has 10 outputs"):
        evaluate(spec, images)


def test_data_with_other_names_of_classes_is_refused(of_folder: tuple[Path, Path]) -> None:
    spec, images = of_folder
    content = yaml.safe_load(spec.read_text())
    spec.write_text(yaml.safe_dump({**content, "class_names": ["cat", "fox", "eel"]}))
    with pytest.raises(UserError, match=r"class 1 is 'dog' there and 'fox' in the spec"):
        evaluate(spec, images)


def test_data_that_is_normalised_otherwise_is_refused(tmp_path: Path) -> None:
    other = Source(class_names=(), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), size=None, reading="cropped")
    spec = foreign(tmp_path, 3, preprocessing_of(other, RESOLUTION))
    with pytest.raises(UserError, match=r"is normalised by mean \(0\.485, .* was trained with \(0\.5, 0\.5, 0\.5\)"):
        evaluate(spec, write_folder(tmp_path / "images", images=2))


def test_a_database_that_cannot_be_written_is_told_before_anything_is_measured(spec_file: Path, tmp_path: Path) -> None:
    (tmp_path / "m.db").write_text("no database")
    with pytest.raises(StorageError):
        evaluate(spec_file, tmp_path / "never read", storage=f"sqlite:///{tmp_path / 'm.db'}")


def test_a_foreign_spec_counts_what_is_built(of_folder: tuple[Path, Path]) -> None:
    spec = Spec.model_validate(yaml.safe_load(of_folder[0].read_text()))
    counted = cost(ARCHITECTURE, RESOLUTION, 3)
    assert (spec.parameters, spec.macs, spec.id) == (counted.params, counted.macs, ARCHITECTURE.id)


def test_a_spec_with_an_evaluation_needs_its_data_and_metrics(spec_file: Path) -> None:
    content = yaml.safe_load(spec_file.read_text())
    with pytest.raises(ValueError, match="needs data: a trained network has all of evaluation, metrics, data"):
        Spec.model_validate({**content, "data": None})


def of_one_piece(spec: Path, root: Path) -> Data:
    """Say in a spec that its network was trained on a share of a folder in one piece; return that data."""
    for label, name in enumerate(("cat", "dog", "eel")):
        for n in range(10):
            write_image(root / name / f"{n}.png", seed=100 * label + n)
    data = Data(name="imagefolder", root=str(root), split=Shares(validation=0.2, test=0.3), split_seed=7, reading=2)
    content = yaml.safe_load(spec.read_text())
    written = data.model_dump(mode="json", include={"name", "validation_fraction", "split_seed", "protocol", "reading"})
    evaluation = {"fidelity": "proxy", "protocol": "test", "seed": 0, "epochs": 1, "top1": 50.0, "evaluation": "0" * 16}
    divided = {**written, "split": {"validation": 0.2, "test": 0.3}, "fingerprint": describe(data).fingerprint}
    spec.write_text(yaml.safe_dump({**content, "data": divided, "metrics": [evaluation], "evaluation": "0" * 16}))
    return data


def test_of_a_divided_folder_the_very_test_images_are_measured(tmp_path: Path) -> None:
    spec = foreign(tmp_path, 3)
    data = of_one_piece(spec, tmp_path / "photos")
    seen = examine(spec, tmp_path / "photos", split="test", workers=0)
    assert seen.answers is not None
    assert list(seen.answers.names) == list(dcasearch.data.open_set(data).test.paths)
    assert (seen.measurement.key.split, seen.measurement.images) == ("test", 9)


def test_images_that_were_not_divided_are_not_called_test(tmp_path: Path) -> None:
    spec = foreign(tmp_path, 3)
    of_one_piece(spec, tmp_path / "photos")
    write_folder(tmp_path / "other", images=10)
    with pytest.raises(UserError, match="holds other images than those that the network's data was divided from"):
        examine(spec, tmp_path / "other" / "train", split="test", workers=0)


def test_answers_have_the_names_of_their_images_where_one_cannot_be_read(
    of_folder: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, images = of_folder
    broken = images / "test" / "dog" / "00.jpg"
    broken.write_bytes(b"no image")
    monkeypatch.setattr("dcasearch.data.images.Corrupt.check", lambda corrupt: None)
    seen = examine(spec, images, workers=0)
    assert seen.answers is not None
    assert list(seen.unreadable) == [str(broken)]
    assert len(seen.answers.names) == seen.measurement.images == 5
    folders = [Path(name).parent.name for name in seen.answers.names]
    assert folders == [seen.class_names[label] for label in seen.answers.labels]


def test_a_measurement_with_more_metrics_replaces_one_with_equal_values(spec_file: Path, url: str) -> None:
    whole = evaluate(spec_file, "digits")
    fewer = replace(whole, values={name: whole.values[name] for name in ("loss", "top1", "top5")})
    other = replace(fewer, values={**fewer.values, "top1": 99.0})
    with Store.open(url, create=True) as store:
        store.put_architecture(ARCHITECTURE)
        store.record_measurement(fewer)
        assert store.record_measurement(whole) == whole
        assert store.record_measurement(fewer) == whole
        assert store.record_measurement(other) == whole
        assert store.measurements() == [whole]


def test_a_folder_in_place_of_the_list_that_a_network_was_trained_on_is_told(spec_file: Path, tmp_path: Path) -> None:
    written = yaml.safe_load(spec_file.read_text())
    written["data"] |= {"name": "imagelist", "columns": {"path": "file", "label": "kind"}}
    spec_file.write_text(yaml.safe_dump(written))
    with pytest.raises(UserError, match="is no list: the network's images are those of a CSV or Parquet file"):
        evaluate(spec_file, tmp_path)
