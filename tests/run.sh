#!/usr/bin/env bash
# Builds everything, checks the format, runs every test suite, the simulation seeds, and the native library's C programs.
# The last line is "N passed, N failed"; the exit code is 0 only when nothing failed and something passed.
# Everything it writes is in artifacts/, the logs of each step in artifacts/test-logs/.
#
#   SEEDS=2000           simulation seeds to run
#   SUITE_SECONDS=900    longest time one suite may take before it counts as failed
#   STUCK=5m             time without a test that ends after which a suite is ended, naming the tests that run
set -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

readonly seeds="${SEEDS:-2000}" suite_seconds="${SUITE_SECONDS:-900}" stuck="${STUCK:-5m}" build_seconds=1200
readonly logs=artifacts/test-logs results=artifacts/test-results
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_UI_LANGUAGE=en DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1
# No process stays behind: neither build nodes nor the compiler server.
export MSBUILDDISABLENODEREUSE=1 UseSharedCompilation=false
# The end-to-end tests start processes with settings of their own.
unset PCCL_LOG_LEVEL PCCL_MULTIPLEX_CHUNK_SIZE COLLECTIVE_LOG_FILE COLLECTIVE_CALL_TIMEOUT COLLECTIVE_MASTER_LISTEN COLLECTIVE_MASTER_HEARTBEAT_TIMEOUT COLLECTIVE_MASTER_CROSSED_CALLS_TIMEOUT COLLECTIVE_MASTER_LOG_LEVEL COLLECTIVE_MASTER_LOG_FORMAT COLLECTIVE_MASTER_CONFIG

passed=0 failed=0
failures=() skipped=()

main() {
    need dotnet dotnet-sdk-10.0 "Install the .NET 10 SDK: https://dotnet.microsoft.com/download/dotnet/10.0"
    need timeout coreutils "Install GNU coreutils."
    need awk mawk "Install awk."
    want ip iproute2 # Without it, tests that drop packets are skipped and say why.
    sdk=$(dotnet --version 2>&1) || give_up "The .NET SDK found does not satisfy global.json. Install the .NET 10 SDK: https://dotnet.microsoft.com/download/dotnet/10.0. It said: $sdk"
    rm -rf "$logs" "$results"
    mkdir -p "$logs" "$results"
    echo "Collective tests, .NET SDK $sdk, $(nproc 2>/dev/null || echo '?') cores"

    if step restore "$build_seconds" dotnet restore Collective.sln $(locked_mode) \
        && step build "$build_seconds" dotnet build Collective.sln -c Release --no-restore -warnaserror; then
        step format "$build_seconds" dotnet format Collective.sln --verify-no-changes --no-restore
        for project in tests/*/*.csproj; do
            if grep -q Microsoft.NET.Test.Sdk "$project"; then
                suite "$project"
            fi
        done
        simulate
        native
        python_suite
    fi
    report
}

# need COMMAND PACKAGE ADVICE: the command is there, or root on Debian installs the package, or the run ends saying what to do.
need() {
    want "$1" "$2" || give_up "$1 is missing. $3"
}

# want COMMAND PACKAGE: the same, but the run goes on without.
want() {
    command -v "$1" >/dev/null && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "$1 is missing; installing the package $2"
        { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$2"; } >/dev/null 2>&1
    fi
    command -v "$1" >/dev/null
}

give_up() {
    echo "$1" >&2
    echo "0 passed, 1 failed"
    exit 1
}

# Lock files that are committed must be obeyed; those of a first restore are not committed yet.
locked_mode() {
    if [ -n "$(git ls-files '*packages.lock.json' 2>/dev/null)" ]; then echo --locked-mode; fi
}

# step NAME SECONDS COMMAND...: runs it with its output in a log; a failure shows the end of the log and counts as a failed test.
step() {
    local name=$1 seconds=$2 start=$SECONDS
    shift 2
    printf '%-28s' "$name"
    timeout -k 15 "$seconds" "$@" </dev/null >"$logs/$name.log" 2>&1
    local code=$?
    if [ $code = 0 ]; then
        printf 'ok (%d s)\n' $((SECONDS - start))
        return 0
    fi
    printf 'FAILED (%d s)\n' $((SECONDS - start))
    fail "$name" "$code" "$seconds"
    return 1
}

# fail NAME EXIT-CODE SECONDS
fail() {
    local reason="exit code $2"
    case $2 in 124 | 137) reason="not finished after $3 s" ;; 0) reason="no summary: did it run any test?" ;; esac
    failed=$((failed + 1))
    failures+=("$1: $reason")
    tail -n 150 "$logs/$1.log"
}

# suite PROJECT: one test project. Its own counts are added up; an end without a summary, or a bad exit without a failed test, counts as a failure.
suite() {
    local name start=$SECONDS code summary
    name=$(basename "$1" .csproj)
    printf '%-28s' "$name"
    timeout -k 15 "$suite_seconds" dotnet test "$1" --no-build -c Release --results-directory "$results" --logger "trx;LogFileName=$name.trx" \
        --blame-hang-timeout "$stuck" --blame-hang-dump-type none </dev/null >"$logs/$name.log" 2>&1
    code=$?
    summary=$(grep -E '^(Passed|Failed|Skipped)! +- Failed: +[0-9]+, Passed: +[0-9]+, Skipped: +[0-9]+' "$logs/$name.log" | tail -n 1)
    local counts=(0 0 0)
    [ -z "$summary" ] || read -r -a counts < <(sed -E 's/^[A-Za-z]+! +- Failed: +([0-9]+), Passed: +([0-9]+), Skipped: +([0-9]+).*/\1 \2 \3/' <<<"$summary")
    printf '%d passed, %d failed, %d skipped (%d s)\n' "${counts[1]}" "${counts[0]}" "${counts[2]}" $((SECONDS - start))
    failed=$((failed + counts[0]))
    passed=$((passed + counts[1]))
    if [ "${counts[0]}" -gt 0 ]; then
        failures+=("$name: ${counts[0]} failed")
        tail -n 400 "$logs/$name.log"
    elif [ $code != 0 ] || [ -z "$summary" ]; then
        fail "$name" "$code" "$suite_seconds"
    fi
    if [ -f "$results/$name.trx" ]; then
        while read -r line; do skipped+=("$name: $line"); done < <(skip_reasons "$results/$name.trx")
    fi
}

