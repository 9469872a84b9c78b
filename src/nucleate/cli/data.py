"""``nucleate data``: look into data sets, build references."""

from __future__ import annotations

import gzip
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nucleate.cli.options import Json, Structures, Workers, command
from nucleate.cli.outcome import note, print_in_full, print_json
from nucleate.cli.progress import shown_progress

if TYPE_CHECKING:
    from nucleate.settings import ReferenceSettings

app = typer.Typer(no_args_is_help=True, help="Look into data sets and build references.")


@app.command("inspect", epilog="Example: nucleate data inspect structures.csv.gz")
def inspect(path: Structures, as_json: Json = False) -> None:
    """Say what a data set holds: crystals, rows that failed and why, elements, sizes, property columns."""
    from nucleate.data.dataset import load_dataset
    from nucleate.data.inspect import rendered, summarise

    found = summarise(load_dataset(path))
    if as_json:
        print_json(found)
    else:
        print_in_full(rendered(found))


@command(app, "reference", "nucleate data reference formation_energies.csv -o references/mp")
def reference(
    settings: ReferenceSettings,
    out: Annotated[Path, typer.Option("-o", "--out", help="The reference's folder; its name becomes the reference's.")],
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Build a reference from a table of formation energies, or of structures, and the bundled one.

    With a potential other than chgnet: from structures alone, all relaxed with that potential.
    """
    from nucleate.data.reference_tables import build_union
    from nucleate.potentials.registry import CHGNET

    if settings.potential != CHGNET or settings.python is not None:
        _relaxed_reference(settings, out, workers, as_json)
        return
    built, error = build_union(settings.table, out, settings.structures, workers)
    if as_json:
        scale = asdict(error)
        print_json({"reference": str(out), "name": built.name, "phases": len(built.phases), "scale_error": scale})
        return
    note(
        f"{len(built.phases):,} phases, {len(built.structures):,} known structures in {out}\n"
        f"scales differ by {error.mean_absolute:.3f} eV/atom on average on {error.shared:,} shared structures\n"
        f"use it with --reference {out}"
    )


def _relaxed_reference(settings: ReferenceSettings, out: Path, workers: int | None, as_json: bool) -> None:
    from nucleate.data.relaxed_reference import build_relaxed

    with shown_progress() as progress:
        built, coverage = build_relaxed(
            settings.table,
            out,
            settings.potential,
            settings.python,
            settings.structures,
            workers,
            lambda done, total: progress("relax", done, total),
        )
    if as_json:
        found = {"phases": len(built.phases), "scale": built.scale, "coverage": asdict(coverage)}
        print_json({"reference": str(out), "name": built.name, **found})
        return
    failed = f", {coverage.failed:,} did not, the first for: {coverage.first_reason}" if coverage.failed else ""
    missing = ", ".join(coverage.without_terminal)
    note(
        f"{len(built.phases):,} phases on the scale of {built.scale} in {out}\n"
        f"{coverage.relaxed:,} structures relaxed{failed}\n"
        + (f"no elemental phase of {missing}: nothing with them has a hull distance\n" if missing else "")
        + f"use it with --potential {settings.potential} --reference {out}"
    )


@app.command("potentials", epilog="Example: nucleate data potentials structures.csv.gz -o potentials.safetensors")
def potentials(
    path: Structures,
    out: Annotated[Path, typer.Option("-o", "--out", help="The table's file, for example potentials.safetensors.")],
    origin: Annotated[str, typer.Option(help="Where the data come from and their licence, kept in the table.")] = "",
    as_json: Json = False,
) -> None:
    """Derive statistical proxy potentials (SPP) and their thresholds from the distances in a data set."""
    from nucleate.data.dataset import load_dataset
    from nucleate.descriptors.spp import derive_potentials

    dataset = load_dataset(path)
    details = {"source": path.name, "source_sha256": dataset.digest, "origin": origin}
    with shown_progress() as progress:
        table = derive_potentials(dataset.crystals, details, progress)
    table.save(out)
    own = len(table.rows)
    seen = int((table.samples > 0).sum())
    if as_json:
        print_json({"table": str(out), "thresholds": table.thresholds, "pairs": own, "seen": seen, **table.details})
        return
    note(
        f"{own:,} element pairs with a curve of their own, {seen - own:,} seen too rarely for one, in {out}\n"
        + "\n".join(
            f"95 % of held-out crystals score at most {value:.4f} ({name})" for name, value in table.thresholds.items()
        )
    )


@app.command("bulk-moduli", epilog="Example: nucleate data bulk-moduli structures.csv.gz -o with_moduli.csv.gz")
def bulk_moduli(
    path: Structures,
    out: Annotated[Path, typer.Option("-o", "--out", help="The structures' table with one column more.")],
    as_json: Json = False,
) -> None:
    """Add bulk moduli (GPa): shipped ones of Materials Project structures, CHGNet's equation of state of others."""
    from nucleate.data.bulk_moduli import bulk_moduli as moduli
    from nucleate.data.dataset import load_dataset
    from nucleate.io.cif_writer import cif_texts
    from nucleate.io.writing import write_whole

    dataset = load_dataset(path)
    with shown_progress("crystals") as progress:
        values = moduli(dataset, lambda done, total: progress("equation of state", done, total))
    known = sum(value == value for value in values.tolist())
    table = dataset.table.assign(bulk_modulus=values, cif=cif_texts(dataset.crystals, dataset.ids, None))
    content = table.to_csv(index=False).encode()
    write_whole(out, gzip.compress(content) if out.suffix == ".gz" else content)
    if as_json:
        print_json({"table": str(out), "crystals": len(dataset), "with_bulk_modulus": known})
    else:
        note(f"{known:,} of {len(dataset):,} crystals with a bulk modulus in {out}")
