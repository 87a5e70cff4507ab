"""The study, as its YAML says it: what is searched, on what data, at which fidelities, by which executor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    PositiveInt,
    field_validator,
    model_validator,
)

from dcasearch.architecture.specification import Frozen
from dcasearch.bounds import Longest, Within
from dcasearch.config.data_set import (
    SHAPES_WITH_BOXES,
    Data,
)
from dcasearch.config.detector import Detector
from dcasearch.config.initialization import Initialization, as_initialization
from dcasearch.config.names import CostName, MeasuredName, MetricName, TaskName
from dcasearch.config.numbers import (
    MAX_COST,
    MAX_SEEDS,
    MAX_STEPS,
    Amount,
    Epochs,
    Fraction,
    Name,
    Pixels,
    PositiveRate,
    Rate,
    Seconds,
    Seed,
    Size,
    SizeOrNone,
    Trials,
    TrialsOrNone,
)
from dcasearch.config.recipe import Recipe
from dcasearch.metrics import CLASSIFICATION, METRICS, TASKS, Direction, Metric, is_cost

Throughput = Annotated[Amount, Within(low=1e3)]


class Bound(Frozen):
    """A constraint on a cost; checked before any training."""

    min: Amount | None = None
    """The least that a network may cost, e.g. `100M`."""
    max: Amount | None = None
    """The most that a network may cost, e.g. `5.0M`."""


class Sampler(Frozen):
    """Who suggests the next trial."""

    name: Literal["tpe", "random", "grid", "nsga2"] = "tpe"
    """tpe: a model of which parameters do well. random. grid: every network once. nsga2: evolution; default tpe."""
    seed: Seed = 0
    """Of everything that the sampler draws."""
    startup: TrialsOrNone = 10
    """tpe only: random trials before the model is used."""
    window: Trials = 1000
    """tpe only: its model is made of so many of the latest ended trials, and of the best before them."""
    population: Size = 50
    """nsga2 only: networks of one generation."""


class Pruner(Frozen):
    """Which trials end before their last epoch; decided on one metric, also with several objectives."""

    name: Literal["none", "successive_halving", "median"] = "none"
    """none: every trial is trained to its last epoch; default none."""
    metric: MeasuredName = Field(default_factory=lambda: CLASSIFICATION.headline.name)
    """Default: the first metric of the study's task."""
    min_epochs: Epochs = 1
    """Epochs at the first rung, where a trial may end."""
    reduction_factor: Annotated[int, Field(ge=2), Within(high=1000)] = 3
    """successive_halving: rungs at min_epochs * factor^k, the best 1/factor goes on."""
    startup: TrialsOrNone = 5
    """Values that a rung must hold before it may prune."""


class Race(Frozen):
    """Further seeds for those promoted that are not told apart yet (docs/racing.md)."""

    confidence: Annotated[float, Field(ge=0.5, lt=1, strict=False)] = 0.95
    """Probability that, at any time, nobody has left who is as good as those that stay."""
    max_seeds: Annotated[int, Field(ge=2), Within(high=MAX_SEEDS)] = 8
    """Most seeds of a candidate: the fidelity's `seeds`, then the next integers."""


class Promotion(Frozen):
    """Which trials of the fidelity before this one are trained here."""

    top: TrialsOrNone = 5
    """So many of the best; fewer where there are fewer."""
    by: Literal["value", "pareto"] = "value"
    """The first objective, or the Pareto rank over all of them."""
    random: TrialsOrNone = 0
    """Further trials drawn at random, one from each quantile of the rest: they say what the proxy is worth."""
    asynchronous: bool = False
    """Promote while the fidelity before this one still runs: of n trials that ended out of N the best top·n/N."""
    race: Race | None = None
    """Race those that are promoted, in this fidelity; `{}` for a race as usual."""


ScoreName = Literal["synflow", "naswot", "grad_norm", "snip", "zico"]
"""Registered in `dcasearch.scores`; a test holds the two equal."""


