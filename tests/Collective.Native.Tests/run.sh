#!/usr/bin/env bash
# Tests the native library in artifacts/native/ (build it first: bash Collective.Native/build.sh).
# Prints a line "ok NAME", "not ok NAME" or "skipped NAME: REASON" for each test; the last line is "N passed, M failed".
set -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

readonly library=artifacts/native sources=tests/Collective.Native.Tests/c work=artifacts/native-tests seconds=240
readonly programs="layout codes reduce state host churn killed threads log hello digest master shortage"
unset PCCL_LOG_LEVEL PCCL_MULTIPLEX_CHUNK_SIZE COLLECTIVE_LOG_FILE COLLECTIVE_CALL_TIMEOUT

main() {
    rm -rf "$work"
    mkdir -p "$work"
    exports
    shape
    compile || return
    for program in layout codes reduce state host churn killed threads; do
        run "$program" "$work/$program"
    done
    run log env PCCL_LOG_LEVEL=INFO COLLECTIVE_LOG_FILE="$work/collective.log" "$work/log"
    for kind in descriptors threads memory; do
        run "shortage-$kind" "$work/shortage" "$kind"
    done
    hello
    manual
    by_name
    packages
    old_processors
}

ok() { echo "ok $1"; }
not_ok() { echo "not ok $1${2:+: $2}"; }
check() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "got '$2' instead of '$3'"; fi; }

# run NAME COMMAND...: its own lines count; an end without any, or a bad end without "not ok", counts as failed.
run() {
    local name=$1 log=$work/$1.log code
    shift
    timeout -k 10 "$seconds" "$@" </dev/null >"$log" 2>&1
    code=$?
    cat "$log"
    if [ $code != 0 ] && ! grep -q '^not ok ' "$log"; then not_ok "$name" "it ended with $code"; fi
    if [ $code = 0 ] && ! grep -q '^ok ' "$log"; then not_ok "$name" "it ran no test"; fi
}

# What the header declares is what the library exports, under its version, and nothing else is visible.
exports() {
    grep -oE '\bpcclx?[A-Z][A-Za-z]*\(' "$library/collective.h" | grep -vE 'pcclx?(Get)?[A-Za-z]*Callback_t' | tr -d '(' | sort -u >"$work/in-comments-too"
    sed -e 's|/\*.*\*/||' -e '/\/\*/,/\*\//d' "$library/collective.h" | grep -oE '\bpcclx?[A-Z][A-Za-z]*\(' | tr -d '(' | sort -u >"$work/declared"
    nm -D --defined-only "$library/libcollective.so" | awk '$2 == "T" { print $3 }' | sort >"$work/exported"
    sed 's/@@COLLECTIVE_1$//' "$work/exported" >"$work/exported-names"
    check "the_header_declares_what_is_exported" "$(diff "$work/declared" "$work/exported-names" | tr '\n' ' ')" ""
    check "every_export_has_the_version" "$(grep -vc '@@COLLECTIVE_1$' "$work/exported")" "0"
    check "nothing_else_is_visible" "$(nm -D --defined-only "$library/libcollective.so" | awk '$2 != "T" { print $3 }')" "COLLECTIVE_1"
    check "the_functions_of_pccl_are_19" "$(grep -vc '^pcclx' "$work/exported-names")" "19"
    check "what_the_manual_names_exists" "$(comm -23 "$work/in-comments-too" "$work/declared" | tr '\n' ' ')" ""
}

shape() {
    check "it_has_a_soname" "$(readelf -d "$library/libcollective.so" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')" "libcollective.so.1"
    check "it_cannot_be_unloaded" "$(readelf -d "$library/libcollective.so" | grep -c NODELETE)" "1"
    check "it_is_stripped" "$(readelf -S "$library/libcollective.so" | grep -cE '\.(symtab|debug_)')" "0"
    check "it_needs_the_c_library_only" "$(readelf -d "$library/libcollective.so" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | grep -vE '^(libc\.so\.6|libm\.so\.6|ld-linux.*)$')" ""
    check "its_header_has_the_version_of_the_project" "$(sed -n 's/#define COLLECTIVE_VERSION "\(.*\)"/\1/p' "$library/collective.h")" "$(sed -n 's|.*<Version>\(.*\)</Version>.*|\1|p' Directory.Build.props)"
}

compile() {
    local program failed=0
    for program in $programs; do
        gcc -std=c99 -D_DEFAULT_SOURCE -O1 -Wall -Wextra -Werror -I"$library" "$sources/$program.c" -o "$work/$program" \
            -L"$library" -lcollective -pthread -Wl,-rpath,"$PWD/$library" >"$work/compile.log" 2>&1 \
            || { head -n 30 "$work/compile.log"; not_ok "compile_$program"; failed=1; }
    done
    gcc -std=c99 -D_DEFAULT_SOURCE -Wall -Wextra -Werror -I"$library" "$sources/unload.c" -o "$work/unload" -ldl || { not_ok "compile_unload"; failed=1; }
    if echo '#include "collective.h"' | gcc -std=c99 -Wall -Wextra -Wpedantic -Werror -I"$library" -x c -fsyntax-only -; then ok "the_header_is_strict_c99"; else not_ok "the_header_is_strict_c99"; fi
    if command -v g++ >/dev/null; then
        if echo '#include "pccl.h"' | g++ -Wall -Wextra -Wpedantic -Werror -I"$library" -x c++ -fsyntax-only -; then ok "the_header_is_cpp"; else not_ok "the_header_is_cpp"; fi
    else
        echo "skipped the_header_is_cpp: there is no g++"
    fi
    return $failed
}

