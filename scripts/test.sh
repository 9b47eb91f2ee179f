#!/usr/bin/env bash
# Set up what is missing, then check style and run the whole test suite. Arguments go to pytest.
# OLDEST=yes uses the oldest versions that pyproject.toml allows, in an environment of their own.
set -euo pipefail
cd "$(dirname "$0")/.."
extras="[train,test]"
if [ "${OLDEST:-no}" = yes ]; then
    VENV=.venv-oldest
    CONSTRAINTS=scripts/constraints-oldest.txt
    extras="[train,test,oracle]"
fi
. scripts/setup.sh
install_packages "$extras"
"$VENV/bin/ruff" check .
"$VENV/bin/ruff" format --check .
# The stubs of old versions differ.
if [ "${OLDEST:-no}" != yes ]; then "$VENV/bin/mypy"; fi
# Two processes share the files of tests (`-n 0` after the script's name: one process, for a debugger). Libraries compute in
# one thread, or the threads of one process would wait for those of the other.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
"$VENV/bin/python" -m pytest -n "${WORKERS:-2}" --dist loadfile --no-loadscope-reorder "$@"
