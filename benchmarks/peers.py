"""The trainers that refine.py and quality.py compare with; runs in their environment, not in ours.

.venv-peers/bin/python benchmarks/peers.py time keras|ctgan ROWS.npy STEPS|EPOCHS BATCH
.venv-peers/bin/python benchmarks/peers.py make ctgan|tvae GIVEN.npz N_ROWS SEED MADE.npy
"""

import json
import os
import sys
import time

import numpy as np


def keras_loop(rows: np.ndarray, steps: int, batch: int) -> float:
    """Seconds of the small preset as a Keras training loop: train_on_batch for real, for made and for the generator."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    from keras import layers

    d = rows.shape[1]
    hidden = [
        layer
        for size in (32, 64, 128)
        for layer in (
            layers.Dense(size, activation="relu", kernel_initializer="he_normal"),
            layers.BatchNormalization(),
        )
    ]
    generator = keras.Sequential([keras.Input((d,)), *hidden, layers.Dense(d)])
    judges = [layers.Dense(size, activation="relu") for size in (128, 64, 32, 32, 16)]
    discriminator = keras.Sequential([keras.Input((d,)), *judges, layers.Dense(1, activation="sigmoid")])
    discriminator.compile("adam", "binary_crossentropy")
    # Keras compiles at the first call what is trainable then; after it the discriminator stands still for `both`.
    discriminator.train_on_batch(rows[: batch // 2], np.ones(batch // 2))
    discriminator.trainable = False
    both = keras.Sequential([keras.Input((d,)), generator, discriminator])
    both.compile("adam", "binary_crossentropy")

    rng = np.random.default_rng(0)
    started = time.monotonic()
    for _ in range(steps):
        real, smote = (rows[rng.integers(0, len(rows), n)] for n in (batch // 2, batch))
        made = generator(smote[: batch // 2], training=False).numpy()
        discriminator.train_on_batch(real, np.ones(len(real)))
        discriminator.train_on_batch(made, np.zeros(len(made)))
        both.train_on_batch(smote, np.ones(len(smote)))
    return time.monotonic() - started


def ctgan_fit(rows: np.ndarray, epochs: int, batch: int) -> float:
    """Seconds of CTGAN's fit with its own networks, its fit of the columns counted."""
    import pandas as pd
    from ctgan import CTGAN

    table = pd.DataFrame(rows, columns=[f"v{i}" for i in range(rows.shape[1])])
    model = CTGAN(epochs=epochs, batch_size=batch, enable_gpu=False)
    started = time.monotonic()
    model.fit(table, [])
    return time.monotonic() - started


def make(name: str, told: str, n_rows: int, seed: int, made: str) -> None:
    """Write rows like those in `told` that a synthesizer of ctgan makes with its own settings."""
    import pandas as pd
    from ctgan import CTGAN, TVAE

    given = np.load(told)
    table = pd.DataFrame(given["x"], columns=[f"v{i}" for i in range(given["x"].shape[1])])
    codes = table.columns[given["is_categorical"]].tolist()
    table[codes] = table[codes].astype(int)
    model = {"ctgan": CTGAN, "tvae": TVAE}[name](enable_gpu=False)
    model.set_random_state(seed)
    model.fit(table, codes)
    np.save(made, model.sample(n_rows).to_numpy(np.float32))


if __name__ == "__main__":
    command, name, path, *rest = sys.argv[1:]
    if command == "time":
        run = {"keras": keras_loop, "ctgan": ctgan_fit}[name]
        print(json.dumps({"seconds": run(np.load(path), *map(int, rest))}))
    else:
        make(name, path, int(rest[0]), int(rest[1]), rest[2])
