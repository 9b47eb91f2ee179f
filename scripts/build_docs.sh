#!/usr/bin/env bash
# Set up what is missing, then build the documentation into build/docs; a warning is an error. Needs no network once set up.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/setup.sh
install_packages "[train,test]"
"$VENV/bin/python" -m sphinx -q -W --keep-going -b html docs build/docs
echo "Open build/docs/index.html"
