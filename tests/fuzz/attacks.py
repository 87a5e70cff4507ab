"""What strangers may hand to each command: files of any content, damaged rows, odd arguments, odd surroundings.

An attack is one run of one command in a copy of the workshop, in which something is spoiled. In every copy lie modules
that a Python which looks into the current folder would run.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import shutil
import sqlite3
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st
from PIL import Image

from dcasearch.training.checkpoint import save_checkpoint
from tests.fuzz.damage import broken, damaged
from tests.fuzz.measured import DONE, REFUSED, Ran, check_ended_well, run_measured
from tests.fuzz.rows import damages, spoil_rows
from tests.fuzz.workshop import ANNOTATIONS, PICTURE
from tests.training.test_checkpoint import CHECKPOINT

SECRET = "hunter2"
OWNED = "owned"
"""A file that only a stranger's code would write."""
TRAPS = ("yaml", "pickle", "torch", "numpy", "PIL", "sqlalchemy", "sitecustomize", "usercustomize", "dcasearch")
TRAP = f"from pathlib import Path\nPath(__file__).with_name({OWNED!r}).touch()\n"
DIFFERS = 1
"""What `verify` and `predict` end with where they were answered, and the answer is no."""
COLOUR = re.compile("\x1b\\[[?0-9;]*[A-Za-z]")
Spoil = Callable[[Path], None]


@dataclass(frozen=True)
class Attack:
    """One hostile run that is to come."""

    command: tuple[str, ...]
    spoil: Spoil = lambda folder: None
    """Is given the copy of the workshop."""
    environment: Mapping[str, str | None] = field(default_factory=dict)
    """Variables that are set, or, where they are None, missing."""
    output: str | None = None
    """A file that takes what is printed, e.g. `/dev/full`."""
    prepare: Spoil = lambda folder: None
    """What is done before the spoiling, for the good run too."""
    good: tuple[str, ...] | None = None
    """The good command that it is held against, where its own words are hostile."""

    def run(self, workshop: Path, folder: Path) -> Ran:
        """Run it in a fresh copy of the workshop."""
        copy_of(workshop, folder)
        self.prepare(folder)
        self.spoil(folder)
        return run_measured(folder, *self.command, changes=self.environment, output=self.output)

    def check(self, ran: Ran, good: Ran, folder: Path) -> None:
        """Hold what came of it against the same command's run on good inputs."""
        said = COLOUR.sub("", ran.said) if "FORCE_COLOR" in self.environment else ran.said
        ended = Ran(REFUSED if ran.code == DIFFERS else ran.code, said, ran.seconds, ran.peak)
        check_ended_well(ended, good)
        assert ran.said or ran.code == DONE or self.output, "it ended without a sentence"
        assert not (folder / OWNED).exists(), "a stranger's code ran"
        assert SECRET not in ran.said, ran.said
        for path in (folder / "state").rglob("*"):
            assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


def copy_of(workshop: Path, folder: Path) -> None:
    """Copy the workshop and lay traps in it."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(workshop, folder)
    for name in TRAPS:
        (folder / f"{name}.py").write_text(TRAP)


def good_run(attack: Attack, workshop: Path, folder: Path) -> Ran:
    """Run an attack's command where nothing is spoiled."""
    copy_of(workshop, folder)
    attack.prepare(folder)
    return run_measured(folder, *(attack.good or attack.command), seconds=600)  # of `chaos` it is minutes


