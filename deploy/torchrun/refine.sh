#!/bin/sh
# The trainer: deploy/torchrun/refine.sh CONFIG [torchrun option ...]
#
# Without options: two processes on this machine. On several machines start it on each, at about the same time:
#   refine.sh CONFIG --nnodes 2 --nproc-per-node 1 --max-restarts 3 \
#     --rdzv-backend c10d --rdzv-endpoint FIRST_HOST:29500 --rdzv-id RUN_ID
#
# PYTHON             Python with the libraries of raresmith[train]; no Java is needed (default: python3)
# RARESMITH_PACKAGE  what deploy/package.sh made (default: dist/raresmith.zip)
# LOGICAL_DATE       the day the stage is run for, YYYY-MM-DD (default: none)
# GLOO_SOCKET_IFNAME network interface between the machines where they have several (CPU; for GPUs NCCL_SOCKET_IFNAME)
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
config=$1
shift
package=${RARESMITH_PACKAGE:-$root/dist/raresmith.zip}
if [ ! -f "$package" ]; then echo "there is no $package; make it with deploy/package.sh" >&2; exit 2; fi
if [ $# -eq 0 ]; then set -- --standalone --nproc-per-node 2 --max-restarts 3; fi
export PYTHONPATH="$package${PYTHONPATH:+:$PYTHONPATH}"
# After a rank died, agents that share one store number the next attempt differently and never meet again
# (pytorch issue 135712).
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
# Seconds until torchrun kills processes that it has asked to end; else half a minute.
export TORCH_ELASTIC_SHUTDOWN_TIMEOUT="${TORCH_ELASTIC_SHUTDOWN_TIMEOUT:-4}"
# One thread a process: more of them than cores make every step slower.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
exec "${PYTHON:-python3}" -m torch.distributed.run "$@" \
  -m raresmith.gan.train "$config" ${LOGICAL_DATE:+--logical-date "$LOGICAL_DATE"}
