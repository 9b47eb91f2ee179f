#!/usr/bin/env bash
# The recipe of the weights that ship: simulate the cases, train both stages, export. Every number is the one used.
#
#   bash scripts/train_weights.sh SHAPES WORK
#
# SHAPES: the folder of "Permanent Dentition" (University of Dundee, CC BY 4.0), FDI_11.stl ... FDI_48.stl.
# WORK:   a folder for cases (about 4 GB), checkpoints and logs; run again after an interruption, it goes on.
# Training sees simulated scans only; no case but those of the seeds below was looked at.
# The card (weights_card.json) tells where the run that made the shipped file was cut short.
set -euo pipefail
cd "$(dirname "$0")/.."
shapes=$1
work=$2
. scripts/setup.sh
install_packages "[train]"
teethseg=.venv/bin/teethseg

simulate() { # FOLDER COUNT SEED VIEW SPACING
    [ -d "$work/$1" ] || "$teethseg" simulate "$work/$1" --count "$2" --seed "$3" --view "$4" --spacing "$5" --shapes "$shapes"
}
simulate coarse/train/first 361 50014 mixed 1.0
simulate coarse/train/dense 140 60000 head 1.0
simulate coarse/check 14 50000 mixed 1.0
simulate fine/train 154 1014 jaws 0.4
simulate fine/check 14 1000 jaws 0.4

train() { # STAGE RUN OPTIONS...
    local stage=$1 run=$2
    shift 2
    "$teethseg" train "$stage" "$work/$stage/train" "$work/$stage/check" --run "$work/run/$run" --batch 1 "$@"
}
train coarse coarse-1 --steps 3500 --patch 112 --learning-rate 1.5e-3 --epoch 250
train coarse coarse-2 --steps 4000 --patch 112 --learning-rate 1e-3 --epoch 250 --seed 2 --start "$work/run/coarse-1/best.ckpt"
train fine fine-1 --steps 4500 --patch 80 --learning-rate 1.5e-3 --epoch 250
train fine fine-2 --steps 1100 --patch 80 --learning-rate 8e-4 --epoch 275 --seed 3 --start "$work/run/fine-1/best.ckpt"
train fine fine-3 --steps 1000 --patch 80 --learning-rate 8e-4 --epoch 250 --seed 4 --start "$work/run/fine-2/best.ckpt"

"$teethseg" model export "$work/run/coarse-2/best.ckpt" "$work/run/fine-3/best.ckpt" \
    TeethSeg/Resources/Weights/teethseg-1.safetensors --card scripts/weights_card.json
