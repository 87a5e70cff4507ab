"""From plain data to a space; every mistake with where it stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

from dcasearch.architecture import KINDS, Dimension
from dcasearch.architecture.kinds import DIMENSIONS
from dcasearch.config import Path, Report, plain_report
from dcasearch.errors import nearest
from dcasearch.space.axes import Axis, Option, last_part
from dcasearch.space.grammar import DEFAULTS, GRAINS, GRAMMAR, Values, keys
from dcasearch.space.space import Attention, Connections, Grain, Space

_Make: TypeAlias = Callable[[str, Any, Path], Axis]
_TOP = ("backbone", "attention", "connections")
_CONDITION = ("when", "choose", "else")


def read_space(written: Mapping[str, Any], report: Report | None = None) -> Space:
    """Return the space that plain data spells out.

    Args:
        written: As parsed from YAML.
        report: Takes each mistake as (path in `written`, message); by default all of them are raised at once.

    Raises:
        ConfigError: with every mistake, if no `report` is given.
    """
    if report is not None:
        return _Reader(report).read(written)
    with plain_report("space") as collected:
        return _Reader(collected).read(written)


class _Reader:
    """Reads one space, reporting what is wrong and going on."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._scalars: list[str] = []
        """Axes read so far that a condition may refer to."""

    def read(self, written: Mapping[str, Any]) -> Space:
        self._known_keys(written, _TOP, ())
        backbone = self._part(written, "backbone")
        if "name" not in backbone:
            self._report(("backbone",), f"needs a name; {nearest('', GRAMMAR['backbone.name'].words)}")
        axes = [self._axis("backbone.name", backbone.get("name", "resnet18"), ("backbone", "name"))]
        axes += [self._axis(f"backbone.{k}", backbone[k], ("backbone", k)) for k in ("width", "stem") if k in backbone]
        self._known_keys(backbone, ("name", "width", "stem"), ("backbone",))
        self._check_width(axes)
        attention = self._attention(self._part(written, "attention"))
        connections = None
        if written.get("connections") not in (None, "none"):
            connections = self._connections(self._part(written, "connections"), attention)
        return Space(dict(written), tuple(axes), attention, connections)

    # The three parts

    def _attention(self, written: Mapping[str, Any]) -> Attention:
        self._known_keys(written, ("name", "granularity", "reduction", "extent"), ("attention",))
        grain = self._grain(written, ("attention",))
        name = self._axis("attention.name", written.get("name", DEFAULTS["attention.name"]), ("attention", "name"))
        if grain != "network":
            self._scalars.remove(name.name)  # one per site: nothing that a condition could mean
        kinds = [str(option.value) for option in name.options if str(option.value) in KINDS]
        options = []
        for key in ("reduction", "extent"):
            having = [kind for kind in kinds if key in KINDS[kind].defaults]
            if key not in written:
                continue
            path = ("attention", key)
            if not having:
                self._report(path, f"none of {', '.join(kinds)} has a {key}")
                continue
            options.append(self._axis(f"attention.{key}", written[key], path))
            self._check_extents(having, options[-1], path)
        return Attention(name, grain, tuple(options))

    def _connections(self, written: Mapping[str, Any], attention: Attention) -> Connections:
        axes = keys("connections")
        del axes["channel"], axes["spatial"]
        self._known_keys(written, (*axes, "granularity", "dimensions", "alpha", "edges"), ("connections",))
        grain = self._grain(written, ("connections",))
        receives = self._receives(written, attention)
        made = {
            key: self._axis(name, written.get(key, DEFAULTS[name]), ("connections", key)) for key, name in axes.items()
        }
        self._check_topology(made["topology"], written)
        self._check_coupling(made["coupling"], attention)
        alpha = self._part(written, "alpha", ("connections", "alpha"))
        self._known_keys(alpha, ("shape", "init"), ("connections", "alpha"))
        alphas = [
            self._axis(f"connections.alpha.{key}", alpha[key], ("connections", "alpha", key))
            for key in ("shape", "init")
            if key in alpha
        ]
        return Connections(grain=grain, receives=receives, alpha=tuple(alphas), edges=written.get("edges"), **made)

    def _receives(self, written: Mapping[str, Any], attention: Attention) -> dict[Dimension, Axis]:
        """Return who receives in each dimension; one that the attention has and nothing is said of: everybody."""
        path: Path = ("connections", "dimensions")
        dimensions = self._part(written, "dimensions", path)
        self._known_keys(dimensions, DIMENSIONS, path)
        kinds = [str(o.value) for o in attention.name.options if str(o.value) in KINDS]
        receives: dict[Dimension, Axis] = {}
        for dimension in DIMENSIONS:
            exists = any(dimension in KINDS[kind].dimensions for kind in kinds)
            axis = self._axis(f"connections.{dimension}", dimensions.get(dimension, exists), (*path, dimension))
            self._scalars.remove(axis.name)
            if not exists and any(option.value is True for option in axis.options):
                self._report((*path, dimension), f"no {dimension} connection is possible: {_only(kinds)} has none")
            receives[dimension] = axis
        return receives

    # One axis

    def _axis(self, name: str, written: Any, path: Path) -> Axis:
        """Read a scalar, a list of choices, or a condition."""
        self._scalars.append(name)
        if isinstance(written, Mapping) and "when" in written:
            return self._conditional(name, written, path)
        return Axis(name, self._options(name, GRAMMAR[name], written, path))

    def _conditional(self, name: str, written: Mapping[str, Any], path: Path) -> Axis:
        self._known_keys(written, _CONDITION, path)
        for key in ("choose", "else"):
            if key not in written:
                self._report(path, f"a condition needs `{key}`; it is {{when: …, choose: …, else: …}}")
                return Axis(name, self._options(name, GRAMMAR[name], DEFAULTS.get(name), path))
        when: dict[str, tuple[Any, ...]] = {}
        condition = self._part(written, "when", (*path, "when"))
        for earlier, values in condition.items():
            if earlier not in self._scalars[:-1]:
                message = f"'{earlier}' is no axis that is chosen before {name}; {nearest(earlier, self._scalars[:-1])}"
                self._report((*path, "when", earlier), message)
            when[earlier] = tuple(values) if isinstance(values, list) else (values,)
        options = self._options(name, GRAMMAR[name], written["choose"], (*path, "choose"))
        otherwise = self._options(name, GRAMMAR[name], written["else"], (*path, "else"))
        if len(otherwise) != 1:
            self._report((*path, "else"), "must be one value")
        return Axis(name, options, when, otherwise[0])

    def _options(self, name: str, values: Values, written: Any, path: Path) -> tuple[Option, ...]:
        if not isinstance(written, list):
            return (self._option(name, values, written, path),)
        if not written:
            self._report(path, "is an empty list of choices")
        options: list[Option] = []
        for n, item in enumerate(written):
            option = self._option(name, values, item, (*path, n))
            if any(option.label == other.label and type(option.label) is type(other.label) for other in options):
                self._report((*path, n), f"'{option.label}' stands twice among the choices")
            options.append(option)
        return tuple(options) or (Option(None, None),)

    def _option(self, name: str, values: Values, written: Any, path: Path) -> Option:
        if values.named is not None:
            return self._named(name, values, written, path)
        if not values.fits(written):
            self._report(path, _misfit(values, written))
        return Option(written, written)

    def _named(self, name: str, values: Values, written: Any, path: Path) -> Option:
        """Read `fc` or `{fc2: {reduction: [4, 8]}}`."""
        word: Any = written
        options: Mapping[str, Any] | None = None
        if isinstance(written, Mapping) and len(written) == 1:
            [(word, options)] = written.items()
        if not isinstance(word, str) or word not in (values.named or {}):
            self._report(path, _misfit(values, word))
            return Option(str(word), {"name": word})
        known = (values.named or {})[word]
        here = (*path, word) if options else path
        self._known_keys(options or {}, tuple(known), here, of=word)
        nested = [
            Axis(f"{name}.{word}.{key}", self._options(name, known[key], value, (*here, key)))
            for key, value in (options or {}).items()
            if key in known
        ]
        fixed = {last_part(axis.name): axis.options[0].value for axis in nested if len(axis.options) == 1}
        label = word + (f"({', '.join(f'{k}={v}' for k, v in fixed.items())})" if fixed else "")
        return Option(label, {"name": word}, tuple(nested))

    # What cannot be

    def _check_width(self, axes: list[Axis]) -> None:
        names = [option.value for option in axes[0].options]
        for axis in axes[1:]:
            widths = [option.value for option in axis.options] if axis.name == "backbone.width" else []
            if any(width != 1 for width in widths) and not axis.when and set(names) - {"mobilenet_v2"}:
                self._report(("backbone", "width"), "only mobilenet_v2 has a width (mnasnet's is in its name)")

    def _check_extents(self, kinds: list[str], axis: Axis, path: Path) -> None:
        if last_part(axis.name) != "extent":
            return
        for option in axis.options:
            for kind in kinds:
                if option.value not in KINDS[kind].extents:
                    allowed = ", ".join("null" if e is None else str(e) for e in KINDS[kind].extents)
                    self._report(path, f"{kind} has no extent {option.value}; Known: {allowed}.")

    def _check_topology(self, axis: Axis, written: Mapping[str, Any]) -> None:
        custom = any(option.value == "custom" for option in axis.options)
        if custom != ("edges" in written):
            self._report(("connections", "topology"), "`edges` belongs to topology: custom, and to it alone")

    def _check_coupling(self, axis: Axis, attention: Attention) -> None:
        kinds = {option.value for option in attention.name.options}
        if any(option.value == "coupled" for option in axis.options) and "cbam" not in kinds:
            self._report(
                ("connections", "coupling"), f"coupled exists for cbam alone, not for {_only(sorted(map(str, kinds)))}"
            )

    # Small parts

    def _part(self, written: Mapping[str, Any], key: str, path: Path | None = None) -> Mapping[str, Any]:
        part = written.get(key, {})
        if isinstance(part, Mapping):
            return part
        self._report(path or (key,), f"must be a mapping, got {part!r}")
        return {}

    def _grain(self, written: Mapping[str, Any], path: Path) -> Grain:
        grain = written.get("granularity", "network")
        if grain not in GRAINS:
            self._report((*path, "granularity"), f"'{grain}' is not a granularity; {nearest(grain, GRAINS)}")
            return "network"
        return cast("Grain", grain)

    def _known_keys(self, written: Mapping[str, Any], known: tuple[str, ...], path: Path, of: str = "") -> None:
        for key in written:
            if key not in known:
                whose = of or ".".join(map(str, path)) or "a space"
                hint = nearest(key, known) if known else "It has none."
                self._report((*path, key), f"'{key}' is not a key of {whose}; {hint}")


def _only(kinds: list[str]) -> str:
    return " or ".join(kinds)


def _misfit(values: Values, written: Any) -> str:
    if values.words and isinstance(written, str):
        return f"'{written}' is not {values.what}; {nearest(written, values.words)}"
    return f"got {written!r}, expected {values.expected}"
