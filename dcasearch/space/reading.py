"""From plain data to a space; every mistake with where it stands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from dcasearch.architecture import KINDS, Dimension, dimensions
from dcasearch.architecture.backbone import as_arguments
from dcasearch.architecture.kinds import options_named
from dcasearch.architecture.libraries import LIBRARIES, is_of_library, own_name
from dcasearch.config import Key, KeyPath, Report, plain_report
from dcasearch.errors import ArchitectureError, nearest
from dcasearch.space.axes import Axis, Option
from dcasearch.space.choice_space import AttentionChoices, ChoiceSpace, ConnectionChoices
from dcasearch.space.grammar import (
    ARGUMENTS,
    ATTENTION_INIT,
    DEFAULTS,
    GRAINS,
    MAX_CHOICES,
    STAGE_GRAINS,
    Values,
    dimension_axis,
    grammar,
    keys,
    stage_options,
)
from dcasearch.space.limits import check_limits, known_kinds
from dcasearch.space.list_reading import LIST, read_list
from dcasearch.space.places import Grain
from dcasearch.space.space import Space

_TOP = ("backbone", "attention", "stage_attention", ATTENTION_INIT, "connections")
_CONDITION = ("when", "choose", "else")


def read_space(written: Mapping[str, Any], report: Report | None = None) -> Space:
    """Return the space that plain data spells out: a list of architectures, or choices along axes.

    Args:
        written: As parsed from YAML.
        report: Takes each mistake as (path in `written`, message); by default all of them are raised at once.

    Raises:
        ConfigError: with every mistake, if no `report` is given.
    """
    if report is not None:
        return _read(written, report)
    with plain_report("space") as collected:
        return _read(written, collected)


def _read(written: Mapping[str, Any], report: Report) -> Space:
    return read_list(written, report) if LIST in written else _Reader(report).read(written)


class _Reader:
    """Reads one space of choices, reporting what is wrong and going on."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._axes = grammar()
        self._earlier: dict[str, Axis] = {}
        """Axes read so far that a condition may refer to."""

    def read(self, written: Mapping[str, Any]) -> ChoiceSpace:
        self._known_keys(written, _TOP, ())
        backbone = self._part(written, ("backbone",))
        axis_keys = keys(self._axes, "backbone")
        self._known_keys(backbone, (*axis_keys, ARGUMENTS), ("backbone",))
        axes = [self._backbone_name(backbone, said=isinstance(written.get("backbone", {}), Mapping))]
        beside = [key for key in axis_keys if key in backbone and key != "name"]
        axes += [self._axis(f"backbone.{key}", backbone[key], ("backbone", key)) for key in beside]
        axes += self._arguments(backbone, axes[0])
        attention, after = self._attention(written)
        start = ATTENTION_INIT
        starts = self._axis(start, written[start], (start,)) if start in written else None
        connections = None
        if written.get("connections") not in (None, "none"):
            kinds = known_kinds(attention, after)
            connections = self._connections(self._part(written, ("connections",)), kinds)
        space = ChoiceSpace(dict(written), tuple(axes), attention, connections, after, starts)
        check_limits(space, self._report)
        return space

    # The three parts

    def _backbone_name(self, backbone: Mapping[str, Any], said: bool) -> Axis:
        """Read the backbone's name; one that is missing is reported, unless the part itself was a mistake."""
        name, path = "backbone.name", ("backbone", "name")
        if "name" in backbone:
            return self._axis(name, _own_names(backbone["name"]), path)
        if said:
            self._report(path[:1], f"needs a name; {nearest('', self._axes[name].words)}")
        self._earlier[name] = Axis(name, (Option(None, None, path=path),))
        return self._earlier[name]

    def _arguments(self, backbone: Mapping[str, Any], name: Axis) -> list[Axis]:
        """Read what constructors of libraries are given: one value, which prepared backbones leave."""
        if ARGUMENTS not in backbone:
            return []
        path = ("backbone", ARGUMENTS)
        networks = tuple(option.word for option in name.possible if is_of_library(option.word))
        if not networks:
            self._report((path[0], Key(ARGUMENTS)), f"belongs to networks of {' and '.join(LIBRARIES)}")
        try:
            given = as_arguments(self._part(backbone, path))
        except ArchitectureError as error:
            self._report(error.path, str(error))
            return []
        given_axis = Axis(".".join(path), (Option(None, given, path=path),), {name.name: networks}, Option(None, ()))
        return [given_axis]

    def _attention(self, written: Mapping[str, Any]) -> tuple[AttentionChoices, AttentionChoices | None]:
        """Read the attention in blocks and after stages: the names of both are chosen before any option."""
        blocks, after = "attention", "stage_attention"
        said = {part: self._part(written, (part,)) for part in (blocks, after) if part == blocks or part in written}
        named = {part: self._named_kind(part, said[part]) for part in said}
        options = {blocks: options_named(), after: stage_options()}
        made = {
            part: AttentionChoices(
                name,
                grain,
                tuple(
                    self._axis(f"{part}.{key}", said[part][key], (part, key))
                    for key in options[part]
                    if key in said[part]
                ),
            )
            for part, (name, grain) in named.items()
        }
        return made[blocks], made.get(after)

    def _named_kind(self, part: str, written: Mapping[str, Any]) -> tuple[Axis, Grain]:
        """Read which kind, and at which grain it is chosen."""
        axis = f"{part}.name"
        self._known_keys(written, ("granularity", *keys(self._axes, part)), (part,))
        grain = self._grain(written, (part,), GRAINS if part == "attention" else STAGE_GRAINS)
        name = self._axis(axis, written.get("name", DEFAULTS[axis]), (part, "name"))
        if grain != "network":
            del self._earlier[name.name]  # one per site: nothing that a condition could mean
        return name, grain

    def _connections(self, written: Mapping[str, Any], kinds: list[str]) -> ConnectionChoices:
        axes = keys(self._axes, "connections")
        self._known_keys(written, (*axes, "granularity", "dimensions", "alpha", "edges"), ("connections",))
        grain = self._grain(written, ("connections",), GRAINS)
        receives = self._receives(written, kinds)
        made = {
            key: self._axis(name, written.get(key, DEFAULTS[name]), ("connections", key)) for key, name in axes.items()
        }
        path: KeyPath = ("connections", "alpha")
        alpha, alpha_axes = self._part(written, path), keys(self._axes, "connections.alpha")
        self._known_keys(alpha, tuple(alpha_axes), path)
        alphas = [self._axis(name, alpha[key], (*path, key)) for key, name in alpha_axes.items() if key in alpha]
        return ConnectionChoices(
            grain=grain, receives=receives, alpha=tuple(alphas), edges=written.get("edges"), **made
        )

    def _receives(self, written: Mapping[str, Any], kinds: list[str]) -> dict[Dimension, Axis]:
        """Return who receives in each dimension; one that the attention has and nothing is said of: everybody."""
        path: KeyPath = ("connections", "dimensions")
        said = self._part(written, path)
        self._known_keys(said, dimensions(), path)
        receives: dict[Dimension, Axis] = {}
        for dimension in dimensions():
            exists = any(dimension in KINDS[kind].dimensions for kind in kinds)
            axis = self._axis(dimension_axis(dimension), said.get(dimension, exists), (*path, dimension))
            del self._earlier[axis.name]
            if exists or dimension in said:
                receives[dimension] = axis
        return receives

    # One axis

    def _axis(self, name: str, written: Any, path: KeyPath) -> Axis:
        """Read a scalar, a list of choices, or a condition."""
        if isinstance(written, Mapping) and "when" in written:
            axis = self._conditional(name, written, path)
        else:
            axis = Axis(name, self._options(name, self._axes[name], written, path))
        self._earlier[name] = axis
        return axis

    def _conditional(self, name: str, written: Mapping[str, Any], path: KeyPath) -> Axis:
        self._known_keys(written, _CONDITION, path)
        missing = [key for key in ("choose", "else") if key not in written]
        if missing:
            wanted = " and ".join(f"`{key}`" for key in missing)
            self._report(path, f"a condition needs {wanted}; it is {{when: …, choose: …, else: …}}")
            return Axis(name, (Option(None, None),))
        if written["when"] == {}:
            self._report((*path, "when"), "is empty; name an axis that is chosen before, and its values")
        when = self._when(name, self._part(written, (*path, "when")), (*path, "when"))
        options = self._options(name, self._axes[name], written["choose"], (*path, "choose"))
        otherwise = self._options(name, self._axes[name], written["else"], (*path, "else"))
        if len(otherwise) != 1:
            self._report((*path, "else"), "must be one value")
        return Axis(name, options, when, otherwise[0])

    def _when(self, name: str, written: Mapping[str, Any], path: KeyPath) -> dict[str, tuple[Any, ...]]:
        """Read a condition: earlier axes, each with a value or a list of values."""
        when: dict[str, tuple[Any, ...]] = {}
        for earlier, values in written.items():
            if earlier not in self._earlier:
                known = nearest(earlier, self._earlier)
                self._report((*path, Key(earlier)), f"'{earlier}' is no axis that is chosen before {name}; {known}")
                continue
            when[earlier] = tuple(values) if isinstance(values, list) else (values,)
            words = [option.word for option in self._earlier[earlier].possible]
            for n, value in enumerate(when[earlier]):
                if value not in words:
                    here = (*path, earlier, n) if isinstance(values, list) else (*path, earlier)
                    self._report(here, f"{earlier} is never '{value}'; {nearest(value, map(str, words))}")
        return when

    def _options(self, name: str, values: Values, written: Any, path: KeyPath) -> tuple[Option, ...]:
        if not isinstance(written, list):
            return (self._option(name, values, written, path),)
        if not written:
            self._report(path, "is an empty list of choices")
        if len(written) > MAX_CHOICES:
            self._report(path, f"has {len(written):,} choices; at most {MAX_CHOICES} are allowed")
            written = written[:MAX_CHOICES]
        options: list[Option] = []
        for n, item in enumerate(written):
            option = self._option(name, values, item, (*path, n))
            if any(option.label == other.label and type(option.label) is type(other.label) for other in options):
                self._report((*path, n), f"'{option.label}' stands twice among the choices")
            options.append(option)
        return tuple(options) or (Option(None, None, path=path),)

    def _option(self, name: str, values: Values, written: Any, path: KeyPath) -> Option:
        if values.named is not None:
            return self._named(name, values, written, path)
        if not values.fits(written):
            self._report(path, _misfit(values, written))
            label = repr(written) if isinstance(written, Mapping | list) else written
            return Option(label, label, path=path)
        return Option(written, written, path=path)

    def _named(self, name: str, values: Values, written: Any, path: KeyPath) -> Option:
        """Read `fc` or `{fc2: {reduction: [4, 8]}}`."""
        word: Any = written
        options: Mapping[str, Any] = {}
        known = values.named or {}
        if isinstance(written, Mapping) and len(written) == 1:
            [word] = written
        if not isinstance(word, str) or word not in known:
            self._report(path, _misfit(values, word))
            return Option(str(word), {"name": str(word)}, path=path)
        here = path
        if isinstance(written, Mapping):
            here = (*path, word)
            options = self._part(written, here)
            self._known_keys(options, tuple(known[word]), here, of=word)
        read = {
            key: self._options(f"{name}.{word}.{key}", known[word][key], value, (*here, key))
            for key, value in options.items()
            if key in known[word]
        }
        fixed = {key: choices[0].value for key, choices in read.items() if len(choices) == 1}
        label = word + (f"({', '.join(f'{key}={_plain(value)}' for key, value in fixed.items())})" if fixed else "")
        nested = tuple(Axis(f"{name}.{label}.{key}", choices) for key, choices in read.items())
        return Option(label, {"name": word}, nested, path)

    # Small parts

    def _part(self, written: Mapping[str, Any], path: KeyPath) -> Mapping[str, Any]:
        """Return the mapping under the last key of a path, empty where there is none."""
        part = written.get(str(path[-1]), {})
        if isinstance(part, Mapping):
            return part
        self._report(path, f"must be a mapping, got {part!r}")
        return {}

    def _grain(self, written: Mapping[str, Any], path: KeyPath, grains: tuple[str, ...]) -> Grain:
        grain = written.get("granularity", "network")
        if grain not in grains:
            self._report((*path, "granularity"), f"'{grain}' is not a granularity; {nearest(grain, grains)}")
            return "network"
        return cast("Grain", grain)

    def _known_keys(self, written: Mapping[str, Any], known: tuple[str, ...], path: KeyPath, of: str = "") -> None:
        for key in written:
            if key not in known:
                whose = of or ".".join(map(str, path)) or "a space"
                hint = nearest(key, known) if known else "it has none"
                self._report((*path, Key(key)), f"'{key}' is not a key of {whose}; {hint}")


def _own_names(written: Any) -> Any:
    """Return a choice of backbones by the names that are known here: `torchvision/x` may be a prepared one."""
    if isinstance(written, list):
        return [_own_names(item) for item in written]
    if isinstance(written, Mapping):
        return {key: value if key == "when" else _own_names(value) for key, value in written.items()}
    return own_name(written) if isinstance(written, str) else written


def _plain(value: Any) -> str:
    """Return a value as YAML writes it."""
    return value if isinstance(value, str) else json.dumps(value)


def _misfit(values: Values, written: Any) -> str:
    if values.words and isinstance(written, str):
        return f"'{written}' is not {values.what}; {nearest(written, values.words)}"
    return f"got {written!r}, expected {values.expected}"
