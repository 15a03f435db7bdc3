"""The house's plan: who may import whom, who alone uses a library, and what DVC must know of the code."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from conftest import ROOT

PACKAGE = ROOT / "src" / "dualface"
# From the ground up; a room imports only from floors below its own, or from within its own package.
FLOORS = [
    {"errors", "key", "version", "progress", "ahead", "__init__"},
    {"label", "yaml12", "tables", "device", "processes", "workfolder", "methods", "schema"},
    {"params"},
    {"entry", "demoparams"},
    {"manifest", "ledger", "split", "scores", "shards", "card", "history", "frame", "selfblend"},
    {"datasets", "video", "ingest", "subset", "windows", "models", "losses", "metrics", "demo"},
    {"batches"},
    {"faces", "scan", "predict", "checkpoint", "feeds", "stream", "official", "catalogue"},
    {"train", "report"},
    {"cli"},
]
# The few homes of each library.
HOMES = {
    "dlib": {"faces"},
    "av": {"video", "frame", "demo"},
    "cv2": {"faces", "demo", "selfblend"},
    "ray": {"faces"},
    "webdataset": {"shards"},
    "zstandard": {"shards"},
    "torchvision": {"models", "losses"},
    "safetensors": {"models", "checkpoint", "train", "official"},
    "timm": {"models"},
    "h5py": {"official"},
    "fsspec": {"shards"},
    "pydantic": {"params", "demoparams", "schema"},
    "yaml": {"yaml12", "cli"},
    "matplotlib": {"report"},
    "jinja2": {"report"},
}
# params.py holds no defaults, and DVC follows each value in params.yaml itself: the schema shapes no result.
# Neither do the version, the words of an error, a progress bar, or where unfinished work lies: a release would
# re-train every model.
NO_DEPENDENCY = {
    *(
        f"src/dualface/{name}.py"
        for name in ("params", "demoparams", "schema", "yaml12", "version", "errors", "progress", "workfolder")
    ),
    *(f"src/dualface/train/{name}.py" for name in ("memory", "snapshot")),
}
# What other commands of `dualface` load when they are asked for: `scan`, which lists the demo set, runs none of it.
OTHER_COMMANDS = {f"src/dualface/{name}.py" for name in ("catalogue", "official/convert", "report/table")}
STAGES = ["ingest", "faces", "subset", "train", "score", "report"]


def imports(path: Path) -> set[str]:
    """All modules that a file imports, `from a import b` as both `a` and `a.b`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module} | {f"{node.module}.{name.name}" for name in node.names}
    return found


def module_file(module: str) -> Path | None:
    path = ROOT / "src" / Path(*module.split("."))
    return next((one for one in (path.with_suffix(".py"), path / "__init__.py") if one.is_file()), None)


def closure(path: Path, *, past: set[str] = frozenset()) -> set[Path]:
    """The project's files that run when this one is imported, packages' `__init__` included.

    What only the files named by `past` import is left out.
    """
    reached: set[Path] = set()
    waiting = [path]
    while waiting:
        one = waiting.pop()
        if one not in reached:
            reached.add(one)
            if one.relative_to(ROOT).as_posix() in past:
                continue
            names = {module for module in imports(one) if module.split(".")[0] == "dualface"}
            parents = {".".join(name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 2)}
            waiting += [file for name in parents if (file := module_file(name))]
    return reached


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def floor_of(name: str) -> int:
    return next(number for number, floor in enumerate(FLOORS) if name in floor)


SOURCES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_downward(path):
    for module in imports(path):
        if module.startswith("dualface.") and module_file(module):
            used = module.split(".")[1]
            assert used == room(path) or floor_of(used) < floor_of(room(path)), f"{path.name} imports {module}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_library_is_used_only_where_it_lives(path):
    for module in imports(path):
        homes = HOMES.get(module.split(".")[0])
        assert homes is None or room(path) in homes, f"{path.name} imports {module}"


