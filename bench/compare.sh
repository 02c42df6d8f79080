#!/usr/bin/env bash
# Has this tree got slower than another commit? Builds both and compares, in one
# run and in turn, their micro-benchmarks (benchstat) and three short scenarios.
#
#   bench/compare.sh REF [PACKAGE...]
#
# REF is a commit, a tag or a branch; what is compared with it is the working
# tree as it is. PACKAGE limits the micro-benchmarks (default: all that have
# some and exist in both). About five minutes on two cores; ROUNDS=3 is shorter.
# docs/BENCHMARKS.md says how to read it.
set -euo pipefail
cd "$(dirname "$0")/.."

if (( $# < 1 )); then
  sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
ref=$1
shift
rounds=${ROUNDS:-6}
benchtime=${BENCHTIME:-100ms}
benchstat=golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

commit=$(git rev-parse --verify --quiet "$ref^{commit}") || { echo "compare.sh: no commit is called $ref" >&2; exit 2; }
scratch=$(mktemp -d)
cleanup() {
  git worktree remove --force "$scratch/old" 2>/dev/null || true
  rm -rf "$scratch"
}
trap cleanup EXIT
export GOFLAGS="${GOFLAGS:+$GOFLAGS }-buildvcs=false"

git worktree add --quiet --detach "$scratch/old" "$commit"
printf 'new: the working tree at %s\nold: %s\n' "$(git describe --always --dirty)" "$(git describe --always "$commit")"

# build TREE NAME: the server, and the test binary of each package with benchmarks.
build() {
  (cd "$1" && CGO_ENABLED=0 go build -o "$scratch/milepost-$2" ./cmd/milepost)
  for package in "${packages[@]}"; do
    if [[ -d $1/$package ]] && grep -qs '^func Benchmark' "$1/$package"/*_test.go; then
      (cd "$1" && CGO_ENABLED=0 go test -c -o "$scratch/$2-${package//\//_}.test" "./$package")
    fi
  done
}

if (( $# > 0 )); then
  packages=("${@#./}")
else
  mapfile -t packages < <(grep -rl --include='*_test.go' '^func Benchmark' . | xargs -n1 dirname | sed 's|^\./||' | sort -u)
fi
build "$PWD" new
build "$scratch/old" old

for (( round = 1; round <= rounds; round++ )); do
  printf 'micro-benchmarks, round %d of %d\n' "$round" "$rounds" >&2
  for package in "${packages[@]}"; do
    name=${package//\//_}
    [[ -x $scratch/old-$name.test && -x $scratch/new-$name.test ]] || continue
    (cd "$scratch/old/$package" && "$scratch/old-$name.test" -test.run '^$' -test.bench . -test.benchmem -test.benchtime "$benchtime") >>"$scratch/old.txt"
    (cd "$package" && "$scratch/new-$name.test" -test.run '^$' -test.bench . -test.benchmem -test.benchtime "$benchtime") >>"$scratch/new.txt"
  done
done
if [[ -s $scratch/old.txt && -s $scratch/new.txt ]]; then
  GOFLAGS='' go run "$benchstat" "old=$scratch/old.txt" "new=$scratch/new.txt"
else
  echo "no package has benchmarks in both"
fi

printf '\nscenarios, new / old\n'
go run ./bench compare --old "$scratch/milepost-old" --new "$scratch/milepost-new" --rounds "$rounds" --duration "${DURATION:-2s}"
