"""Data sets by name, their splits, and the batches of one training.

`sets` says what a data set is, `digits`, `shapes`, `cifar10` and `folders` are the known ones, `split` holds out and
subsets, `classes` leaves classes out, `loaders` turns a protocol into loaders: from `memory` for small sets, from
`files` for folders and for what `preparing` made of them (`prepared`: its index, `shards`: its pixels); `views` is what
is seen of an image. `scratch` and `staging` are what a node keeps.
"""

from dcasearch.data import cifar10, digits, folders, shapes  # noqa: F401  # importing them fills DATASETS
from dcasearch.data.batches import Batch, Loader, Share
from dcasearch.data.classes import open_set
from dcasearch.data.describe import DataInfo, describe
from dcasearch.data.loaders import Loaders, open_evaluation, open_loaders, open_sample
from dcasearch.data.preprocessing import Preprocessing, Source, preprocessing_of
from dcasearch.data.scratch import scratch_of
from dcasearch.data.seeds import derived_seed
from dcasearch.data.sets import DATASETS
from dcasearch.data.staging import root_of, stage

__all__ = [
    "DATASETS",
    "Batch",
    "DataInfo",
    "Loader",
    "Loaders",
    "Preprocessing",
    "Share",
    "Source",
    "derived_seed",
    "describe",
    "open_evaluation",
    "open_loaders",
    "open_sample",
    "open_set",
    "preprocessing_of",
    "root_of",
    "scratch_of",
    "stage",
]