class Fidelity(Frozen):
    """One level of the training budget, or a score of untrained networks before it."""

    name: Name
    """Of this fidelity, in tables and in `executor.resources`."""
    trials: Trials | None = None
    """Trials to train (infeasible and duplicate ones do not count); first fidelity only."""
    promote: Promotion | None = None
    """Every fidelity but the first: which trials of the one before are trained here."""
    kind: Literal["training", "zero_cost"] = "training"
    """zero_cost, the first fidelity only: networks are not trained but scored, and the score is maximized."""
    score: ScoreName | None = None
    """zero_cost only: what scores an untrained network (docs/yaml.md)."""
    batches: Size = 1
    """zero_cost only: of the recipe's size and augmentation, the first that a training would see; zico needs two."""
    resolution: Pixels
    """Pixels per side of an image, as the network sees it."""
    epochs: Epochs
    """Passes over the training images of this fidelity."""
    train_fraction: Fraction = 1.0
    """Stratified share of the train split that this fidelity trains on; default: all."""
    recipe: Recipe = Recipe()
    """In YAML a shipped recipe's name, or `{base: light, lr: 0.05}`, or the whole recipe."""
    pruner: Pruner = Pruner()
    """Which trials of this fidelity end before their last epoch."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1, strict=False), Longest(MAX_SEEDS)] = (0,)
    """A trial is trained with each of them; default: 0. In a race not those of the fidelities before it; where it names
    none the first one after them."""
    initialize: Annotated[
        Initialization,
        BeforeValidator(as_initialization, json_schema_input_type=Literal["scratch", "vanilla"] | Initialization),
    ] = Initialization()
    """`scratch`, `vanilla`, `{name: vanilla, epochs: 8, …}`, `{weights: FILE}`, or
    `{name: exported, specs: [a.yaml, …]}`."""

    @property
    def race(self) -> Race | None:
        """How those that are promoted to this fidelity race in it, if they do."""
        return None if self.promote is None else self.promote.race

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """All seeds that a trial may be trained with: `seeds`, and in a race the next integers."""
        more = 0 if self.race is None else max(0, self.race.max_seeds - len(self.seeds))
        return (*self.seeds, *(max(self.seeds) + n for n in range(1, more + 1)))

    @property
    def parent(self) -> Fidelity | None:
        """How the vanilla parents are trained that this fidelity's networks start from; None where there are none."""
        if self.initialize.name != "vanilla":
            return None
        changes = {
            "epochs": self.initialize.epochs or self.epochs,
            "recipe": self.initialize.recipe or self.recipe,
            "pruner": Pruner(),
            "initialize": self.initialize.of_parent,
        }
        return self.model_copy(update=changes)

    @model_validator(mode="before")
    @classmethod
    def _one_entry(cls, written: Any) -> Any:
        # The history of a score has one entry; a training has to say how many.
        is_score = isinstance(written, Mapping) and written.get("kind") == "zero_cost"
        return {"epochs": 1, **written} if is_score else written


def _with_metric(fidelity: Any, metric: str) -> Any:
    """Return a fidelity as it is written, its pruner with a metric."""
    if not isinstance(fidelity, Mapping):
        return fidelity
    pruner = fidelity.get("pruner", {})
    return {**fidelity, "pruner": {"metric": metric, **pruner}} if isinstance(pruner, Mapping) else fidelity


