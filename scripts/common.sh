# shellcheck shell=bash disable=SC2119,SC2120
# Shared by scripts/demo, scripts/test, scripts/fuzz, .ci/run and .ci/full: finds the tree, installs what
# is missing, configures and builds. To be sourced. Settings, from the environment:
#   NF_BUILD_DIR   build folder (build)
#   NF_NATIVE      ON compiles all for this machine's processor; the kernels of a portable build
#                  choose theirs while it runs, too (OFF)
#   NF_WERROR      ON turns warnings into errors (OFF)
#   NF_SANITIZE    ON builds with the address and undefined-behaviour sanitizers, and of the program's
#                  tests those of damaged files; FULL with the second in tests and the program too, and
#                  all tests; THREAD with the thread sanitizer (OFF)
#   NF_CUDA        ON, OFF, or AUTO: the CUDA backend where nvcc works (AUTO)
#   NF_CUDA_ARCHITECTURES   GPUs to compile for, e.g. 90 (those of 80, 90 and 100 that nvcc knows)
#   NF_FUZZ        ON builds the fuzz targets instead, by clang (OFF; scripts/fuzz sets it)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$(realpath -m "${NF_BUILD_DIR:-$root/build}")

say() { printf '%s\n' "$@" >&2; }
die() {
  say "$(basename "$0"): $1"
  exit 1
}

# A heading that tells the time so far.
step() { printf '\n=== [%d:%02d] %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$1"; }

# Runs a command silently; shows what it said when it fails.
quietly() {
  local log
  log=$(mktemp)
  "$@" >"$log" 2>&1 || {
    cat "$log" >&2
    rm "$log"
    die "failed: $*"
  }
  rm "$log"
}

at_least() { [[ $(printf '%s\n' "$1" "$2" | sort -V | head -n 1) == "$1" ]]; }

has_header() {
  printf '#if !__has_include(<%s>)\n#error\n#endif\n' "$1" |
    "${CXX:-c++}" -std=c++20 -E -x c++ - >/dev/null 2>&1
}

# The Debian packages that this machine lacks, one a line. Arguments: further tools, as
# command:package.
missing_packages() {
  local cxx=${CXX:-c++} pair
  at_least 12 "$("$cxx" -dumpversion 2>/dev/null)" || echo "g++"
  at_least 3.25 "$(cmake --version 2>/dev/null | grep -om1 '[0-9][0-9.]*')" || echo "cmake"
  for pair in ninja:ninja-build "$@"; do
    command -v "${pair%:*}" >/dev/null || echo "${pair#*:}"
  done
  # Without a compiler nothing is known: then all of them are named.
  [[ $("$cxx" -print-file-name=libopenblas.so 2>/dev/null) == /* ]] || echo "libopenblas-dev"
  for pair in zlib.h:zlib1g-dev nlohmann/json.hpp:nlohmann-json3-dev CLI/CLI.hpp:libcli11-dev \
    stb/stb_image.h:libstb-dev boost/test/unit_test.hpp:libboost-test-dev; do
    has_header "${pair%:*}" || echo "${pair#*:}"
  done
  [[ ${NF_FUZZ:-OFF} == ON ]] || return 0
  command -v "$cxx" >/dev/null || echo "clang"
  [[ -e $("$cxx" -print-runtime-dir 2>/dev/null)/libclang_rt.fuzzer-$(uname -m).a ]] ||
    echo "libclang-rt-dev"
}

# Installs what missing_packages names, where that is possible; elsewhere says how to get it.
ensure_packages() {
  local missing as_root=()
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]})) || return 0
  ((EUID == 0)) || as_root=(sudo -n)
  if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
    say "Missing here (Debian's package names): ${missing[*]}" \
      "Needed are g++ 12 and cmake 3.25 or newer. On Debian and Ubuntu:" \
      "    sudo apt-get update && sudo apt-get install --no-install-recommends ${missing[*]}"
    exit 1
  fi
  say "Installing ${missing[*]}"
  quietly "${as_root[@]}" apt-get update
  quietly "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends "${missing[@]}"
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]} == 0)) ||
    die "still missing: ${missing[*]}; are this system's too old? g++ 12 and cmake 3.25 are needed"
}

# build_targets [TARGET...]: configures and builds, by default everything. Silent when all is built.
build_targets() {
  ensure_packages
  quietly cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DNF_NATIVE="${NF_NATIVE:-OFF}" -DNF_WERROR="${NF_WERROR:-OFF}" \
    -DNF_SANITIZE="${NF_SANITIZE:-OFF}" -DNF_FUZZ="${NF_FUZZ:-OFF}" -DNF_CUDA="${NF_CUDA:-AUTO}" \
    ${NF_CUDA_ARCHITECTURES:+-DNF_CUDA_ARCHITECTURES="$NF_CUDA_ARCHITECTURES"}
  [[ -e $build/flowcli ]] || say "Building in $build; from nothing this takes a few minutes"
  ninja -C "$build" "$@" | sed -u '/Entering directory/d; /Re-checking glob/d; /no work to do/d' >&2
}
