"""Fetch the wheels that a machine without a network lacks for `dcasearch gpu-check`, into a folder to carry there.

What is there already is told by --there, a file as `pip freeze` prints it (or names alone, one a line). torch, which
must be there, and Ray, which is too large to carry, are never fetched. Versions are those of this environment. The list
and its size are printed; wheels of more than --limit MB in all are an error.

    python benchmarks/gpu/wheels.py [--there FILE] [--also NAME …] [--python 3.12] [--out .gpu-wheels] [--limit 40]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Collection, Mapping
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LEFT = {"torch", "torchvision", "ray"}
"""The first two must be there, the third cannot travel."""
GLIBC = (28, 27, 24, 17, 31, 34, 35, 36, 38, 39)


def required() -> dict[str, list[SpecifierSet]]:
    """Return everything that the package requires, as this environment has it, with the versions that are allowed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(line) for line in project["dependencies"]]
    found: dict[str, list[SpecifierSet]] = defaultdict(list)
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if name in LEFT or not applies:
            continue
        if name not in found:
            wanted += [Requirement(line) for line in distribution(name).requires or ()]
        found[name].append(requirement.specifier)
    return found


def there(path: Path | None) -> dict[str, str | None]:
    """Return what a list of installed packages says: names, and versions where it gives them."""
    found: dict[str, str | None] = {}
    for line in path.read_text().splitlines() if path is not None else []:
        name, _, version = line.partition("==")
        if name.strip() and not line.startswith(("#", "-")):
            found[canonicalize_name(name.split("@")[0].strip())] = version.strip() or None
    return found


def missing(installed: Mapping[str, str | None], also: Collection[str]) -> list[str]:
    """Return what has to be fetched: what is not there, or of a version that is not allowed."""

    def lacks(name: str, allowed: list[SpecifierSet]) -> bool:
        version = installed.get(name)
        wrong = version is not None and not all(version in specifier for specifier in allowed)
        return name not in installed or wrong or name in also

    return sorted(name for name, allowed in required().items() if lacks(name, allowed))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--there", type=Path)
    parser.add_argument("--python", default="3.12")
    parser.add_argument("--out", type=Path, default=ROOT / ".gpu-wheels")
    parser.add_argument("--limit", type=float, default=40.0, help="MB")
    parser.add_argument("--also", nargs="*", default=[], help="packages to fetch although they are there")
    parser.add_argument("--dry-run", action="store_true", help="only list")
    options = parser.parse_args()
    try:
        wanted = [f"{name}=={version(name)}" for name in missing(there(options.there), options.also)]
    except PackageNotFoundError as error:
        sys.exit(f"{error}: run this with the interpreter of the project's environment, after `make quickstart`")
    print("\n".join(wanted))
    if options.dry_run:
        return
    platforms = [f"manylinux_2_{minor}_x86_64" for minor in GLIBC] + ["manylinux2014_x86_64", "manylinux1_x86_64"]
    target = ["--python-version", options.python, "--implementation", "cp", "--only-binary=:all:"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *target, "--dest", str(options.out)]
    subprocess.run([*command, *(f"--platform={name}" for name in platforms), *wanted], check=True)
    size = sum(path.stat().st_size for path in options.out.glob("*.whl")) / 1e6
    print(f"{len(list(options.out.glob('*.whl')))} wheels, {size:.1f} MB in {options.out}")
    if size > options.limit:
        sys.exit(f"more than {options.limit:g} MB: give --there, so that what is there is not carried")


if __name__ == "__main__":
    main()
