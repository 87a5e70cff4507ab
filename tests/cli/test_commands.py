from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # ships no type hints
import pytest
import yaml

from dcasearch.errors import DcasearchError, Interrupted
from dcasearch.store import Store
from tests.cli.conftest import Command, SimulatedLocal
from tests.support import make_study

WriteStudy = Callable[..., Path]
PROXY: dict[str, Any] = {"name": "proxy", "trials": 4, "resolution": 16, "epochs": 2}
NAMES = [
    "check",
    "run",
    "stop",
    "cancel",
    "chaos",
    "status",
    "list",
    "export",
    "gpu-check",
    "gradcam",
    "boxes",
    "contributions",
    "drift",
    "ablate",
    "evaluate",
    "report",
    "replay",
    "retry",
    "logs",
    "rename",
    "delete",
    "clean",
    "verify",
    "predict",
    "doctor",
    "train",
    "inspect",
    "compare",
    "trials",
    "kinds",
    "backbones",
    "init",
    "schema",
    "dashboard",
    "db",
    "data",
    "paper",
]
GROUPS = [
    ("db", "upgrade"),
    ("data", "prepare"),
    ("data", "verify"),
    ("paper", "tables"),
    ("paper", "figure1"),
    ("paper", "import"),
]
COMMANDS = [(name,) for name in NAMES if name not in ("db", "data", "paper")] + GROUPS


def test_help_lists_the_commands_and_only_those_that_work(dcasearch: Command) -> None:
    shown = dcasearch("--help")
    assert shown.code == 0
    listed = [line.split()[1] for line in shown.out.splitlines() if line.startswith("│ ") and line[2].islower()]
    assert sorted(listed) == sorted(NAMES)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help(dcasearch: Command, command: tuple[str, ...]) -> None:
    shown = dcasearch(*command, "--help")
    assert shown.code == 0
    assert "Usage:" in shown.out


def test_an_unknown_command_exits_2(dcasearch: Command) -> None:
    assert dcasearch("fly").code == 2


# check


def test_check_says_what_a_study_will_cost_and_writes_nothing(dcasearch: Command, write_study: WriteStudy) -> None:
    study = write_study(constraints={"params": {"max": 11_300_000}}, throughput="1G")
    before = sorted(study.parent.iterdir())
    done = dcasearch("check", study)
    assert (done.code, done.err) == (0, "")
    assert "no mistakes found" in done.out
    assert "Space: " in done.out
    for words in ("parameters", "multiply-adds", "infeasible", "proxy", "Disk:", "`throughput` of the YAML"):
        assert words in done.out
    assert sorted(study.parent.iterdir()) == before


def test_check_calls_a_space_in_which_nothing_is_feasible_a_mistake(
    dcasearch: Command, write_study: WriteStudy
) -> None:
    done = dcasearch("check", write_study(constraints={"params": {"max": 11_180_000}}))
    assert done.code == 2
    assert "no architecture of the space meets them all" in done.err
    assert "no mistakes found" not in done.out


def test_check_prints_every_mistake_with_its_place_and_exits_2(dcasearch: Command, tmp_path: Path) -> None:
    study = tmp_path / "bad.yaml"
    study.write_text("name: bad\nspace: {backbone: {name: resnet81}}\ndata: {name: digits}\nfidelitys: []\n")
    done = dcasearch("check", study)
    assert done.code == 2
    assert done.out == ""
    assert f"{study}:2:" in done.err
    assert f"{study}:4:1" in done.err
    assert "resnet18" in done.err
    assert "Traceback" not in done.err


def test_a_variable_that_is_not_set_is_a_mistake_and_check_forecasts_on_paper(
    dcasearch: Command, tmp_path: Path
) -> None:
    study = tmp_path / "study.yaml"
    written = make_study(data={"name": "imagenet", "root": "."}).model_dump(mode="json", exclude_unset=True)
    written["data"]["root"] = "${NO_SUCH_VARIABLE}"
    written["storage"] = "sqlite:///${NO_SUCH_FOLDER}/x.db"
    study.write_text(json.dumps(written))
    refused = dcasearch("check", study)
    assert refused.code == 2
    assert "not set: NO_SUCH_FOLDER, NO_SUCH_VARIABLE" in refused.err
    checked = dcasearch("check", study, "--no-data")
    assert checked.code == 0
    assert "no mistakes found, but for the data, which was not looked at" in checked.out
    assert "warning: NO_SUCH_VARIABLE is not set" in checked.out
    assert "1,000 classes and 1,281,167 images are assumed" in checked.out
    ran = dcasearch("run", study)
    assert ran.code == 2
    assert "not set: NO_SUCH_FOLDER, NO_SUCH_VARIABLE" in ran.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study.yaml"]


