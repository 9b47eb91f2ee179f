# Sourced by run.sh and test.sh from the repository's root: Python, a virtual environment in .venv, the packages.
# Runs on the bash 3.2 of macOS and uses no GNU-only options.

is_supported() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null
}

# The first Python from 3.10 to 3.12, or the one that PYTHON names.
find_python() {
    local candidate
    for candidate in ${PYTHON:-python3.11 python3.12 python3.10 python3 python}; do
        if is_supported "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    {
        echo "TeethSeg needs Python 3.10, 3.11 or 3.12; ${PYTHON:-python3} is missing or another version. Install it, then run this again:"
        echo "  Debian, Ubuntu:  sudo apt install python3 python3-venv"
        echo "  macOS:           brew install python@3.12    (or the installer from python.org)"
        echo "If you have it under another name: PYTHON=/path/to/python bash $0"
    } >&2
    return 1
}

make_environment() {
    local python version
    if is_supported .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; then
        return
    fi
    python=$(find_python) || return 1
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        {
            echo "Python $version cannot make virtual environments here. Install what is missing, then run this again:"
            echo "  Debian, Ubuntu:  sudo apt install python$version-venv"
        } >&2
        return 1
    fi
    echo "Making a virtual environment in .venv ($("$python" --version))" >&2
    "$python" -m venv --clear .venv
}

# install_packages EXTRAS: TeethSeg in place, with extras such as "[train,test]" or none. Does nothing if it was done
# before for the same pyproject.toml and constraints.txt.
install_packages() {
    local extras=$1 pip stamp state
    make_environment || return 1
    stamp=.venv/.teethseg-installed
    state="$(cat pyproject.toml scripts/constraints.txt | cksum) $PWD"
    # Whoever has the packages for tests has all others, too.
    if [ -f "$stamp" ]; then
        case "$(cat "$stamp")" in
        "$state $extras" | "$state [train,test]") return ;;
        "$state "*) if [ -z "$extras" ]; then return; fi ;;
        esac
    fi
    if [ "$(uname -sm)" = "Darwin x86_64" ]; then
        echo "PyTorch is no longer made for Macs with Intel processors: use a Mac with Apple silicon, or Linux." >&2
        return 1
    fi
    echo "Installing packages into .venv (once; some minutes and gigabytes)" >&2
    pip=".venv/bin/python -m pip --disable-pip-version-check"
    # PyTorch first and pinned, or another package brings along the newest one. Without an NVIDIA graphics card,
    # TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu saves some gigabytes on Linux.
    if $pip install --quiet torch --constraint scripts/constraints.txt ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} >&2 &&
        $pip install --quiet --editable ".$extras" --constraint scripts/constraints.txt >&2; then
        echo "$state $extras" >"$stamp"
    else
        echo "The packages could not be installed (pip says why above): is there internet and enough disk space?" >&2
        return 1
    fi
}
