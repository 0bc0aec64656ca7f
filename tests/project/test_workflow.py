"""The GitHub workflow and the pre-commit hooks: as their schemas want them, and covering what the project promises."""
import os
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from notebook_rules import ROOT
from pre_commit.clientlib import load_config

WORKFLOW = ROOT / ".github" / "workflows" / "tests.yml"
SITE = WORKFLOW.with_name("site.yml")


def schema_faults(text: str, folder) -> str:
    """What the schema of GitHub workflows, as check-jsonschema carries it, says against `text`; empty where it says nothing."""
    path = folder / "workflow.yml"
    path.write_text(text, "utf-8")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)]
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
    return "" if run.returncode == 0 else run.stdout + run.stderr


@pytest.fixture
def workflow() -> dict:
    return yaml.safe_load(WORKFLOW.read_text("utf-8"))


def commands(job: dict) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def test_workflow_fits_its_schema(tmp_path):
    assert schema_faults(WORKFLOW.read_text("utf-8"), tmp_path) == ""


def test_the_site_is_built_by_its_one_command_and_published(tmp_path):
    text = SITE.read_text("utf-8")
    assert schema_faults(text, tmp_path) == ""
    job, = yaml.safe_load(text)["jobs"].values()
    assert any('".[site]"' in command for command in commands(job)) and "python -m docs build/site" in commands(job)
    used = {step["uses"].split("@")[0]: step.get("with", {}) for step in job["steps"] if "uses" in step}
    assert used["actions/upload-pages-artifact"]["path"] == "build/site" and "actions/deploy-pages" in used


def test_the_schema_notices_a_misspelt_key(tmp_path):
    assert "runs_on" in schema_faults(WORKFLOW.read_text("utf-8").replace("runs-on:", "runs_on:"), tmp_path)


def test_workflow_covers_systems_pythons_and_versions(workflow):
    matrix = workflow["jobs"]["tests"]["strategy"]["matrix"]
    assert {name.split("-")[0] for name in matrix["system"]} == {"ubuntu", "macos", "windows"}
    assert matrix["python"] == ["3.11", "3.12", "3.13"]
    assert matrix["versions"] == ["tested", "newest"]
    assert {"versions": "tested", "constraint": "-c constraints.txt"} in matrix["include"]
    assert any("-c constraints-lowest.txt" in command for command in commands(workflow["jobs"]["lowest"]))


def test_workflow_runs_every_week(workflow):
    minute, hour, day, month, weekday = workflow[True]["schedule"][0]["cron"].split()
    assert (day, month) == ("*", "*") and re.fullmatch("[0-6]", weekday)


def test_workflow_runs_all_tests_and_fetches_no_cuda(workflow):
    runs = commands(workflow["jobs"]["tests"])
    assert "python -m pytest tests notebooks" in runs
    for job in workflow["jobs"].values():
        first = next(command for command in commands(job) if "pip install" in command)
        assert "download.pytorch.org/whl/cpu" in first + job.get("env", {}).get("PIP_EXTRA_INDEX_URL", "")


def test_workflow_runs_the_notebooks_as_colab_does(workflow):
    job = workflow["jobs"]["colab"]
    assumed = tomllib.loads((ROOT / ".ci" / "colab.toml").read_text("utf-8"))
    assert "python .ci/colab.py" in commands(job)
    assert [step["with"]["python-version"] for step in job["steps"] if "with" in step] == assumed["python"][:1]


def test_hooks_are_local_and_run_in_the_projects_environment():
    repositories = load_config(str(ROOT / ".pre-commit-config.yaml"))["repos"]
    assert [one["repo"] for one in repositories] == ["local"]
    hooks = {hook["id"]: hook for hook in repositories[0]["hooks"]}
    assert set(hooks) == {"ruff", "links", "notebook-contract"}
    assert all(hook["entry"].startswith("python ") and not hook.get("additional_dependencies") for hook in hooks.values())


def test_hooks_name_files_that_exist():
    text = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    named = re.findall(r"(?:\.ci|tests)/[\w/]+\.py", text)
    assert named and all((ROOT / name).is_file() for name in named)
