"""The connection to a Ray cluster, and what its nodes can hold."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psutil
import ray

from dcasearch.config.study import Resources
from dcasearch.errors import UserError
from dcasearch.executors.ray.ray_private import (
    Print,
    autoscaling_status,
    bootstrap_address,
    job_config,
    printing_by,
)
from dcasearch.processes import package_folders, spellings, without_secrets

logger = logging.getLogger(__name__)

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the study has a live view of its own
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # the command line has one
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # Tune's own state is never read again
    "TUNE_FORCE_TRIAL_CLEANUP_S": "10",
    "TUNE_MAX_PENDING_TRIALS_PG": "1000000",  # the searcher itself says when there is room
}
_ONCE = ("RAY_AUTH_MODE",)
_NODE_GROUP = "ray.io/node-group"
_REACH_SECONDS = 10.0
Bundle = dict[str, float]


@contextmanager
def connected(address: str | None, secret: str | None = None) -> Iterator[None]:
    """Connect to a cluster, or start a Ray of this machine, and leave it at the end.

    Args:
        address: `auto`, `host:port`, or None for a local Ray.
        secret: the storage's password; processes that are started here do not inherit it.

    Raises:
        UserError: no cluster there; or the password stands in the command line, which Ray shows to everyone.
    """
    if secret is not None and any(
        word in argument for word in spellings(secret) for argument in psutil.Process().cmdline()
    ):
        raise UserError(
            "the storage's password stands in the command line, which Ray shows on its dashboard; "
            "give the URL in DCASEARCH_STORAGE, or keep the password in ~/.pgpass"
        )
    before = dict(os.environ)
    os.environ.update({name: value for name, value in _ENVIRONMENT.items() if name not in before})
    try:
        with without_secrets(secret), _signals_kept():
            _init(address)
        try:
            with raylet_logged():
                yield
        finally:
            ray.shutdown()
    finally:
        # Ray reads whether it uses tokens once in a process: the next connection must not be told otherwise.
        kept = {name: os.environ[name] for name in _ONCE if name in os.environ}
        os.environ.clear()
        os.environ.update({**kept, **before})


def _init(address: str | None) -> None:
    logging.getLogger("ray").setLevel(logging.ERROR)  # it announces by a warning that its tokens are on, as they should
    try:
        if address is not None:
            _reach(address)
        ray.init(
            address=address or "local",
            include_dashboard=False if address is None else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=False,
            namespace="dcasearch",
            job_config=job_config(package_folders()),
        )
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"no Ray cluster at executor.address '{address}' ({reason}). Start one (`ray start --head` on this "
            "machine, `ray start --address=HOST:6379` on the others) or leave `address` out: then Ray runs on this "
            "machine alone"
        ) from error


def raylet_logged() -> AbstractContextManager[None]:
    """Send the raylet's messages to this module's log: Ray prints them among the study's lines, a paragraph a worker.

    The study says by itself that a worker was lost.
    """

    def logging_of(printed: Print) -> Print:
        def logged(data: dict[str, Any], ignore_prefix: bool) -> None:
            if data.get("pid") == "raylet":
                logger.info("raylet: %s", " ".join(data["lines"]))
            else:
                printed(data, ignore_prefix)

        return logged

    return printing_by(logging_of)


def _reach(address: str) -> None:
    """Raise OSError or ValueError where nothing listens at an address: Ray itself tries it for thirteen minutes."""
    host, _, port = bootstrap_address(address).rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_SECONDS):
        pass


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Put the signal handlers back that `ray.init` replaces by its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def bundles(resources: Resources) -> list[Bundle]:
    """Return what each rank of a trial holds; the first bundle is that of rank 0, which leads the others."""
    share: Bundle = {"CPU": resources.cpu / resources.world}
    if resources.gpu:
        share["GPU"] = resources.gpu / resources.world
    return [dict(share) for _ in range(resources.world)]


def nodes() -> dict[str, Mapping[str, float]]:
    """Return the resources of every living node, by its id."""
    return {node["NodeID"]: node["Resources"] for node in _all_nodes() if node["Alive"]}


def capacity(resources: Resources, known: Iterable[Mapping[str, float]]) -> int:
    """Return how many such trials these nodes hold together, if nothing else runs there."""
    ranks = bundles(resources)
    # Ray counts in ten-thousandths.
    places = sum(min(int((node.get(name, 0.0) + 1e-4) / amount) for name, amount in ranks[0].items()) for node in known)
    return places // len(ranks)


def grows() -> bool:
    """Whether this cluster has an autoscaler, which may add nodes that are larger than those of today."""
    types = [str(node.get("Labels", {}).get(_NODE_GROUP, "")) for node in _all_nodes()]
    return may_grow(autoscaling_status(), types)


def may_grow(status: str | None, groups: Iterable[str]) -> bool:
    """Whether an autoscaler manages some node.

    Args:
        status: what Ray's monitor wrote, as JSON; None where it wrote nothing. On a cluster that nobody scales it
            calls the nodes `node_<id>`; an autoscaler calls them by their types.
        groups: the node group of each node, empty where it has none.
    """
    if any(groups):
        return True
    report = (json.loads(status) if status else {}).get("autoscaler_report") or {}
    listed = [*report.get("active_nodes", {}), *(entry[1] for entry in report.get("pending_nodes", []))]
    return any(not kind.startswith("node_") for kind in listed)


def remote(thing: Any, **options: Any) -> Any:
    """Return a class or a function as Ray runs it elsewhere; its stubs cannot type what that has."""
    return ray.remote(**options)(thing)


def _all_nodes() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]  # ray has no types here
    return found


def own_address() -> str:
    """Return this node's address, as the other nodes see it."""
    return str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]  # ray has no types here
