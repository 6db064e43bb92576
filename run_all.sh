#!/usr/bin/env bash
# Sets up and runs everything: ./run_all.sh [--preset smoke|quick|paper] [--only NAME]... [--data_dir DIR] [--seeds N]
# [--dry_run] [--engine ray [--address HOST:PORT]]; ./run_all.sh --tests sets up and runs the tests, ./run_all.sh --docs
# builds the pages as a web site; ./run_all.sh --help tells more.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

requirements=requirements.txt
case " $* " in *" --engine ray "* | *" --engine=ray "*) requirements=requirements-cluster.txt ;; esac
case "${1:-}" in --tests) requirements=requirements-dev.txt ;; --docs) requirements=requirements-docs.txt ;; esac

if [ -z "${VIRTUAL_ENV:-}" ]; then
  if [ ! -x "$here/.venv/bin/python" ]; then
    python=${PYTHON:-python3}
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
      { echo "error: Python >= 3.11 is needed, $python is $("$python" --version 2>&1); set PYTHON" >&2; exit 2; }
    "$python" -m venv "$here/.venv"
  fi
  export VIRTUAL_ENV=$here/.venv
  export PATH=$VIRTUAL_ENV/bin:$PATH
fi

# Installed once for each state of the requirements, not at every call.
stamp=$VIRTUAL_ENV/.mscn-$(cat "$here"/requirements*.txt | cksum | cut -d' ' -f1)
if [ ! -e "$stamp-requirements-dev.txt" ] && [ ! -e "$stamp-$requirements" ]; then
  echo "== installing $requirements into $VIRTUAL_ENV"
  python -m pip install --quiet --disable-pip-version-check -r "$here/$requirements"
  touch "$stamp-$requirements"
fi

if [ "${1:-}" = --tests ]; then
  shift
  [ -z "${MSCN_DATA_DIR:-}" ] || MSCN_DATA_DIR=$(realpath -m "$MSCN_DATA_DIR")
  cd "$here"
  # A file's tests stay in one process, where they share fixtures and compiled functions; see tests/conftest.py.
  exec python -m pytest -n auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder "$@"
fi
if [ "${1:-}" = --docs ]; then
  exec python "$here/docs/build.py"
fi
PYTHONPATH=$here${PYTHONPATH:+:$PYTHONPATH} exec python -m benchmarks run "$@"
