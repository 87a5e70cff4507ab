"""The page of attention blocks and functions is what they declare, and so are the docs."""

from __future__ import annotations

import math
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from dcasearch.architecture import KINDS, Architecture
from dcasearch.drawing.kind import draw_kind, draw_steps
from dcasearch.models import cost
from dcasearch.models.backbones import NETWORKS
from dcasearch.report.kinds_page import FIGURES, drawings, page, write_page
from tests.models.samples import FUNCTIONS
from tests.models.samples import KINDS as FORMS

DOCS = Path(__file__).parents[2] / "docs"
BACKBONES = ({"name": "resnet18", "stem": "small"}, {"name": "mnasnet0_5", "stem": "small"})
PIXELS = 48


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]


def test_the_docs_are_what_the_declarations_say() -> None:
    assert (DOCS / "attention.md").read_text() == page(), "run: dcasearch kinds --out docs"
    files = {path.name: path.read_text() for path in (DOCS / FIGURES).iterdir()}
    assert files == drawings(), "run: dcasearch kinds --out docs"


def test_every_kind_and_every_function_is_on_the_page_with_its_drawing() -> None:
    text, pictures = page(), drawings()
    assert set(re.findall(r"^### `(\w+)`", text, flags=re.MULTILINE)) == {n for n, k in KINDS.items() if k.dimensions}
    assert {Path(link).name for link in re.findall(r"\]\((\S+\.svg)\)", text)} == set(pictures)
    drawn = {name.removeprefix("function_").removesuffix(".svg") for name in pictures if name.startswith("function_")}
    assert {name.partition("_")[0] for name in drawn} == {name.partition("_")[0] for name in FUNCTIONS} - {"literal"}


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.dimensions])
def test_a_drawing_has_every_dimension_with_its_shapes_and_words(name: str) -> None:
    found = texts(draw_kind(name))
    for dimension, state in KINDS[name].dimensions.items():
        assert dimension in found
        assert any(f"({', '.join(state.g)})" in text for text in found)
        assert any(f"({', '.join(state.t)})" in text for text in found)
        assert state.equation, f"{name} has no equation of {dimension}"
        assert state.extraction.split()[0] in " ".join(found)


def test_a_functions_drawing_has_its_steps() -> None:
    assert {"w = a", "w + b"} <= set(texts(draw_steps("f", ["w = a", "w + b"])))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("backbone", BACKBONES, ids=lambda backbone: str(backbone["name"]))
def test_the_cost_formulas_are_what_is_counted(form: str, backbone: dict[str, object]) -> None:
    written = FORMS[form]
    kind = KINDS[written["name"]]
    network = Architecture.parse({"backbone": backbone, "attention": written}).network
    with_it = cost(Architecture.parse({"backbone": backbone, "attention": written}), PIXELS, 10)
    plain = cost(Architecture.parse({"backbone": backbone}), PIXELS, 10)
    name, width, stem = network.backbone
    with torch.device("meta"):
        hosts = list(NETWORKS[name](width, stem, 10).blocks())
    places = [block.layout for block in network.blocks]
    params = macs = 0
    for block in network.nodes:
        if block.kind == "none":
            continue
        size = -(-PIXELS // block.layout.scale)
        convolution = hosts[places.index(block.layout)].convolution
        names = {
            **{option.name: block.option(option.name) for option in kind.options if option.name not in block.options},
            **block.options,
            **{"C": block.layout.channels, "D": block.layout.width, "H": size, "W": size},
            "I": convolution.in_channels // convolution.groups,
            **{"ceil": math.ceil, "log2": lambda value: int(math.log2(value)), "sum": sum, "range": range},
        }
        params += eval(kind.params, names)
        macs += eval(kind.macs, names)
    assert (params, macs) == (with_it.params - plain.params, with_it.macs - plain.macs)


@pytest.mark.parametrize("name", [name for name in KINDS if KINDS[name].dimensions])
def test_the_page_says_how_many_scalars_a_start_as_the_identity_adds(name: str) -> None:
    written = {"backbone": BACKBONES[0], "attention": {"name": name}}
    usual, identity = (Architecture.parse(written | more) for more in ({}, {"attention_init": "identity"}))
    nodes = sum(node.kind == name for node in usual.network.nodes)
    added = cost(identity, PIXELS, 10).params - cost(usual, PIXELS, 10).params
    section = page().split(f"### `{name}`")[1].split("\n### ")[0]
    said = re.search(r"`attention_init: identity`: (\d)", section)
    assert added == nodes * (int(said[1]) if said else 0)


def test_the_page_is_written_with_its_drawings(tmp_path: Path) -> None:
    paths = write_page(tmp_path)
    assert paths[0].name == "attention.md"
    assert all(path.exists() for path in paths)
    assert len(paths) == 1 + len(drawings())
