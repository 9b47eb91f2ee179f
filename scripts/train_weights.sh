#!/usr/bin/env bash
# The recipe of teethseg-8, from which those that ship went on (train_mouths.sh, mix_weights.py): simulate cases, train both
# stages with them, then go on with one real scan beside them, export. Every number is the one used.
#
#   bash scripts/train_weights.sh SHAPES WORK SCAN LABELS HEAD
#
# SHAPES: the folder of "Permanent Dentition" (University of Dundee, CC BY 4.0), FDI_11.stl ... FDI_48.stl.
# WORK:   a folder for cases (about 8 GB), checkpoints and logs; run again after an interruption, it goes on.
# SCAN:   the 3D Slicer sample "CBCT Dental Surgery", pre-operative, and LABELS, its teeth by FDI number.
# HEAD:   VTK's example CT "fullHead"; only the part outside the box of its teeth is used.
# WATCH (environment): folders of cases, ":" between them, of other styles or real, scored beside at each validation.
#
# Makes four files: WORK/simulation.safetensors has seen simulated scans only (family S), trained-upper and trained-lower one
# jaw of SCAN each (scripts/judge_crossed.py judges them on the other one), and the one that ships all of it (family R).
# The card (weights_card.json) states where the run that made the shipped file was cut short.
set -euo pipefail
cd "$(dirname "$0")/.."
shapes=$1 work=$2 scan=$3 labels=$4 head=$5
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
# These came later, when braces of many makes and jaws without marrow could be simulated.
simulate coarse/braces 80 70000 mixed 1.0
simulate fine/braces 120 3000 jaws 0.4
# And these when implants of all sizes and islands of dense bone could be.
simulate fine/implants 120 4000 jaws 0.4
simulate coarse/implants 60 71000 mixed 1.0
# And these when it had more of what dentists do, deep bites and roots without a crown.
simulate fine/mouths 160 5000 jaws 0.4
simulate coarse/mouths 60 72000 mixed 1.0
# And these when fillings could be as large as most of a crown.
simulate fine/fillings 140 6000 jaws 0.4

with_background() { # FOLDER FROM HEADWEIGHT: the simulated cases of FROM, and the head without its teeth
    [ -d "$work/$1" ] && return
    mkdir -p "$work/$1"
    cp -R "$work/$2" "$work/$1/simulated"
    .venv/bin/python scripts/real_cases.py toothless "$head" "$work/$1/head" --patient full-head --teeth 66 134 35 92 17 80 --weight "$3"
}
with_real() { # FOLDER FROM JAW WEIGHT HEADWEIGHT: those, and the real scan or one jaw of it; they weigh as much as given
    [ -d "$work/$1" ] && return
    with_background "$1" "$2" "$5"
    .venv/bin/python scripts/real_cases.py labelled "$scan" "$labels" "$work/$1/labelled" --patient dental-surgery ${3:+--jaw "$3"} --weight "$4"
}
with_real coarse/all coarse/train "" 400 120
with_real fine/all fine/train "" 230 25
with_real fine/upper fine/train upper 230 25
with_real fine/lower fine/train lower 230 25
with_background fine/background fine/train 25

watch=()
IFS=: read -ra folders <<<"${WATCH:-}"
for folder in ${folders[@]+"${folders[@]}"}; do watch+=(--watch "$folder"); done
train() { # STAGE CASES RUN OPTIONS...
    local stage=$1 cases=$2 run=$3
    shift 3
    "$teethseg" train "$stage" "$work/$stage/$cases" "$work/$stage/check" --run "$work/run/$run" --batch 1 --epoch 250 ${watch[@]+"${watch[@]}"} "$@"
}
train coarse train coarse-1 --steps 3500 --patch 112 --learning-rate 1.5e-3
train coarse train coarse-2 --steps 4000 --patch 112 --learning-rate 1e-3 --seed 2 --start "$work/run/coarse-1/best.ckpt"
train fine train fine-1 --steps 4500 --patch 80 --learning-rate 1.5e-3
train fine train fine-2 --steps 1100 --patch 80 --learning-rate 8e-4 --seed 3 --start "$work/run/fine-1/best.ckpt"
train fine train fine-3 --steps 1000 --patch 80 --learning-rate 8e-4 --seed 4 --start "$work/run/fine-2/best.ckpt"

