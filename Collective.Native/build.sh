#!/usr/bin/env bash
# Builds the native library into artifacts/native/:
#
#   libcollective.so       the library (NativeAOT, stripped); libcollective.so.1 is a link to it
#   libpccl.so             the same code under PCCL's name, which programs linked with -lpccl ask for
#   libcollective.so.dbg   its debugging symbols
#   collective.h           the header; pccl.h, ccoip.h and ccoip_inet.h include it, for programs written for PCCL
#   collective.pc          for pkg-config; works where it lies, install.sh writes one for a prefix
#   collectiveConfig.cmake for find_package(collective), likewise; pcclConfig.cmake for find_package(pccl)
#
# Needs the .NET 10 SDK and gcc. Installs gcc where it is missing and can be had (root on Debian).
#
#   RID=linux-arm64        to build for another processor (needs its cross tools)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly rid="${RID:-linux-$(uname -m | sed -e s/x86_64/x64/ -e s/aarch64/arm64/)}" out=artifacts/native work=artifacts/aot
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 MSBUILDDISABLENODEREUSE=1

need() {
    command -v "$1" >/dev/null && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${@:2}"; } >&2
    fi
    command -v "$1" >/dev/null || { echo "$1 is missing: install the package $2." >&2; exit 1; }
}

need dotnet dotnet-sdk-10.0
need gcc gcc libc6-dev
version=$(sed -n 's|.*<Version>\(.*\)</Version>.*|\1|p' Directory.Build.props)
# Apart from the other builds, so that neither disturbs the other.
dotnet publish Collective.Native -c Release -r "$rid" --artifacts-path "$work" -o "$work/out" -p:UseSharedCompilation=false -warnaserror

mkdir -p "$out"
rm -f "$out"/*
cp Collective.Native/include/*.h "$out"
cp "$work/out/Collective.Native.so" "$out/libcollective.so"
cp "$work/out/Collective.Native.so.dbg" "$out/libcollective.so.dbg"
objcopy --remove-section=.gnu_debuglink --add-gnu-debuglink="$out/libcollective.so.dbg" "$out/libcollective.so"
cp "$work/out/libpccl.so" "$out/libpccl.so"
chmod 755 "$out/libcollective.so" "$out/libpccl.so"
ln -s libcollective.so "$out/libcollective.so.1"
sed -e "s|@version@|$version|" -e 's|@prefix@|${pcfiledir}|' -e 's|@libdir@|${prefix}|' -e 's|@includedir@|${prefix}|' Collective.Native/collective.pc.in >"$out/collective.pc"
sed -e "s|@version@|$version|" Collective.Native/collectiveConfig.cmake.in >"$out/collectiveConfig.cmake"
sed -e "s|@version@|$version|" Collective.Native/collectiveConfigVersion.cmake.in >"$out/collectiveConfigVersion.cmake"
cp Collective.Native/pcclConfig.cmake "$out"
echo "Built $out/libcollective.so ($(stat -c %s "$out/libcollective.so") bytes), version $version, for $rid"
