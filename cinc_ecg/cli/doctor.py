"""`cinc-ecg doctor`: is this machine fit, and if not, what to do."""

from __future__ import annotations

import json
import platform
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Annotated, Literal

import typer

_PACKAGES = ("numpy", "scipy", "opencv-python-headless", "pillow", "pypdfium2", "wfdb", "pandas")
_OPENCVS = ("opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless")
_NEEDED_GB = 1.0


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: what, how it stands, and what to do if it is not well."""

    name: str
    state: Literal["ok", "warning", "error"]
    text: str


def doctor(
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check Python, packages, the torch pair, CUDA, OpenCV, disk; exit 1 if something is broken."""
    checks = list(run_checks())
    if json_output:
        print(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        for check in checks:
            print(f"{check.state:8}{check.name:24}{check.text}")
    if any(check.state == "error" for check in checks):
        raise typer.Exit(1)


def run_checks() -> Iterator[Check]:
    """Yield all findings; none of them raises."""
    yield _python()
    for name in _PACKAGES:
        yield _package(name)
    yield _pandas()
    yield _opencv()
    yield _torch_pair()
    yield _cuda()
    yield _heic()
    yield _disk()
    yield _writable(Path.cwd())


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _python() -> Check:
    wanted = metadata.metadata("cinc-ecg")["Requires-Python"] if _version("cinc-ecg") else ">=3.11"
    return Check("python", "ok", f"{platform.python_version()} (wanted {wanted})")


def _package(name: str) -> Check:
    version = _version(name)
    if version is None:
        return Check(name, "error", f"missing; run: pip install {name}")
    return Check(name, "ok", version)


def _pandas() -> Check:
    version = _version("pandas") or "0"
    if int(version.split(".")[0]) >= 3:
        return Check("pandas for wfdb", "error", f"{version}; wfdb needs pandas older than 3")
    return Check("pandas for wfdb", "ok", "older than 3")


def _opencv() -> Check:
    doubles = [name for name in _OPENCVS if _version(name)]
    if doubles:
        fix = f"pip uninstall {' '.join(doubles)} opencv-python-headless, then install the latter"
        return Check("opencv", "warning", f"{', '.join(doubles)} beside the headless one; {fix}")
    return Check("opencv", "ok", "one copy")


def _torch_pair() -> Check:
    """Import both, because a CPU-only torch beside a stock torchvision fails only then."""
    versions = f"torch {_version('torch')}, torchvision {_version('torchvision')}"
    if not (_version("torch") and _version("torchvision")):
        return Check("torch", "warning", f"{versions}; needed for learned readers only")
    try:
        import_module("torch")
        import_module("torchvision")
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        reason = (str(error).splitlines() or [""])[0][:120]
        fix = "install both from the same index with the versions of constraints.txt"
        return Check("torch", "error", f"{versions} do not fit each other ({reason}); {fix}")
    return Check("torch", "ok", versions)


def _cuda() -> Check:
    """Multiply two matrices on the GPU: drivers may promise what they cannot do."""
    if _version("torch") is None:
        return Check("cuda", "ok", "not used (no torch)")
    try:
        torch = import_module("torch")
        if not torch.cuda.is_available():
            return Check("cuda", "ok", "no GPU; everything runs on the CPU")
        one = torch.ones(64, 64, device="cuda")
        right = float((one @ one).sum()) == 64.0**3
        name = torch.cuda.get_device_name()
    except (ImportError, RuntimeError, OSError, AssertionError) as error:
        reason = (str(error).splitlines() or [""])[0][:120]
        return Check("cuda", "warning", f"a GPU is there but fails ({reason}); update the driver")
    if not right:
        return Check("cuda", "error", f"{name} computes wrongly; check the hardware")
    return Check("cuda", "ok", name)


def _heic() -> Check:
    version = _version("pi-heif")
    if version is None:
        return Check(
            "heic", "ok", "not installed; for iPhone pictures: pip install 'cinc-ecg[heic]'"
        )
    return Check("heic", "ok", f"pi-heif {version}")


def _disk() -> Check:
    free_gb = shutil.disk_usage(Path.cwd()).free / 2**30
    state: Literal["ok", "warning"] = "ok" if free_gb >= _NEEDED_GB else "warning"
    return Check("disk", state, f"{free_gb:.1f} GB free here")


def _writable(folder: Path) -> Check:
    try:
        with tempfile.NamedTemporaryFile(dir=folder):
            return Check("folder", "ok", f"{folder} is writable")
    except OSError as error:
        return Check("folder", "warning", f"{folder} is not writable ({error.strerror})")
