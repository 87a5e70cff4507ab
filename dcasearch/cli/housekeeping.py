"""`dcasearch rename`, `delete` and `clean`: studies and files that are no longer wanted as they are."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dcasearch.cli.arguments import Storage, StudyName
from dcasearch.cli.console import make_console
from dcasearch.errors import UserError, nearest
from dcasearch.wording import in_one_line

if TYPE_CHECKING:  # imported by those who use them, so that `--help` is instant
    from collections.abc import Collection

    from rich.console import Console

    from dcasearch.search.housekeeping import Found
    from dcasearch.store import Store, StoredStudy

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; needed where no terminal can be asked.")]


def rename(
    old: StudyName,
    new: Annotated[str, typer.Argument(help="Its new name.", show_default=False)],
    dry_run: DryRun = False,
    storage: Storage = None,
) -> None:
    """Give a study another name; all its trials, records and files follow. A running study is refused."""
    from dcasearch.cli.storage import open_located, relink
    from dcasearch.search.housekeeping import artifacts_of, move_readings

    _check_name(new)
    name, store = open_located(old, storage)
    console = make_console()
    if new == name:
        raise UserError(f"the study has the name '{new}' already")
    with store, store.lease(name, noted=False), store.lease(new, noted=False):
        console.print(f"study {name}, database {store.url}")
        stored = _stored(store, name)
        if store.get_study(new) is not None:
            raise UserError(f"{store.url} holds a study '{new}' already; nothing was renamed")
        held = store.holdings(name)
        what = f"{held.trials:,} trials, {held.roles:,} baselines, parents and final trainings"
        if dry_run:
            console.print(f"would become '{new}': {what}; nothing was changed")
            return
        store.rename_study(name, new)
        artifacts = artifacts_of(stored)
        if artifacts is not None:
            move_readings(artifacts, name, new)
    relink(name, new, store.url)
    console.print(f"renamed to '{new}': {what}")
    console.print(f"Write `name: {new}` in its YAML. With the old name, `run` begins a new study.")


def delete(study: StudyName, dry_run: DryRun = False, yes: Yes = False, storage: Storage = None) -> None:
    """Delete a study, its records and files. What another study still uses stays. A running study is refused."""
    from dcasearch.cli.storage import open_located, relink
    from dcasearch.search.housekeeping import artifacts_of, evaluations_of, files_of, remove_found

    name, store = open_located(study, storage)
    console = make_console()
    with store, store.lease(name, noted=False):
        console.print(f"study {name}, database {store.url}")
        stored = _stored(store, name)
        held, artifacts = store.holdings(name), artifacts_of(stored)
        ids = evaluations_of(store, stored)
        found = [] if artifacts is None else files_of(artifacts, ids, name)
        console.print(
            f"{held.trials:,} trials, {held.roles:,} baselines, parents and final trainings; "
            f"{len(held.evaluations):,} trainings are of this study alone, {held.shared:,} are another study's too "
            "and stay"
        )
        _print_found(console, found)
        if dry_run:
            console.print("nothing was deleted")
            return
        _confirm(console, "delete", name, yes)
        store.delete_study(name)  # before the files: a kill in between leaves orphans, no record without its weights
        gone = ids - store.recorded(ids)
        if artifacts is not None:
            remove_found(files_of(artifacts, gone, name))
    relink(name, None, store.url)
    console.print(f"deleted study {name}")


def clean(
    dry_run: DryRun = False,
    yes: Yes = False,
    orphans: Annotated[
        bool,
        typer.Option("--orphans", help="Also files of no study here; give it only if no other database uses them."),
    ] = False,
    artifacts: Annotated[
        str | None,
        typer.Option(help="Look at this folder too, e.g. of a last study whose delete was killed."),
    ] = None,
    storage: Storage = None,
) -> None:
    """Delete the files that no study of a database needs any more. Files of running studies stay."""
    from dcasearch.artifacts import open_artifacts
    from dcasearch.search.housekeeping import cleaning_of, holding_all, remove_found
    from dcasearch.store import Store, default_url

    console = make_console()
    with Store.open(storage or default_url()) as store, holding_all(store) as running:
        console.print(f"database {store.url}")
        cleaning = cleaning_of(store, running, None if artifacts is None else open_artifacts(artifacts))
        for reason in cleaning.reasons:
            console.print(f"{reason}, so files of no study are left alone.")
        chosen = list(cleaning.unneeded)
        if orphans and not cleaning.reasons:
            chosen += cleaning.orphans
        _print_found(console, chosen)
        if cleaning.orphans and not orphans:
            console.print("\nOf no study of this database; another one may use them, so they stay without --orphans:")
            _print_found(console, cleaning.orphans)
        if dry_run or not chosen:
            console.print("nothing was deleted")
            return
        _confirm(console, "clean", "clean", yes)
        remove_found(chosen)
    console.print(f"deleted {_files(chosen)}")


def _check_name(name: str) -> None:
    """Raise UserError for a name that no study can have."""
    from pydantic import TypeAdapter, ValidationError

    from dcasearch.config.numbers import MAX_NAME, Name

    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError:
        raise UserError(
            f"'{name}' is no name of a study: letters, digits, - and _, a letter first, at most {MAX_NAME} characters"
        ) from None


def _stored(store: Store, name: str) -> StoredStudy:
    stored = store.get_study(name)
    if stored is None:
        raise UserError(f"{store.url} holds no study '{name}'; {nearest(name, (s.name for s in store.studies()))}")
    return stored


def _print_found(console: Console, found: Collection[Found]) -> None:
    from dcasearch.artifacts import shown

    for one in found:
        console.print(f"{one.size / 1e6:10,.2f} MB  {in_one_line(shown(one.place))}  ({one.why})")
    console.print(_files(found))


def _files(found: Collection[Found]) -> str:
    if not found:
        return "no files"
    return f"{len(found):,} file{'s' * (len(found) != 1)}, {sum(one.size for one in found) / 1e6:,.2f} MB"


def _confirm(console: Console, what: str, expected: str, yes: bool) -> None:
    """Return if the user agrees.

    Raises:
        UserError: something else was typed, or there is no terminal to ask at.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError(f"nothing was deleted: `dcasearch {what}` needs --yes where no terminal can be asked")
    if console.input(f"This cannot be undone. Type {expected} to go on: ").strip() != expected:
        raise UserError(f"nothing was deleted: '{expected}' was not typed")
