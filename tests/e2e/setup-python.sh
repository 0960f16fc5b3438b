#!/bin/sh
# Makes tests/e2e/.venv with the Python client. Quick when it is there already and the requirements are the same.
set -eu
cd "$(dirname "$0")"
if cmp -s requirements.txt .venv/requirements.txt 2>/dev/null; then
	exit 0
fi
python3 -m venv --clear .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
cp requirements.txt .venv/requirements.txt
