"""The command line: `raresmith run CONFIG`, one subcommand a stage, `plan`, `generate` and `schema`."""

import argparse
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

from raresmith.config import Config, load_config
from raresmith.config.reference import json_schema
from raresmith.config.sections.run import local_path
from raresmith.errors import RaresmithError
from raresmith.generators.sample_request import add_arguments, request_of
from raresmith.log import RESULT, show
from raresmith.signals import during, ended_by_signals
from raresmith.tables.contracts import TABLES
from raresmith.tables.stage_report import MARGIN, ONLY_GENERATE, STAGES, StageReport
from raresmith.temporary import delete_leftovers, name_of

logger = logging.getLogger(__name__)

HELP = {
    "run": "all stages, from the raw table to the augmented one",
    "plan": "what a run would read and make: rows, bytes, tasks, steps; nothing runs",
    "simulate": "make the raw table of [simulate]",
    "prepare": "check, split and encode the raw table",
    "oversample": "make SMOTE rows from the minority rows of the train split",
    "refine": "train the GAN under torchrun and refine the SMOTE rows",
    "evaluate": "train forests with and without the made rows, and judge them on the test split",
    "publish": "write original and made rows in the raw schema",
}
GENERATE = "make any number of rows in the raw schema by a saved model"
FORMULAS = "put an apostrophe before text in a .csv file that a spreadsheet would take for a formula"
SCHEMA = "print the JSON Schema of configuration files, by which editors complete them (docs/configuration.md)"


SPARK_LOG = Path(tempfile.gettempdir()) / f"{name_of('spark')}.log"
"""Where the JVM that we start writes its log."""


@contextmanager
def stderr_to(path: Path) -> Iterator[None]:
    """Processes started meanwhile write their errors to `path`: a page of Spark's own start hides our few lines."""
    sys.stderr.flush()
    with os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace") as kept:
        with path.open("ab") as log:
            os.dup2(log.fileno(), 2)
        try:
            with redirect_stderr(kept):  # for what we say ourselves
                yield
        finally:
            os.dup2(kept.fileno(), 2)


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
    commands.add_parser("schema", help=SCHEMA, description=SCHEMA)
    return root


def run_stages(config: Config, stages: Sequence[str], *, only_generate: bool = False) -> list[StageReport]:
    """Run `stages` in order, showing what each reports; Spark is opened once. `only_generate` is for refine."""
    from raresmith.gan.launch import launch
    from raresmith.spark.session import get_spark
    from raresmith.spark.stages import SPARK_STAGES, check

    show()
    reports = []
    spark = None
    if set(stages) - {"refine"}:
        with stderr_to(SPARK_LOG):
            spark = get_spark(config.run_id, config.spark)
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
    if arguments.command == "schema":
        return print(json.dumps(json_schema(), indent=2))
    config = load_config(arguments.config, arguments.logical_date)
    if arguments.command == "plan":
        from raresmith.spark.plan import plan
        from raresmith.spark.session import get_spark

        with stderr_to(SPARK_LOG):
            spark = get_spark(config.run_id, config.spark)
        RESULT.info(plan(spark, config))
    elif arguments.command == "run":
        stages = [stage for stage in STAGES if stage != "simulate" or config.simulate is not None]
        reports = run_stages(config, stages)
        opening = next(report.verdict.split("\n")[0] for report in reports if report.verdict)
        RESULT.info("Verdict: %s", opening)
        tables = [name for name in TABLES if name != "removed" or config.oversample.removes]
        RESULT.info("Tables in %s: %s", config.run.warehouse, ", ".join(tables))
    else:
        run_stages(config, [arguments.command], only_generate=getattr(arguments, "only_generate", False))
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code: 0, or 2 after one sentence that says what is wrong."""
    arguments = parser().parse_args(argv)
    try:
        show()
        delete_leftovers()
        with ended_by_signals():
            obey(arguments)
    except RaresmithError as error:
        logger.error("%s", error)
        code = 2
    except Exception:
        if SPARK_LOG.exists():
            kept = SPARK_LOG.rename(SPARK_LOG.with_name(f"raresmith-crash-{os.getpid()}.log"))  # nobody deletes it
            logger.error("unexpected; Spark's own log is %s", kept)
        raise
    else:
        code = 0
    SPARK_LOG.unlink(missing_ok=True)
    return code


def entry() -> None:
    """The console script, or one of torchrun's processes."""
    code = main()
    if "TORCHELASTIC_RUN_ID" in os.environ:
        from raresmith.gan.ranks import finish

        finish(code)
    sys.exit(code)
