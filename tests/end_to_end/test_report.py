"""The report of a whole run."""

from pathlib import Path

from tests.deploy.small_run import noted_stages

from raresmith.config import Config
from raresmith.gan.data import tables


def test_the_report_shows_the_training_that_refine_noted(finished_run: Config) -> None:
    page = Path(finished_run.run.warehouse, "report", f"{finished_run.run_id}.html").read_text(encoding="utf-8")
    recorded = tables.recorded(finished_run, tables.refine_run(finished_run))
    assert recorded is not None
    noted = recorded["measures"]
    # It has too few validation rows of the class for a look.
    assert "looks" not in noted and "the weights of step 40 were kept" in page
    for name, first, last in zip(noted["loss_names"], noted["losses"][0][1:], noted["losses"][-1][1:], strict=True):
        assert f"{name} from {first:.3g} to {last:.3g}" in page


def test_test_rows_that_a_train_row_shows_already_are_noted_and_told(finished_run: Config) -> None:
    noted = noted_stages(Path(finished_run.run.warehouse))["evaluate"]["measures"]
    rows, positive = (noted["near_duplicates"][what] for what in ("rows", "positive"))
    page = Path(finished_run.run.warehouse, "report", f"{finished_run.run_id}.html").read_text(encoding="utf-8")
    some = f"{rows:,} of the test rows, {positive:,} of them positive, equal a train row in every feature"
    assert (some if rows else "No test row equals a train row in every feature") in page
