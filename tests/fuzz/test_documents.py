"""Studies of any content, as text and as documents: read, or refused by sentences with their places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dcasearch.errors import UserError
from dcasearch.space import load_study
from tests.fuzz.damage import broken, damaged, thousand
from tests.fuzz.measured import refused_by

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
GOOD: dict[str, Any] = {
    "name": "tiny",
    "space": {
        "backbone": {"name": "mobilenet_v2", "width": 0.25, "stem": "small"},
        "attention": {"name": ["se", "cbam"], "reduction": 4},
        "connections": {
            "granularity": "stage",
            "dimensions": {"channel": [True, False]},
            "function": ["direct", {"weighted": {"form": ["safe", "literal"]}}],
        },
    },
    "data": {"name": "digits", "validation_fraction": 0.2},
    "objectives": {"top1": "maximize", "macs": "minimize"},
    "constraints": {"params": {"max": "5.0M"}},
    "sampler": {"name": "tpe", "seed": 0},
    "fidelities": [
        {"name": "proxy", "trials": 2, "resolution": 8, "epochs": 1, "recipe": {"base": "small", "lr": 0.02}},
        {
            "name": "full",
            "promote": {"top": 2, "race": {"max_seeds": 3}},
            "resolution": 8,
            "epochs": 2,
        },
    ],
    "final": {"seeds": [1000]},
    "stop": {"failures": 3},
    "executor": {"name": "local", "max_concurrent": 1, "resources": {"proxy": {"cpu": 1}}},
    "storage": "sqlite:///none.db",
    "throughput": "1G",
}
TEXT = yaml.safe_dump(GOOD, sort_keys=False)
SNIPPETS = st.sampled_from(
    [
        "\n&a [*a]\n", "\nb: &b {c: *b}\n", "\n? [x, y]\n: 1\n", "\nd: !!python/object/apply:os.system [ls]\n",
        '\ne: "\\UFFFFFFFF"\n', "\nf: 010\ng: 1:30\nh: 0x1F\n", "\n<<: {a: 1}\n", "\n%YAML 9.9\n---\n", "\n---\ni: 1\n",
        "\nj: " + "[" * 200 + "\n", "\nk: " + "9" * 5000 + "\n", "\n\x00\n", "\n\t\tl: 1\n",
        "\nm: ${NOTHING_LIKE_IT}\n",
        "\n" + "".join(f"n{n}: {n}\n" for n in range(3000)),
    ]
)  # fmt: skip


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """The good study with odd pieces between its lines."""
    lines = TEXT.splitlines(keepends=True)
    for _ in range(draw(st.integers(1, 3))):
        lines.insert(draw(st.integers(0, len(lines))), draw(SNIPPETS))
    return "".join(lines).encode("utf-8", "surrogatepass")


def dumped(document: Any) -> bytes:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode("utf-8", "surrogatepass")


CONTENTS = st.one_of(st.binary(max_size=300), damaged(TEXT.encode()), texts(), broken(GOOD).map(dumped))


@thousand
@given(content=CONTENTS)
def test_a_study_of_any_content_is_read_or_refused_with_its_place(content: bytes, folder: Path) -> None:
    path = folder / "study.yaml"
    path.write_bytes(content)
    refused_by(UserError, lambda: load_study(path))
