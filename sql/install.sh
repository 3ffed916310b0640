#!/bin/sh
# Puts insight into a PostgreSQL server's folders, or takes it out. It needs no compiler and no make, only the server.
#   ./install.sh                the server that pg_config of PATH belongs to
#   ./install.sh --uninstall    removes what an earlier call put there
#   PG_CONFIG=/path/to/pg_config ./install.sh    another server
set -eu
here=$(cd "$(dirname "$0")" && pwd)
fail() { echo "install.sh: $*" >&2; exit 1; }
case "${1:-}" in
  "" | --uninstall) ;;
  *) fail "usage: [PG_CONFIG=/path/to/pg_config] install.sh [--uninstall]" ;;
esac

# version, major (of PostgreSQL) and glibc (at least) of this build
. "$here/build"
pg_config=${PG_CONFIG:-$(command -v pg_config || true)}
[ -n "$pg_config" ] || fail "there is no pg_config in PATH; name the server's: PG_CONFIG=/path/to/pg_config ./install.sh"
found=$("$pg_config" --version) || fail "$pg_config cannot be run"
libraries=$("$pg_config" --pkglibdir)
extensions=$("$pg_config" --sharedir)/extension
server=$("$pg_config" --bindir)/postgres

owned=$(dpkg-query -S "$libraries/insight.so" 2>/dev/null | cut -d: -f1 || true)
[ -z "$owned" ] || fail "insight is there already, from the package $owned: upgrade or remove it by dpkg"

if [ "${1:-}" = --uninstall ]; then
  [ -e "$libraries/insight.so" ] || [ -e "$extensions/insight.control" ] || fail "insight is not installed in $libraries"
  rm -f "$libraries/insight.so" "$extensions/insight.control" "$extensions"/insight--*.sql || fail "$libraries and $extensions cannot be changed; call it as root"
  echo "insight is removed from $libraries and $extensions."
  echo "Databases that still have the extension keep its tables: DROP EXTENSION insight. A server with it in shared_preload_libraries no longer starts."
  exit 0
fi

case "$found" in
  "PostgreSQL $major."* | "PostgreSQL $major" | "PostgreSQL $major "*) ;;
  *) fail "this build is for PostgreSQL $major, and $pg_config belongs to $found" ;;
esac
[ -f "$server" ] || fail "there is no server at $server: $pg_config belongs to a client"
# The class and the machine in the headers of two ELF files.
elf() { od -An -tx1 -j4 -N1 "$1"; od -An -tx1 -j18 -N2 "$1"; }
[ "$(elf "$server")" = "$(elf "$here/insight.so")" ] || fail "this build is for another processor or word size than $server"
libc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || fail "this build needs the GNU C library $glibc or newer, and this machine has another"
newest=$(printf '%s\n%s\n' "${libc#glibc }" "$glibc" | sort -V | tail -n 1)
[ "$newest" = "${libc#glibc }" ] || fail "this build needs the GNU C library $glibc or newer, and this machine has ${libc#glibc }"

[ -w "$libraries" ] && [ -w "$extensions" ] || fail "$libraries and $extensions cannot be written; call it as root"
# Renamed into place: sessions that run keep the file they have, which a copy over it would change under them.
put() {
  cp "$here/$1" "$2/.$1.new" && chmod 644 "$2/.$1.new" && mv -f "$2/.$1.new" "$2/$1" || fail "$2/$1 cannot be written"
}
for file in "$here"/insight--*.sql "$here/insight.control"; do
  put "$(basename "$file")" "$extensions"
done
put insight.so "$libraries"
echo "insight $version is installed in $libraries and $extensions."
echo "New databases: CREATE EXTENSION insight. Those that have it: ALTER EXTENSION insight UPDATE, and reconnect; restart the server if insight is preloaded."
