#!/usr/bin/env bash
# Installs what build.sh has built:
#
#   install.sh --prefix DIR [--pccl]    into DIR/lib and DIR/include, with the files for pkg-config and CMake;
#                                       --pccl adds libpccl.so, pccl.h, ccoip.h and ccoip_inet.h, for programs written for PCCL,
#                                       and the files for CMake's find_package(pccl)
#   install.sh --pccl-package DIR       as DIR/libpccl.so only: DIR is the installed Python package "pccl", whose own library is replaced
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly built=artifacts/native
usage() { sed -n '2,8s/^# \{0,1\}//p' Collective.Native/install.sh; exit 2; }

prefix='' package='' pccl=''
while [ $# -gt 0 ]; do
    case $1 in
        --prefix) prefix=${2:?$(usage)}; shift 2 ;;
        --pccl-package) package=${2:?$(usage)}; shift 2 ;;
        --pccl) pccl=yes; shift ;;
        *) usage ;;
    esac
done
[ -f "$built/libcollective.so" ] || { echo "$built/libcollective.so is missing: run Collective.Native/build.sh first." >&2; exit 1; }

if [ -n "$package" ]; then
    [ -d "$package" ] || { echo "$package is no directory." >&2; exit 1; }
    install -m 755 "$built/libpccl.so" "$package/libpccl.so"
    echo "Installed $package/libpccl.so"
elif [ -n "$prefix" ]; then
    version=$(sed -n 's|.*<Version>\(.*\)</Version>.*|\1|p' Directory.Build.props)
    mkdir -p "$prefix/include" "$prefix/lib/pkgconfig" "$prefix/lib/cmake/collective"
    install -m 755 "$built/libcollective.so" "$prefix/lib/libcollective.so.$version"
    ln -sf "libcollective.so.$version" "$prefix/lib/libcollective.so.1"
    ln -sf libcollective.so.1 "$prefix/lib/libcollective.so"
    install -m 644 "$built/collective.h" "$prefix/include"
    install -m 644 "$built/collectiveConfig.cmake" "$built/collectiveConfigVersion.cmake" "$prefix/lib/cmake/collective"
    sed -e "s|@version@|$version|" -e "s|@prefix@|$prefix|" -e 's|@libdir@|${prefix}/lib|' -e 's|@includedir@|${prefix}/include|' Collective.Native/collective.pc.in >"$prefix/lib/pkgconfig/collective.pc"
    if [ -n "$pccl" ]; then
        rm -f "$prefix/lib/libpccl.so" # which may be a link, as earlier versions made it
        install -m 755 "$built/libpccl.so" "$prefix/lib/libpccl.so"
        mkdir -p "$prefix/lib/cmake/pccl"
        install -m 644 "$built/pcclConfig.cmake" "$prefix/lib/cmake/pccl"
        install -m 644 "$built/pccl.h" "$built/ccoip.h" "$built/ccoip_inet.h" "$prefix/include"
    fi
    echo "Installed into $prefix"
else
    usage
fi