# skip_reasons TRX: a line "test: reason" for each test that was not executed.
skip_reasons() {
    awk '
        function text(s) { gsub(/&lt;/, "<", s); gsub(/&gt;/, ">", s); gsub(/&quot;/, "\"", s); gsub(/&#x[AD];/, " ", s); gsub(/&amp;/, "\\&", s); return s }
        /<UnitTestResult / {
            name = ""
            if (/ outcome="NotExecuted"/) { name = $0; sub(/.* testName="/, "", name); sub(/".*/, "", name) }
        }
        name != "" && /<Message>/ { reason = $0; sub(/.*<Message>/, "", reason); sub(/<\/Message>.*/, "", reason); print text(name) ": " text(reason); name = "" }
        name != "" && /<\/UnitTestResult>/ { print text(name) ": no reason given"; name = "" }
    ' "$1"
}

# The seeds count as one test: the program ends with 0 only if every seed kept every guarantee.
simulate() {
    if step simulation-seeds "$suite_seconds" dotnet run --no-build -c Release --project tests/Collective.Simulation -- --seeds "$seeds"; then
        passed=$((passed + 1))
    fi
}

# The Python package, with the real library: pytest's counts are added up. Without an interpreter and pytest, which are installed
# where that is possible, it is skipped; tests that need what else is missing skip themselves.
python_suite() {
    local python=/usr/bin/python3 start=$SECONDS code summary
    [ -x "$python" ] || ! command -v python3 >/dev/null || python=$(command -v python3)
    python_packages "$python"
    if ! "$python" -c 'import sys, pytest; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "python                      skipped: no Python 3.11 with pytest"
        skipped+=("python: no Python 3.11 or newer with pytest, and none could be installed (Debian: python3 python3-pytest)")
        return
    fi
    if [ ! -f artifacts/native/libcollective.so ]; then
        skipped+=("python: the native library was not built")
        return
    fi
    printf '%-28s' python
    timeout -k 15 "$suite_seconds" "$python" -m pytest -q -p no:cacheprovider Collective.Bindings/python --junitxml="$results/python.xml" \
        </dev/null >"$logs/python.log" 2>&1
    code=$?
    summary=$(grep -E '^[0-9]+ (passed|failed|skipped|error).* in [0-9.]+s' "$logs/python.log" | tail -n 1)
    local passed_here failed_here
    passed_here=$(counted passed "$summary") failed_here=$(($(counted failed "$summary") + $(counted 'errors?' "$summary")))
    printf '%d passed, %d failed, %d skipped (%d s)\n' "$passed_here" "$failed_here" "$(counted skipped "$summary")" $((SECONDS - start))
    passed=$((passed + passed_here))
    failed=$((failed + failed_here))
    if [ "$failed_here" -gt 0 ]; then
        failures+=("python: $failed_here failed")
        tail -n 400 "$logs/python.log"
    elif [ $code != 0 ] || [ -z "$summary" ]; then
        fail python "$code" "$suite_seconds"
    fi
    while read -r line; do skipped+=("python: $line"); done < <(sed -n 's/^SKIPPED \[[0-9]*\] //p' "$logs/python.log")
}

# counted WORD SUMMARY: the number before the word in pytest's last line, or 0.
counted() {
    local number
    number=$(grep -oE "[0-9]+ $1\b" <<<"$2" | grep -oE '^[0-9]+')
    echo "${number:-0}"
}

# python_packages PYTHON: installs what the suite wants, as far as root on Debian can, and only for Debian's own interpreter.
python_packages() {
    local module missing=()
    for module in pytest numpy torch mypy pip setuptools wheel; do
        "$1" -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('$module') is None)" 2>/dev/null || missing+=("$module")
    done
    [ ${#missing[@]} -gt 0 ] && [ "$1" = /usr/bin/python3 ] || return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing for Python: ${missing[*]}"
        apt-get update >/dev/null 2>&1
        for module in "${missing[@]}"; do
            local package=python3-$module
            [ "$module" != mypy ] || package=mypy
            DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$package" >>"$logs/python-packages.log" 2>&1
        done
    fi
}

# The native library, and the C programs that use it: their own lines and counts.
native() {
    if ! step native-library "$build_seconds" bash Collective.Native/build.sh; then
        return
    fi
    local name=Collective.Native.Tests start=$SECONDS counts
    printf '%-28s' "$name"
    timeout -k 15 "$suite_seconds" bash tests/Collective.Native.Tests/run.sh </dev/null >"$logs/$name.log" 2>&1
    local code=$?
    counts=$(grep -oE '^[0-9]+ passed, [0-9]+ failed$' "$logs/$name.log" | tail -n 1)
    if [ -z "$counts" ]; then
        printf 'FAILED (%d s)\n' $((SECONDS - start))
        fail "$name" "$code" "$suite_seconds"
        return
    fi
    printf '%s, %d skipped (%d s)\n' "$counts" "$(grep -c '^skipped ' "$logs/$name.log")" $((SECONDS - start))
    local -a numbers
    read -r -a numbers < <(tr -dc '0-9 ' <<<"$counts")
    passed=$((passed + numbers[0]))
    failed=$((failed + numbers[1]))
    if [ "${numbers[1]}" -gt 0 ] || [ $code != 0 ]; then
        failures+=("$name: ${numbers[1]} failed")
        [ "${numbers[1]}" -gt 0 ] || failed=$((failed + 1))
        tail -n 200 "$logs/$name.log"
    fi
    while read -r line; do skipped+=("$name: ${line#skipped }"); done < <(grep '^skipped ' "$logs/$name.log")
}

report() {
    if [ ${#skipped[@]} -gt 0 ]; then
        printf '\nSkipped:\n'
        printf '  %s\n' "${skipped[@]}"
    fi
    if [ ${#failures[@]} -gt 0 ]; then
        printf '\nFailed (logs in %s):\n' "$logs"
        printf '  %s\n' "${failures[@]}"
    fi
    echo
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
}

main
