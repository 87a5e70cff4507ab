"""`dcasearch report`: a study as one self-contained page, and each of its figures as files."""

from __future__ import annotations

import base64
import statistics
from collections.abc import Sequence
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

from dcasearch.analysis import races
from dcasearch.analysis.classes import class_table_of
from dcasearch.analysis.findings import findings_of
from dcasearch.analysis.standing import Compared, FidelityStanding, Standing, others_of, standing_of
from dcasearch.analysis.words import cells, counts, how_to_read, in_numbers
from dcasearch.metrics import METRICS
from dcasearch.report.figures import Figure, figures_of
from dcasearch.report.readings import Reading
from dcasearch.report.rows import cells_of, epochs_of, sentence_of, summary_of
from dcasearch.report.sheet import FILE, Sheet
from dcasearch.store import Store
from dcasearch.trial import State


class Estimated(Protocol):
    """Two rank correlations with their intervals."""

    @property
    def tau(self) -> float:
        """Kendall's τ."""

    @property
    def tau_interval(self) -> tuple[float, float]:
        """Of τ."""

    @property
    def rho(self) -> float:
        """Spearman's ρ."""

    @property
    def rho_interval(self) -> tuple[float, float]:
        """Of ρ."""


class Trusted(Protocol):
    """How well one number predicts another."""

    @property
    def fidelity(self) -> str:
        """Where the predictor is measured."""

    @property
    def against(self) -> str:
        """The fidelity that is predicted."""

    @property
    def predictor(self) -> str:
        """What predicts."""

    @property
    def n(self) -> int:
        """Networks that have both."""

    @property
    def correlation(self) -> Estimated | None:
        """None: not estimable."""


def write_report(
    store: Store,
    name: str,
    out: Path,
    trust: Sequence[Trusted] = (),
    *,
    readings: Sequence[Reading] = (),
    sheet: Sheet | None = None,
    reach: float | None = None,
) -> list[Path]:
    """Write `report.html`, each figure as SVG and PNG and the contact sheet; return the files, the page first.

    Args:
        store: The database.
        name: The study.
        out: The folder; made where it is missing. Files of these names are replaced.
        trust: How far each proxy can be trusted, as `dcasearch.analysis.trust` finds it.
        reach: Of a list of architectures: the accuracy for which each row says when it was reached.
        readings: What was kept beside the study's artifacts, as `dcasearch.report.readings` finds it.
        sheet: What the best detector finds; None for networks that find no boxes.

    Raises:
        UserError: the database holds no study of that name.
    """
    standing = standing_of(store, name, reach)
    figures = list(figures_of(standing, findings_of(store, standing)))
    out.mkdir(parents=True, exist_ok=True)
    page = out / "report.html"
    page.write_text(render(standing, figures, store.url, trust, readings, sheet), encoding="utf-8")
    written = [page]
    for figure in figures:
        svg, png = out / f"{figure.name}.svg", out / f"{figure.name}.png"
        svg.write_text(figure.svg, encoding="utf-8")
        png.write_bytes(figure.png)
        written += [svg, png]
    if sheet is not None and sheet.png is not None:
        (out / FILE).write_bytes(sheet.png)
        written.append(out / FILE)
    return written


def render(
    standing: Standing,
    figures: Sequence[Figure],
    database: str,
    trust: Sequence[Trusted] = (),
    readings: Sequence[Reading] = (),
    sheet: Sheet | None = None,
) -> str:
    """Return the page; it needs no other file and no network."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((files("dcasearch.report") / "page.html.j2").read_text(encoding="utf-8"))
    study = standing.study
    last = standing.fidelities[-1]
    return template.render(
        study=study,
        database=database,
        objectives=", ".join(f"{way} {METRICS[metric].axis}" for metric, way in study.objectives.items()),
        summary=_summary(standing) if standing.table is None else summary_of(standing.table),
        networks=[(standing.named[id], sentence, id) for id, sentence in standing.networks.of.items()],
        backbone=standing.networks.backbone,
        table=None if standing.table is None else cells_of(standing.table),
        epochs=None if standing.table is None else epochs_of(standing.table),
        effects=_effects(standing),
        how_to_read="" if standing.table is None else how_to_read(standing.table.headline),
        tables=[(f.name, f.score, *_table(_compared(f))) for f in _begun(standing) if not _is_listed(standing, f)],
        finals=_table(standing.finals),
        classes=class_table_of(standing),
        sheet=sheet,
        sheet_encoded="" if sheet is None or sheet.png is None else base64.b64encode(sheet.png).decode(),
        legends=standing.legend,
        powers=[cells(power) for power in standing.powers],
        counts=[
            (f.name, {str(state): f.counts[state] for state in State if f.counts.get(state)}) for f in _begun(standing)
        ],
        races=[
            (f.name, races.verdict(f.race), races.sizes(f.race), races.columns(f.race), races.rows(f.race))
            for f in _begun(standing)
            if f.race is not None and f.race.candidates
        ],
        trust=[_trust(entry) for entry in trust],
        figures=[(figure, _encoded(figure.svg)) for figure in figures],
        readings=[(reading, _encoded(reading.svg)) for reading in readings],
        hours=str(timedelta(seconds=round(standing.seconds))),
        winner=standing.winner,
        finished=bool(standing.finals) or (study.final is None and bool(last.counts.get(State.COMPLETE))),
    )


def _is_listed(standing: Standing, fidelity: FidelityStanding) -> bool:
    """Return whether the table of a list's rows already says what a comparison with the leader would say."""
    return standing.table is not None and standing.table.fidelity == fidelity.name


