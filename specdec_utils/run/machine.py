"""Which machine: what a speed depends on besides the method."""
import os
import platform
import re
import subprocess
from pathlib import Path

import torch
import transformers

from ..models.pair import ModelPair


def _said(*command: str) -> str:
    """What `command` prints, or nothing where it is missing or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _name_in_registry() -> str:
    """The processor's name in the registry of Windows; nothing elsewhere."""
    try:
        import winreg
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"HARDWARE\DESCRIPTION\System\CentralProcessor\0") as key:
            return str(winreg.QueryValueEx(key, "ProcessorNameString")[0]).strip()
    except (ImportError, OSError):
        return ""


def _name_in_file(path: Path) -> str:
    """The model name in `path`, as Linux writes it for most processors."""
    found = re.search(r"^model name\s*:\s*(.+)$", path.read_text(errors="replace") if path.is_file() else "", re.MULTILINE)
    return found[1].strip() if found else ""


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name as this system tells it, at worst its architecture."""
    system = platform.system()
    if system == "Linux":
        found = re.search(r"^Model name:\s*(\S.*)$", _said("lscpu"), re.MULTILINE)  # ARM has it here alone
        name = _name_in_file(cpuinfo) or (found[1] if found else "")
    else:
        name = _said("sysctl", "-n", "machdep.cpu.brand_string") if system == "Darwin" else _name_in_registry()
    return name or platform.processor() or platform.machine()


def cache_sizes(folder: Path = Path("/sys/devices/system/cpu/cpu0/cache")) -> dict[str, int]:
    """Bytes of the first core's data caches by level ("L1", "L2", "L3"), as far as the system tells (Linux and macOS)."""
    sizes = {}
    for index in sorted(folder.glob("index*")):
        try:
            kind, level, size = ((index / name).read_text().strip() for name in ("type", "level", "size"))
        except OSError:
            continue
        if kind != "Instruction" and re.fullmatch(r"\d+[KMG]?", size):
            sizes[f"L{level}"] = int(size.rstrip("KMG")) * 1024 ** " KMG".index(size[-1] if size[-1] in "KMG" else " ")
    if platform.system() == "Darwin":
        said = {f"L{level}": _said("sysctl", "-n", f"hw.l{level}{'d' if level == 1 else ''}cachesize") for level in (1, 2, 3)}
        sizes = {level: int(size) for level, size in said.items() if size.isdigit() and int(size) > 0}
    return sizes


def machine_facts(pair: ModelPair) -> dict:
    """What a speed depends on: processor, cores, caches (bytes), instruction set, threads, device, dtype, versions, pair."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"processor": processor_name(), "architecture": platform.machine(), "cores": usable, "caches": cache_sizes(),
            "instructions": torch.backends.cpu.get_cpu_capability(), "threads": torch.get_num_threads(), "device": pair.device,
            "accelerator": torch.cuda.get_device_name(pair.verifier.device) if pair.verifier.device.type == "cuda" else None,
            "dtype": str(pair.verifier.dtype).removeprefix("torch."), "system": platform.system(), "python": platform.python_version(),
            "torch": torch.__version__, "transformers": transformers.__version__, "pair": pair.name}


def _size(count: int) -> str:
    return f"{count // 1024} KB" if count < 1024**2 else f"{count / 1024**2:g} MB"


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def machine_line(facts: dict) -> str:
    """`machine_facts` in one line: which processor, how much of it, on which device."""
    caches = [f"{level} cache {_size(size)}" for level, size in facts["caches"].items()]
    device = facts["accelerator"] or facts["device"]
    return ", ".join([facts["processor"], _counted(facts["cores"], "core"), *caches, facts["instructions"],
                      _counted(facts["threads"], "thread"), f"{facts['dtype']} on {device}"])
