#!/usr/bin/env bash
# Set up what is missing, then find the teeth in a scan: bash scripts/run.sh [SCAN] [--no-serve]
# Without a scan, TeethSeg simulates one. The results go to a new folder in output/, and a page on 127.0.0.1 shows them
# until Ctrl-C; --no-serve ends after the files.
set -euo pipefail

usage="Usage: bash scripts/run.sh [SCAN] [--no-serve]"
scan=""
serve=yes
for argument in "$@"; do
    case $argument in
    --no-serve) serve=no ;;
    -h | --help)
        echo "$usage"
        exit 0
        ;;
    -*)
        echo "run.sh does not know $argument. $usage" >&2
        exit 2
        ;;
    *)
        if [ -n "$scan" ]; then
            echo "Give one scan at a time. $usage" >&2
            exit 2
        fi
        case $argument in
        /*) scan=$argument ;;
        *) scan=$PWD/$argument ;;
        esac
        ;;
    esac
done
if [ -n "$scan" ] && [ ! -e "$scan" ]; then
    echo "$scan does not exist: check the path." >&2
    exit 3
fi

cd "$(dirname "$0")/.."
. scripts/setup.sh
make_environment
if [ "$serve" = yes ] && ! has_slicer_core; then
    echo "The page needs slicer-core, which is not made for this Python yet: the files are written, no page is opened. For the page: PYTHON=python3.12 bash $0" >&2
    serve=no
fi
if [ "$serve" = yes ]; then install_packages "[browser]"; else install_packages ""; fi
teethseg=$VENV/bin/teethseg

# A folder that no earlier run has used.
name=demo
if [ -n "$scan" ]; then
    name=$(basename "$scan")
    name=${name%.gz}
    name=${name%.*}
fi
mkdir -p output
folder=output/$name
number=2
until mkdir "$folder" 2>/dev/null; do
    if [ ! -e "$folder" ]; then
        echo "No folder can be made in $PWD/output: check its permissions." >&2
        exit 1
    fi
    folder=output/$name-$number
    number=$((number + 1))
done
# A run that fails leaves no empty folder behind.
trap 'rmdir "$folder" 2>/dev/null || true' EXIT

if [ -z "$scan" ]; then
    echo "Simulating a scan" >&2
    "$teethseg" simulate "$folder/scan" --seed 1
    scan=$(echo "$PWD/$folder"/scan/*/image.nrrd)
fi
echo "Looking for teeth in $scan" >&2
"$teethseg" segment "$scan" --output "$folder/teeth.seg.nrrd" --report "$folder/report.json" --stl "$folder/stl"
"$teethseg" picture "$scan" "$folder/teeth.seg.nrrd" "$folder/slices.png" --meshes "$folder/meshes.png" ||
    echo "The pictures could not be drawn; the other results are complete." >&2

echo
echo "Done. In $PWD/$folder:"
echo "  teeth.seg.nrrd          the numbered teeth: drag it into 3D Slicer together with the scan"
echo "  stl/                    one surface per tooth, in mm"
echo "  report.json             teeth, confidences, warnings, times"
echo "  slices.png, meshes.png  pictures: open them with any viewer"
echo "The scan is $scan"
echo "Research use, not a medical device."
if [ "$serve" = yes ]; then
    echo
    exec "$teethseg" serve "$scan" --teeth "$folder/teeth.seg.nrrd" --report "$folder/report.json"
fi
