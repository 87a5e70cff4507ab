"""Data sets by name, their splits, and the batches of one training.

`sets` says what a data set is; `digits`, `shapes`, `cifar10`, `folders` and `listed` are the known ones. `listing` says
which files are images, `parts` what parts are called, `originals` which files a data set has, `reading` how they are
read, `dividing` makes parts of one piece, `split` holds out and subsets, `classes` leaves classes out. `origin` says
what can be prepared. `loaders` turns a protocol into loaders: from `memory` for small sets, from `files` for
folders and for what `preparing` made of them (`prepared`: its index, `shards`: its pixels); `views` is what is seen of
an image, `applied` a spec's preprocessing of one image. `scratch` and `staging` are what a node keeps. `coco` (its
faults: `coco_faults`) and `shapes_boxes` have images with boxes (`boxes`); `detection` makes batches of them,
`detection_loaders` of a protocol's.
"""

from dcasearch.data import (  # noqa: F401  # importing them fills DATASETS
    cifar10,
    coco,
    digits,
    folders,
    listed,
    shapes,
    shapes_boxes,
)
from dcasearch.data.batches import Batch, Loader, Share
from dcasearch.data.classes import open_set
from dcasearch.data.describe import DataInfo, describe
from dcasearch.data.held_out import HeldOut, Split, open_held_out
from dcasearch.data.loaders import Loaders, open_evaluation, open_loaders, open_part, open_sample, open_unaugmented
from dcasearch.data.preprocessing import Preprocessing, Source, preprocessing_of
from dcasearch.data.scratch import scratch_of
from dcasearch.data.seeds import derived_seed
from dcasearch.data.sets import DATASETS, IMAGENET_MEAN, IMAGENET_STD
from dcasearch.data.staging import root_of, stage

__all__ = [
    "DATASETS",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Batch",
    "DataInfo",
    "HeldOut",
    "Loader",
    "Loaders",
    "Preprocessing",
    "Share",
    "Source",
    "Split",
    "derived_seed",
    "describe",
    "open_evaluation",
    "open_held_out",
    "open_loaders",
    "open_part",
    "open_sample",
    "open_set",
    "open_unaugmented",
    "preprocessing_of",
    "root_of",
    "scratch_of",
    "stage",
]
