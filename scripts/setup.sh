# Sourced from the repository's root by run.sh, test.sh and check_install.sh: Python, a virtual environment, the packages.
# Runs on the bash 3.2 of macOS and uses no GNU-only options.
VENV=${VENV:-.venv}
CONSTRAINTS=${CONSTRAINTS:-scripts/constraints.txt}

# is_supported PYTHON [NEWEST MINOR VERSION]
is_supported() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, int(sys.argv[1])))' "${2:-14}" 2>/dev/null
}

# The first Python that everything runs on, then one without slicer-core (3.14), or the one that PYTHON names.
find_python() {
    local candidate newest
    for newest in 13 14; do
        for candidate in ${PYTHON:-python3.12 python3.11 python3.13 python3.10 python3 python python3.14}; do
            if is_supported "$candidate" $newest; then
                echo "$candidate"
                return
            fi
        done
    done
    return 1
}

say_how_to_get_python() {
    echo "TeethSeg needs Python 3.10 to 3.14; ${PYTHON:-python3} is missing or another version. Type this, then run this again:" >&2
    case "$(uname -s)" in
    Darwin) echo "  brew install python@3.12" >&2 ;;
    *) echo "  sudo apt install python3 python3-venv" >&2 ;;
    esac
    echo "If you have it under another name: PYTHON=/path/to/python bash $0" >&2
}

make_environment() {
    local python version
    if is_supported "$VENV/bin/python" && "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
        return
    fi
    if python=$(find_python); then
        if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
            version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
            {
                echo "Python $version cannot make virtual environments here. Type this, then run this again:"
                echo "  sudo apt install python$version-venv"
            } >&2
            return 1
        fi
        echo "Making a virtual environment in $VENV ($("$python" --version))" >&2
        "$python" -m venv --clear "$VENV"
    elif [ -z "${PYTHON:-}" ] && command -v uv >/dev/null 2>&1; then
        echo "Making a virtual environment in $VENV (uv brings Python 3.12)" >&2
        uv venv --quiet --seed --clear --python 3.12 "$VENV"
    else
        say_how_to_get_python
        return 1
    fi
}

# slicer-core, which the browser page needs, has wheels for Python up to 3.13.
has_slicer_core() {
    is_supported "$VENV/bin/python" 13
}

# install_packages EXTRAS: TeethSeg in place, with extras such as "[train,test]" or none. Does nothing if it was done
# before for the same pyproject.toml and constraints.
install_packages() {
    local extras=$1 pip stamp state
    make_environment || return 1
    stamp=$VENV/.teethseg-installed
    state="$(cat pyproject.toml "$CONSTRAINTS" | cksum) $PWD"
    # The packages for tests include all others.
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
    echo "Installing packages into $VENV (once; some minutes and gigabytes)" >&2
    pip="$VENV/bin/python -m pip --disable-pip-version-check"
    # PyTorch first and pinned, or another package brings along the newest one. Without an NVIDIA graphics card,
    # TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu saves some gigabytes on Linux.
    if $pip install --quiet torch --constraint "$CONSTRAINTS" ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} >&2 &&
        $pip install --quiet --editable ".$extras" --constraint "$CONSTRAINTS" >&2; then
        echo "$state $extras" >"$stamp"
    else
        echo "The packages could not be installed (pip says why above): is there internet and enough disk space?" >&2
        return 1
    fi
}