class Owner:
    """Would run a command where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {OWNED}",)


PICKLE = pickle.dumps(Owner())
ANYTHING = st.binary(max_size=300)


def _write(name: str, content: bytes) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    return spoil


def _dumped(document: Any) -> bytes:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode("utf-8", "surrogatepass")


def _of_file(
    contents: Callable[[bytes], st.SearchStrategy[bytes]], *commands: tuple[str, str]
) -> Callable[[Path], st.SearchStrategy[Attack]]:
    """Return attacks by one file: each command with the name of the file that it reads."""

    def attacks(workshop: Path) -> st.SearchStrategy[Attack]:
        def of(command: tuple[str, str]) -> st.SearchStrategy[Attack]:
            line, name = command
            good = (workshop / name).read_bytes() if (workshop / name).is_file() else b""
            return contents(good).map(lambda content: Attack(tuple(line.split()), _write(name, content)))

        return st.sampled_from(commands).flatmap(of)

    return attacks


def _documents(good: bytes) -> st.SearchStrategy[bytes]:
    return st.one_of(ANYTHING, damaged(good), broken(yaml.safe_load(good)).map(_dumped))


def _refused(good: bytes) -> st.SearchStrategy[bytes]:
    """Documents that are no study: what they would train is not asked here."""
    return _documents(good).map(lambda content: content + b"\nno_such_field: [\n")


def _jsons(good: bytes) -> st.SearchStrategy[bytes]:
    return st.one_of(
        ANYTHING, damaged(good), broken(json.loads(good)).map(lambda document: json.dumps(document).encode())
    )


def _pictures(good: bytes) -> st.SearchStrategy[bytes]:
    def in_format(name: str) -> bytes:
        content = io.BytesIO()
        with Image.open(io.BytesIO(good)) as image:
            image.convert("P" if name == "GIF" else "RGB").save(content, name)
        return content.getvalue()

    formats = st.sampled_from(["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "PPM"])
    return st.one_of(ANYTHING, formats.flatmap(lambda name: damaged(in_format(name))), st.just(large()))


def large() -> bytes:
    """Return a small PNG file of 40,000 × 40,000 pixels: 4.8 GB where it is decoded."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(100_000)))
        + chunk(b"IEND", b"")
    )


def _checkpoints(workshop: Path) -> st.SearchStrategy[Attack]:
    """A checkpoint where a training of a study looks for its own."""
    with sqlite3.connect(workshop / "pictures.db") as connection:
        ids = sorted(row[0] for row in connection.execute("SELECT id FROM dca_evaluations"))
    path = workshop.parent / f"{ids[0]}.pt"
    save_checkpoint(CHECKPOINT, path)
    contents = st.one_of(ANYTHING, st.just(PICKLE), damaged(PICKLE), damaged(path.read_bytes()))

    def of(id: str, content: bytes) -> Attack:
        forged = _write(f"pictures_artifacts/checkpoints/{id}.pt", content)
        return Attack(("run", "pictures.yaml"), forged, prepare=lambda folder: (folder / "pictures.db").unlink())

    return st.builds(of, st.sampled_from(ids), contents)


def _lines(text: str) -> tuple[str, ...]:
    """Return command lines, of which each stands in a line."""
    return tuple(line.strip().replace("PICTURE", PICTURE) for line in text.strip().splitlines())


ROWS = "--storage sqlite:///digits.db"
READING = _lines(
    """
    status digits
    status digits --json
    trials digits
    trials digits --json
    list
    compare digits
    report digits --out page
    logs digits 0
    stop digits
    cancel digits 0
    retry digits
    clean --dry-run
    rename digits other
    delete digits --dry-run
    delete digits
    export digits --trial 0 --out x.yaml
    db upgrade
    run digits.yaml
    ablate digits/proxy/0 --plan
    inspect digits/proxy/0
    predict digits/proxy/0 PICTURE
    replay digits.yaml
    paper figure1 digits --out figure.svg
    contributions --spec digits/proxy/0
    evaluate digits/proxy/0 --data digits
    """
)


def _rows(workshop: Path) -> st.SearchStrategy[Attack]:
    def of(line: str, changes: list[Any]) -> Attack:
        return Attack(tuple(f"{line} {ROWS}".split()), lambda folder: spoil_rows(folder / "digits.db", changes))

    return st.builds(of, st.sampled_from(READING), st.lists(damages, min_size=1, max_size=3))


