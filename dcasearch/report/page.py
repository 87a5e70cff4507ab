"""`dcasearch report`: studies as one self-contained page; figures and networks also as files beside it."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from dcasearch.report.section import Extras, Section, encoded, section_of
from dcasearch.report.sheet import FILE, Sheet
from dcasearch.store import Store

PAGE = "report.html"
"""The page's name in its folder."""
_COMMAND = re.compile(r"`([^`]+)`")


def write_report(store: Store, studies: Mapping[str, Extras], out: Path, *, reach: float | None = None) -> list[Path]:
    """Write the page, each figure as SVG and PNG, the best networks as YAML; return the files, the page first.

    Files of one study stand in the folder itself, those of several in a folder each.

    Args:
        store: The database of all studies.
        studies: By name, at least one, in the order of the page: what is known of each beside the database.
        out: The folder; made where it is missing. Files of these names are replaced.
        reach: Of a list of architectures: the accuracy for which each row says when it was reached.

    Raises:
        UserError: the database holds no study of such a name; nothing is written then.
    """
    return write_sections([section_of(store, name, extras, reach) for name, extras in studies.items()], out)


def write_sections(sections: Sequence[Section], out: Path) -> list[Path]:
    """Write the page of some studies and the files beside it, as `write_report` does."""
    out.mkdir(parents=True, exist_ok=True)
    page = out / PAGE
    page.write_text(render(sections), encoding="utf-8")
    written = [page]
    for section in sections:
        folder = out if len(sections) == 1 else out / section.name
        written += _write_files(section, folder)
    return written


def _write_files(section: Section, folder: Path) -> list[Path]:
    """Write what stands beside the page."""
    content: dict[str, bytes] = {}
    for figure in section.figures:
        content |= {f"{figure.name}.svg": figure.svg.encode(), f"{figure.name}.png": figure.png}
    if section.difference:
        content["networks/difference.svg"] = section.difference.encode()
    for drawn in section.drawn:
        content[f"networks/{drawn.architecture_id}.svg"] = drawn.svg.encode()
    for best in section.best:
        content[best.file] = best.content.encode()
    if section.extras.sheet is not None and section.extras.sheet.png is not None:
        content[FILE] = section.extras.sheet.png
    for name, data in content.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return [folder / name for name in content]


def render(sections: Sequence[Section]) -> str:
    """Return the page of one study, or of several side by side; it needs no other file and no network."""
    environment = _environment()
    return str(environment.get_template("page.html.j2").render(sections=sections))


@cache
def _environment() -> Any:
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup, escape

    def commands(text: str) -> Markup:
        """Return a text in which what stands in backticks is code."""
        return Markup(_COMMAND.sub(lambda match: f"<code>{match[1]}</code>", str(escape(text))))

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(lambda name: (files("dcasearch.report") / name).read_text(encoding="utf-8")),
    )
    environment.filters |= {"commands": commands, "svg": _svg}
    environment.globals["sheet_of"] = _sheet
    return environment


def _svg(svg: str) -> str:
    """Return a drawing as the address of an image."""
    return f"data:image/svg+xml;base64,{encoded(svg)}"


def _sheet(sheet: Sheet) -> str:
    """Return a contact sheet as the address of an image; empty where there is no picture."""
    return "" if sheet.png is None else f"data:image/png;base64,{base64.b64encode(sheet.png).decode()}"
