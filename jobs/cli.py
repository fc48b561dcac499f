"""The `nightshelf` command: every step by name, the whole night, and what people look up.

Exit codes: 0 done · 2 wrong arguments or input · 10 a gate failed, never
retried · 20 transient, worth retrying · 130 interrupted · 1 a bug.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
from collections.abc import Callable
from datetime import date
from glob import glob
from pathlib import Path
from typing import Annotated, Any

import typer

from jobs import failpoints
from jobs.causes import understood
from jobs.errors import BadInput, NightshelfError
from jobs.steps import STEPS, Step

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    help="A shop's night shift: recommendations for every shopper and true copy for every product.",
    epilog="Exit codes: 0 done, 2 wrong arguments or input, 10 a gate failed, 20 try again, "
    "130 interrupted, 1 a bug.",
)

# Typer too makes it of Ctrl-C.
_INTERRUPTED = 130
Ds = Annotated[str, typer.Option("--ds", help="The UTC date of the night, YYYY-MM-DD.", show_default=False)]
RunId = Annotated[str, typer.Option("--run-id", help="The run; default: manual-<ds>.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Retrain = Annotated[
    str, typer.Option("--retrain", help="auto, always or never. Default: as pinned, else auto.")
]
MaxUsers = Annotated[int | None, typer.Option("--max-users", min=1, help="Score at most so many shoppers.")]
MaxProducts = Annotated[
    int | None, typer.Option("--max-products", min=1, help="Write at most so many products.")
]
AcceptChanges = Annotated[
    bool,
    typer.Option(
        "--accept-changes",
        help="What changed for good is meant: numbers far from the usual only warn, and from this date on "
        "history begins anew.",
    ),
]
Backend = Annotated[
    str, typer.Option("--backend", help="What writes: transformer or preset. Default: as set.")
]
Preset = Annotated[
    str, typer.Option("--preset", help="Folder of a keras-hub preset, the base of backend preset.")
]


def parse_ds(value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise BadInput(f"--ds '{value}': give a date as YYYY-MM-DD, such as 2026-01-31") from None


def _options(retrain: str, max_users: int | None, max_products: int | None, accept_changes: bool) -> Any:
    """The options a person gave, or None where the pinned ones hold."""
    from jobs.night import Options

    if retrain not in ("", "auto", "always", "never"):
        raise BadInput(f"--retrain '{retrain}': use auto, always or never")
    if not retrain and max_users is None and max_products is None and not accept_changes:
        return None
    return Options(retrain or "auto", max_users, max_products, accept_changes)  # type: ignore[arg-type]


Kept = Annotated[
    str, typer.Option("--kept", help="Why the night passed its audit, and is not published all the same.")
]


def _run_step(
    step: Step, ds: str, run_id: str, options: Any, changes: dict[str, str], kept: str | None = None
) -> None:
    """Run a step for a date; `changes`: settings that the command line overrides."""
    from jobs.night import Night
    from jobs.runner import run_step
    from jobs.settings import load_settings, settings

    day = parse_ds(ds)
    given = {name: value for name, value in changes.items() if value}
    night = Night(load_settings(**given) if given else settings(), day, run_id or f"manual-{day}", options)
    if kept is not None:
        night.note("approval", {"kept": kept})
    module = importlib.import_module(f"jobs.{step.name}")
    print(json.dumps(run_step(night, step.name, module.run), sort_keys=True))


def _step_command(step: Step) -> Callable[..., None]:
    def command(
        ds: Ds,
        run_id: RunId = "",
        retrain: Retrain = "",
        max_users: MaxUsers = None,
        max_products: MaxProducts = None,
        accept_changes: AcceptChanges = False,
    ) -> None:
        _run_step(step, ds, run_id, _options(retrain, max_users, max_products, accept_changes), {})

    def writer_command(
        ds: Ds,
        run_id: RunId = "",
        retrain: Retrain = "",
        max_users: MaxUsers = None,
        max_products: MaxProducts = None,
        accept_changes: AcceptChanges = False,
        backend: Backend = "",
        preset: Preset = "",
    ) -> None:
        changes = {"writer_backend": backend, "writer_preset": preset}
        options = _options(retrain, max_users, max_products, accept_changes)
        _run_step(step, ds, run_id, options, changes)

    def report_command(ds: Ds, run_id: RunId = "", kept: Kept = "") -> None:
        _run_step(step, ds, run_id, None, {}, kept)

    own: dict[str, Callable[..., None]] = {
        "train_writer": writer_command,
        "describe": writer_command,
        "report": report_command,
    }
    found = own.get(step.name, command)
    found.__doc__ = step.help
    return found


for _step in STEPS:
    app.command(_step.name, help=_step.help, rich_help_panel="Steps of the night")(_step_command(_step))


@app.command(rich_help_panel="Everyday")
def nightly(
    ds: Annotated[str, typer.Option("--ds", help="The UTC date of the night, YYYY-MM-DD.")] = "",
    sample: Annotated[
        bool, typer.Option("--sample", help="On the generated sample shop; default date: its last day.")
    ] = False,
    run_id: Annotated[
        str, typer.Option("--run-id", help="The run; default: manual-<ds>-<time>.", show_default=False)
    ] = "",
    retrain: Annotated[str, typer.Option("--retrain", help="auto (default), always or never.")] = "",
    max_users: MaxUsers = None,
    max_products: MaxProducts = None,
    accept_changes: AcceptChanges = False,
    as_json: Json = False,
) -> None:
    """Run the whole night once: the Airflow DAG `nightly`, on this machine, with progress."""
    from jobs import nightly as whole

    if not ds and not sample:
        raise BadInput("give the night's date with --ds YYYY-MM-DD, or try --sample")
    newest = whole.use_sample_shop() if sample else ""
    options = _options(retrain, max_users, max_products, accept_changes)
    summary = whole.run_with_airflow(parse_ds(ds or newest), run_id, options, quiet=as_json)
    whole.show(summary, as_json)
    if summary.exit_code:
        raise typer.Exit(summary.exit_code)


@app.command("import", rich_help_panel="Everyday")
def import_(
    mapping: Annotated[
        Path, typer.Argument(help="TOML file, or the name of one that ships: online-retail …")
    ],
    files: Annotated[
        list[str],
        typer.Argument(help="CSV, JSON Lines, JSON or Parquet: files, folders, globs or s3:// URIs."),
    ],
    ds: Annotated[
        str,
        typer.Option(
            "--ds",
            help="The day on which the rows arrived; default: the date in the file's name where the mapping "
            "looks for one, else each row's own.",
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Map raw files to the contract and land them for the next night."""
    from jobs.intake.command import import_files
    from jobs.settings import settings

    import_files(settings(), mapping, files, parse_ds(ds) if ds else None, as_json)


