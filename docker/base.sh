#!/usr/bin/env bash
# Makes the image that all others start from out of Debian's packages, on a Debian machine that reaches no image
# registry. As root, with debootstrap. Usage: docker/base.sh [NAME]
set -euo pipefail

name=${1:-debian:12.15-slim}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase bookworm "$root" >"$root.log" || { tail -5 "$root.log" >&2; exit 1; }
rm -f "$root.log"
list=$root/etc/apt/sources.list
sed -n 's|/debian bookworm |/debian-security bookworm-security |p' "$list" >>"$list.new"
cat "$list.new" >>"$list"
rm "$list.new"
# Builds fetch packages as this machine does: they trust what it trusts.
mkdir -p "$root/usr/local/share/ca-certificates"
cp -r /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
tar -C "$root" -c . | docker import -c 'CMD ["bash"]' - "$name"