def _effects(standing: Standing) -> list[str]:
    """Return what several rows of a list say together, a sentence each."""
    if standing.table is None:
        return []
    return [sentence_of(effect, standing.table.headline.unit_of_differences) for effect in standing.table.effects]


def _encoded(svg: str) -> str:
    return base64.b64encode(svg.encode()).decode()


def _begun(standing: Standing) -> list[FidelityStanding]:
    return [fidelity for fidelity in standing.fidelities if fidelity.trials or fidelity.baselines]


def _summary(standing: Standing) -> str:
    """Return in one sentence what is known by now; no difference is called a win."""
    last = standing.fidelities[-1]
    known = [c for c in standing.finals if c.trained]
    where = "on the test split, with fresh seeds"
    if not known:
        known = [c for c in _compared(last) if c.trained]
        where = f"at fidelity {last.name}, on the held-out images"
    if not known or (last.leader is None and not standing.finals):
        return "No trial of the last fidelity is complete yet."
    best, others = known[0], known[1:]
    said = f"{best.shown} has {best.headline.shown(best.mean)} {where} ({_seeds(best)})"
    if others:
        rival = max(others, key=lambda c: c.headline.sign * c.mean)
        told = "" if rival.behind is None else f"{rival.behind.in_words()} {best.headline.unit_of_differences} "
        said += f", {told}against the baseline of the highest mean, {rival.name} ({_seeds(rival)})"
    return said + "."


def _seeds(candidate: Compared) -> str:
    count = len(candidate.seeds)
    return f"{count} seed{'s' * (count > 1)}"


def _compared(fidelity: FidelityStanding) -> list[Compared]:
    return [*([fidelity.leader] if fidelity.leader else []), *fidelity.baselines]


def _table(candidates: Sequence[Compared]) -> tuple[str, list[str], list[dict[str, Any]]]:
    """Return the head of the compared column, the heads of the further ones, and the rows."""
    if not candidates:
        return "", [], []
    first = candidates[0]
    return first.headline.heading, [metric.heading for metric in others_of(first)], _rows(candidates)


def _rows(candidates: Sequence[Compared]) -> list[dict[str, Any]]:
    """Return the cells of a comparison; the first one is who the others are compared with."""
    rows = []
    for n, candidate in enumerate(candidates):
        values, digits = candidate.compared, candidate.headline.digits
        spread = f" ± {statistics.stdev(values):{digits}}" if len(values) > 1 else ""
        difference = in_numbers(candidate.behind)
        if n > 0 and candidate.scored and values and candidates[0].compared:
            difference = f"{candidates[0].ahead_of(candidate):+{digits}}"
        rows.append(
            {
                "name": candidate.shown,
                "value": f"{candidate.mean:{digits}}{spread}" if values else "failed",
                "others": [f"{statistics.fmean(candidate.values[m.name]):{m.digits}}" for m in others_of(candidate)],
                "seeds": ", ".join(map(str, candidate.seeds)),
                "difference": difference,
                "counts": counts(candidate.behind),
                "architecture": candidate.architecture_id,
                "failure": candidate.failure,
            }
        )
    return rows


def _trust(entry: Trusted) -> dict[str, str]:
    found = entry.correlation
    tau = rho = "not estimable"
    if found is not None:
        tau, rho = _interval(found.tau, found.tau_interval), _interval(found.rho, found.rho_interval)
    where = f"{entry.fidelity} → {entry.against}" if entry.against != entry.fidelity else entry.fidelity
    return {"where": where, "predictor": entry.predictor, "n": str(entry.n), "tau": tau, "rho": rho}


def _interval(value: float, interval: tuple[float, float]) -> str:
    return f"{value:+.2f} [{interval[0]:+.2f}, {interval[1]:+.2f}]"