@pytest.mark.parametrize("stage", ["ingest", "subset", "report"])
def test_light_stages_need_no_network_and_no_detector(stage):
    heavy = {"torch", "torchvision", "dlib", "av"}
    for path in closure(ROOT / "stages" / f"{stage}.py"):
        assert not heavy & {module.split(".")[0] for module in imports(path)}, path


def pipeline() -> dict:
    return yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def test_stages_scripts_and_sections_bear_the_same_names():
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert list(pipeline()) == STAGES
    assert set(params) == {*STAGES, "loss"}
    assert {path.stem for path in (ROOT / "stages").glob("*.py")} == {*STAGES, "demo"}


def declared(stage: dict) -> set[str]:
    return {dep for dep in stage["deps"] if dep.startswith(("src/", "stages/"))}


def needed(script: Path, *, but: set[str] = frozenset()) -> set[str]:
    reached = closure(script, past=NO_DEPENDENCY | but)
    files = {path.relative_to(ROOT).as_posix() for path in reached} - NO_DEPENDENCY - but
    # Data files of a package that its modules load.
    data = {
        other.relative_to(ROOT).as_posix()
        for path in reached
        for other in path.parent.iterdir()
        if other.suffix in {".json", ".j2", ".css"} and other.name in path.read_text(encoding="utf-8")
    }
    return files | data


@pytest.mark.parametrize("stage", STAGES)
def test_dvc_knows_all_the_code_of_a_stage_and_no_other(stage):
    script = ROOT / "stages" / f"{stage}.py"
    assert declared(pipeline()[stage]) == needed(script)


def test_dvc_knows_all_the_code_of_the_demo():
    demo = yaml.safe_load((ROOT / "data" / "demo" / "dvc.yaml").read_text())["stages"]
    assert declared(demo["render"]) == needed(ROOT / "stages" / "demo.py")
    assert declared(demo["scan"]) == needed(PACKAGE / "cli.py", but=OTHER_COMMANDS)


def test_each_path_of_a_command_is_a_dep_or_an_out():
    for name, stage in pipeline().items():
        known = {
            next(iter(one)) if isinstance(one, dict) else one
            for part in ("deps", "outs", "metrics", "plots")
            for one in stage.get(part, [])
        }
        paths = set(re.findall(r"--\w+ (\S+)", stage["cmd"].split(" --values ")[0]))
        assert paths, name
        assert all(any(path == one or path.startswith(f"{one}/") for one in known) for path in paths), name


@pytest.mark.parametrize(("stage", "sections"), [("faces", ["faces"]), ("train", ["loss", "train"])])
def test_the_long_stages_carry_their_values_in_the_command(stage, sections):
    """DVC records parameters after a run: without this, those edited meanwhile would be taken for the result's."""
    values = " ".join(f"${{{section}}}" for section in sections)
    assert pipeline()[stage]["cmd"].endswith(f" --values {values}")


def keys(node: object) -> set[str]:
    if isinstance(node, dict):
        return set(map(str, node)) | {key for value in node.values() for key in keys(value)}
    return {key for one in node for key in keys(one)} if isinstance(node, list) else set()


def test_no_parameter_bears_a_name_that_dvc_leaves_out_of_its_run_cache():
    files = [path for path in ROOT.rglob("*params*.yaml") if ".venv" not in path.parts]
    assert ROOT / "params.yaml" in files
    for path in files:
        assert not {"size", "nfiles"} & keys(yaml.safe_load(path.read_text())), path


def test_no_template_stands_in_a_params_file():
    assert "${" not in (ROOT / "params.yaml").read_text()


def test_files_and_functions_stay_small():
    for path in [*SOURCES, *(ROOT / "stages").glob("*.py")]:
        limit = 370 if path.stem == "demo" else 250
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= limit, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                words = ast.get_docstring(node, clean=False) or ""
                assert node.end_lineno - node.lineno - words.count("\n") <= 50, f"{path.name}: {node.name}"