ODD = st.one_of(
    st.sampled_from(
        [
            *(
                "",
                " ",
                "-",
                "--",
                "..",
                "/",
                "/dev/zero",
                "/dev/full",
                "~nosuchuser/x",
                "a" * 5000,
                "\x1b]0;x\x07",
                "%s",
            ),
            *("\udcff\udcfe", "a\nb", "*", "sqlite:///", "photos", PICTURE, "digits.db", "🦊", "=1+1", "loop", "fifo"),
            *("9" * 400, "-1", "0", "nan", "inf", "1e400", "digits/proxy/99999999999999999999", "digits/x/y/z", "None"),
        ]
    ),
    st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=30),
)
ARGUED = _lines(
    """
    status {}
    trials {}
    list {}
    check {}
    run {}
    inspect {}
    verify {}
    report {}
    logs digits {}
    logs {} 0
    cancel digits {}
    stop {}
    rename digits {}
    rename {} x
    delete {}
    compare {} best.yaml
    compare best.yaml --svg {}
    export digits --out {}
    export digits --trial {}
    train {} --epochs 1
    predict {} PICTURE
    predict seen.yaml {}
    predict seen.yaml PICTURE --csv {}
    evaluate {} --data digits
    evaluate best.yaml --data {}
    evaluate best.yaml --data digits --device {}
    gradcam --spec {}
    boxes {}
    gradcam {} --spec seen.yaml
    contributions --spec {}
    drift --spec {}
    init {}
    init {} --data photos
    init new --data {}
    init new --data photos --backbone {}
    init new --data photos --weights {}
    kinds --out {}
    data prepare {} --out p
    data prepare photos --out {}
    data verify {}
    replay {}
    replay table.jsonl --figure {}
    ablate {} --plan
    ablate best.yaml --plan --toggle {}
    retry {}
    retry digits --failed {}
    schema {}
    paper import {}
    paper figure1 {}
    paper tables {}
    inspect best.yaml --max-params {}
    check digits.yaml --device {}
    train best.yaml --data {}
    train best.yaml --recipe {}
    chaos {}
    dashboard {}
    doctor {}
    gpu-check --part {}
    run digits.yaml --executor {}
    report digits --reach {}
    report digits --out {}
    {}
    clean {}
    backbones {}
    """
)
WITH_STORAGE = (
    "status",
    "trials",
    "list",
    "report",
    "logs",
    "cancel",
    "stop",
    "rename",
    "delete",
    "export",
    "retry",
    "clean",
)
URLS = st.sampled_from(
    [
        f"postgresql://user:{SECRET}@localhost:1/x", f"postgresql://user:{SECRET}@/x?connect_timeout=abc",
        f"postgresql://user:{SECRET}@@host/x", f"mysql://user:{SECRET}@localhost/x", f"postgresql://u:{SECRET}@h:port/x",
        f"//user:{SECRET}@h", f"postgresql+psycopg://user:{SECRET}@localhost:1/x?password={SECRET}",
        "sqlite:////dev/null", "sqlite:///photos", "sqlite:///best.yaml", "sqlite:///loop", "sqlite:///digits.db?mode=ro&uri=true",
        "sqlite:////dev/full", "", "x", "sqlite:///" + "a" * 3000, "redis://h", "sqlite://", "sqlite:///digits.db?timeout=abc",
    ]
)  # fmt: skip


def _lay(folder: Path) -> None:
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "fifo")


def _arguments(workshop: Path) -> st.SearchStrategy[Attack]:
    def of(line: str, odd: str) -> Attack:
        first = line.split()[0]
        words = [word.replace("{}", odd) for word in line.split()]
        if first in WITH_STORAGE and odd != "--storage":
            words += ["--storage", "sqlite:///digits.db"]
        return Attack(tuple(words), _lay, good=("inspect", "best.yaml"))

    def stored(line: str, url: str) -> Attack:
        return Attack((*line.split(), "--storage", url), _lay, good=("inspect", "best.yaml"))

    return st.one_of(st.builds(of, st.sampled_from(ARGUED), ODD), st.builds(stored, st.sampled_from(READING), URLS))


