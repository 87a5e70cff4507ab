"""The drift of some networks as a table, a figure and sentences."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dcasearch.interpretation.drift import Spot, Track
from dcasearch.interpretation.drift_comparison import VARIANTS, Mean, Watched, differences, mean_of
from dcasearch.interpretation.figure import Drawn, Line, Panel, draw
from dcasearch.interpretation.intervals import Estimate
from dcasearch.interpretation.similarity import CHANCE, LEAST_IMAGES
from dcasearch.report.readings import Reading, plain

COLUMNS = ("network", "measure", "mean over steps (95%)", "between stages (95%)", "images left out")


def reading_of(watched: Sequence[Watched], images: str, provenance: Mapping[str, str], svg: str) -> Reading:
    """Return what is shown of some networks.

    Args:
        watched: the networks, each trained one followed by its untrained ones.
        images: the images in words.
        provenance: what it was made with.
        svg: what `draw_figure` drew.
    """
    compared = list(differences(watched))
    return Reading(
        name="drift",
        title="How far the focus moves from stage to stage",
        says=tuple(_sentences(watched, images, compared)),
        columns=COLUMNS,
        rows=(*_rows(watched), *(_row(mean, "") for mean in compared)),
        svg=svg,
        caption=(
            "How alike the focus is at two successive places: 1 is a focus that does not move. Bands: 95% intervals "
            "over images. Shading: the stage of the later block."
        ),
        provenance=dict(provenance),
        numbers=plain(
            {
                "networks": [_numbers(w, track) for w in watched for track in w.tracks],
                "differences": [asdict(mean) for mean in compared],
            }
        ),
    )


def _numbers(watched: Watched, track: Track) -> dict[str, Any]:
    steps = track.steps.estimates()
    left_out = track.left_out or (0,) * len(steps)
    pairs = zip(track.spots, track.spots[1:], track.borders.tolist(), steps, left_out, strict=False)
    return {
        "network": watched.name,
        "variant": watched.variant,
        "measure": track.measure,
        "images": track.images,
        "constant": track.constant,
        "mean": asdict(mean_of(watched, track)),
        "steps": [
            {
                "from": before.name,
                "to": after.name,
                "between_stages": border,
                "value": None if step is None else asdict(step),
                "left_out": missing,
            }
            for before, after, border, step, missing in pairs
        ],
    }


def _rows(watched: Sequence[Watched]) -> Iterator[tuple[str, ...]]:
    measures = dict.fromkeys(track.measure for w in watched for track in w.tracks)
    for measure in measures:
        for w in watched:
            track = w.track(measure)
            if track is not None:
                most = max(track.left_out, default=0)
                yield _row(mean_of(w, track), f"{most} of {track.images}" if track.left_out else "")


def _row(mean: Mean, left_out: str) -> tuple[str, ...]:
    return mean.label, mean.measure, _cell(mean.steps), _cell(mean.borders), left_out


def _cell(estimate: Estimate | None) -> str:
    if estimate is None:
        return "not defined"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _sentences(watched: Sequence[Watched], images: str, compared: Sequence[Mean]) -> Iterator[str]:
    yield f"Images: {images}. 1 is a focus that does not move; two unrelated maps overlap by about {CHANCE:.2f}."
    yield (
        "Intervals are of the images: another training of the same network, or another draw of an untrained one, may "
        "differ by more. Each interval stands by itself, none is corrected for their number."
    )
    yield (
        "Adding the previous attention makes attentions alike by construction. The untrained network of the same "
        "architecture shows how much of it needs no training."
    )
    for w in watched:
        yield from _missing(w)
        for track in w.tracks:
            if any(track.left_out):
                yield (
                    f"{w.label}: {track.measure} leaves out up to {max(track.left_out)} of {track.images} images a "
                    "step, whose map is zero or equal everywhere."
                )
            if track.constant:
                yield (
                    f"{w.label}: {track.measure} is not defined at {', '.join(track.constant)}, where T is the same "
                    "for every image."
                )
    resolved = [mean for mean in compared if mean.steps is not None and mean.steps.resolved]
    yield f"{len(resolved)} of {len(compared)} differences have an interval that excludes 0."


def _missing(watched: Watched) -> Iterator[str]:
    if watched.variant != "trained":
        return
    if len(watched.tracks) == 1:
        yield f"{watched.name}: it has no two blocks with attention, so it has the overlap of Grad-CAM alone."
    images = watched.tracks[0].images
    if images < LEAST_IMAGES:
        yield f"{watched.name}: no CKA is told of {images} images; it needs {LEAST_IMAGES}."


def draw_figure(watched: Sequence[Watched]) -> Drawn:
    """Return the figure: a row for each measure and each way in which the spots lie in stages."""
    names = list(dict.fromkeys(w.name for w in watched))
    groups: dict[tuple[str, tuple[Spot, ...]], list[tuple[Watched, Track]]] = {}
    for w in watched:
        for track in w.tracks:
            groups.setdefault((track.measure, track.spots), []).append((w, track))
    panels = [_panel(measure, spots, tracks, names) for (measure, spots), tracks in groups.items()]
    return draw([panels[n : n + 2] for n in range(0, len(panels), 2)])


def _panel(
    measure: str, spots: tuple[Spot, ...], tracks: Sequence[tuple[Watched, Track]], names: Sequence[str]
) -> Panel:
    by_stage = len({spot.stage for spot in spots}) == len(spots)
    return Panel(
        title=measure,
        x="from stage to stage" if by_stage else "step from block k to block k + 1",
        y="IoU" if measure.startswith("overlap") else "linear CKA",
        lines=[_line(w, track, names.index(w.name)) for w, track in tracks],
        stages=() if by_stage else tuple(spot.stage for spot in spots[1:]),
        ticks=[f"{a.stage} → {b.stage}" for a, b in itertools.pairwise(spots)] if by_stage else (),
        level=(CHANCE, "two unrelated maps") if measure.startswith("overlap") else (0.0, "unrelated attention"),
    )


def _line(watched: Watched, track: Track, colour: int) -> Line:
    known = [(n + 1, step) for n, step in enumerate(track.steps.estimates()) if step is not None]
    return Line(
        label=watched.label,
        at=[place for place, _ in known],
        values=[step.value for _, step in known],
        bounds=[(step.low, step.high) for _, step in known],
        colour=colour,
        style=VARIANTS.index(watched.variant),
    )
