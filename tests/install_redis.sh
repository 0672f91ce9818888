#!/bin/sh
# Install redis-server for the tests, from the packages of the system, if that can be done without asking anybody.
# The package must not start a server of its own: the tests start theirs. Without Redis they are skipped.
command -v redis-server >/dev/null && exit 0
command -v apt-get >/dev/null || { echo "redis-server: there is no apt-get; tests with Redis are skipped" >&2; exit 0; }
options="-o Acquire::Retries=1 -o Acquire::http::Timeout=15 -o DPkg::Lock::Timeout=60"
sudo=
[ "$(id -u)" = 0 ] || sudo="sudo -n"
install() {
    $sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get $options install -y -q --no-install-recommends redis-server
}
log=$(mktemp)
{ install || { $sudo apt-get $options update -q && install; }; } >"$log" 2>&1 ||
    { tail -n 3 "$log" >&2; echo "redis-server could not be installed; tests with Redis are skipped" >&2; }
rm -f "$log"