SURROUNDINGS: tuple[dict[str, str | None], ...] = (
    {"HOME": None}, {"HOME": "/nonexistent"}, {"HOME": "/dev/null"}, {"HOME": ""}, {"XDG_STATE_HOME": "/dev/null"},
    {"XDG_STATE_HOME": "/proc/1/none"}, {"XDG_STATE_HOME": ""}, {"XDG_CACHE_HOME": "/dev/null"},
    {"TMPDIR": "/nonexistent"}, {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"},
    {"LANG": None, "LC_ALL": "xx_YY.bogus"}, {"COLUMNS": "abc"}, {"COLUMNS": "1"}, {"COLUMNS": "0"},
    {"COLUMNS": "-5"}, {"COLUMNS": "99999999"}, {"LINES": "x"}, {"TERM": "bogus"}, {"TERM": None},
    {"TERM": "", "NO_COLOR": "1"}, {"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1"}, {"PATH": ""}, {"PATH": "."},
    {"TZ": "Nowhere/Land"}, {"TZ": "\x01"}, {"OMP_NUM_THREADS": "abc"}, {"OMP_NUM_THREADS": "100000"},
    {"DCASEARCH_MAX_PARAMS": "abc"}, {"DCASEARCH_MAX_PARAMS": "9" * 400},
    {"DCASEARCH_STORAGE": f"postgresql://u:{SECRET}@h:x/y"}, {"DCASEARCH_ARTIFACTS": "/dev/null"},
    {"PYTHONWARNINGS": "error"}, {"PYTHONOPTIMIZE": "2"}, {"PYTHONHASHSEED": "1"},
    {"MPLBACKEND": "bogus"}, {"MPLCONFIGDIR": "/dev/null"}, {"CUDA_VISIBLE_DEVICES": "bogus"},
    {"RAY_ADDRESS": "bogus:1"}, {"PYTHONUTF8": "0", "LC_ALL": "C"}, {"USER": None, "LOGNAME": None},
    {"PAGER": "/bin/false"},
)  # fmt: skip
SURROUNDED = _lines(
    """
    status digits
    list
    trials digits
    report digits --out page
    check digits.yaml
    verify best.yaml
    inspect best.yaml
    predict seen.yaml PICTURE
    run digits.yaml
    kinds
    doctor
    export digits --trial 0 --out x.yaml
    compare digits best.yaml
    logs digits 0
    init new --data photos
    init fresh
    --help
    --version
    schema study
    evaluate best.yaml --data digits
    gradcam PICTURE --spec seen.yaml --out g
    replay table.jsonl
    contributions --spec best.yaml
    """
)
STORED = ("status", "list", "trials", "report", "run", "export", "logs")
LEFT = (b"{", b"[1, 2]", b'{"digits": 1}', b"\xff\xfe\x00", b'{"digits": {"storage": [[]], "x": null}}', b"[" * 100_000)
"""What may be left of the file in which a user's studies are remembered."""


def _surroundings(workshop: Path) -> st.SearchStrategy[Attack]:
    def of(line: str, changes: dict[str, str | None], output: str | None, left: bytes | None) -> Attack:
        words = line.split()
        # those that say where the database is cannot show what a broken memory of it does
        if words[0] in STORED and left is None and "DCASEARCH_STORAGE" not in changes:
            words += ["--storage", "sqlite:///digits.db"]
        spoil = (lambda folder: None) if left is None else _write("state/dcasearch/studies.json", left)
        return Attack(tuple(words), spoil, changes, output, good=tuple(line.split()))

    full = st.sampled_from([None, None, None, "/dev/full"])
    return st.builds(
        of,
        st.sampled_from(SURROUNDED),
        st.sampled_from(SURROUNDINGS),
        full,
        st.one_of(st.none(), st.none(), st.sampled_from(LEFT)),
    )


def _only_damaged(good: bytes) -> st.SearchStrategy[bytes]:
    return st.one_of(ANYTHING, damaged(good))


SPEC_COMMANDS = (
    ("verify best.yaml", "best.yaml"),
    ("inspect best.yaml", "best.yaml"),
    ("evaluate best.yaml --data digits", "best.yaml"),
    (f"predict seen.yaml {PICTURE}", "seen.yaml"),
    (f"predict finder.yaml {PICTURE}", "finder.yaml"),
    (f"gradcam {PICTURE} --spec seen.yaml --out g", "seen.yaml"),
    ("contributions --spec best.yaml", "best.yaml"),
    ("drift --spec best.yaml --images 8", "best.yaml"),
    ("ablate best.yaml --plan", "best.yaml"),
    ("compare best.yaml seen.yaml", "best.yaml"),
    ("boxes finder.yaml --data boxes --images 2", "finder.yaml"),
    ("check started.yaml", "best.yaml"),
)
FILES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "documents": (
        ("check digits.yaml", "digits.yaml"),
        ("check pictures.yaml", "pictures.yaml"),
        ("check listed.yaml", "listed.yaml"),
        ("check boxes.yaml", "boxes.yaml"),
        ("check started.yaml", "started.yaml"),
        ("status digits.yaml", "digits.yaml"),
        ("retry digits.yaml", "digits.yaml"),
        ("replay digits.yaml --replays 1", "digits.yaml"),
        ("data prepare pictures.yaml --out p --size 16", "pictures.yaml"),
        ("inspect digits.yaml", "digits.yaml"),
    ),
    "no studies": (
        ("run digits.yaml", "digits.yaml"),
        ("chaos digits.yaml", "digits.yaml"),
        ("run boxes.yaml", "boxes.yaml"),
    ),
    "specs": SPEC_COMMANDS,
    "weights": tuple(
        (line, name.replace(".yaml", ".safetensors")) for line, name in SPEC_COMMANDS if "--plan" not in line
    ),
    "images": (
        (f"predict seen.yaml {PICTURE}", PICTURE),
        ("predict seen.yaml photos/test", "photos/test/dog/01.jpg"),
        (f"predict finder.yaml {PICTURE}", PICTURE),
        (f"gradcam {PICTURE} --spec seen.yaml --out g", PICTURE),
        ("evaluate seen.yaml --data photos --split test", "photos/test/dog/01.jpg"),
        ("check pictures.yaml", PICTURE),
        ("data prepare photos --out p --size 16 --max-corrupt 1", PICTURE),
        ("init new --data photos", PICTURE),
        ("run pictures.yaml --anew", PICTURE),
        ("boxes finder.yaml --data boxes --images 2", "boxes/val2017/000000000001.png"),
    ),
    "lists": (
        ("check listed.yaml", "list.csv"),
        ("init new --data list.csv", "list.csv"),
        ("run listed.yaml", "list.csv"),
    ),
    "annotations": (
        ("check boxes.yaml", ANNOTATIONS),
        ("run boxes.yaml", ANNOTATIONS),
        ("evaluate finder.yaml --data boxes", ANNOTATIONS.replace("train", "val")),
        ("boxes finder.yaml --data boxes --images 2", ANNOTATIONS.replace("train", "val")),
    ),
    "prepared": (
        ("check prepared.yaml", "prepared/prepared.json"),
        ("run prepared.yaml", "prepared/train-00000.npy"),
        ("data verify prepared", "prepared/test-00000.npy"),
        ("data verify prepared", "prepared/prepared.json"),
        ("data verify prepared --deep --source photos --workers 0", "prepared/train-00000.npy"),
        ("data prepare photos --out prepared --size 16", "prepared/train-00000.npy.json"),
        ("evaluate seen.yaml --data prepared", "prepared/prepared.json"),
    ),
    "tables": (("replay table.jsonl --replays 1", "table.jsonl"),),
}
"""By kind: command lines, each with the file that it reads."""
CONTENTS: Mapping[str, Callable[[bytes], st.SearchStrategy[bytes]]] = {
    "documents": _documents,
    "no studies": _refused,
    "specs": _documents,
    "images": _pictures,
    "annotations": _jsons,
}
"""What may stand in the files of a kind; the others are only damaged."""
DATABASES = tuple((f"{line} {ROWS}", "digits.db") for line in READING)


