"""Jobs as Ray Tune trials on a Ray cluster: the only room that imports ray, and only once it is used.

`executor` runs a work as one Tune run, `bridge` is Tune's searcher, scheduler and stopper over it, `actor` is the
trainable that serves job after job in one process, `ranks` are its further processes where one network is trained by
several, `signals` reaches a worker in the middle of an epoch, `cluster` connects and knows what a node can hold, and
from it, and no worker knows the database.
"""

from dcasearch.executors.ray.cluster import connected
from dcasearch.executors.ray.executor import RayExecutor
from dcasearch.executors.ray.preflight import Preflight, preflight, refuse_unholdable

__all__ = ["Preflight", "RayExecutor", "connected", "preflight", "refuse_unholdable"]
