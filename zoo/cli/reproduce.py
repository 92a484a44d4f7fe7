"""``attnflow reproduce``."""

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.common import Json, check_choice
from zoo.cli.console import console, print_json

TABLES = (
    "table2", "table3", "table4", "table5", "masks", "positions", "heads", "forms", "bins",
)  # fmt: skip


def reproduce_command(
    table: Annotated[str, typer.Argument(help=f"{', '.join(TABLES)}.")],
    budget: Annotated[
        str,
        typer.Option(
            help="small: minutes per training on two CPU cores, on small data sets. paper: the "
            "paper's sizes and data sets, on a GPU."
        ),
    ] = "small",
    only: Annotated[list[str] | None, typer.Option(help="Name of a row; repeatable.")] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Number of seeds per row. Default: the table's.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder of the training runs.")] = Path(
        "runs/reproduce"
    ),
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the page and the CSV file.")
    ] = Path("docs/reproduction"),
    report: Annotated[
        bool, typer.Option("--report", help="Only write the page, without training.")
    ] = False,
    quality: Annotated[
        bool,
        typer.Option(
            "--quality", help="Only measure the images of what is trained, and write the page."
        ),
    ] = False,
    rows: Annotated[bool, typer.Option("--rows", help="Only list the rows.")] = False,
    as_json: Json = False,
) -> None:
    """Train and score the rows of a table of the paper, and write a page with the results.

    Each row is trained with several seeds by 'attnflow train'. Run the command again to resume;
    finished trainings are kept. The page also has the paper's figures, with their conventions.
    --quality measures samples of finished rows; it needs the weights in ATTNFLOW_DATA/lpips.
    """
    check_choice("TABLE", table, TABLES)
    check_choice("--budget", budget, ("small", "paper"))
    from zoo.reproduction import TABLES as KNOWN
    from zoo.reproduction import plan, train_rows, write_report
    from zoo.reproduction.quality import measure_rows

    chosen = KNOWN[table]
    plans = plan(chosen, runs, budget, only or [], seeds)
    if rows:
        listed = {made.row.name: made.row.method for made in plans}
        if as_json:
            print_json(listed)
        for name, method in {} if as_json else listed.items():
            console.print(f"{name:14} {method}")
        return
    try:
        if quality:
            measure_rows(plans, console.print)
        elif not report:
            train_rows(plans, console.print)
    finally:
        # All rows that there are, not only those of --only.
        every = plan(chosen, runs, budget, (), seeds)
        page = write_report(chosen, every, budget, out)
        finished = [made for made in every if made.result is not None]
        if as_json:
            print_json({"page": str(page), "finished": len(finished), "planned": len(every)})
        else:
            console.print(f"wrote {page}: {len(finished)} of {len(every)} trainings are finished")
