"""The studies and search spaces that come with the package."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path

from dcasearch.errors import UserError


def copy_shipped(folder: Path) -> list[Path]:
    """Copy them into a folder, `studies/` beside `search_spaces/` and their `schemas/`, and return the files.

    Raises:
        UserError: one of the files is there already; nothing is copied then.
    """
    with as_file(files("dcasearch") / "shipped") as shipped:
        sources = sorted(
            file for name in ("*/*.yaml", "*/*/*.yaml", "schemas/*.json") for file in shipped.glob(name)
        )  # rglob follows no link to a folder
        targets = [folder / source.relative_to(shipped) for source in sources]
        if there := [str(target) for target in targets if target.exists()]:
            raise UserError(f"nothing was copied: {', '.join(there)} would be overwritten")
        for source, target in zip(sources, targets, strict=True):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    return targets