review = typer.Typer(no_args_is_help=True, help="Look at tonight's copy, and have the last word.")
app.add_typer(review, name="review", rich_help_panel="Everyday")


@review.command("export")
def review_export(
    ds: Annotated[str, typer.Option("--ds", help="The date; default: the newest.")] = "",
    out: Annotated[
        Path | None, typer.Option("--out", help="The CSV file to write; default: review-<ds>.csv.")
    ] = None,
    bom: Annotated[bool, typer.Option("--bom/--no-bom", help="Mark the file as UTF-8, for Excel.")] = True,
    as_json: Json = False,
) -> None:
    """Write the review queue as a CSV sheet to fill in."""
    from jobs.review_command import export
    from jobs.settings import settings

    export(settings(), parse_ds(ds) if ds else None, out, bom, as_json)


@review.command("import")
def review_import(
    file: Annotated[Path, typer.Argument(help="The sheet, filled in.")],
    reviewer: Annotated[str, typer.Option("--reviewer", help="Who judged; kept with the verdicts.")] = "",
    ds: Annotated[
        str,
        typer.Option(
            "--ds", help="The first night that the verdicts count for; default: the one after the row's."
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Keep the verdicts of a sheet, all or none: the next night goes by them."""
    from jobs.review_command import import_
    from jobs.settings import settings

    import_(settings(), file, reviewer.strip(), parse_ds(ds) if ds else None, as_json)


@review.command("erase")
def review_erase(
    product: Annotated[str, typer.Option("--product", help="Remove every verdict on a product.")] = "",
    reviewer: Annotated[str, typer.Option("--reviewer", help="Remove a reviewer's name.")] = "",
    as_json: Json = False,
) -> None:
    """Remove what people wrote about a product, or the name of one who did."""
    from jobs.review_command import erase
    from jobs.settings import settings

    erase(settings(), product, reviewer, as_json)


@app.command(rich_help_panel="Everyday")
def sample(
    folder: Annotated[Path, typer.Option("--folder", help="Where the raw files go.")] = Path("var/sample"),
    seed: Annotated[int, typer.Option("--seed", help="Another seed, another shop.")] = 20260102,
    scale: Annotated[
        float, typer.Option("--scale", min=0.01, help="Events, as a multiple of 300,000.")
    ] = 1.0,
) -> None:
    """Generate the sample shop's raw files."""
    from jobs.sample.shop import generate

    typer.echo(f"{folder}: {generate(folder, seed, scale)}")


@app.command(rich_help_panel="Look")
def tables(
    name: Annotated[str, typer.Argument(help="One table, for its columns and snapshots.")] = "",
    as_json: Json = False,
) -> None:
    """List the published tables: rows, snapshot, location; with a name: its columns and snapshots."""
    from jobs.browse import show_table, show_tables
    from jobs.settings import settings

    if name:
        show_table(settings(), name, as_json)
    else:
        show_tables(settings(), as_json)


@app.command(rich_help_panel="Look")
def show(
    table: Annotated[str, typer.Argument(help="recommendations, product_descriptions or another table.")],
    user: Annotated[str, typer.Option("--user", help="A shopper's id.")] = "",
    product: Annotated[str, typer.Option("--product", help="A product's id.")] = "",
    ds: Annotated[str, typer.Option("--ds", help="The date; default: the newest.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows at most.")] = 40,
    trace: Annotated[
        bool, typer.Option("--trace", help="What a product's copy was made from, and whether its hash fits.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show published rows, readable: of one shopper, of one product, or the first ones."""
    from jobs.browse import show_rows
    from jobs.settings import settings

    if trace:
        from jobs.trace import trace_copy

        if table != "product_descriptions" or not product:
            raise BadInput("--trace is for copy: nightshelf show product_descriptions --product ID --trace")
        trace_copy(settings(), product, parse_ds(ds) if ds else None, as_json)
        return

    show_rows(settings(), table, user, product, parse_ds(ds) if ds else None, limit, as_json)


@app.command(rich_help_panel="Care")
def rollback(
    run: Annotated[str, typer.Option("--run", help="The run whose tables become current again.")],
    as_json: Json = False,
) -> None:
    """Make the tables as one earlier run published them current again, all at once."""
    from jobs.browse import rollback_to
    from jobs.settings import settings

    rollback_to(settings(), run, as_json)


@app.command(rich_help_panel="Care")
def tag(
    run: Annotated[str, typer.Option("--run", help="The run to keep. Without: tell which are kept.")] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Take the run's tag away.")] = False,
    as_json: Json = False,
) -> None:
    """Tag a published run: `maintain` keeps its tables, models and report, however many nights follow."""
    from jobs.browse import tag
    from jobs.settings import settings

    if remove and not run:
        raise BadInput("--remove: name the run too: nightshelf tag --run RUN --remove")
    tag(settings(), run, remove, as_json)


@app.command(rich_help_panel="Care")
def forget(
    user: Annotated[str, typer.Option("--user", help="The shopper's id, as the shop gave it.")],
    as_json: Json = False,
) -> None:
    """Forget a shopper: remove every byte of theirs from the lake, and let no later night bring them back."""
    from jobs.forget_user import forget_user, show
    from jobs.settings import settings

    show(forget_user(settings(), user), as_json)


@app.command(rich_help_panel="Care")
def maintain(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; remove nothing.")] = False,
    grace_days: Annotated[
        float | None,
        typer.Option("--grace-days", help="Leave alone what is younger. Default: as set, else 3."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Allow less than a day: nothing may be running.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Drop days past their retention, join small files, expire snapshots, and remove what nothing names."""
    from jobs import lake_maintenance
    from jobs.settings import settings

    lake_maintenance.show(lake_maintenance.maintain(settings(), dry_run, grace_days, force), as_json)


@app.command(rich_help_panel="Care")
def doctor(as_json: Json = False) -> None:
    """Check Java, memory, disk, store and catalog, and say what to do."""
    from jobs.doctor import examine
    from jobs.settings import settings

    raise typer.Exit(examine(settings(), as_json))


def _log_to_stderr(level: str) -> None:
    try:
        logging.basicConfig(level=level.upper(), stream=sys.stderr)
    except ValueError as error:
        raise BadInput(f"NIGHTSHELF_LOG '{level}': use DEBUG, INFO, WARNING or ERROR") from error


def main(step: str | None = None) -> None:
    """Run the command line; with `step`, as `python -m jobs.<step>`.

    Errors a person can act on end as one line and their exit code.
    """
    _quieten_tensorflow()
    args = [step, *sys.argv[1:]] if step else sys.argv[1:]
    try:
        _log_to_stderr(os.environ.get("NIGHTSHELF_LOG") or "WARNING")
        failpoints.check()
        code = app(args, standalone_mode=False, prog_name="nightshelf")
    except NightshelfError as error:
        print(f"nightshelf: {error}", file=sys.stderr)
        code = error.exit_code
    except typer.Exit as error:
        code = error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        code = _INTERRUPTED
    except Exception as error:
        known = understood(error)
        if known is None:
            code = _usage_or_bug(error)
        else:
            print(f"nightshelf: {known}", file=sys.stderr)
            code = known.exit_code
    if code == _INTERRUPTED:
        said = "interrupted; 'nightshelf tables' shows what is published: a whole run, or nothing of it"
        print(f"nightshelf: {said}", file=sys.stderr)
    sys.exit(code or 0)


def _quieten_tensorflow() -> None:
    """Before it is imported: no notes on its build, and no search for a GPU where there is none."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if not glob("/dev/nvidia*") and not glob("/dev/dxg"):
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


def _usage_or_bug(error: Exception) -> int:
    """Exit 2 with its message for a wrong command line; re-raise anything else."""
    show_usage = getattr(error, "show", None)
    if show_usage is None or not hasattr(error, "exit_code"):
        raise error
    show_usage()
    return int(error.exit_code)


if __name__ == "__main__":
    main()
