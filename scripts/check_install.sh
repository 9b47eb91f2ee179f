#!/usr/bin/env bash
# A plain `pip install .` with the newest version of every package, and the main job with it: simulate, segment, STL, report.
# Only PyTorch is the pinned one, because its newest build takes gigabytes.
set -euo pipefail
cd "$(dirname "$0")/.."
VENV=.venv-newest
. scripts/setup.sh
rm -rf "$VENV"
make_environment
"$VENV/bin/python" -m pip --disable-pip-version-check install --quiet torch --constraint "$CONSTRAINTS" ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"}
"$VENV/bin/python" -m pip --disable-pip-version-check install --quiet .
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$VENV/bin/python" -m pip list --format=freeze | grep -iE "^(numpy|scipy|scikit-image|torch|vtk|simpleitk|pydicom|typer)==" | tr '\n' ' '
echo
cd "$folder"  # not in the repository, whose folders could be imported instead of the installed package
teethseg=$OLDPWD/$VENV/bin/teethseg
"$teethseg" simulate scan --seed 1
"$teethseg" segment scan/*/image.nrrd --output teeth.seg.nrrd --report report.json --stl stl
"$teethseg" evaluate teeth.seg.nrrd scan/*/labels.seg.nrrd
"$OLDPWD/$VENV/bin/python" - <<'CHECK'
import json
from pathlib import Path

report = json.loads(Path("report.json").read_text(encoding="utf-8"))
surfaces = list(Path("stl").glob("*.stl"))
assert len(report["teeth"]) >= 20, f"only {len(report['teeth'])} teeth"
assert len(surfaces) == len(report["teeth"]), f"{len(surfaces)} surfaces of {len(report['teeth'])} teeth"
print(f"{len(report['teeth'])} teeth and their surfaces with the newest packages")
CHECK
