"""Read a PyTorch checkpoint in a process of its own: ``python checkpoint_reader.py CHECKPOINT FOLDER SECONDS BYTES``.

The file is a stranger's. It is read by PyTorch's loader of tensors alone, which makes no object that a file could name,
under limits of memory and time; what comes out is ``tensors.safetensors`` and ``config.json`` in the folder. One JSON
object on standard output says ``{"error": ...}`` where it could not be read. Nothing of the package is imported here.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
from pathlib import Path

import torch
from pydantic import JsonValue
from safetensors.torch import save_file

MOST_TENSORS = 20_000
MOST_CONFIG = 1_000_000
"""Characters of a configuration as JSON."""


class RefusedError(Exception):
    """Why a file is not read."""


def limit(seconds: int, size: int) -> None:
    """Bound processor time, and memory to what this process has now and ``size`` bytes more, where the system can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + size, now + size))


def read(source: str, size: int) -> tuple[dict[str, torch.Tensor], object]:
    """Tensors by name, and the configuration that a training stored beside them, None where there is none."""
    found = torch.load(source, map_location="cpu", weights_only=True)
    config = found.get("config") if isinstance(found, dict) else None
    state = found.get("state_dict", found) if isinstance(found, dict) else None
    if not isinstance(state, dict) or not state:
        raise RefusedError(f"a {type(found).__name__} without a state dict")
    if len(state) > MOST_TENSORS:
        raise RefusedError(f"{len(state)} entries")
    for name, value in state.items():
        plain = isinstance(value, torch.Tensor) and value.layout == torch.strided and value.device.type == "cpu"
        if not isinstance(name, str) or not plain or value.is_quantized:
            raise RefusedError(f"{str(name)[:80]!r}, which is no plain tensor")
    needed = sum(value.numel() * value.element_size() for value in state.values())
    if needed > size // 3:
        raise RefusedError(f"tensors of {needed / 1e9:.1f} GB")
    return {name: value.detach().clone().contiguous() for name, value in state.items()}, config


def converted(source: str, folder: str, size: int) -> dict[str, JsonValue]:
    """Read and write; what went wrong, in one line, or how many tensors there are."""
    try:
        state, config = read(source, size)
        text = json.dumps(config, default=str)
        if len(text) > MOST_CONFIG:
            raise RefusedError(f"a configuration of {len(text):,} characters")
        Path(folder, "config.json").write_text(text)
        save_file(state, Path(folder) / "tensors.safetensors")
    except RefusedError as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": "more than the memory it may take"}
    except Exception as error:  # noqa: BLE001  (whatever a stranger's file does to the reader is a reason to refuse it)
        return {"error": reason(error)}
    return {"tensors": len(state)}


def reason(error: Exception) -> str:
    """In one line, and without PyTorch's advice to trust the file."""
    text = " ".join(str(error).split())
    named = re.search(r"GLOBAL ([\w.]+)", text)
    if named:
        return f"{named[1]}, which only code could make and which was not made"
    if "weights only" in text.lower() or "weights_only" in text:
        return "something that is not tensors, numbers and text"
    return text[:200] or type(error).__name__


if __name__ == "__main__":
    torch.set_num_threads(1)
    limit(int(sys.argv[3]), int(sys.argv[4]))
    sys.stdout.write(json.dumps(converted(sys.argv[1], sys.argv[2], int(sys.argv[4]))))
