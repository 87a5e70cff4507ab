"""The page of all attention blocks and connection functions, made from what they declare: Markdown and drawings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from dcasearch.architecture import KINDS, Kind, State
from dcasearch.architecture.kinds import obstacle
from dcasearch.architecture.kinds.declaration import plain
from dcasearch.architecture.words import label_of
from dcasearch.drawing.kind import draw_kind, draw_steps
from dcasearch.files import write_whole
from dcasearch.models.functions import Function

FIGURES = "figures/attention"
"""Folder of the drawings, beside the page."""
_HEAD = """# Attention blocks and connection functions

Made by `dcasearch kinds --out docs`, from what each block and each function declares. Blue is what a connection adds:
a block without one is the vanilla attention block, and f is then left out. What the words mean is in
[the method](method.md).

C channels, H x W pixels of the block's output; D channels of its k x k convolution, I input channels of each of its
groups; B images; `hidden` is C // r, at least what the kind says. Costs are those of the block alone, for one image."""


def page() -> str:
    """Return the page as Markdown."""
    parts = [_HEAD, "## Attention blocks"]
    parts += ["\n".join(_kind(name, kind)) for name, kind in _kinds().items()]
    parts += ["## Connection functions", *(_function(function) for function in _functions())]
    parts += ["## Who can send to whom", *_table()]
    return "\n\n".join(parts) + "\n"


def drawings() -> dict[str, str]:
    """Return the drawings as SVG, by file name."""
    kinds = {f"{name}.svg": draw_kind(name) for name in _kinds()}
    return kinds | {f"{_file(f)}.svg": draw_steps(f.title, f.steps) for f in _functions()}


def write_page(folder: Path) -> list[Path]:
    """Write `attention.md` and its drawings into a folder, and return their paths."""
    files = {folder / "attention.md": page()}
    files |= {folder / FIGURES / name: text for name, text in drawings().items()}
    for path, text in files.items():
        write_whole(path, text.encode())
    return list(files)


def _kinds() -> Mapping[str, Kind]:
    return {name: KINDS[name] for name in sorted(KINDS) if KINDS[name].dimensions}


def _functions() -> list[type[Function]]:
    """Return the classes of functions that say what they compute, in the order of their module."""
    found: list[type[Function]] = []
    waiting: list[type[Function]] = [Function]  # type: ignore[type-abstract]  # only its subclasses are used
    while waiting:
        following = waiting.pop(0).__subclasses__()
        found += [each for each in following if "steps" in each.__dict__]
        waiting += following
    return sorted(found, key=lambda each: each.title)


def _file(function: type[Function]) -> str:
    return "function_" + "_".join(word.strip("(),.") for word in function.title.partition("(")[0].split())


def _kind(name: str, kind: Kind) -> Iterator[str]:
    yield f"### `{name}`: {kind.title}"
    yield f"![{kind.title}]({FIGURES}/{name}.svg)"
    yield ""
    for dimension, state in kind.dimensions.items():
        yield f"- **{dimension}**: {_state(state)}"
    for option in kind.options:
        default = option.unset if option.default is None else plain(option.default)
        yield f"- `{option.name}` ({default}; {option.known}): {option.says}."
    yield f"- parameters: `{kind.params}`"
    yield f"- multiply-adds: `{kind.macs}`"
    yield f"- `attention_init: identity`: {_start(kind)}"


def _start(kind: Kind) -> str:
    if kind.starts_as_identity:
        return "it is the identity as it is drawn, and gets no parameter more"
    gains = 1 if kind.joint else len(kind.dimensions)
    return f"{gains} parameter{'s' * (gains > 1)} more, the scalar{'s' * (gains > 1)} s"


def _state(state: State) -> str:
    fused = state.fused or f"X′ = X {'+' if state.fusion.startswith('add') else '×'} T"
    return f"{state.equation}; {fused} ({state.fusion})"


def _function(function: type[Function]) -> str:
    return f"![{function.title}]({FIGURES}/{_file(function)}.svg)"


def _table() -> Iterator[str]:
    """Yield a table for each dimension that several kinds have: rows send, columns receive."""
    dimensions = sorted({dimension for kind in _kinds().values() for dimension in kind.dimensions})
    for dimension in dimensions:
        ends = {name: kind.dimensions[dimension] for name, kind in _kinds().items() if dimension in kind.dimensions}
        lines = [
            f"**{dimension}**: a row sends, a column receives.",
            "",
            "| | " + " | ".join(label_of(name) for name in ends) + " |",
            "|" + "---|" * (len(ends) + 1),
        ]
        reasons: dict[str, None] = {}
        for sender, state in ends.items():
            found = [obstacle(state, other) for other in ends.values()]
            reasons |= dict.fromkeys(reason for reason in found if reason)
            lines.append(f"| {label_of(sender)} | " + " | ".join("no" if reason else "yes" for reason in found) + " |")
        if reasons:
            lines += ["", "No: " + "; ".join(reasons) + "."]
        yield "\n".join(lines)
