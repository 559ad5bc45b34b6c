"""The one place where the trainer touches Delta: delta-rs, no JVM."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, QueryBuilder, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, TableNotFoundError
from numpy.typing import NDArray

from raresmith.encoding.encoder import Encoder
from raresmith.errors import DataError
from raresmith.gan.folder import STORE_CURE, in_a_line, open_folder
from raresmith.tables import commits, contracts
from raresmith.tables.commits import Commit
from raresmith.tables.concurrency import Overtaken, despite_others
from raresmith.tables.contracts import Table
from raresmith.tables.stage_run import StageRun, read_note, refuse_other_encoder, refuse_others

if TYPE_CHECKING:
    from raresmith.config import Config

_NEWEST = 20
"""Commits that are looked through before the whole log is read."""
_ROW_GROUP = 2**17
"""Rows that are held while they are encoded; delta-rs's own million takes several hundred megabytes."""
_ARROW = {
    "bigint": pa.int64(),
    "int": pa.int32(),
    "string": pa.string(),
    "float": pa.float32(),
    "double": pa.float64(),
}


def location(config: "Config", table: str) -> str:
    """Where the table called `table` lies."""
    return f"{config.run.warehouse}/{table}"


def model_location(config: "Config") -> str:
    """Where the run's model lies."""
    return f"{location(config, 'models')}/{config.run_id}"


def read_table(path: str, version: int | None = None) -> DeltaTable:
    """The table at `path`, as it is now or with the rows of `version`; DataError where there is none."""
    try:
        table = DeltaTable(path)
        # As it is now if it has the same rows: the files of `version` may have been compacted and vacuumed since.
        return table if version is None or last_change(table).version == version else DeltaTable(path, version)
    except TableNotFoundError:
        raise DataError(f"there is no Delta table at {path}; run the stage that writes it first") from None
    except OSError as error:
        cure = STORE_CURE if "://" in path else "mend the disk, or name another run.warehouse"
        raise DataError(f"the Delta table {path} cannot be read ({in_a_line(error)}); {cure}") from None


def last_change(table: DeltaTable) -> Commit:
    """The newest commit that changed rows."""
    found = commits.last_change(_newest_first(table))
    if found is None:
        raise DataError(f"the newest commits of {table.table_uri} hold no rows; run the stage that writes it again")
    return found


def _newest_first(table: DeltaTable) -> Iterator[Commit]:
    """The commits of `table`; older ones than its newest are read when they are asked for."""
    newest = table.history(_NEWEST)
    yield from (Commit.of(int(info["version"]), info) for info in newest)
    if len(newest) == _NEWEST:
        yield from (Commit.of(int(info["version"]), info) for info in table.history()[_NEWEST:])


def read_own(config: "Config", name: str) -> DeltaTable:
    """The table called `name` as it is now; DataError where there is none, or another run wrote it."""
    table = read_table(location(config, name))
    refuse_others(config, name, commits.newest_note(_newest_first(table)))
    return table


def newest_note(path: str) -> dict[str, Any]:
    """What the newest stage run left in the commit of its rows at `path`; or nothing."""
    try:
        table = DeltaTable(path)
    except TableNotFoundError:
        return {}
    return commits.newest_note(_newest_first(table))


def refine_run(config: "Config", features: int | None = None, synthetic: int | None = None) -> StageRun:
    """The identity of the stage on these versions of its tables, or on the newest."""
    run = _run(config, _versions(config, features, synthetic))
    # The model's card tells them all, and a checkpoint is gone on with under none but the same.
    run.config.refine.document()
    return run


def _run(config: "Config", inputs: dict[str, str | int]) -> StageRun:
    return StageRun(config=config.recording(), stage="refine", inputs=inputs)


def _versions(config: "Config", features: int | None, synthetic: int | None) -> dict[str, str | int]:
    found: dict[str, str | int] = {}
    for name, version in (("features", features), ("synthetic", synthetic)):
        table = read_own(config, name) if version is None else read_table(location(config, name), version)
        found |= commits.identity(name, last_change(table))
    return found


def generate_run(config: "Config", features: int | None = None, synthetic: int | None = None) -> StageRun:
    """The identity of the stage by the saved model alone, on these versions of its tables or on the newest.

    Raises
    ------
    DataError
        If there is no model.
    """
    folder = model_location(config)
    try:
        digest = str(json.loads(open_folder(folder).read("model.json"))["sha256"])
    except FileNotFoundError:
        raise DataError(f"there is no model in {folder}; run refine without --only-generate first") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"the model in {folder} is damaged ({error!r}); run refine without --only-generate") from None
    run = _run(config, {"model": digest, **_versions(config, features, synthetic)})
    run.config.count_as_read(["refine.device"])  # on which the ranks were started
    return run


