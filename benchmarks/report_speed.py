"""How fast the report of 1,000 trials opens: the aim is 1 s.

A database is filled through the store's own calls with made-up trials, baselines and final trainings of
`search_spaces/mobilenetv2_connections.yaml`. `dcasearch report` writes its page. Chromium opens that page and an empty
one in turn. Printed are the medians of the time from the start of the navigation to the end of the `load` event, their
ratio, and the time until something is painted.

    python benchmarks/report_speed.py [--trials 1000] [--rounds 7] [--keep FOLDER]

It needs selenium, chromium and chromedriver.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from dcasearch.architecture import Architecture
from dcasearch.config.study import Study
from dcasearch.evaluation import Epoch, Evaluation, EvaluationKey
from dcasearch.report.page import write_report
from dcasearch.report.section import Extras
from dcasearch.space import Point, Space, read_space
from dcasearch.store import Store
from dcasearch.trial import Origin, Role, State, Trial, Value

SPACE = Path(__file__).parent.parent / "search_spaces" / "mobilenetv2_connections.yaml"
EPOCHS = {"proxy": 15, "full": 30}
PROMOTED, SEEDS, AIM_SECONDS = 20, (0, 1, 2), 1.0
MEANING = {"data": "made up", "data.classes": 10, "data.validation_images": 5000, "data.test_images": 10000}
EMPTY = "<!doctype html><title>empty</title>"


def make_study(trials: int) -> Study:
    """Return a study of two fidelities with final trainings."""
    fidelity = {"resolution": 32}
    written = {
        "name": "bench",
        "space": yaml.safe_load(SPACE.read_text()),
        "data": {"name": "digits"},
        "objectives": {"top1": "maximize", "macs": "minimize"},
        "sampler": {"name": "random", "seed": 0},
        "fidelities": [
            {"name": "proxy", "trials": trials, "epochs": EPOCHS["proxy"], **fidelity},
            {"name": "full", "promote": {"top": PROMOTED}, "epochs": EPOCHS["full"], "seeds": list(SEEDS), **fidelity},
        ],
        "final": {"seeds": [1000, 1001, 1002]},
    }
    return Study.model_validate(written)


class Recorder:
    """Fills a database with trainings that never were."""

    def __init__(self, store: Store, study: Study, space: Space) -> None:
        self.store, self.study, self.space = store, study, space
        self.rng = random.Random(0)

    def fill(self, trials: int) -> None:
        self.store.put_study(self.study.name, MEANING, self.study.model_dump_json(exclude={"storage"}))
        points = list(self._points(trials))
        for number, point in enumerate(points):
            self._trial("proxy", number, point, 0, pruned=number % 4 == 3)
        best = [point for number, point in enumerate(points) if number % 4 != 3][:PROMOTED]
        for number, (seed, (place, point)) in enumerate((seed, one) for seed in SEEDS for one in enumerate(best)):
            self._trial("full", number, point, seed, of=4 * (place // 3) + place % 3)
        baselines = [(baseline.name, baseline.architecture) for baseline in self.space.baselines(True)]
        for name, architecture in baselines:
            self._role("proxy", "baseline", name, architecture, (0,))
            self._role("full", "baseline", name, architecture, SEEDS)
        winner = max(best, key=lambda point: level(point.architecture.id)).architecture
        for name, architecture in [("winner", winner), *baselines]:
            self._role("full", "final", name, architecture, (1000, 1001, 1002))

    def _points(self, count: int) -> Iterator[Point]:
        seen: set[str] = set()
        while len(seen) < count:
            point = self.space.random(self.rng)
            if point.architecture.id not in seen:
                seen.add(point.architecture.id)
                yield point

    def _evaluation(self, fidelity: str, architecture_id: str, seed: int, epochs: int, protocol: Any) -> Evaluation:
        noise = random.Random(f"{architecture_id} {seed} {fidelity}")
        curve = [
            level(architecture_id) * (1 - 0.6**epoch) + noise.gauss(0, 0.3) - 2 / epoch
            for epoch in range(1, epochs + 1)
        ]
        history = tuple(
            Epoch(epoch=n, train_loss=1 / n, values={"loss": 1 / n, "top1": value, "top5": 99.0}, seconds=60.0)
            for n, value in enumerate(curve, start=1)
        )
        key = EvaluationKey(
            architecture_id=architecture_id, fidelity=fidelity, data="made up", protocol=protocol, seed=seed
        )
        return Evaluation(key=key, history=history, seconds=60.0 * epochs, images=1, device="cpu")

    def _trial(
        self, fidelity: str, number: int, point: Point, seed: int, *, pruned: bool = False, of: int | None = None
    ) -> None:
        id = point.architecture.id
        origin: Origin = "sampled" if of is None else "promoted"
        evaluation = self._evaluation(fidelity, id, seed, 3 if pruned else EPOCHS[fidelity], "search")
        macs = 20_000_000 + int(id[:5], 16)
        self.store.put_architecture(point.architecture)
        self.store.put_costs(id, 32, 10, {"params": 2_000_000 + int(id[5:10], 16), "macs": macs})
        promotion: dict[str, Value] = (
            {} if of is None else {"of": of, "probability": 1.0, "reason": f"place {number + 1} by value"}
        )
        trial = Trial(
            study=self.study.name,
            fidelity=fidelity,
            number=number,
            state=State.PRUNED if pruned else State.COMPLETE,
            origin=origin,
            params=point.params,
            architecture_id=id,
            seed=seed,
            evaluation=evaluation.key.id,
            values=None if pruned else (evaluation.last.values["top1"], float(macs)),
            epochs=len(evaluation.history),
            attributes=promotion,
        )
        self.store.record_and_put(evaluation, trial)

    def _role(self, fidelity: str, role: Any, name: str, architecture: Architecture, seeds: tuple[int, ...]) -> None:
        self.store.put_architecture(architecture)
        for seed in seeds:
            protocol = "test" if role == "final" else "search"
            evaluation = self._evaluation(fidelity, architecture.id, seed, EPOCHS[fidelity], protocol)
            self.store.record(evaluation)
            self.store.put_role(
                Role(
                    study=self.study.name,
                    fidelity=fidelity,
                    role=role,
                    name=name,
                    architecture_id=architecture.id,
                    seed=seed,
                    evaluation=evaluation.key.id,
                )
            )


def level(architecture_id: str) -> float:
    """Return how good a network is: made up, the same everywhere."""
    return 70.0 + int(architecture_id[:6], 16) / 0xFFFFFF * 10


@contextmanager
def browser(folder: Path) -> Iterator[Any]:
    """A headless Chromium that asks nobody for anything."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-background-networking", "no-first-run"):
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={folder}")
    options.add_argument("--window-size=1280,800")
    opened = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield opened
    finally:
        opened.quit()


