#!/bin/sh
# Makes tests/e2e/.venv with the Python client, or with "s3" .venv-s3 with a server of S3. Quick when it is there already
# and the requirements are the same.
set -eu
cd "$(dirname "$0")"
venv=.venv${1:+-$1}
requirements=requirements${1:+-$1}.txt
if cmp -s "$requirements" "$venv/requirements.txt" 2>/dev/null; then
	exit 0
fi
python3 -m venv --clear "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements"
cp "$requirements" "$venv/requirements.txt"
