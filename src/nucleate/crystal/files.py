"""Structures in and out of files; the suffix says the format."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from nucleate.crystal.archives import folder_members, zip_members
from nucleate.crystal.cif_reader import parse_cifs, split_blocks
from nucleate.crystal.limits import MAX_BYTES, MAX_STRUCTURE_BYTES, as_text, read_bytes
from nucleate.crystal.structure_file import StructureFile, gather
from nucleate.crystal.tables import read_csv, read_parquet
from nucleate.errors import UserError

READABLE = ".cif, .csv, .csv.gz, .parquet, .zip, or a folder of CIFs"


def read_structures(path: str | Path) -> StructureFile:
    """Crystals of a file or folder, in its order.

    Raises:
        UserError: The path is missing, of an unknown kind, damaged or too large. A single structure that is no
            crystal raises nothing; it is listed in ``failures``.
    """
    path = Path(path)
    name = path.name.lower()
    if path.is_dir():
        return _from_members(list(folder_members(path, _is_cif)), path)
    if name.endswith((".csv", ".csv.gz")):
        return read_csv(path)
    if name.endswith(".parquet"):
        return read_parquet(path)
    if name.endswith(".zip"):
        return _from_members(list(zip_members(path, _is_cif)), path)
    if name.endswith((".cif", ".cif.gz")):
        return _from_members([(PurePosixPath(path.name), as_text(read_bytes(path, MAX_BYTES)))], path)
    raise UserError(str(path), f"the suffix {path.suffix!r}", READABLE)


def _from_members(members: list[tuple[PurePosixPath, str | None]], path: Path) -> StructureFile:
    if not members:
        raise UserError(str(path), "no CIF", "files whose names end in .cif")
    ids: list[str] = []
    texts: list[str] = []
    for name, text in members:
        blocks = [("", "")] if text is None else split_blocks(text)
        for block_name, block in blocks:
            ids.append(name.stem if len(blocks) == 1 else block_name)
            texts.append(block)
    entries = parse_cifs(texts)
    large = {name.stem for name, text in members if text is None}
    for i, identifier in enumerate(ids):
        if identifier in large:
            entries[i] = f"a file of more than {MAX_STRUCTURE_BYTES / 1e6:.0f} MB"
    return gather(entries, ids)


def _is_cif(name: PurePosixPath) -> bool:
    return name.suffix.lower() == ".cif" and "__MACOSX" not in name.parts and not name.name.startswith(".")
