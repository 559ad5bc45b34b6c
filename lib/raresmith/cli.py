"""The command line: `raresmith run CONFIG`, one subcommand a stage, `plan`, `generate` and `schema`."""

import argparse
import json
import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING

from raresmith.config import Config, SparkConfig, load_config
from raresmith.config.reference import json_schema
from raresmith.config.sections.run import local_path
from raresmith.errors import ConfigError, RaresmithError
from raresmith.generators.sample_request import add_arguments, request_of
from raresmith.log import RESULT, show
from raresmith.signals import during, ended_by_signals
from raresmith.tables.contracts import TABLES
from raresmith.tables.stage_report import MARGIN, ONLY_GENERATE, STAGES, StageReport
from raresmith.temporary import delete_leftovers, name_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)

HELP = {
    "run": "all stages, from the raw table to the augmented one",
    "plan": "what a run would read and make: rows, bytes, tasks, steps; nothing runs",
    "simulate": "make the raw table of [simulate]",
    "prepare": "check, split and encode the raw table",
    "oversample": "make SMOTE rows from the minority rows of the train split",
    "refine": "train the GAN and refine the SMOTE rows",
    "evaluate": "train forests with and without the made rows, and judge them on the test split",
    "publish": "write original and made rows in the raw schema",
}
GENERATE = "make any number of rows in the raw schema by a saved model"
TABLE = "a .csv, .parquet, .json or .xlsx file, a folder of such, a Delta table, or a name in Spark's catalogs"
FORMULAS = "put an apostrophe before text in a .csv file that a spreadsheet would take for a formula"
INIT = "look at a table and write a configuration to begin with, with the reason of each guess"
TRY = "the same, and then all stages on as many rows as some minutes are enough for"
DOCTOR = "look at this machine: Java, packages, memory, disk; and say what to do where something is missing"
SCHEMA = "print the JSON Schema of configuration files, by which editors complete them (docs/configuration.md)"


SPARK_LOG = Path(tempfile.gettempdir()) / f"{name_of('spark')}.log"
"""Where the JVM that we start writes its log."""


@contextmanager
def output_to(path: Path) -> Iterator[None]:
    """Processes started meanwhile write what they say to `path`: a page of Spark's own start hides our few lines, and
    why Java did not start it tells by its standard output."""
    sys.stdout.flush()
    sys.stderr.flush()
    with os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace") as kept, os.fdopen(os.dup(1), "w") as out:
        with path.open("ab") as log:
            os.dup2(log.fileno(), 2)
            os.dup2(log.fileno(), 1)
        try:
            with redirect_stderr(kept):  # for what we say ourselves
                yield
        finally:
            os.dup2(kept.fileno(), 2)
            os.dup2(out.fileno(), 1)


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    root = argparse.ArgumentParser(prog="raresmith", description="More rows of a rare class, and whether they help.")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in HELP.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("config", metavar="CONFIG", help="the TOML file that describes the run")
        command.add_argument("--logical-date", default="", metavar="YYYY-MM-DD", help="the day that it is run for")
        if name == "refine":
            command.add_argument("--only-generate", action="store_true", help=ONLY_GENERATE)
    generate = commands.add_parser("generate", help=GENERATE, description=GENERATE)
    model, output = "a run, or the folder of its saved model", "a .csv or .parquet file, or a Delta folder"
    generate.add_argument("source", type=local_path, metavar="CONFIG|MODEL_FOLDER", help=model)
    add_arguments(generate)
    generate.add_argument("--output", type=local_path, required=True, metavar="PATH", help=output)
    generate.add_argument("--escape-formulas", action="store_true", help=FORMULAS)
    generate.add_argument("--logical-date", default="", metavar="YYYY-MM-DD", help="the day that the run was for")
    for name, text in {"init": INIT, "try": TRY}.items():
        _add_start(commands.add_parser(name, help=text, description=text), is_try=name == "try")
    doctor = commands.add_parser("doctor", help=DOCTOR, description=DOCTOR)
    doctor.add_argument(
        "config", nargs="?", metavar="CONFIG", help="a run whose memory and warehouse are looked at too"
    )
    commands.add_parser("schema", help=SCHEMA, description=SCHEMA)
    return root


def _add_start(command: argparse.ArgumentParser, *, is_try: bool) -> None:
    """The arguments of a command that begins with a table."""
    command.add_argument("table", metavar="TABLE", help=TABLE)
    command.add_argument("--label", required=True, metavar="COLUMN", help="the column that holds the class")
    command.add_argument("--time", default="", metavar="COLUMN", help="when a row happened; else looked for")
    command.add_argument(
        "--entity", default="", metavar="COLUMN", help="whose row it is (card, customer); else looked for"
    )
    command.add_argument(
        "--key", nargs="+", default=[], metavar="COLUMN", help="what identifies a row; else looked for"
    )
    command.add_argument(
        "--output", type=Path, metavar="FILE", help="the configuration; by default called as the table"
    )
    if is_try:
        command.add_argument("--minutes", type=float, default=5.0, help="that the run may take, about (default 5)")


def _opened(name: str, config: SparkConfig) -> "SparkSession":
    """Spark, without a page of its own start."""
    from raresmith.spark.session import get_spark

    with output_to(SPARK_LOG):
        return get_spark(name, config)


def run_stages(config: Config, stages: Sequence[str], *, only_generate: bool = False) -> list[StageReport]:
    """Run `stages` in order, showing what each reports; Spark is opened once. `only_generate` is for refine."""
    from raresmith.gan.launch import launch
    from raresmith.spark.stages import SPARK_STAGES, check

    show()
    reports = []
    spark = None
    if set(stages) - {"refine"}:
        spark = _opened(config.run_id, config.spark)
    if spark is not None and "prepare" in stages:
        check(spark, config)
    for stage in stages:
        if sys.stdout.isatty():
            print(f"{stage:<{MARGIN}}…", end="\r", flush=True)
        with during(stage):
            if stage == "refine":
                reports.append(launch(config, only_generate=only_generate))
            else:
                assert spark is not None
                reports.append(SPARK_STAGES[stage](spark, config))
        RESULT.info(reports[-1])
    return reports