def test_data_that_is_missing_is_a_mistake_and_check_forecasts_on_paper(
    dcasearch: Command, write_study: WriteStudy, simulated: None
) -> None:
    study = write_study(data={"name": "cifar10", "root": "nowhere [sic]"})
    refused = dcasearch("check", study)
    assert refused.code == 2
    assert "no mistakes found" not in refused.out
    assert "nowhere [sic]" in refused.err
    assert f"`dcasearch check {study} --no-data`" in " ".join(refused.err.split())
    checked = dcasearch("check", study, "--no-data")
    assert checked.code == 0
    assert "data, which was not looked at" in " ".join(checked.out.split())
    ran = dcasearch("run", study)
    assert ran.code == 2
    assert "nowhere [sic]" in ran.err


# run


def test_run_names_the_database_then_says_one_plain_line_an_event_then_where_the_study_stands(
    dcasearch: Command, write_study: WriteStudy, simulated: None, tmp_path: Path
) -> None:
    done = dcasearch("run", write_study(baselines=True, fidelities=[PROXY]))
    assert (done.code, done.err) == (0, "")
    first, second, *_ = done.out.splitlines()
    assert first == f"study tiny, database sqlite:///{tmp_path}/dcasearch.db, artifacts {tmp_path}/artifacts"
    assert second.endswith("proxy baselines: 3, 2 epochs each")
    assert "proxy trial 0 epoch 1/2 top-1" in done.out
    assert "proxy trial 0 complete: top-1" in done.out
    assert "proxy: 4 trials are done" in done.out
    assert ", held-out images: 4 complete" in done.out
    assert "vanilla se" in done.out


def test_run_as_json_prints_one_object_an_event(dcasearch: Command, write_study: WriteStudy, simulated: None) -> None:
    done = dcasearch("run", write_study(fidelities=[PROXY]), "--json")
    assert done.code == 0
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert {"phase", "started", "epoch", "complete", "note"} <= {line["event"] for line in lines}
    complete = [line for line in lines if line["event"] == "complete"]
    assert len(complete) == 4
    assert all(50 < line["top1"] < 100 and line["label"].startswith("proxy trial ") for line in complete)


def test_run_by_an_unknown_executor_says_so_in_one_line(
    dcasearch: Command, write_study: WriteStudy, tmp_path: Path
) -> None:
    done = dcasearch("run", write_study(), "--executor", "locl")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("'locl' is not an executor; did you mean 'local'?")
    assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "dcasearch.db").exists()


def test_run_of_a_ray_study_here(dcasearch: Command, write_study: WriteStudy, simulated: None) -> None:
    study = write_study(executor={"name": "ray"}, fidelities=[PROXY])
    assert dcasearch("check", study).code == 0
    assert dcasearch("run", study, "--executor", "local").code == 0


def test_a_study_that_changed_is_refused_with_its_diff(
    dcasearch: Command, write_study: WriteStudy, simulated: None
) -> None:
    assert dcasearch("run", write_study(fidelities=[PROXY])).code == 0
    done = dcasearch("run", write_study(fidelities=[{**PROXY, "epochs": 3}]))
    assert done.code == 2
    assert "fidelities.proxy.epochs: 2 in the database, 3 in the YAML" in done.err


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_during_a_run_ends_it_with_a_sentence(
    dcasearch: Command,
    write_study: WriteStudy,
    monkeypatch: pytest.MonkeyPatch,
    sent: signal.Signals,
    code: int,
) -> None:
    class Interrupting(SimulatedLocal):
        def __init__(self, artifacts: object, concurrent: object, interrupted: Any, secret: object) -> None:
            super().__init__()
            self.interrupted = interrupted

        def run(self, work: Any) -> None:
            os.kill(os.getpid(), sent)
            assert self.interrupted.wait(5)
            raise Interrupted("interrupted")

    monkeypatch.setattr("dcasearch.executors.LocalExecutor", Interrupting)
    study = write_study(fidelities=[PROXY])
    done = dcasearch("run", study)
    assert done.code == code
    assert done.err == f"interrupted; nothing is lost, `dcasearch run {study}` goes on\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_during_any_command_ends_it_without_a_traceback(
    dcasearch: Command, write_study: WriteStudy, monkeypatch: pytest.MonkeyPatch, sent: signal.Signals, code: int
) -> None:
    monkeypatch.setattr("dcasearch.space.load_study", lambda path: os.kill(os.getpid(), sent))
    done = dcasearch("check", write_study())
    assert (done.code, done.out, done.err) == (code, "", "interrupted\n")


