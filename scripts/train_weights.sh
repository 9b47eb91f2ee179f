#!/usr/bin/env bash
# The recipe of the weights that ship: simulate the cases, train both stages, export. Every number is the one used.
#
#   bash scripts/train_weights.sh SHAPES WORK
#
# SHAPES: the folder of "Permanent Dentition" (University of Dundee, CC BY 4.0), FDI_11.stl ... FDI_48.stl.
# WORK:   a folder for cases (about 4 GB), checkpoints and logs; run again after an interruption, it goes on.
# Training sees simulated scans only. The seeds below are whole: no other case was looked at.
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
simulate coarse/train 361 50014 mixed 1.0
simulate coarse/check 14 50000 mixed 1.0
simulate fine/train 154 1014 jaws 0.4
simulate fine/check 14 1000 jaws 0.4

"$teethseg" train coarse "$work/coarse/train" "$work/coarse/check" --run "$work/run/coarse" \
    --steps 3500 --batch 1 --patch 112 --learning-rate 1.5e-3 --epoch 250
"$teethseg" train fine "$work/fine/train" "$work/fine/check" --run "$work/run/fine" \
    --steps 4500 --batch 1 --patch 80 --learning-rate 1.5e-3 --epoch 250

"$teethseg" model export "$work/run/coarse/best.ckpt" "$work/run/fine/best.ckpt" \
    TeethSeg/Resources/Weights/teethseg-1.safetensors --card scripts/weights_card.json
