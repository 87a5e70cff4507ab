"""`RayExecutor`: a work as one Tune run, on whatever cluster the study names."""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from ray import tune
from ray.tune.execution.placement_groups import PlacementGroupFactory

from dcasearch.config.study import Executor
from dcasearch.executors.ray.actor import TrainingActor
from dcasearch.executors.ray.bridge import Bridge, BridgeCallback, BridgeScheduler, BridgeSearcher, BridgeStopper
from dcasearch.executors.ray.cluster import bundles, connected
from dcasearch.executors.ray.node_watch import NodeWatch
from dcasearch.executors.ray.preflight import marked
from dcasearch.executors.ray.signals import Signals
from dcasearch.search.work import Work


class RayExecutor:
    """Runs jobs as Ray Tune trials, in processes that are reused from job to job."""

    def __init__(
        self,
        artifacts: str,
        settings: Executor,
        interrupted: threading.Event | None = None,
        trainable: type[TrainingActor] = TrainingActor,
    ) -> None:
        self._artifacts, self._settings, self._trainable = artifacts, settings, trainable
        self._interrupted = interrupted or threading.Event()

    @contextmanager
    def open(self, secret: str | None = None) -> Iterator[Self]:
        """Connect to the cluster, or start a local Ray, and leave it at the end.

        Args:
            secret: the storage's password, which no process of Ray's may see.

        Raises:
            UserError: there is no cluster at the address.
        """
        with connected(self._settings.address, secret):
            yield self

    def run(self, work: Work) -> None:
        """Run a work to its end.

        Raises:
            UserError: what stops every trial: broken data, a full disk; the job is asked for again by the next run.
            Interrupted: `interrupted` was set; jobs that were running are asked for again by the next run.
        """
        signals = Signals()
        try:
            with marked(self._artifacts) as token:
                # Ray on this machine alone has the driver's own data and package.
                watch = None if self._settings.address is None else NodeWatch(self._artifacts, token)
                bridge = Bridge(work, self._artifacts, self._settings.max_concurrent, self._interrupted, signals, watch)
                self._fit(bridge)
        finally:
            signals.close()
        if bridge.error is not None:
            raise bridge.error

    def _fit(self, bridge: Bridge) -> None:
        # A worker that was lost and whose trial went on is "Trials did not complete" to Tune, an error. What ends a
        # trial for good is told by the study.
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
        with tempfile.TemporaryDirectory(prefix="dcasearch-tune-") as scratch:
            tune.Tuner(
                tune.with_resources(self._trainable, _placement),
                tune_config=tune.TuneConfig(
                    search_alg=BridgeSearcher(bridge),
                    scheduler=BridgeScheduler(bridge),
                    num_samples=-1,
                    reuse_actors=True,
                    trial_name_creator=lambda trial: trial.trial_id,
                    trial_dirname_creator=lambda trial: trial.trial_id,
                ),
                run_config=tune.RunConfig(
                    storage_path=scratch,
                    name="run",
                    verbose=0,
                    stop=BridgeStopper(bridge.over),
                    callbacks=[BridgeCallback(bridge)],
                    # A training writes its own, where every node finds it.
                    checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                ),
            ).fit()


def _placement(config: dict[str, Any]) -> PlacementGroupFactory:
    ranks, away = bundles(config["ticket"].job.resources), config["away"]
    if away is None:
        return PlacementGroupFactory(ranks)
    return PlacementGroupFactory(ranks, bundle_label_selector=[away] * len(ranks))
