#!/usr/bin/env bash
# Makes the pictures of the viewer in docs/pictures, or in the directory that is
# named. Needs Go and Chromium (Debian: apt-get install chromium).
set -euo pipefail
out=$(realpath -m "${1:-$(dirname "$0")/pictures}")
mkdir -p "$out"
cd "$(dirname "$0")/../.ci/browser"
VIEWER_PICTURES=$out go test -count=1 -tags pictures -run TestPictures .
ls -l "$out"
