"""The commands: each takes its settings, does its job through :mod:`nucleate.api`, and says how it ended."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nucleate.cli.options import Json, Resume, Structures, Unused, Workers, command
from nucleate.cli.outcome import (
    note,
    plain_rows,
    print_json,
    resumable,
    show_checks,
    show_magnets,
    show_phase_diagram,
    show_realised,
    show_run,
    warn,
)
from nucleate.cli.progress import shown_progress
from nucleate.errors import UserError

if TYPE_CHECKING:
    from nucleate.settings import (
        CompareSettings,
        DesignSettings,
        EvaluateSettings,
        ExploreSettings,
        FinetuneSettings,
        GenerateSettings,
        MagnetSettings,
        OrderingsSettings,
        PredictSettings,
        ScreenSettings,
        TrainSettings,
        WyckoffSettings,
    )

app = typer.Typer(
    name="nucleate",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: nucleate design pigen-mp -n 16 --where chemical_system=Li-Mn-O -o runs/li-mn-o",
)


@command(app, "design", "nucleate design pigen-mp -n 64 --where chemical_system=Li-O -o runs/li-o")
def design(
    settings: DesignSettings,
    out: Annotated[Path, typer.Option("-o", "--out", help="The run's folder.")],
    resume: Resume = False,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Generate crystals, relax them, place them on the hull, rank them and write a report."""
    from nucleate import api

    with resumable(out), shown_progress() as progress:
        run = api.design(settings, out, resume=resume, workers=workers, progress=progress)
    show_run(run, as_json)


@command(app, "generate", "nucleate generate pigen-mp -n 100 --where composition=LiFePO4 -o candidates.extxyz")
def generate(
    settings: GenerateSettings,
    out: Annotated[Path, typer.Option("-o", "--out", help="Where to write; the suffix is the format.")],
    as_json: Json = False,
) -> None:
    """Generate crystals and write them to a file or folder, without relaxing them."""
    from nucleate.campaign.design import generate_to

    with shown_progress() as progress:
        outcome = generate_to(settings, out, progress)
    if as_json:
        print_json(outcome)
    else:
        note(f"{outcome['n']} crystals in {out}")


@command(app, "wyckoff", 'nucleate wyckoff "A2BC4_cF56_227_c_b_e:Al-Mg-O" -n 4 -o spinel')
def wyckoff(
    settings: WyckoffSettings,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="A folder for ranked.csv and CIFs, or a file; the suffix is the format.")
    ],
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Find coordinates and a cell for a space group and elements on its Wyckoff positions."""
    from nucleate.campaign.design import rehearse
    from nucleate.campaign.wyckoff import realise, write_realised

    rehearse(out)
    with shown_progress() as progress:
        crystals, table, cost = realise(settings, workers, progress)
    write_realised(crystals, table, out)
    show_realised(table, cost, out, as_json)


@command(app, "screen", "nucleate screen candidates.zip -o runs/candidates")
def screen(
    settings: ScreenSettings,
    structures: Structures,
    out: Annotated[Path, typer.Option("-o", "--out", help="The run's folder.")],
    device: Unused = "auto",
    resume: Resume = False,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Relax structures, place them on the hull, compare and rank them and write a report."""
    from nucleate import api
    from nucleate.options import resolve_device

    resolve_device(device)
    with resumable(out), shown_progress() as progress:
        run = api.screen(settings, structures, out, resume=resume, workers=workers, progress=progress)
    show_run(run, as_json)