def doctor(arguments: argparse.Namespace) -> None:
    """Say what this machine has and lacks.

    Raises
    ------
    ConfigError
        If it lacks something.
    """
    from raresmith.doctor import examine

    findings = examine(load_config(arguments.config) if arguments.config else None)
    for finding in findings:
        RESULT.info("%s", finding)
    if lacking := [finding.what for finding in findings if finding.cure]:
        raise ConfigError(f"a run would fail or be slow here: {', '.join(lacking)}")


def begin(arguments: argparse.Namespace) -> None:
    """Write a configuration for a table, and for `try` run it, on a sample where the table is too large."""
    from raresmith.spark.before import start
    from raresmith.starting.draft import run_name
    from raresmith.starting.roles import Told

    told = Told(label=arguments.label, timestamp=arguments.time, entity=arguments.entity, key=tuple(arguments.key))
    file = arguments.output or Path(f"{run_name(arguments.table)}.toml")
    RESULT.info("Looking at %s ...", arguments.table)  # a large workbook takes a minute
    spark = _opened("look", SparkConfig())
    seen, draft, words = start.begin(spark, arguments.table, told, file)
    RESULT.info("%s: %s rows, %d columns", arguments.table, f"{seen.rows:,}", len(seen.columns))
    for line in (*words, *draft.lines()):
        RESULT.info("  %s", line)
    config = start.write(draft, file)
    RESULT.info("Written: %s", file)
    if arguments.command == "init":
        return RESULT.info("Next: raresmith plan %s, then raresmith run %s", file, file)
    tried = start.sampled(spark, config, seen, draft, arguments.minutes, file.parent)
    if tried is not draft:
        of_sample = file.with_name(f"{tried.name}.toml")
        config = start.write(tried, of_sample)
        RESULT.info("Written: %s, for a sample that takes about %g minutes", of_sample, arguments.minutes)
    _run(config)
    return RESULT.info("Next: change what is wrong in %s, then raresmith run %s", file, file)


def generate(arguments: argparse.Namespace) -> None:
    """Make rows by a saved model, as one of torchrun's processes or alone."""
    from raresmith.gan.generation.sample import sample
    from raresmith.gan.ranks import start

    request = request_of(arguments)
    ranks = start("auto")
    report = sample(
        request,
        arguments.source,
        arguments.output,
        ranks,
        arguments.logical_date,
        escape_formulas=arguments.escape_formulas,
    )
    if ranks.is_main:
        RESULT.info(report)


def obey(arguments: argparse.Namespace) -> None:
    """Do what the command line says."""
    if arguments.command == "generate":
        return generate(arguments)
    if arguments.command in ("init", "try"):
        return begin(arguments)
    if arguments.command == "schema":
        return print(json.dumps(json_schema(), indent=2))
    if arguments.command == "doctor":
        return doctor(arguments)
    config = load_config(arguments.config, arguments.logical_date)
    if arguments.command == "plan":
        from raresmith.spark.before.plan import plan

        RESULT.info(plan(_opened(config.run_id, config.spark), config))
    elif arguments.command == "run":
        _run(config)
    else:
        run_stages(config, [arguments.command], only_generate=getattr(arguments, "only_generate", False))
    return None


def _run(config: Config) -> None:
    """All stages, and what came of them."""
    stages = [stage for stage in STAGES if stage != "simulate" or config.simulate is not None]
    reports = run_stages(config, stages)
    opening = next(report.verdict.split("\n")[0] for report in reports if report.verdict)
    RESULT.info("Verdict: %s", opening)
    tables = [name for name in TABLES if name != "removed" or config.oversample.removes]
    RESULT.info("Tables in %s: %s", config.run.warehouse, ", ".join(tables))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code: 0, 2 after one sentence that says what is wrong, or 1 after one that says
    what Spark said where there are no words for it."""
    arguments = parser().parse_args(argv)
    try:
        show()
        delete_leftovers()
        with ended_by_signals():
            obey(arguments)
    except RaresmithError as error:
        logger.error("%s", error)
        code = 2
    except Exception as error:
        code = _unexpected(error)
    else:
        code = 0
    SPARK_LOG.unlink(missing_ok=True)
    return code


def _unexpected(error: Exception) -> int:
    """Tell an error that is not ours; return the exit code. What Spark alone can tell stays in its log, and a bug is
    raised again."""
    if "pyspark" not in sys.modules:
        raise error
    from raresmith.spark.failures import first_cause, is_of_spark, remedy

    log = SPARK_LOG.read_text(errors="replace") if SPARK_LOG.exists() else ""
    of_spark = is_of_spark(error)
    if of_spark and (told := remedy(error, log)):
        logger.error("%s", told)
        return 2
    kept = SPARK_LOG.with_name(f"raresmith-crash-{os.getpid()}.log")  # nobody deletes it
    kept.write_text(log + "".join(traceback.format_exception(error)))
    if of_spark:
        logger.error("Spark failed: %s; all that it says stands in %s", first_cause(error), kept)
        return 1
    logger.error("unexpected; this and Spark's own log stand in %s", kept)
    raise error


def entry() -> None:
    """The console script, or one of torchrun's processes."""
    code = main()
    if "TORCHELASTIC_RUN_ID" in os.environ:
        from raresmith.gan.ranks import finish

        finish(code)
    sys.exit(code)
