"""From YAML to a typed, frozen study; every mistake at once, by file:line:column."""

from dcasearch.config.document import Document, Key, KeyPath, Place, Report, load_yaml, plain_report
from dcasearch.config.study_files import (
    RecipeFile,
    load_architecture,
    load_recipe,
    read_architecture,
    read_study,
    recipe_names,
)
from dcasearch.config.study_schema import study_schema

__all__ = [
    "Document",
    "Key",
    "KeyPath",
    "Place",
    "RecipeFile",
    "Report",
    "load_architecture",
    "load_recipe",
    "load_yaml",
    "plain_report",
    "read_architecture",
    "read_study",
    "recipe_names",
    "study_schema",
]
