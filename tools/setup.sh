#!/bin/sh
# Make the virtual environment once; again only when pyproject.toml or constraints.txt change.
# Usage: tools/setup.sh PYTHON VENV
set -eu
python=$1
venv=$2

fail() { echo "setup: $1" >&2; exit 1; }

command -v "$python" >/dev/null 2>&1 || fail "$python is not there; install Python 3.11 or newer, or: make PYTHON=/path/to/python3.11 ..."
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
  || fail "$("$python" --version) is too old; install Python 3.11 or newer, or: make PYTHON=python3.11 ..."
"$python" -c 'import venv, ensurepip' 2>/dev/null \
  || fail "the venv module is missing; on Debian or Ubuntu: apt-get install python3-venv"

stamp=$venv/.stamp-$(cat pyproject.toml constraints.txt tools/setup.sh | sha256sum | cut -c1-16)
[ -e "$stamp" ] && exit 0

free_gb=$(df -Pk . | awk 'NR==2 {print int($4 / 1048576)}')
[ -e "$venv/bin/python" ] || [ "$free_gb" -ge 9 ] \
  || fail "only $free_gb GB free here; the environment needs 9 GB (torch with its CUDA libraries): free some disk"

echo "setup: installing into $venv (about 2.5 GB to download, 6 GB on disk; 2 to 10 minutes)"
[ -e "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install --disable-pip-version-check --progress-bar on -c constraints.txt -e '.[dev]' \
  || fail "pip failed, see above; a network is needed once"
rm -f "$venv"/.stamp-*
touch "$stamp"