def query(table: DeltaTable, sql: str) -> pa.RecordBatchReader:
    """The result of `sql` in batches; the table is called `t`. Unlike pyarrow's reader it knows deletion vectors."""
    return pa.RecordBatchReader.from_stream(QueryBuilder().register("t", table).execute(sql))


def quoted(name: str) -> str:
    """`name` as a column of a query."""
    return '"' + name.replace('"', '""') + '"'


def read_encoder(config: "Config") -> Encoder:
    """The fitted encoder of the run; DataError where it is not that of the features."""
    path = location(config, "encoder")
    table = read_table(path)
    refuse_other_encoder(config, newest_note(location(config, "features")), commits.newest_note(_newest_first(table)))
    documents = query(table, "SELECT document FROM t").read_all()
    if len(documents) != 1:
        raise DataError(
            f"the encoder table at {path} has {len(documents)} rows where one is expected; run prepare again"
        )
    return Encoder.from_json(documents["document"][0].as_py())


def read_columns(
    table: DeltaTable, names: Iterable[str], condition: str, most: int | None = None
) -> dict[str, NDArray[np.generic]]:
    """The columns `names` of the rows where `condition` holds, in any order of rows.

    Of more than `most` rows these many, always the same and in the same order.
    """
    names = list(names)
    sql = f"SELECT {', '.join(map(quoted, names))} FROM t WHERE {condition}"
    if most is not None:
        # By a hash, for row_id itself may be a number that grows with time.
        sql += f" ORDER BY md5(CAST(row_id AS VARCHAR)), row_id LIMIT {most}"
    with query(table, sql) as reader:
        found = reader.read_all()
    return {name: found[name].to_numpy() for name in names}


@dataclass(frozen=True, eq=False)
class RowSource:
    """The rows of `table` where `condition` holds: columns label, row_id, and features."""

    table: DeltaTable
    condition: str = "true"
    base: "RowSource | None" = None
    """The train rows, where synthetic rows are to have the features of their base rows instead of their own."""

    def batches(self, names: Iterable[str], condition: str = "true") -> pa.RecordBatchReader:
        """`label`, `row_id` and the features `names` of those of the rows where `condition` holds too, in any order."""
        condition, columns = f"({self.condition}) AND ({condition})", list(map(quoted, names))
        if self.base is None or not columns:
            return query(self.table, f"SELECT {', '.join(('label', 'row_id', *columns))} FROM t WHERE {condition}")
        sql = (
            f"SELECT s.label, s.row_id, {', '.join(f'b.{name}' for name in columns)} "
            f"FROM (SELECT label, row_id, base_row_id FROM t WHERE {condition}) AS s "
            f"JOIN (SELECT row_id, {', '.join(columns)} FROM base WHERE {self.base.condition}) AS b "
            "ON b.row_id = s.base_row_id"
        )
        builder = QueryBuilder().register("t", self.table).register("base", self.base.table)
        return pa.RecordBatchReader.from_stream(builder.execute(sql))

    def read(self, names: Iterable[str], condition: str = "true") -> dict[str, NDArray[np.generic]]:
        """`batches` as one."""
        with self.batches(names, condition) as batches:
            found = batches.read_all()
        return {name: found[name].to_numpy() for name in found.column_names}


def train_rows(features: DeltaTable, classes: Sequence[int]) -> RowSource:
    """The train rows of `classes`."""
    of_classes = f"label IN ({', '.join(map(str, classes))})" if classes else "false"
    return RowSource(features, f"split = 'train' AND {of_classes}")


def schema_of(table: Table) -> pa.Schema:
    """The Arrow schema that `table` promises, with comments and nullability."""
    return pa.schema(
        [pa.field(c.name, _ARROW[c.type], nullable=c.nullable, metadata={"comment": c.comment}) for c in table.columns]
    )


