"""The search space: YAML to choices and conditions, choices to architectures; sampled, enumerated and counted.

`load_study` reads a study with its space, `read_space` a space alone.
"""

from dcasearch.space.counting import Count, count_distinct, size
from dcasearch.space.listed_space import ListedSpace, Row
from dcasearch.space.loaded_study import LoadedStudy, check_variables, load_study
from dcasearch.space.parents import parents_of
from dcasearch.space.reading import read_space
from dcasearch.space.space import Baseline, Point, Space
from dcasearch.space.space_schema import space_schema

__all__ = [
    "Baseline",
    "Count",
    "ListedSpace",
    "LoadedStudy",
    "Point",
    "Row",
    "Space",
    "check_variables",
    "count_distinct",
    "load_study",
    "parents_of",
    "read_space",
    "size",
    "space_schema",
]