# with_master COMMAND PORT-IS-ADDED...: a master in a process of its own, which ends when its input does.
with_master() {
    coproc MASTER { exec "$work/master" 2>&1; }
    local master=$MASTER_PID port input=${MASTER[1]}
    read -r port <&"${MASTER[0]}"
    "$@" "$port"
    local code=$?
    eval "exec $input>&-"
    wait "$master" || code=1
    return $code
}

three_hellos() {
    local pids=() code=0 i
    for i in 1 2 3; do
        timeout -k 10 60 "$@" 3 >"$work/hello.$i" 2>&1 &
        pids+=($!)
    done
    for i in "${pids[@]}"; do wait "$i" || code=1; done
    return $code
}

say_hello() { three_hellos "$work/hello" "$1"; }

hello() {
    with_master say_hello
    check "three_processes_say_hello" "$? $(sort -u "$work"/hello.[123] | tr '\n' ';')" "0 3 peers, value 999: 2997;"
}

# The program that docs/c-api.md tells to copy: two of it reduce; when the master goes, they end.
manual() {
    sed -n '/^```c$/,/^```$/p' docs/c-api.md | sed '/^```/d' >"$work/manual.c"
    with_master say_manual 100
    check "the_program_of_the_manual_runs" "$? $(sort -u "$work"/manual.[12] | wc -l) $(tail -qn 1 "$work"/manual.[12] | sort -u)" "0 100 step 99: 99, averaged over 2 peers"
    with_master lose_master 2000000000
    check "the_program_of_the_manual_ends_with_its_master" "$? $(grep -lc 'master' "$work"/manual.errors.[12] | wc -l)" "0 2"
}

# build_manual STEPS PORT
build_manual() {
    sed -e "s/localhost:48148/127.0.0.1:$2/" -e "s/step < 100;/step < $1;/" "$work/manual.c" >"$work/manual-$1.c"
    gcc -std=c99 -Wall -Wextra -Werror -I"$library" "$work/manual-$1.c" -o "$work/manual-$1" -L"$library" -lcollective -Wl,-rpath,"$PWD/$library"
}

say_manual() {
    build_manual "$1" "$2" || return 1
    timeout -k 10 60 "$work/manual-$1" >"$work/manual.1" 2>&1 &
    local other=$! code=0
    timeout -k 10 60 "$work/manual-$1" >"$work/manual.2" 2>&1 || code=1
    wait "$other" && return $code
}

lose_master() {
    build_manual "$1" "$2" || return 1
    local line other output
    # Without the input of with_master's master, which is to end with it.
    (eval "exec $input>&-" && exec timeout -k 10 60 "$work/manual-$1" >/dev/null 2>"$work/manual.errors.1") &
    other=$!
    exec {output}< <(eval "exec $input>&-"; timeout -k 10 60 "$work/manual-$1" 2>"$work/manual.errors.2"; echo "ended with $?")
    read -r line <&"$output" # they reduce
    eval "exec $input>&-"
    line=$(tail -n 1 <&"$output")
    exec {output}<&-
    wait "$other"
    [ "$? $line" = "1 ended with 1" ]
}

# Under the name that programs and the Python package of PCCL look for: as a link, and as a copy.
by_name() {
    run by_name "$work/unload" "$library/libcollective.so"
    run by_name_of_pccl "$work/unload" "$library/libpccl.so"
    mkdir -p "$work/copied" && cp -L "$library/libpccl.so" "$work/copied/libpccl.so"
    run by_name_of_pccl_copied "$work/unload" "$work/copied/libpccl.so"
    # A library that PCCL might have been, to link against: its name, and no versions.
    mkdir -p "$work/pccl" && sed -E '/^pcclx/d; s/.*/void &(void) {}/' "$work/declared" >"$work/pccl/pccl.c"
    gcc -shared -fPIC -Wl,-soname,libpccl.so "$work/pccl/pccl.c" -o "$work/pccl/libpccl.so" \
        && gcc -std=c99 -D_DEFAULT_SOURCE -DPLAIN_PCCL -I"$library" "$sources/hello.c" -o "$work/hello-pccl" -L"$work/pccl" -lpccl -Wl,-rpath,"$PWD/$library" \
        && with_master say_hello_as_pccl
    check "a_program_linked_to_libpccl_runs" "$? $(sort -u "$work"/hello.[123] | tr '\n' ';')" "0 3 peers, value 999: 2997;"
    # The other way round: what is linked with our library under PCCL's name asks for that name, so that it runs where PCCL is installed.
    printf '%s\n' '#include <pccl.h>' '#include <ccoip.h>' '#include <ccoip_inet.h>' 'int check(pcclReduceInfo_t *PCCL_NULLABLE info);' \
        'int main(void) { ccoip_socket_address_t a = {0}; a.port = CCOIP_PROTOCOL_PORT_MASTER; return pcclInit() || a.port != 48148; }' >"$work/plain.c"
    gcc -std=c99 -Wall -Wextra -Werror -I"$library" "$work/plain.c" -o "$work/plain" -L"$library" -lpccl -Wl,-rpath,"$PWD/$library" && "$work/plain"
    check "what_is_linked_with_lpccl_runs" "$?" "0"
    check "what_is_linked_with_lpccl_asks_for_libpccl" "$(readelf -d "$work/plain" | sed -n 's/.*NEEDED.*\[\(lib[cp]c[a-z]*\.so\)\]/\1/p')" "libpccl.so"
}

