"""Optuna's own storage in the same database: the same pragmas as ours, the same patience, and fewer statements.

Three things differ from Optuna's `RDBStorage`; its tables mean the same.

- A call goes on when a database that was away is back; one whose commit had arrived unseen is found done.
- Parameters and attributes of a running trial are kept, and written together before any other call, or by
  `flush`. Optuna allows it: what must be durable at once is a trial's state, with all that came before it.
- Trials are read as plain rows, each distribution parsed once: 10,000 trials take seconds, not half a minute.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import wraps
from typing import Any, NoReturn, TypeAlias, TypeVar

from optuna.distributions import (
    BaseDistribution,
    check_distribution_compatibility,
    distribution_to_json,
    json_to_distribution,
)
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Engine, delete, func, insert, or_, select
from sqlalchemy.orm import Session

from dcasearch.errors import StorageError
from dcasearch.store.engine import changing_tables, engine_options, is_sqlite, set_pragmas
from dcasearch.store.optuna_private import (
    NOT_FOUND,
    PARAMS,
    SYSTEM_ATTRIBUTES,
    TRIALS,
    USER_ATTRIBUTES,
    OpenStorage,
)
from dcasearch.store.optuna_rows import Condition, read
from dcasearch.store.outage import outlasting, translated
from dcasearch.store.urls import parse, redact, whole

T = TypeVar("T")
Key: TypeAlias = tuple[Any, int, str]
"""Table, trial, name."""


def open_optuna(url: str, engine: Engine) -> OptunaStorage:
    """Return Optuna's storage, creating its tables where there are none; reading wants `get_storage` around it.

    Args:
        url: The database.
        engine: Ours on the same database.

    Raises:
        StorageError: Optuna's tables are of another version than the installed Optuna.
    """
    with translated(url), ExitStack() as stack:
        if not is_sqlite(engine):  # two drivers that start on an empty server would make the tables twice
            stack.enter_context(changing_tables(engine))
        try:
            return OptunaStorage(url)
        except RuntimeError as error:
            advice = f"Run `dcasearch db upgrade --storage {redact(url)}`, or upgrade Optuna if it is older."
            raise StorageError(f"{redact(url)}: {error} {advice}") from error


def upgrade(url: str) -> None:
    """Bring Optuna's tables to the installed Optuna's version."""
    with translated(url):
        storage = OptunaStorage(url, skip_compatibility_check=True)
        before = logging.root.manager.disable
        logging.disable(logging.INFO)  # Optuna's Alembic sets its own loggers up, and tells of every context it makes
        try:
            storage.upgrade()
        finally:
            logging.disable(before)
            storage.close()


class OptunaStorage(OpenStorage):
    """See the head of this file. For the one driver of a study, and for readers; threads may share it."""

    def __init__(self, url: str, *, skip_compatibility_check: bool = False) -> None:
        self._shown = redact(url)
        self._kept: dict[Key, dict[str, Any]] = {}
        """Rows to be written."""
        self._lock = threading.RLock()
        """Held up to the end of a transaction: what one thread kept and another writes is written before the first
        goes on to end its trial, and no thread takes another's newest trial for its own."""
        self._newest = -1
        """The newest trial when the last one was begun to be made."""
        escaped = whole(url).replace("{", "{{").replace("}", "}}")  # Optuna fills templates in its URLs
        try:
            super().__init__(escaped, engine_options(parse(url)), skip_compatibility_check)
        except BaseException:
            self.close()
            raise
        if is_sqlite(self.engine):
            set_pragmas(self.engine)
            self.engine.dispose()  # the connections of the creation have none of the pragmas

    def __reduce__(self) -> NoReturn:
        raise TypeError("a storage stays in its process: its pickle would hold the database's password")

    def flush(self) -> None:
        """Write what is kept."""
        self._patiently(lambda: None)

    # Writes that are kept

    def write_param(
        self,
        trial_id: int,
        name: str,
        value: float,
        distribution: BaseDistribution,
        previous_distribution: BaseDistribution | None,
    ) -> None:
        """Keep a parameter."""
        if previous_distribution is None:  # the first of its name in this process: the database may know others
            previous_distribution = outlasting(self._stored_distribution)(trial_id, name) or distribution
        check_distribution_compatibility(previous_distribution, distribution)
        written = {"param_value": value, "distribution_json": distribution_to_json(distribution)}
        self._keep(PARAMS, trial_id, "param_name", name, written)

    def _stored_distribution(self, trial_id: int, name: str) -> BaseDistribution | None:
        study = select(TRIALS.study_id).where(TRIALS.trial_id == trial_id).scalar_subquery()
        query = select(PARAMS.distribution_json).join(TRIALS, TRIALS.trial_id == PARAMS.trial_id)
        with translated(self._shown), self.transaction() as session:
            found = session.scalars(query.where(TRIALS.study_id == study, PARAMS.param_name == name).limit(1)).first()
        return None if found is None else json_to_distribution(found)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Keep a user attribute."""
        self._keep(USER_ATTRIBUTES, trial_id, "key", key, {"value_json": json.dumps(value)})

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Keep a system attribute."""
        self._keep(SYSTEM_ATTRIBUTES, trial_id, "key", key, {"value_json": json.dumps(value)})

    def _keep(self, table: Any, trial_id: int, column: str, name: str, written: dict[str, Any]) -> None:
        with self._lock:
            self._kept[(table, trial_id, name)] = {"trial_id": trial_id, column: name, **written}

    def _write_kept(self) -> None:
        if not self._kept:
            return
        kept, self._kept = self._kept, {}  # a refusal asks for its trial, and must not come here again
        try:
            with self.transaction() as session:
                self._write(session, kept)
        except (KeyError, UpdateFinishedTrialError):
            raise
        except BaseException:
            self._kept = kept
            raise

    def _write(self, session: Session, kept: Mapping[Key, dict[str, Any]]) -> None:
        rows: dict[tuple[Any, int], dict[str, dict[str, Any]]] = defaultdict(dict)
        for (table, trial_id, name), row in kept.items():
            rows[(table, trial_id)][name] = row
        for trial_id in dict.fromkeys(trial_id for _, trial_id in rows):
            trial = self.row_of(trial_id, session)
            self.check_trial_is_updatable(trial_id, trial.state)
        for (table, trial_id), named in rows.items():
            column = table.param_name if table is PARAMS else table.key
            session.execute(delete(table).where(table.trial_id == trial_id, column.in_(named)))
            session.execute(insert(table), list(named.values()))

    # Writes that are in doubt when the database goes away

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Set a trial's state; where the database went away meanwhile and holds that state, this call has set it."""
        set_it = super().set_trial_state_values
        in_doubt = False

        def attempt() -> bool:
            nonlocal in_doubt
            if in_doubt and self._state_of(trial_id) == state:
                return True
            in_doubt = True
            return set_it(trial_id, state, values)

        return self._patiently(attempt)

    def _state_of(self, trial_id: int) -> TrialState:
        with self.transaction() as session:
            trial = self.row_of(trial_id, session)
            return TrialState(trial.state)

    def make_trial(self, study_id: int, template_trial: FrozenTrial | None) -> FrozenTrial:
        """Make a trial; where the database went away meanwhile and holds it already, return that one."""
        make = super().make_trial
        with self._lock:
            self._newest = self._patiently(lambda: self._newest_of(study_id))
            return self._patiently(lambda: make(study_id, template_trial))

    def _newest_of(self, study_id: int) -> int:
        with self.transaction() as session:
            query = select(func.coalesce(func.max(TRIALS.trial_id), -1)).where(TRIALS.study_id == study_id)
            return int(session.scalars(query).one())

    def make_row(self, study_id: int, template_trial: FrozenTrial | None, session: Session) -> Any:
        """Make a trial's row, or return the one that this call has made before."""
        # Optuna, too, repeats this by itself. One driver: a trial that was not there when the call began is the
        # call's own, committed while the database went away.
        query = select(TRIALS).where(TRIALS.study_id == study_id, TRIALS.trial_id > self._newest)
        return session.scalars(query).first() or super().make_row(study_id, template_trial, session)

    # Reads

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial; KeyError where there is none of that id."""
        trials = self._patiently(lambda: self._read(TRIALS.trial_id == trial_id))
        if not trials:
            raise KeyError(NOT_FOUND)
        return trials[0]

    def read_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        """Return a study's trials, read as plain rows."""
        where: list[Condition] = [TRIALS.study_id == study_id]
        if isinstance(states, Iterable):
            where.append(TRIALS.state.in_(states))
        if trial_id_greater_than > -1:
            included = [id for id in included_trial_ids if id <= trial_id_greater_than]
            where.append(or_(TRIALS.trial_id > trial_id_greater_than, TRIALS.trial_id.in_(included)))
        trials = self._patiently(lambda: self._read(*where))
        if not trials:
            self.get_study_directions(study_id)  # KeyError where there is no such study
        return trials

    def _read(self, *where: Condition) -> list[FrozenTrial]:
        with self.transaction() as session:
            return read(session, *where)

    def _patiently(self, call: Callable[[], T]) -> T:
        """Write what is kept, then call; both again while the database is away."""

        def attempt() -> T:
            with self._lock, translated(self._shown):
                self._write_kept()
                return call()

        return outlasting(attempt)()


def _patient(name: str) -> Callable[..., Any]:
    method = getattr(OpenStorage, name)

    @wraps(method)
    def call(self: OptunaStorage, *args: Any, **kwargs: Any) -> Any:
        return self._patiently(lambda: method(self, *args, **kwargs))

    return call


for _name in (  # nothing but patience is added: done twice, each does or says the same
    "create_new_study",
    "delete_study",
    "set_study_user_attr",
    "set_study_system_attr",
    "get_study_id_from_name",
    "get_study_name_from_id",
    "get_study_directions",
    "get_study_user_attrs",
    "get_study_system_attrs",
    "get_all_studies",
    "set_trial_intermediate_value",
    "get_trial_id_from_study_id_trial_number",
    "get_trial_param",
    "get_trial_user_attrs",
    "get_trial_system_attrs",
    "best_trial_id",
):
    setattr(OptunaStorage, _name, _patient(_name))
