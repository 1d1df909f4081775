#!/usr/bin/env bash
# Writes pictures of the console's pages, of demo data, into a folder: those of README.md and
# docs/console.md are made by it.
#
#   scripts/pictures.sh DIR
set -euo pipefail
cd "$(dirname "$0")/.."
[[ $# == 1 ]] || { echo "usage: scripts/pictures.sh DIR" >&2; exit 2; }
mkdir -p "$1"
dir=$(cd "$1" && pwd)
make --no-print-directory web
SHIREN_SCREENSHOTS=$dir go test -count=1 -run '^TestConsole' ./e2e
echo "pictures are in $dir; NAME.png is light, NAME-dark.png dark, NAME-phone.png 360 pixels wide"
