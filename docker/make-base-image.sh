#!/usr/bin/env bash
# Makes the image debian:bookworm-slim on a machine that reaches a Debian mirror but no image registry.
#
#   docker/make-base-image.sh            needs root, debootstrap and a Docker engine; about 40 s
#
# Does nothing when the image is there already. The result stands in for the public image under the
# same name, so that every Dockerfile here builds unchanged in both places.
set -euo pipefail

image=debian:bookworm-slim
suite=bookworm
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}

if docker image inspect "$image" >/dev/null 2>&1; then
    echo "$image is there already"
    exit 0
fi
if ! command -v debootstrap >/dev/null; then
    echo "make-base-image: debootstrap is missing; as root: apt-get install -y debootstrap" >&2
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
debootstrap --variant=minbase "$suite" "$work/root" "$mirror" >"$work/log" 2>&1 || {
    tail -20 "$work/log" >&2
    echo "make-base-image: debootstrap failed; is $mirror reachable? DEBIAN_MIRROR names another" >&2
    exit 1
}
# minbase lacks the security and updates suites that the public image has.
cat >"$work/root/etc/apt/sources.list" <<SOURCES
deb $mirror $suite main
deb $mirror $suite-updates main
deb ${mirror%/debian}/debian-security $suite-security main
SOURCES
rm -rf "$work"/root/var/lib/apt/lists/* "$work"/root/var/cache/apt/*.bin "$work"/root/var/cache/apt/archives/*.deb
tar -C "$work/root" -c . | docker import --change 'CMD ["bash"]' - "$image" >/dev/null
echo "made $image from $mirror"
