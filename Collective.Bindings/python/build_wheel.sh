#!/usr/bin/env bash
# Builds two wheels into artifacts/python/, with no network:
#
#   collective    contains the native library, which must have been built before (Collective.Native/build.sh), or is the one that
#                 COLLECTIVE_LIBRARY names
#   pypccl        for programs written for PCCL: its package pccl is collective's; takes the place of PCCL's own
#
#   PYTHON=python3    the interpreter; it needs pip, setuptools and wheel (Debian: python3-pip, python3-setuptools, python3-wheel)
#   OUT=artifacts/python  where the wheels go
set -euo pipefail
python=${PYTHON:-python3}
if ! "$python" -c 'import setuptools, wheel, pip' 2>/dev/null; then
    echo "$(command -v "$python" || echo "$python") cannot make a wheel: it needs the modules pip, setuptools and wheel. Install them, or name another interpreter: PYTHON=/usr/bin/python3 bash $0" >&2
    exit 1
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
artifacts="${OUT:-$here/../../artifacts/python}"
mkdir -p "$artifacts"
# From a copy, so that the source tree stays as it is.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/collective"
cp -r "$here/src" "$here/pyproject.toml" "$here/setup.py" "$here/README.md" "$work/collective/"
cp -r "$here/pypccl" "$work/"
export COLLECTIVE_LIBRARY="${COLLECTIVE_LIBRARY:-$here/../../artifacts/native/libcollective.so}"
rm -f "$artifacts"/collective-*.whl "$artifacts"/pypccl-*.whl
for package in collective pypccl; do
    "$python" -m pip wheel --quiet --disable-pip-version-check --no-index --no-build-isolation --no-deps --wheel-dir "$artifacts" "$work/$package"
    ls "$artifacts/$package"-*.whl
done
