#!/usr/bin/env bash
# elle-rs beside other checkers: verdicts, time and memory, in one run. Writes docs/checker-speed.md.
#
#   scripts/peers.sh [PART...]       corpora single transactions fit same (all unless told), exhaustive
#
# A part replaces its section of the page. Other checkers come as commands, each of which is called
# `COMMAND MODEL LEVEL FILE...` and prints `FILE valid|violated|undecided` a line, and `check SECONDS`
# at the end if it knows how long it checked without reading. What is missing is said:
#
#   PORCUPINE=… PORCUPINE_RUST=… PORCUPINE_RS=… KNOSSOS=… ELLE=… ADYA=… scripts/peers.sh
#
# Histories of others are looked for at KEYQUAKE_CORPORA, or in ../shared/corpora; drawn ones (5 GB)
# are kept in target/peers. Runs of the checkers take turns; all but `exhaustive` takes a quarter hour.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --quiet -p elle-rs --examples
exec python3 scripts/peers.py "$@"
