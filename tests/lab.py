"""JupyterLab on a free port and Chromium to look at it: what the browser tests need."""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM_ARGS = ("--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
                 "--disable-component-update --disable-sync").split()
READY = """const app = window.jupyterapp; await app.restored;
    const w = app.shell.currentWidget; await w.context.ready; await w.sessionContext.ready;
    await w.sessionContext.session.kernel.info;"""
RUN_ALL = f"async () => {{{READY} await app.commands.execute('notebook:run-all-cells');}}"
RUN_ABOVE = f"async i => {{{READY} w.content.activeCellIndex = i; await app.commands.execute('notebook:run-all-above');}}"
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},  # no question about news over the page
    "notebook-extension/tracker": {"windowingMode": "none"},  # every cell is on the page, also those out of sight
}
ERROR_OUTPUT = ", ".join(f".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.{kind}']" for kind in ("error", "stderr"))


def missing(reason: str):
    """Skip with `reason`; fail instead where a CI has promised that everything is there."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason} (CI is set, so this may not be skipped)")
    pytest.skip(reason)


def find_chromium() -> str:
    """The path of a Chromium or Chrome on this machine; skips the test, or fails it in CI, if there is none."""
    known = "/usr/bin/chromium"
    found = known if Path(known).exists() else next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    return found or missing("no Chromium on this machine (Debian: apt-get install chromium)")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def api(base: str, path: str, method: str = "GET") -> bytes:
    with urllib.request.urlopen(urllib.request.Request(f"{base}/api/{path}", method=method), timeout=20) as answer:
        return answer.read()


def end_sessions(base: str) -> None:
    for session in json.loads(api(base, "sessions")):
        api(base, f"sessions/{session['id']}", "DELETE")


@contextmanager
def running_lab(folder: Path, private: Path, patience: float = 120):
    """JupyterLab serving `folder` on loopback, its own files in `private`: yields its address, ends it afterwards."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR", "JUPYTERLAB_WORKSPACES_DIR",
                 "JUPYTERLAB_SETTINGS_DIR"):
        environment[name] = str(private / name.lower())
    command = [sys.executable, "-m", "jupyterlab", "--allow-root", "--no-browser", "--ip=127.0.0.1", f"--port={port}",
               "--ServerApp.port_retries=0", f"--notebook-dir={folder}", "--IdentityProvider.token=", "--ServerApp.password=",
               "--ServerApp.disable_check_xsrf=True", "--LabApp.news_url=",
               "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.extension_manager=readonly",
               "--LabApp.expose_app_in_browser=True"]
    for name, value in SETTINGS.items():
        path = private / "jupyterlab_settings_dir" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(value))
    log = private / "lab.log"
    with log.open("w") as sink:
        server = subprocess.Popen(command, env=environment, stdout=sink, stderr=sink, start_new_session=True)
    try:
        until = time.monotonic() + patience
        while True:
            try:
                api(base, "status")
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > until:
                    pytest.fail(f"JupyterLab did not start; its log ends with\n{log.read_text()[-2000:]}")
                time.sleep(0.3)
        yield base
    finally:
        if server.poll() is None:
            try:
                end_sessions(base)
            except OSError:
                pass
            os.killpg(server.pid, signal.SIGTERM)
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait(15)


def open_notebook(page, base: str, notebook: str):
    """Open `notebook` in JupyterLab as it is stored, and return the panel it is in."""
    page.goto(f"{base}/lab/tree/{notebook}?reset")
    panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    panel.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=60_000)
    return panel


def open_and_run(page, base: str, notebook: str):
    """Open `notebook` in JupyterLab, run all its cells, and return the panel it is in."""
    panel = open_notebook(page, base, notebook)
    page.evaluate(RUN_ALL)
    return panel


def open_and_run_to(page, base: str, notebook: str, index: int):
    """Open `notebook` in JupyterLab, run its cells up to and including number `index`, and return the panel it is in."""
    panel = open_notebook(page, base, notebook)
    page.evaluate(RUN_ABOVE, index + 1)
    return panel


def assert_it_steps(page, button, shown) -> None:
    """A click on `button` and the right arrow key each change what `shown` says, and the left one goes back."""
    seen = [shown.inner_text()]
    button.click()
    seen.append(shown.inner_text())
    page.keyboard.press("ArrowRight")
    seen.append(shown.inner_text())
    assert len(set(seen)) == 3
    page.keyboard.press("ArrowLeft")
    assert shown.inner_text() == seen[1]


def assert_no_errors(panel) -> None:
    errors = panel.locator(ERROR_OUTPUT)
    assert errors.count() == 0, errors.first.inner_text()
