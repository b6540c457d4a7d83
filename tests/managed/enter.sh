# shellcheck shell=sh
# Runs a command on a machine whose /etc/thoth holds the files of a directory. Started inside a mount
# namespace of its own, where it may mount; the real /etc is never touched.
#
#   enter.sh DIRECTORY COMMAND [ARGUMENTS]
#
# DIRECTORY holds `thoth/`, which becomes /etc/thoth with its modes and with root as its owner, and
# an empty `etc/`.
set -eu
stage=$1
shift
mount -t tmpfs -o mode=755 tmpfs "$stage/etc"
cp -a /etc/. "$stage/etc/" 2>/dev/null || true # what this user may not read, nobody needs here
rm -rf "$stage/etc/thoth"
cp -a "$stage/thoth" "$stage/etc/thoth"
chown -R 0:0 "$stage/etc/thoth"
mount --bind "$stage/etc" /etc
exec "$@"
