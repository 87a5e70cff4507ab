from __future__ import annotations

import pytest

from tests.search.support import HALVING, Bench, proxy
from tests.support import SPACE, make_study

SMALL = {**SPACE, "backbone": {"name": "resnet18", "width": 0.125, "stem": "small"}}
PRUNED = {**HALVING, "startup": 1}


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Return a study of four trials on small networks, some of them pruned, that has ended."""
    folder = tmp_path_factory.mktemp("finished")
    bench = Bench(folder, make_study(space=SMALL, fidelities=proxy(trials=4, pruner=PRUNED)))
    bench.run()
    return bench
