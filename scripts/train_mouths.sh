#!/usr/bin/env bash
# Continues from weights that ship, with mouths that they had not seen: children, lower fronts in dense ridges, crowns and
# bridges of metal, jaws apart, retained and extra teeth. Run again after an interruption, it goes on.
#
#   bash scripts/train_mouths.sh SHAPES WORK SCAN LABELS HEAD START
#
# SHAPES, SCAN, LABELS, HEAD: as for scripts/train_weights.sh. WORK: a folder for cases (about 2 GB), checkpoints and logs.
# START: weights to start from (.safetensors with its card). Of the environment: STEPS (6000), PATCH (80), ROUNDS of new
# cases (12; 13 of stage 2, 12 of stage 1), THREADS (1), STAGE (fine, or coarse to train stage 1), WATCH (folders of cases, ":" between them, scored beside at each validation).
set -euo pipefail
cd "$(dirname "$0")/.."
shapes=$1 work=$2 scan=$3 labels=$4 head=$5 start=$6
export OMP_NUM_THREADS=${THREADS:-1} OMP_WAIT_POLICY=passive
teethseg=.venv/bin/teethseg

simulate() { # FOLDER MOUTH COUNT SEED [OPTIONS]: goes on behind the last case that is there
    local have=0
    while [ "$have" -lt "$3" ] && [ -d "$work/$1/case-$(printf %05d $(($4 + have)))" ]; do have=$((have + 1)); done
    [ "$have" -eq "$3" ] || "$teethseg" simulate "$work/$1" --mouth "$2" --count $(($3 - have)) --seed $(($4 + have)) --shapes "$shapes" "${@:5}"
}
if [ "${STAGE:-fine}" = coarse ]; then
    simulate coarse/check child 4 89000 --view mixed --spacing 1.0
    simulate coarse/check adult 4 50000 --view mixed --spacing 1.0
    for ((round = 0; round < ${ROUNDS:-12}; round++)); do
        simulate coarse/train child 5 $((80000 + 5 * round)) --view mixed --spacing 1.0
        simulate coarse/train front 2 $((83000 + 2 * round)) --view mixed --spacing 1.0
        simulate coarse/train adult 4 $((70000 + 4 * round)) --view mixed --spacing 1.0
        simulate coarse/train open 1 $((86000 + round)) --view mixed --spacing 1.0
    done
else
    simulate fine/check child 3 19000
    simulate fine/check front 2 19100
    simulate fine/check adult 2 1000
    for ((round = 0; round < ${ROUNDS:-12}; round++)); do
        simulate fine/train child 4 $((20000 + 4 * round))
        simulate fine/train front 3 $((31000 + 4 * round))
        simulate fine/train adult 2 $((7000 + 2 * round))
        simulate fine/train anomalies 2 $((40000 + 4 * round))
        simulate fine/train crowns 1 $((50000 + 4 * round))
        simulate fine/train open 1 $((60000 + 4 * round))
    done
fi
stage=${STAGE:-fine}
# The real scan and the background of a head stay, so that the networks do not forget them.
[ -d "$work/$stage/train/labelled" ] || .venv/bin/python scripts/real_cases.py labelled "$scan" "$labels" \
    "$work/$stage/train/labelled" --patient dental-surgery --weight 12 --unerupted 17 27
[ -d "$work/$stage/train/head" ] || .venv/bin/python scripts/real_cases.py toothless "$head" \
    "$work/$stage/train/head" --patient full-head --teeth 66 134 35 92 17 80 --weight 3

watch=()
IFS=: read -ra folders <<<"${WATCH:-}"
for folder in ${folders[@]+"${folders[@]}"}; do watch+=(--watch "$folder"); done
case $stage in
fine)
    "$teethseg" train fine "$work/fine/train" "$work/fine/check" --run "$work/fine-9" --batch 1 --epoch 60 --checks 6 \
        --steps "${STEPS:-6000}" --patch "${PATCH:-80}" --learning-rate 3e-4 --workers 0 --seed 90 --device cpu \
        --start "$start" ${watch[@]+"${watch[@]}"}
    ;;
coarse)
    "$teethseg" train coarse "$work/coarse/train" "$work/coarse/check" --run "$work/coarse-9" --batch 1 --epoch 100 --checks 8 \
        --steps "${STEPS:-3000}" --patch 112 --learning-rate 5e-4 --workers 0 --seed 91 --device cpu --start "$start"
    ;;
esac
