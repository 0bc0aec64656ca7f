"""environment.yml, pyproject.toml, constraints.txt and README.md agree. Offline: nothing is installed or looked up."""
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
CONDA = {"torch": "pytorch", "matplotlib": "matplotlib-base"}  # PyPI's name -> conda-forge's, where they differ
PYPI = {conda: pypi for pypi, conda in CONDA.items()}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
REQUIREMENTS = {canonicalize_name(one.name): one for one in map(
    Requirement, PROJECT["dependencies"] + sum(PROJECT["optional-dependencies"].values(), []))}
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
CONDA_PART = [entry for entry in ENVIRONMENT["dependencies"] if isinstance(entry, str)]
PIP_PART = [entry for part in ENVIRONMENT["dependencies"] if isinstance(part, dict) for entry in part["pip"]]


def pins(file: str = "constraints.txt") -> dict[str, str]:
    lines = [line for line in (ROOT / file).read_text("utf-8").splitlines() if line and not line.startswith("#")]
    found = dict(line.split("==") for line in lines)
    assert len(found) == len(lines)
    return {canonicalize_name(name): version for name, version in found.items()}


def conda_requirements() -> dict[str, str]:
    """PyPI's name -> specifier, for everything in environment.yml but Python, pip and this package itself."""
    found = {}
    for entry in CONDA_PART:
        name, specifier = re.fullmatch(r"([a-z0-9_.-]+?)((?:[<>=!]=?[\w.*,]+)*)", entry).groups()
        found[PYPI.get(name, name)] = specifier
    for entry in PIP_PART:
        if not entry.startswith("-"):
            found[canonicalize_name(Requirement(entry).name)] = str(Requirement(entry).specifier)
    return {name: specifier for name, specifier in found.items() if name not in ("python", "pip")}


def test_environment_has_the_right_shape():
    assert set(ENVIRONMENT) == {"name", "channels", "dependencies"}
    assert ENVIRONMENT["channels"] == ["conda-forge"]
    assert "python=3.11" in CONDA_PART and "pip" in CONDA_PART
    assert "-e ." in PIP_PART
    assert Version("3.11") in Requirement(f"python{PROJECT['requires-python']}").specifier
    assert not {entry for entry in CONDA_PART if re.match(r"(torch|matplotlib)\b(?!-)", entry)}


def test_binder_finds_the_environment():
    """Binder would rather read a Dockerfile, or what lies in a folder of its own."""
    assert not [name for name in ("Dockerfile", "binder", ".binder") if (ROOT / name).exists()]


def test_same_packages_and_bounds_both_ways():
    assert conda_requirements() == {name: str(one.specifier) for name, one in REQUIREMENTS.items()}


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_pinned_version_is_allowed(name):
    version = pins()[name]
    assert REQUIREMENTS[name].specifier.contains(version)
    assert Version(version).local is None, "a local version such as +cpu exists on one index only"


def test_lowest_versions_are_the_lower_bounds():
    assert {name: f">={version}" for name, version in pins("constraints-lowest.txt").items()} == {
        name: str(one.specifier) for name, one in REQUIREMENTS.items()}


def test_ci_installs_the_lowest_versions_and_tests_with_them():
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert '.venv-lowest/bin/pip install --progress-bar off -c constraints-lowest.txt -e ".[test]"' in script
    assert ".venv-lowest/bin/python -m pytest tests --ignore=tests/browser" in script


def readme_commands() -> list[str]:
    text = (ROOT / "README.md").read_text("utf-8")
    return [line for block in re.findall(r"(?s)```bash\n(.*?)```", text) for line in block.splitlines()]


def test_readme_has_one_command_to_start_and_one_to_test():
    fresh = [line for line in readme_commands() if line.startswith("python3 -m venv .venv && ") and "-c constraints.txt" in line]
    assert len(fresh) == 2
    start, test = fresh
    assert start.endswith("jupyter lab notebooks/00_start_here.ipynb") and '-c constraints.txt -e ".[lab]"' in start
    assert test.endswith("-m pytest tests notebooks") and '-c constraints.txt -e ".[lab,test]"' in test


def test_readme_names_the_pinned_torch():
    assert [line.split("torch==")[1].split()[0] for line in readme_commands() if "torch==" in line] == [pins()["torch"]]


def test_readme_links_resolve():
    text = (ROOT / "README.md").read_text("utf-8")
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    local = [target for target in targets if not re.match(r"https?:|#", target)]
    assert local and [target for target in local if not (ROOT / target).exists()] == []
    assert not re.search(r"!\[\s*\]", text), "a picture has no alt text"
