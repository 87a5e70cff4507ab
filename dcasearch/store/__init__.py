"""The SQL database: the only truth. Our tables beside Optuna's, in one file; frozen nouns in and out.

`Store` is the room's door. Tables of ours are named `dca_…`, so that they never meet Optuna's.
"""

from dcasearch.store.housekeeping import Holdings
from dcasearch.store.lease import Driver, Lease
from dcasearch.store.records import Request, StoredStudy
from dcasearch.store.runs import Run
from dcasearch.store.store import Store
from dcasearch.store.table_versions import exists, must_have_a_place, upgrade
from dcasearch.store.urls import anchored, default_url, redact, storage_of, unmasked, without_password

__all__ = [
    "Driver",
    "Holdings",
    "Lease",
    "Request",
    "Run",
    "Store",
    "StoredStudy",
    "anchored",
    "default_url",
    "exists",
    "must_have_a_place",
    "redact",
    "storage_of",
    "unmasked",
    "upgrade",
    "without_password",
]
