# For scripts beside it: `python_with DIR PACKAGE...` sets PYTHON to an interpreter, in a virtual environment in DIR
# that is made where PYTHON names none.
python_with() {
  local dir=$1
  shift
  [ -z "${PYTHON:-}" ] || return 0
  PYTHON=$dir/venv/bin/python
  if [ ! -x "$PYTHON" ]; then
    python3 -m venv "$dir/venv"
    "$PYTHON" -m pip install --quiet "$@"
  fi
}

# `work_folder [DIR]` sets dir: DIR, or a temporary folder that goes with the script.
work_folder() {
  if [ $# -gt 0 ]; then
    mkdir -p "$1"
    dir=$(cd "$1" && pwd)
  else
    dir=$(mktemp -d)
    trap 'rm -rf "$dir"' EXIT
  fi
}
