"""Each private part of Ray that is used is where it was. What the functions do: tests/executors/test_ray_cluster.py."""

from __future__ import annotations

import json

import pytest

from tests.private_names import listed, look_up


@pytest.mark.parametrize("name", listed("ray"))
def test_ray_has_not_moved(name: str) -> None:
    from ray.job_config import JobConfig

    look_up(name, {"ray.job_config:JobConfig": JobConfig()})


def test_an_address_is_made_whole_and_nonsense_is_refused() -> None:
    from dcasearch.executors.ray.ray_private import bootstrap_address

    assert bootstrap_address("10.1.2.3:6379") == "10.1.2.3:6379"
    with pytest.raises(ValueError, match="nonsense"):
        bootstrap_address("nonsense")


def test_another_way_to_print_is_put_back_also_after_an_error() -> None:
    from ray._private import worker

    from dcasearch.executors.ray.ray_private import printing_by

    before = worker.print_to_stdstream

    def fail() -> None:
        with printing_by(lambda printed: lambda data, ignore_prefix: None):
            assert worker.print_to_stdstream is not before
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert worker.print_to_stdstream is before


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Ray 2.55 leaves a file open
def test_a_ray_of_this_machine_is_known_not_to_grow() -> None:
    from dcasearch.executors.ray.cluster import connected, grows
    from dcasearch.executors.ray.ray_private import autoscaling_status

    with connected(None):
        assert not grows()
        status = autoscaling_status()
        assert status is None or json.loads(status)
