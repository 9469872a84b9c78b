"""Where a run's numbers come from: versions and hashes, as far as they can change a result."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("nucleate", "torch", "numpy", "scipy", "pymatgen", "ase", "chgnet", "moyopy", "pyxtal")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that compute."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def reference_hash(name: str) -> str:
    """SHA-256 of the files of a reference."""
    from nucleate.data.reference import bundled_folder

    return path_hash(bundled_folder() if name == "bundled" else Path(name))


def path_hash(path: Path) -> str:
    """SHA-256 of a file, or of a folder's file names and contents in order of name."""
    digest = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        digest.update(str(file.relative_to(path)).encode() + b"\0")
        with file.open("rb") as handle:
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()