@command(app, "evaluate", "nucleate evaluate generated.zip --json")
def evaluate(
    settings: EvaluateSettings,
    structures: Annotated[
        Path | None, typer.Argument(help="CIF, folder or zip of CIFs, extxyz, Parquet, CSV with a cif column.")
    ] = None,
    self_check: Annotated[
        bool,
        typer.Option(
            "--self-check",
            help="Instead of structures: do potential and reference tell known phases from shuffled and random ones?",
        ),
    ] = False,
    device: Unused = "auto",
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Validity, uniqueness, novelty, stability and S.U.N. of a set, each with protocol and interval."""
    from nucleate import api
    from nucleate.options import resolve_device

    resolve_device(device)
    if self_check:
        if structures is not None:
            raise UserError("evaluate", f"--self-check and {structures}", "one of the two")
        with shown_progress() as progress:
            checks = api.self_check(settings.screen, workers=workers, progress=progress)
        show_checks(checks, as_json)
        return
    if structures is None:
        raise UserError("evaluate", "no structures", "a file of structures, or --self-check")
    with shown_progress() as progress:
        summary = api.evaluate(settings, structures, workers=workers, progress=progress)
    warn(summary)
    if as_json:
        print_json(summary.to_dict())
    else:
        typer.echo(str(summary))


@command(app, "compare", "nucleate compare pigen-mp random --file theirs=crystals.zip -n 256 -o runs/compared")
def compare(
    settings: CompareSettings,
    out: Annotated[Path, typer.Option("-o", "--out", help="A folder: a run for each source and the comparison.")],
    resume: Resume = False,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Sample several models and files of structures, screen all under one protocol, and compare them."""
    from nucleate import api
    from nucleate.report.comparison import headline

    with resumable(out), shown_progress() as progress:
        api.compare(settings, out, resume=resume, workers=workers, progress=progress)
    table = headline(out)
    if as_json:
        print_json({"folder": str(out), "page": str(out / "comparison.html"), **table.to_dict()})
        return
    typer.echo(str(table))
    typer.echo(f"\npage:     {out / 'comparison.html'}\nmarkdown: {out / 'comparison.md'}")
    typer.echo(f"table:    {out / 'comparison.csv'}")


@command(
    app,
    "phase-diagram",
    "nucleate phase-diagram V-Sr-O --model pigen-mp --model substitution -n 64 -o runs/v-sr-o",
)
def phase_diagram(
    settings: ExploreSettings,
    out: Annotated[Path, typer.Option("-o", "--out", help="A folder: a run for each model and the diagram.")],
    resume: Resume = False,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Generate, relax and place crystals of one chemical system with several models, on one combined hull."""
    from nucleate import api

    with resumable(out), shown_progress() as progress:
        found = api.phase_diagram(settings, out, resume=resume, workers=workers, progress=progress)
    show_phase_diagram(found, out, as_json)


@command(
    app,
    "magnets",
    "nucleate magnets --model diffcrysgen-mp -n 10000 --where saturation_magnetization=1.2 -o runs/magnets",
)
def magnets(
    settings: MagnetSettings,
    out: Annotated[Path, typer.Option("-o", "--out", help="The campaign's folder.")],
    resume: Resume = False,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Generate many crystals, prescreen them cheaply, relax what is left, and write what remains for DFT."""
    from nucleate import api

    with resumable(out), shown_progress() as progress:
        found = api.magnets(settings, out, resume=resume, workers=workers, progress=progress)
    if as_json:
        print_json({"folder": str(out), "report": str(out / "magnets.html"), **found})
    else:
        show_magnets(found, out, settings.thresholds)


@command(app, "train", "nucleate train pigen structures.csv -o models/mine --set epochs=200")
def train(
    settings: TrainSettings,
    out: Annotated[Path, typer.Option("-o", "--out", help="The model's folder.")],
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """Train a family from structures; a training that was killed goes on with --resume."""
    from nucleate import api
    from nucleate.families.base import FamilySpec
    from nucleate.families.registry import trainable

    with resumable(out), shown_progress("steps") as progress:
        folder = api.train(settings, out, resume=resume, progress=progress)
    if as_json:
        print_json({"model": str(folder)})
    else:
        answers = not isinstance(trainable(settings.family)[0], FamilySpec)
        use = f"nucleate predict {folder} STRUCTURES" if answers else f"nucleate design {folder} -n 16 -o RUN"
        note(f"the model is in {folder}; use it with: {use}")


@command(app, "finetune", "nucleate finetune pigen-mp --data hard.csv --property hardness -o models/hard")
def finetune(
    settings: FinetuneSettings,
    out: Annotated[Path, typer.Option("-o", "--out", help="The new model's folder.")],
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """Teach a model a property of your own; a training that was killed goes on with --resume."""
    from nucleate import api

    with resumable(out), shown_progress("steps") as progress:
        folder = api.finetune(settings, out, resume=resume, progress=progress)
    if as_json:
        print_json({"model": str(folder)})
    else:
        asked = f"--where {settings.properties[0]}=VALUE"
        note(f"the model is in {folder}; use it with: nucleate design {folder} -n 16 {asked} -o RUN")


@command(app, "predict", "nucleate predict property-cnn-mp structures.csv -o predicted.csv")
def predict(
    settings: PredictSettings,
    structures: Structures,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="CSV with one row for each structure.", show_default="standard output"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Predict properties; a structure that is none gets a row that says why."""
    from nucleate import api
    from nucleate.io.writing import write_whole

    table = api.predict(settings, structures)
    if as_json:
        print_json(plain_rows(table))
    text = table.to_csv(index=False)
    if out is not None:
        write_whole(out, text.encode())
        note(f"{len(table)} rows in {out}, {int((table['status'] != 'ok').sum())} of them without a prediction")
    elif not as_json:
        sys.stdout.write(text)


@command(app, "orderings", "nucleate orderings candidates.cif --cells 2 -o orderings")
def orderings(
    settings: OrderingsSettings,
    structures: Structures,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder, new or empty; one folder in it a structure.")],
    as_json: Json = False,
) -> None:
    """Write every ordering of up and down moments that no symmetry maps onto another, as POSCAR and MAGMOM.

    Only a calculation with spins tells which of them is lowest in energy.
    """
    from nucleate import api

    with shown_progress("structures") as progress:
        table = api.orderings(settings, structures, out, progress=progress)
    if as_json:
        print_json(plain_rows(table))
    else:
        failed = int((table["status"] != "ok").sum())
        note(
            f"{int(table['orderings'].sum())} orderings of {len(table) - failed} structures in {out}, {failed} without"
        )


@app.command("convert", epilog="Example: nucleate convert structures.csv structures.extxyz")
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="What to read.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="What to write; the suffix is the format.")],
    as_json: Json = False,
) -> None:
    """Change the format of structures; CIFs are written with the symmetry found."""
    from nucleate import api

    done = api.convert(source, target)
    if as_json:
        failed = [{"row": one.row + 1, "id": one.id, "reason": one.reason} for one in done.failures]
        print_json(
            {"n": done.n, "out": str(target), "failed": failed, "skipped": done.skipped, "left_out": done.left_out}
        )
        return
    for one in done.failures[:20]:
        note(f"row {one.row + 1} ({one.id}): {one.reason}")
    if len(done.failures) > 20:
        note(f"and {len(done.failures) - 20:,} more rows that are no crystals; --json names them all")
    if done.left_out:
        note(f"without a place in {target}: {', '.join(done.left_out)}")
    failed_too = f", {len(done.failures):,} rows are none" if done.failures else ""
    note(f"{done.n} crystals in {target}{failed_too}")


@app.command("report", epilog="Example: nucleate report runs/li-o")
def report(run: Annotated[Path, typer.Argument(help="The run's folder.")], as_json: Json = False) -> None:
    """Build the page of a run, a search for magnets or a comparison again; it opens without network."""
    from nucleate import api

    page = api.write_report(run)
    if as_json:
        print_json({"report": str(page)})
    else:
        typer.echo(str(page))
