"""Everything private of Ray that this package uses, behind three functions.

No other module touches a private part of Ray (tests/test_private_parts.py reads the sources). `PRIVATE` lists each
part; a test looks each one up in the installed Ray. pyproject.toml bounds Ray's version for the same reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

from ray._private import services, worker
from ray._private.ray_constants import DEBUG_AUTOSCALING_STATUS
from ray.experimental.internal_kv import _internal_kv_get
from ray.job_config import JobConfig

PRIVATE: Final = {
    "ray._private.services:canonicalize_bootstrap_address": "where the cluster of `auto` is",
    "ray._private.worker:print_to_stdstream": "where Ray prints the raylet's messages",
    "ray._private.ray_constants:DEBUG_AUTOSCALING_STATUS": "under which key the monitor writes what it scales",
    "ray.experimental.internal_kv:_internal_kv_get": "what it wrote there",
    "ray.job_config:JobConfig._py_driver_sys_path": "where workers look for modules",
}
"""`module:name` of each private part -> what it is used for."""

Print: TypeAlias = Callable[[dict[str, Any], bool], None]
"""Takes a message (`pid`, `lines`) and whether its lines go without a prefix."""


def bootstrap_address(address: str) -> str:
    """Return an address, or what `auto` stands for, as `host:port`; ValueError if it is no address."""
    return str(services.canonicalize_bootstrap_address(address))


def autoscaling_status() -> str | None:
    """Return what the cluster's monitor wrote of its autoscaler, as JSON; None where it wrote nothing."""
    status = _internal_kv_get(DEBUG_AUTOSCALING_STATUS)
    return None if status is None else status.decode()


class _Folders(list[str]):
    """Folders that Ray does not add to: it would put the driver's current folder before its workers' own modules."""

    def extend(self, folders: Iterable[str], /) -> None:
        """Add nothing."""


def job_config(folders: Iterable[str]) -> JobConfig:
    """Return what a job says of itself: its workers look for modules in these folders, not in the driver's."""
    config = JobConfig()
    config._py_driver_sys_path = _Folders(folders)
    return config


@contextmanager
def printing_by(replace: Callable[[Print], Print]) -> Iterator[None]:
    """Print the messages of Ray's processes in another way during the block.

    Args:
        replace: is given Ray's own way and returns the other one.
    """
    module: Any = worker
    printed = module.print_to_stdstream
    module.print_to_stdstream = replace(printed)
    try:
        yield
    finally:
        module.print_to_stdstream = printed