def test_a_message_with_brackets_is_printed_as_it_is(
    dcasearch: Command, write_study: WriteStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> None:
        raise DcasearchError("[Errno 28] no space left in [/bold]")

    monkeypatch.setattr("dcasearch.space.load_study", fail)
    done = dcasearch("check", write_study())
    assert (done.code, done.err) == (1, "[Errno 28] no space left in [/bold]\n")


# status


@pytest.fixture
def ran(dcasearch: Command, write_study: WriteStudy, simulated: None) -> Path:
    """The YAML of a study that was run in ./dcasearch.db."""
    study = write_study(baselines=True, fidelities=[PROXY], final={"seeds": [100, 101]})
    assert dcasearch("run", study).code == 0
    return study


def test_status_by_name_and_by_yaml_say_the_same(dcasearch: Command, ran: Path) -> None:
    by_name, by_yaml = dcasearch("status", "tiny"), dcasearch("status", ran)
    assert by_name == by_yaml
    assert by_name.code == 0
    assert ", held-out images: 4 complete" in by_name.out
    assert "final: trained anew" in by_name.out
    assert by_name.out.count("sampled") == 4


def test_report_writes_a_page_and_says_where(dcasearch: Command, ran: Path, tmp_path: Path) -> None:
    done = dcasearch("report", "tiny", "--out", "report")
    assert done.code == 0
    assert done.out.startswith(f"study tiny, database sqlite:///{tmp_path}/dcasearch.db\nreport/report.html, and ")
    assert (tmp_path / "report" / "report.html").is_file()


def test_report_refuses_a_study_that_the_database_does_not_hold_and_writes_nothing(
    dcasearch: Command, ran: Path, tmp_path: Path
) -> None:
    done = dcasearch("report", "tiny", "other", "--out", "refused")
    assert done.code == 2
    assert "holds no study 'other'; Known: tiny" in " ".join(done.err.split())
    assert not (tmp_path / "refused").exists()


def test_status_as_json_holds_trials_baselines_and_winner(dcasearch: Command, ran: Path) -> None:
    standing = json.loads(dcasearch("status", "tiny", "--json").out)
    fidelity = standing["fidelities"][0]
    assert fidelity["counts"] == {"complete": 4}
    assert [trial["number"] for trial in fidelity["trials"]] == [0, 1, 2, 3]
    assert [baseline["name"] for baseline in fidelity["baselines"]] == ["plain", "vanilla se", "dca se"]
    assert standing["finals"][0]["name"] == "winner"
    assert standing["finals"][0]["architecture_id"] == standing["winner"]
    assert standing["finals"][0]["seeds"] == [100, 101]


def test_status_of_an_unknown_study_names_the_database_and_the_studies_in_it(
    dcasearch: Command, ran: Path, tmp_path: Path
) -> None:
    done = dcasearch("status", "tinny")
    assert done.code == 2
    assert f"sqlite:///{tmp_path}/dcasearch.db holds no study 'tinny'; did you mean 'tiny'? Known: tiny" in done.err


def test_status_finds_a_study_from_another_folder_by_its_name(
    dcasearch: Command, ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    done = dcasearch("status", "tiny")
    assert done.code == 0
    assert done.out.startswith(f"study tiny, database sqlite:///{tmp_path}/dcasearch.db\n")


def test_the_storage_option_beats_the_yaml_which_beats_the_environment(
    dcasearch: Command, write_study: WriteStudy, simulated: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DCASEARCH_STORAGE", "sqlite:///environment.db")
    bare = write_study("bare.yaml", fidelities=[PROXY])
    named = write_study("named.yaml", fidelities=[PROXY], storage="sqlite:///yaml.db")
    for arguments, expected in (
        ((bare,), "environment.db"),
        ((named,), "yaml.db"),
        ((named, "--storage", "sqlite:///option.db"), "option.db"),
    ):
        done = dcasearch("run", *arguments)
        assert done.out.startswith(f"study tiny, database sqlite:///{tmp_path}/{expected}, artifacts ")
        assert (tmp_path / expected).exists()
        again = dcasearch("status", *arguments)
        assert again.out.startswith(f"study tiny, database sqlite:///{tmp_path}/{expected}\n")
    assert not (tmp_path / "dcasearch.db").exists()


def test_where_there_is_no_database_none_is_made(dcasearch: Command, tmp_path: Path) -> None:
    done = dcasearch("status", "tiny")
    assert done.code == 2
    assert f"There is no database sqlite:///{tmp_path}/dcasearch.db" in done.err
    assert not (tmp_path / "dcasearch.db").exists()


@pytest.mark.parametrize("command", ["status", "export", "dashboard"])
def test_a_file_that_is_no_database_is_said_to_be_none(dcasearch: Command, tmp_path: Path, command: str) -> None:
    (tmp_path / "notes.db").write_text("not a database, but long enough to have a header of a hundred bytes" * 20)
    done = dcasearch(command, "tiny", "--storage", "sqlite:///notes.db")
    assert done.code == 2
    assert "notes.db" in done.err
    assert "Traceback" not in done.err


# export, inspect, schema, init, db


def test_export_of_a_study_without_kept_weights_says_so(dcasearch: Command, ran: Path) -> None:
    done = dcasearch("export", "tiny")
    assert done.code == 2
    assert "the weights of evaluation" in done.err
    assert not Path("best.yaml").exists()


def test_inspect_shows_an_architecture_and_draws_it(dcasearch: Command, tmp_path: Path) -> None:
    written = {
        "backbone": {"name": "resnet18"},
        "attention": {"name": "se", "reduction": 16},
        "connections": {"topology": "chain", "function": "direct"},
    }
    (tmp_path / "net.yaml").write_text(yaml.safe_dump(written))
    done = dcasearch("inspect", "net.yaml", "--svg", "net.svg", "--png", "net.png", "--resolution", 32, "--classes", 10)
    assert done.code == 0
    assert "resnet18" in done.out
    assert "at 32 pixels, 10 classes" in done.out
    assert "7 connections, function direct" in done.out
    assert (tmp_path / "net.svg").read_text().startswith("<svg")
    assert (tmp_path / "net.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", ["study", "space"])
def test_schema_is_a_json_schema(dcasearch: Command, kind: str) -> None:
    done = dcasearch("schema", kind)
    jsonschema.validators.validator_for({}).check_schema(json.loads(done.out))


def test_schema_of_something_else_is_refused(dcasearch: Command) -> None:
    done = dcasearch("schema", "studdy")
    assert (done.code, done.err) == (2, "'studdy' has no schema; did you mean 'study'? Known: space, study.\n")


@pytest.mark.slow
def test_init_copies_studies_that_pass_their_check(dcasearch: Command, tmp_path: Path) -> None:
    done = dcasearch("init", "mine")
    assert done.code == 0
    assert (tmp_path / "mine/studies/quickstart.yaml").is_file()
    assert done.out.splitlines()[-1] == "try: dcasearch run mine/studies/quickstart.yaml"
    assert dcasearch("check", "mine/studies/quickstart.yaml").code == 0
    assert dcasearch("check", "mine/studies/paper/table6_dimensions_small.yaml", "--no-data").code == 0
    again = dcasearch("init", "mine")
    assert again.code == 2
    assert "nothing was copied" in again.err


def test_db_upgrade_keeps_a_database_of_this_version(dcasearch: Command, ran: Path, tmp_path: Path) -> None:
    before = dcasearch("status", "tiny").out
    done = dcasearch("db", "upgrade", "--storage", "sqlite:///dcasearch.db")
    assert done.code == 0
    assert "is of this version now" in done.out
    assert done.err == ""
    assert dcasearch("status", "tiny").out == before


def test_a_database_of_a_newer_version_is_refused_with_what_to_do(
    dcasearch: Command, ran: Path, tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "dcasearch.db") as connection:
        connection.execute("UPDATE dcasearch_alembic_version SET version_num = '9999'")
    done = dcasearch("status", "tiny")
    assert done.code == 2
    assert "written by a newer dcasearch" in done.err


def test_dashboard_names_study_and_database_and_the_address_that_it_serves_at(
    dcasearch: Command, ran: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    served: list[tuple[str, str | None, int]] = []

    def serve(store: Store, name: str | None, port: int, begun: Callable[[str], None]) -> None:
        served.append((store.url, name, port))
        begun(f"http://127.0.0.1:{port}/dashboard")

    monkeypatch.setattr("dcasearch.dashboard.serve", serve)
    url = f"sqlite:///{tmp_path}/dcasearch.db"
    done = dcasearch("dashboard", "tiny", "--port", 8123)
    assert (done.code, done.err) == (0, "")
    assert f"study tiny, database {url}\nhttp://127.0.0.1:8123/dashboard until Ctrl-C\n" in done.out
    assert f"all studies, database {url}\n" in dcasearch("dashboard", "--storage", url).out
    assert served == [(url, "tiny", 8123), (url, None, 8080)]


def test_dashboard_refuses_what_it_cannot_serve(dcasearch: Command, ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcasearch.dashboard.serve", pytest.fail)
    unknown = dcasearch("dashboard", "other")
    assert unknown.code == 2
    assert "no study 'other'; Known: tiny" in unknown.err
    assert dcasearch("dashboard", "tiny", "--port", 65536).code == 2


def test_the_module_runs_as_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import runpy

    monkeypatch.setattr(sys, "argv", ["dcasearch", "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("dcasearch", run_name="__main__")
    assert end.value.code == 0
    assert "Usage: dcasearch" in capsys.readouterr().out