def write_table(
    contract: Table, path: str, rows: pa.RecordBatchReader, run: StageRun, *, predicate: str = "", **notes: Any
) -> int:
    """Replace the rows at `path` (or those where `predicate` holds) in one commit that names `run`; return the count.

    The table is made with its comments and constraints when it is not there; when its columns changed, the new ones
    come in the same commit as the rows. Where an equal run made the newest rows, or does so in the meantime, they are
    left as they are: two at once end as one.

    Raises
    ------
    Overtaken
        If the commit of a run that is not equal came first; the rows are not written.
    DataError
        If what is read back is not what was written.
    """
    table = despite_others(lambda: _created(contract, path, run))
    written = 0

    def counted() -> Iterable[pa.RecordBatch]:
        nonlocal written
        for batch in rows:
            written += len(batch)
            yield batch

    counting = f"SELECT count(*) AS n FROM t WHERE {predicate or 'true'}"
    if commits.made_last(_newest_first(table), run):
        return int(query(table, counting).read_all()["n"][0].as_py())
    app_id = run.app_id(contract.name)
    changed = _columns(table) != _contract_columns(contract)
    try:
        write_deltalake(
            # The same handle: another writer in between makes this one fail instead of writing twice.
            table,
            pa.RecordBatchReader.from_batches(rows.schema, counted()),
            mode="overwrite",
            # Rows that stay keep their columns, and are null in new ones.
            schema_mode=("merge" if predicate else "overwrite") if changed else None,
            predicate=predicate or None,
            commit_properties=CommitProperties(
                custom_metadata={"userMetadata": run.commit_metadata(**notes)},
                app_transactions=[Transaction(app_id, (table.transaction_version(app_id) or 0) + 1)],
            ),
            writer_properties=WriterProperties(max_row_group_size=_ROW_GROUP),
        )
    except CommitFailedError as error:
        if not commits.made_last(_newest_first(DeltaTable(path)), run):
            raise Overtaken.at(path, run.stage) from error
    table = DeltaTable(path)
    rows_there = query(table, counting).read_all()["n"][0].as_py()
    if rows_there != written:
        raise DataError(f"{path} holds {rows_there} rows but {written} were written; run {run.stage} again")
    name_run(table, run)
    return written


def name_run(table: DeltaTable, run: StageRun) -> None:
    """Let the table name the run whose rows are the newest."""
    if table.metadata().configuration.get("raresmith.run_id") != run.run_id:
        with suppress(CommitFailedError):  # another process names its run, whose rows are newer
            table.alter.set_table_properties({"raresmith.run_id": run.run_id}, raise_if_not_exists=False)


def is_table(path: str) -> bool:
    """Whether there is a Delta table at `path`."""
    return bool(DeltaTable.is_deltatable(path))


def overwrite(path: str, rows: pa.RecordBatchReader) -> None:
    """Replace rows and columns of the user's own table at `path` in one commit, or make it."""
    write_deltalake(path, rows, mode="overwrite", schema_mode="overwrite")


def note_run(config: "Config", run: StageRun, table: str, **told: Any) -> None:
    """Note in `runs` that the stage is done; `table` is the one that it wrote, `told` what `StageRun.note` takes."""
    contract = contracts.runs()
    row = run.note(table=table, version=last_change(read_table(location(config, table))).version, **told)
    note = pa.Table.from_pylist([row], schema_of(contract))
    path = location(config, "runs")
    despite_others(lambda: write_table(contract, path, note.to_reader(), run, predicate=_of(run)))


def recorded(config: "Config", run: StageRun) -> dict[str, Any] | None:
    """The note of `run` in `runs`, its documents read; or None."""
    try:
        table = DeltaTable(location(config, "runs"))
    except TableNotFoundError:
        return None
    found = map(read_note, query(table, f"SELECT * FROM t WHERE {_of(run)}").read_all().to_pylist())
    return next((note for note in found if run.made(note)), None)


def _of(run: StageRun) -> str:
    """The condition of the row of `runs` that is kept of the stage."""
    return f"run_id = '{run.run_id}' AND stage = '{run.stage}'"


def _created(contract: Table, path: str, run: StageRun) -> DeltaTable:
    """The table, made with its constraints where it is not there."""
    try:
        if not is_table(path):
            DeltaTable.create(
                path,
                schema_of(contract),
                mode="ignore",
                description=contract.comment,
                configuration={
                    "raresmith.table": contract.name,
                    "delta.dataSkippingNumIndexedCols": str(contract.ranged_columns),
                },
                raise_if_key_not_exists=False,
            )
        table = DeltaTable(path)
        # Not as properties of the new table: delta-rs would then note them without enforcing them.
        for name, condition in contract.checks.items():
            if f"delta.constraints.{name}" not in table.metadata().configuration:
                table.alter.add_constraint({name: condition})
    except CommitFailedError as error:  # another process makes it just now, with the same constraints
        raise Overtaken.at(path, run.stage) from error
    return table


def _columns(table: DeltaTable) -> list[tuple[str, pa.DataType]]:
    return [(field.name, field.type) for field in pa.schema(table.schema().to_arrow())]


def _contract_columns(contract: Table) -> list[tuple[str, pa.DataType]]:
    return [(c.name, _ARROW[c.type]) for c in contract.columns]