class Resources(Frozen):
    """What one trial holds while it runs."""

    cpu: Size = 1
    """Of the whole trial; its ranks share them, and each has as many threads as its share."""
    gpu: Rate = 0
    """Of the whole trial; below 1 several trials share a GPU. ray only."""
    ranks: Size | None = None
    """Processes that train one network together (DDP), each with its share of every batch; else one per whole GPU.
    ray only."""

    @property
    def world(self) -> int:
        """The number of ranks."""
        return self.ranks or max(1, int(self.gpu))

    @property
    def threads(self) -> int:
        """Threads of each rank."""
        return max(1, self.cpu // self.world)

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if self.cpu < self.world:
            raise ValueError(f"{self.world} ranks need at least {self.world} CPUs, not {self.cpu}")
        share = self.gpu / self.world
        if share > 1 and share != int(share):
            raise ValueError(f"{self.gpu:g} GPUs cannot be shared by {self.world} ranks")
        return self


class Executor(Frozen):
    """Where trials run."""

    name: Literal["local", "ray"] = "local"
    """local: processes of this machine. ray: a cluster (docs/cluster.md); default local."""
    address: str | None = None
    """ray only: auto, host:port, or nothing for a local Ray."""
    max_concurrent: Size = 1
    """Trials at a time, as far as there is room for their `resources`."""
    retries: SizeOrNone = 3
    """How often a trial that lost its worker goes on from its checkpoint."""
    epoch_seconds: Seconds | None = None
    """Time limit of one epoch, evaluation and start-up included; a trial that exceeds it fails with `timeout` and is
    not tried again."""
    resources: dict[str, Resources] = Field(default_factory=dict)
    """What one trial holds, by the fidelity's name: `{proxy: {cpu: 4, gpu: 0.5}}`."""


class Stop(Frozen):
    """When a study ends before its trials are used up; whatever comes first."""

    wall_hours: PositiveRate | None = None
    """Hours of this run; trainings write their checkpoints then, and the same command goes on."""
    deadline: str | None = None
    """ISO date and time, e.g. 2026-12-01T08:00; as `wall_hours`."""
    no_improvement: Trials | None = None
    """Trained trials since the best value of the first objective; the study then goes on to its promotion."""
    target: Annotated[float, Field(strict=False), Within(-MAX_COST, MAX_COST)] | None = None
    """Value of the first objective. A complete trial that reaches it ends the sampling; the study then goes on to its
    promotion."""
    failures: Trials | None = None
    """Failed trials of one fidelity that end the run as failed (exit 1)."""


MAX_FIDELITIES = 20
MAX_ENQUEUED = 10_000
_FIRST_FINAL = 1000
"""The first seed of final trainings that are not told theirs."""


class Final(Frozen):
    """The last number: the winner and its baselines, trained anew with fresh seeds, on the test split, once."""

    seeds: Annotated[tuple[Seed, ...], Field(min_length=1, strict=False), Longest(MAX_SEEDS)] = (_FIRST_FINAL,)
    """Default: 1000, 1001, … one for each split."""
    splits: Annotated[PositiveInt, Within(high=MAX_SEEDS)] = 1
    """Divisions of the data, where `data.split` divides it: the i-th seed is trained and measured on the i-th one,
    drawn with `split_seed` + i. The first is the search's own."""

    @model_validator(mode="before")
    @classmethod
    def _one_seed_for_each_split(cls, written: Any) -> Any:
        splits = written.get("splits") if isinstance(written, Mapping) else None
        if type(splits) is not int or not 1 <= splits <= MAX_SEEDS or "seeds" in written:
            return written
        return {**written, "seeds": tuple(range(_FIRST_FINAL, _FIRST_FINAL + splits))}

    def split_of(self, seed: int) -> int:
        """Return the number of the split of a seed, from 0, which is the search's own."""
        return self.seeds.index(seed) % self.splits if seed in self.seeds else 0


class Study(Frozen):
    """A study with everything resolved: variables, recipes and the search space in place."""

    name: Name
    """Of the study in its database; one name means one thing, for good."""
    space: dict[str, Any]
    """The search space, inline or from the file named; `dcasearch.space` reads it."""
    data: Data
    """The images."""
    task: TaskName = CLASSIFICATION.name
    """What the networks learn, and so which metrics are measured."""
    detector: Detector | None = None
    """task detection only: what stands on every network, e.g. `{name: retinanet, preset: paper}`."""
    objectives: dict[MetricName, Direction] = Field(default_factory=lambda: CLASSIFICATION.objective, min_length=1)
    """Default: the first metric of the task. The first objective leads."""
    metrics: Annotated[tuple[MeasuredName, ...], Field(strict=False), Longest(MAX_STEPS)] = ()
    """Measured and shown too, e.g. `[macro_f1, auroc]`; the metrics of objectives and pruners need no entry."""
    constraints: dict[CostName, Bound] = Field(default_factory=dict)
    """Bounds on costs, e.g. `{params: {max: 5.0M}}`; who is outside is never trained."""
    sampler: Sampler = Sampler()
    """Who suggests the next trial."""
    fidelities: Annotated[tuple[Fidelity, ...], Field(min_length=1, strict=False), Longest(MAX_FIDELITIES)]
    """The levels of training, from the cheapest to the full one; the best of each go on."""
    baselines: bool | Annotated[tuple[str, ...], Field(strict=False), Longest(MAX_ENQUEUED)] = True
    """Plain backbone, vanilla attention and the all-blocks chain, at every fidelity, before sampling; or some of
    them by name, e.g. `[plain, vanilla se]`. Of a list of architectures: its rows without connections, by label."""
    enqueue: Annotated[tuple[dict[str, Any], ...], Field(strict=False), Longest(MAX_ENQUEUED)] = ()
    """Parameters of the user's own configurations, tried first; what is not given is sampled."""
    on_duplicate: Literal["replay", "new_seed"] = "replay"
    """What becomes of a network that was trained before: its result is used again, or it is trained once more."""
    final: Final | None = None
    """The last trainings, of the chosen network and its baselines, on the test images; none where it is left out."""
    stop: Stop = Stop()
    """When the study ends before its trials are used up."""
    keep_weights: TrialsOrNone = 5
    """Best evaluations of each fidelity whose weights stay on disk."""
    disk: Amount | None = None
    """Bytes, e.g. 50G, that the study's checkpoints and weights may take: weights beyond it go, worst first."""
    throughput: Throughput | dict[str, Throughput] | None = None
    """Multiply-adds per second of one training, forward and backward, with all that its fidelity's `resources` give it;
    for the hours of `check`. One number, or one for each fidelity, `{proxy: 800G, full: 12T}`."""
    executor: Executor = Executor()
    """Where trials run, and how many at a time."""
    storage: str = "sqlite:///dcasearch.db"
    """URL of the database; a password stands in an environment variable, e.g. `"${DCASEARCH_STORAGE}"`."""
    artifacts: str = "./artifacts"
    """Where checkpoints and weights are stored: a folder, or a URL that fsspec knows, e.g. s3://bucket/folder."""

    def throughput_of(self, fidelity: str) -> float | None:
        """Return what the YAML says of the speed of a fidelity's trainings, in multiply-adds per second."""
        said = self.throughput
        return said.get(fidelity) if isinstance(said, Mapping) else said

    @property
    def headline(self) -> Metric:
        """The metric that views compare: the task's first.

        A study that optimises a further metric of its task is compared by it, else its leader would not lead.
        """
        task = TASKS[self.task]
        first = next((name for name in self.objectives if not is_cost(name)), None)
        return METRICS[first] if first in task.further else task.headline

    @property
    def further_metrics(self) -> tuple[str, ...]:
        """What every training of the study measures beside the metrics that its task always measures."""
        pruned_by = (fidelity.pruner.metric for fidelity in self.fidelities if fidelity.pruner.name != "none")
        return TASKS[self.task].asked_for((*self.objectives, *self.metrics, *pruned_by))

    @model_validator(mode="before")
    @classmethod
    def _as_the_task_has_it(cls, written: Any) -> Any:
        """Fill in what the task decides: the objective and the pruners' metric, where they are not written.

        `shapes` with boxes are other pictures than those with a label, so they have another name from here on.
        """
        task = TASKS.get(written["task"]) if isinstance(written, Mapping) and written.get("task") in TASKS else None
        if task is None or task is CLASSIFICATION:
            return written
        data = written.get("data")
        if task.finds_boxes and isinstance(data, Mapping) and data.get("name") == "shapes":
            written = {**written, "data": {**data, "name": SHAPES_WITH_BOXES}}
        fidelities = written.get("fidelities")
        if isinstance(fidelities, list | tuple):
            fidelities = [_with_metric(fidelity, task.headline.name) for fidelity in fidelities]
        return {"objectives": task.objective, **written, "fidelities": fidelities}

    @field_validator("fidelities")
    @classmethod
    def _fresh_seeds(cls, fidelities: tuple[Fidelity, ...]) -> tuple[Fidelity, ...]:
        """Give a race that names no seeds the first ones after all those that chose its candidates."""
        resolved: list[Fidelity] = []
        for fidelity in fidelities:
            if fidelity.race is not None and "seeds" not in fidelity.model_fields_set:
                used = [seed for earlier in resolved for seed in earlier.all_seeds]
                fidelity = fidelity.model_copy(update={"seeds": (max(used, default=-1) + 1,)})
            resolved.append(fidelity)
        return tuple(resolved)

    def final_split(self, seed: int) -> int:
        """Return the number of the split that a final training is on, from 0, which is the search's own."""
        return 0 if self.final is None else self.final.split_of(seed)

    def data_of_final(self, seed: int) -> Data:
        """Return the data of the final trainings with a seed, each split with a `split_seed` of its own."""
        split = self.final_split(seed)
        return self.data if split == 0 else self.data.model_copy(update={"split_seed": self.data.split_seed + split})
