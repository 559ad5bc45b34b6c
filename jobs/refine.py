"""Train the GAN and refine the synthetic rows: refined. No JVM is needed here.

python jobs/refine.py conf/handbook.toml
python jobs/refine.py conf/handbook.toml --only-generate    (by the saved model, without training)
torchrun --standalone --nproc-per-node 2 --max-restarts 3 jobs/refine.py conf/handbook.toml
"""

from raresmith.gan.ranks import finish
from raresmith.gan.train import main

if __name__ == "__main__":
    finish(main())