def opened_in(page: Any, address: str) -> tuple[float, float]:
    """Return seconds from the start of a navigation to the end of `load`, and to the first paint."""
    page.get(address)
    load: float = page.execute_script("return performance.getEntriesByType('navigation')[0].loadEventEnd")
    painted = None
    for _ in range(100):
        painted = page.execute_script(
            "const seen = performance.getEntriesByName('first-contentful-paint')[0]; return seen && seen.startTime"
        )
        if painted is not None or "empty" in address:
            break
        time.sleep(0.05)
    return load / 1000, (painted or 0.0) / 1000


def main() -> None:
    """Print how long the report takes to write and to open."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--keep", type=Path, help="A folder for the database and the page, which stays.")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        study = make_study(asked.trials)
        database = folder / "bench.db"
        if not database.is_file():
            store = Store.open(f"sqlite:///{database}", create=True)
            Recorder(store, study, read_space(study.space)).fill(asked.trials)
        store = Store.open(f"sqlite:///{database}")
        began = time.perf_counter()
        page, *_ = write_report(store, {study.name: Extras()}, folder / "report")
        wrote, size = time.perf_counter() - began, page.stat().st_size / 1e6
        (folder / "empty.html").write_text(EMPTY)
        ours, empty = [], []
        with browser(Path(scratch) / "chromium") as chromium:
            opened_in(chromium, (folder / "empty.html").as_uri())
            for _ in range(asked.rounds):
                ours.append(opened_in(chromium, page.as_uri()))
                empty.append(opened_in(chromium, (folder / "empty.html").as_uri()))
    load, nothing = (statistics.median(load for load, _ in times) for times in (ours, empty))
    painted = statistics.median(paint for _, paint in ours)
    print(f"{asked.trials:,} trials: written in {wrote:.1f} s, {size:.2f} MB")
    print(
        f"opens in {load:.3f} s (median of {asked.rounds}; aim {AIM_SECONDS:g} s), first painted after {painted:.3f} s"
    )
    print(f"an empty page opens in {nothing:.3f} s: ratio {load / nothing:.1f}")


if __name__ == "__main__":
    main()