export_weights() { # COARSE FINE FILE
    "$teethseg" model export "$work/run/$1" "$work/run/$2" "$3" --card scripts/weights_card.json
}
# The last state, not the best by simulated validation: that one knows nothing of the real scan.
real=(--seed 7 --patch 80 --learning-rate 1e-3 --start "$work/run/fine-3/best.ckpt")
train coarse all coarse-all --steps 2500 --seed 7 --patch 112 --learning-rate 8e-4 --start "$work/run/coarse-2/best.ckpt"
train coarse all coarse-all-2 --steps 3000 --seed 7 --patch 112 --learning-rate 1.2e-3 --start "$work/run/coarse-all/last.ckpt"
train coarse all coarse-all-3 --steps 3500 --seed 7 --patch 112 --learning-rate 1e-3 --start "$work/run/coarse-all-2/last.ckpt"
train fine background fine-4 --steps 700 "${real[@]}"
train fine all fine-all --steps 5500 "${real[@]}"
again() { # FROM RUN CASES STEPS [PATCH [SEED [RATE]]]: on from there, with a high learning rate again
    train fine "$3" "$2" --steps "$4" --seed "${6:-7}" --patch "${5:-80}" --learning-rate "${7:-1e-3}" --start "$work/run/$1/last.ckpt"
}
again fine-all fine-all-2 all 5000
again fine-4 fine-5 background 1500 112
again fine-all-2 fine-all-3 all 8000 112
add() { # NEW STAGE CASES: from here on these too
    [ -d "$work/$2/$3/$1" ] || cp -R "$work/$2/$1" "$work/$2/$3/$1"
}
add braces coarse all
for cases in background all; do add braces fine "$cases"; done
train coarse all coarse-all-4 --steps 5000 --seed 11 --patch 112 --learning-rate 1.2e-3 --start "$work/run/coarse-all-3/last.ckpt"
again fine-5 fine-6 background 6000 112 21
again fine-all-3 fine-all-4 all 4000 112 22
for cases in upper lower; do add braces fine "$cases"; done
for cases in background all upper lower; do add implants fine "$cases"; done
again fine-6 fine-7 background 5000 112 31
again fine-all-4 fine-all-5 all 5000 112 32
for cases in background all upper lower; do add mouths fine "$cases"; done
for cases in implants mouths; do add "$cases" coarse all; done
weigh() { # CASES WEIGHT: the real scan counts as much as so many simulated ones
    printf '{"patient": "dental-surgery", "weight": %s}\n' "$2" >"$work/$1/labelled/case.json"
}
stress() { # NEW CASES WEIGHT: each of these counts as much as so many of the others
    for case in "$work/fine/$2/$1"/*/; do
        printf '{"patient": "%s", "simulated": true, "weight": %s}\n' "$(basename "$case")" "$3" >"$case/case.json"
    done
}
weigh fine/all 150
weigh coarse/all 250
again fine-7 fine-8 background 3500 112 41
again fine-all-5 fine-all-6 all 5000 112 42
train coarse all coarse-all-5 --steps 3000 --seed 43 --patch 112 --learning-rate 1e-3 --start "$work/run/coarse-all-4/last.ckpt"
for cases in background all upper lower; do
    add fillings fine "$cases"
    stress fillings "$cases" 3
done
weigh fine/all 250
for jaw in upper lower; do weigh "fine/$jaw" 380; done
again fine-8 fine-9 background 2500 112 61
again fine-9 fine-upper upper 1500 112 63
again fine-9 fine-lower lower 1500 112 64
again fine-all-6 fine-all-7 all 3200 112 62
export_weights coarse-2/best.ckpt fine-9/last.ckpt "$work/simulation.safetensors"
export_weights coarse-2/best.ckpt fine-upper/last.ckpt "$work/trained-upper.safetensors"
export_weights coarse-2/best.ckpt fine-lower/last.ckpt "$work/trained-lower.safetensors"
export_weights coarse-all-5/last.ckpt fine-all-7/last.ckpt "$work/teethseg-8.safetensors"