say_hello_as_pccl() { three_hellos "$work/hello-pccl" "$1"; }

# As installed: pkg-config and CMake find it, under a prefix.
packages() {
    local prefix=$PWD/$work/prefix flags
    bash Collective.Native/install.sh --prefix "$prefix" --pccl >"$work/install.log" 2>&1 || { cat "$work/install.log"; not_ok "install"; return; }
    if command -v pkg-config >/dev/null; then
        flags=$(PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config --cflags --libs collective) \
            && gcc -std=c99 -D_DEFAULT_SOURCE "$sources/hello.c" -o "$work/hello-pkg" $flags -Wl,-rpath,"$prefix/lib" && [ "$("$work/hello-pkg"; echo $?)" = 2 ]
        check "pkg_config_finds_it" "$?" "0"
    else
        echo "skipped pkg_config_finds_it: there is no pkg-config"
    fi
    if command -v cmake >/dev/null; then
        mkdir -p "$work/cmake"
        printf '%s\n' 'cmake_minimum_required(VERSION 3.16)' 'project(hello C)' 'find_package(collective 0.1 REQUIRED)' \
            "add_executable(hello $PWD/$sources/hello.c)" 'target_compile_definitions(hello PRIVATE _DEFAULT_SOURCE)' 'target_link_libraries(hello collective::collective)' >"$work/cmake/CMakeLists.txt"
        cmake -S "$work/cmake" -B "$work/cmake/build" -DCMAKE_PREFIX_PATH="$prefix" >"$work/cmake.log" 2>&1 && cmake --build "$work/cmake/build" >>"$work/cmake.log" 2>&1 \
            && [ "$("$work/cmake/build/hello"; echo $?)" = 2 ] || tail -n 20 "$work/cmake.log"
        check "cmake_finds_it" "$([ -x "$work/cmake/build/hello" ] && echo yes)" "yes"
        cmake_builds cmake_finds_pccl 'find_package(pccl REQUIRED)'
        cmake_builds cmake_adds_pccl_as_a_subdirectory "add_subdirectory($PWD collective)"
    else
        echo "skipped cmake_finds_it: there is no cmake"
    fi
}

# cmake_builds NAME LINE: a program that links to the target pccl, which the line brings, is built and runs.
cmake_builds() {
    local name=$1 at=$work/$1
    mkdir -p "$at"
    printf '%s\n' 'cmake_minimum_required(VERSION 3.18)' 'project(plain C)' "$2" "add_executable(plain $PWD/$work/plain.c)" 'target_link_libraries(plain pccl)' >"$at/CMakeLists.txt"
    { cmake -S "$at" -B "$at/build" -DCMAKE_PREFIX_PATH="$PWD/$work/prefix" && cmake --build "$at/build" && "$at/build/plain"; } >"$at.log" 2>&1
    check "$name" "$?" "0"
    [ -x "$at/build/plain" ] || tail -n 20 "$at.log"
}

# The same results, to the bit, on an emulated old processor and an emulated newer one; and no end of the host on one that is too old.
old_processors() {
    if ! command -v qemu-x86_64 >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends qemu-user; } >"$work/apt.log" 2>&1
    fi
    if [ "$(uname -m)" != x86_64 ] || ! command -v qemu-x86_64 >/dev/null; then
        echo "skipped old_processors: qemu-x86_64 (Debian: qemu-user) is not there and could not be installed, or this is no x86-64"
        return
    fi
    local here model
    here=$("$work/digest") || { not_ok "digest" "$here"; return; }
    for model in SandyBridge Haswell; do
        check "the_same_bits_on_$model" "$(timeout -k 10 "$seconds" qemu-x86_64 -cpu "$model" "$work/digest" 2>/dev/null)" "$here"
    done
    check "refused_on_Nehalem" "$(timeout -k 10 "$seconds" qemu-x86_64 -cpu Nehalem "$work/digest" 2>/dev/null)" "pcclInit: pcclInternalError: $(strings "$library/libcollective.so" | grep 'This processor is older')"
}

mkdir -p artifacts
main 2>&1 | tee artifacts/native-tests.log
passed=$(grep -c '^ok ' artifacts/native-tests.log)
failed=$(grep -c '^not ok ' artifacts/native-tests.log)
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
