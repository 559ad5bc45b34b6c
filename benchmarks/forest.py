"""The forest that grows in one task, beside Spark MLlib's: how long both take, and whether they judge alike.

python benchmarks/forest.py CONFIG [--turns 3] [--seeds 4]

CONFIG is that of a finished run, such as conf/local.toml after `make demo`. Both judge the strategies "none" and the
oversampler's with as many seeds, through the same `evaluate`, turn about in one warm session; so the seconds hold what
both have in common. Average precision is of the test rows, mean and standard deviation over the seeds.
"""

import argparse
import statistics
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from measuring import print_figures, write_results
from measuring_spark import measure, open_spark

from raresmith.config import load_config
from raresmith.encoding.encoder import Encoder
from raresmith.evaluation.verdict import Evaluation
from raresmith.spark.evaluate.evaluate import evaluate

ENGINES = ("auto", "mllib")


def precisions(found: Evaluation, strategy: str) -> list[float]:
    """Average precision on the test rows, of each seed."""
    return [
        row.value
        for row in found.metrics
        if (row.strategy, row.split, row.metric) == (strategy, "test", "average_precision")
    ]


def main() -> None:
    """Print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=4)
    args = parser.parse_args()
    config = load_config(args.config)
    strategies = ("none", config.oversample.method)
    forest = config.evaluate.classifiers["random_forest"]
    with TemporaryDirectory() as folder:
        spark = open_spark("forest", Path(folder), driver_memory="4g")

        def table(name: str):  # type: ignore[no-untyped-def]
            return spark.read.format("delta").load(f"{config.run.warehouse}/{name}")

        encoder = Encoder.from_json(table("encoder").first()["document"])
        features, synthetic = table("features").persist(), table("synthetic").persist()
        rows = features.count() + synthetic.count()
        seconds: dict[str, list[float]] = {engine: [] for engine in ENGINES}
        found: dict[str, Evaluation] = {}
        # The first turn warms the session up and does not count.
        for turn in range(args.turns + 1):
            for engine in ENGINES:
                settings = config.evaluate.replaced(
                    strategies=strategies,
                    seeds=tuple(range(args.seeds)),
                    bootstrap=20,
                    classifiers={"random_forest": replace(forest, engine=engine)},
                )

                def judged(engine: str = engine, settings=settings) -> None:  # type: ignore[no-untyped-def]
                    found[engine] = evaluate(
                        features, synthetic, None, encoder, settings, run_id="benchmark", random_state=0
                    )

                took = measure(spark, judged).seconds
                if turn:
                    seconds[engine].append(took)
        spark.stop()
    figures = []
    for engine in ENGINES:
        row: dict[str, object] = {"engine": engine, "s": statistics.median(seconds[engine])}
        for strategy in strategies:
            of_seeds = precisions(found[engine], strategy)
            row |= {f"{strategy} AP": statistics.mean(of_seeds), f"{strategy} sd": statistics.pstdev(of_seeds)}
        figures.append(row)
    ratio = statistics.median(b / a for a, b in zip(*(seconds[engine] for engine in ENGINES), strict=True))
    models = len(strategies) * args.seeds
    print(
        f"{models} forests of {forest.num_trees} trees, depth {forest.max_depth}; {rows:,} rows × {len(encoder.names)}"
    )
    print_figures(figures)
    print(f"mllib / auto: {ratio:.2f}")
    name = f"forest_{config.run.name}"
    write_results(name, {"rows": rows, "columns": len(encoder.names), "forests": models, "ratio": ratio, "of": figures})


if __name__ == "__main__":
    main()