def _instead(name: str, what: str) -> Spoil:
    """Put something that is no file in a file's place."""

    def spoil(folder: Path) -> None:
        path = folder / name
        path.unlink(missing_ok=True)
        match what:
            case "pipe":
                os.mkfifo(path)
            case "folder":
                path.mkdir()
            case "link":
                path.symlink_to(path.name)
            case device:
                path.symlink_to(device)

    return spoil


def _no_files(workshop: Path) -> st.SearchStrategy[Attack]:
    def of(place: tuple[str, str], what: str) -> Attack:
        line, name = place
        return Attack(tuple(line.split()), _instead(name, what))

    # a pipe would be waited for, a device never ends
    what = st.sampled_from(["pipe", "folder", "link", "/dev/zero", "/dev/full", "/dev/tty"])
    return st.builds(of, st.sampled_from([*(pair for pairs in FILES.values() for pair in pairs), *DATABASES]), what)


KINDS: Mapping[str, Callable[[Path], st.SearchStrategy[Attack]]] = {
    **{kind: _of_file(CONTENTS.get(kind, _only_damaged), *pairs) for kind, pairs in FILES.items()},
    "no files": _no_files,
    "checkpoints": _checkpoints,
    "rows": _rows,
    "arguments": _arguments,
    "surroundings": _surroundings,
}
"""What is attacked, by name; each is given the workshop."""
LINES = (*READING, *ARGUED, *SURROUNDED, *(line for line, _ in SPEC_COMMANDS))
"""The commands of most attacks, each as one line."""
