#!/usr/bin/env bash
# The part of tests/package/run that installs and removes: as root, in a root folder that can be spoiled.
set -euo pipefail
cd /insight-test
source setup.sh
source checks.sh
export HOME=/root DEBIAN_FRONTEND=noninteractive PGUSER=postgres PGOPTIONS='-c client_min_messages=warning'
unset PGHOST PGPORT PGDATABASE PG_CONFIG
libraries=$("$PG_BIN/pg_config" --pkglibdir) extensions=$("$PG_BIN/pg_config" --sharedir)/extension
deb=$(ls packages/*.deb) other=$(ls packages/other/*.deb)
package=$(dpkg-deb -f "$deb" Package) other_package=$(dpkg-deb -f "$other" Package)
version=$(dpkg-deb -f "$deb" Version) version=${version%-*}

# No insight is there yet.
for name in $(dpkg-query -W -f '${Package}\n' 'postgresql-*-insight*' 2>/dev/null || true); do dpkg -P "$name" >/dev/null 2>&1 || true; done
rm -f "$libraries/insight.so" "$extensions"/insight{.control,--*.sql}
listed() { find /usr/lib/postgresql /usr/share/postgresql /usr/share/doc /usr/share/lintian /etc /opt /var/lib/dpkg/info 2>/dev/null | sort; }
before=$(listed)
left_nothing() { diff <(echo "$before") <(listed); }

# works BIN HOST: in a database of its own.
works() {
  "$1/psql" -X -q -h "$2" -p 5432 -d postgres -c 'DROP DATABASE IF EXISTS works' -c 'CREATE DATABASE works' &&
    "$1/psql" -X -q -v ON_ERROR_STOP=1 -h "$2" -p 5432 -d works -f works.sql &&
    [ "$("$1/psql" -XAtq -h "$2" -p 5432 -d works -c 'SELECT insight_version()')" = "$version" ]
}
start_cluster /tmp/cluster 5432 'fsync = off'
refused "without a package there is no extension" 'extension "insight" is not available' works "$PG_BIN" /tmp/cluster

check "dpkg installs $package" dpkg -i "$deb"
check "its files are as they were packed" dpkg -V "$package"
of_root() { [ -z "$(dpkg -L "$package" | xargs stat -c '%U:%G %a %F %n' | grep -vE '^root:root (644 regular file|755 directory) ')" ]; }
check "they are root's, and only root can change them" of_root
check "a model trains and predicts" works "$PG_BIN" /tmp/cluster
mkdir unpacked
tar -xzf packages/*.tar.gz -C unpacked --strip-components 1
refused "install.sh leaves alone what a package has" "from the package $package" env PG_CONFIG="$PG_BIN/pg_config" unpacked/install.sh
check "dpkg removes it" dpkg -r "$package"
check "nothing of it is left" left_nothing
not_known() { ! dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -v not-installed; }
check "not in dpkg's records either" not_known
one_of_two() { dpkg -i "$deb" && dpkg -i "$other" && dpkg -s "$other_package" && ! dpkg-query -W -f '${db:Status-Status}' "$package" | grep -x installed; }
check "$other_package takes the place of $package" one_of_two
provides() { dpkg-deb -f "$(ls packages/*-cuda_*.deb packages/other/*-cuda_*.deb 2>/dev/null)" Provides | grep "^postgresql-$PG_MAJOR-insight "; }
check "the one with CUDA stands for the one without" provides
check "that one is removed, too" dpkg -P "$other_package"
check "nothing of it is left" left_nothing

# A server in another folder: Debian's finds its files by their places relative to its programs.
mkdir -p /opt/copy/usr/lib/postgresql /opt/copy/usr/share/postgresql
cp -r "/usr/lib/postgresql/$PG_MAJOR" /opt/copy/usr/lib/postgresql/
cp -r "/usr/share/postgresql/$PG_MAJOR" /opt/copy/usr/share/postgresql/
before=$(listed)
copied=/opt/copy$PG_BIN
install_there() { PG_CONFIG="$copied/pg_config" unpacked/install.sh "$@"; }
check "install.sh installs beside the pg_config that is named" install_there
only_there() { [ -f "/opt/copy$libraries/insight.so" ] && [ ! -e "$libraries/insight.so" ] && [ ! -e "$extensions/insight.control" ]; }
check "and nowhere else" only_there
(
  PG_BIN=$copied
  start_cluster /tmp/copied 5432 'fsync = off'
)
check "a model trains and predicts there" works "$copied" /tmp/copied
# A session that holds the library goes on while another is put in its place.
installs_under_a_session() {
  local inode
  inode=$(stat -c %i "/opt/copy$libraries/insight.so")
  coproc SESSION { "$copied/psql" -XAtq -h /tmp/copied -p 5432 -d works 2>&1; }
  local answer to=${SESSION[1]} from=${SESSION[0]} pid=$SESSION_PID
  echo "SELECT 'first ' || insight_version();" >&"$to"
  read -r -t 20 answer <&"$from" && [ "$answer" = "first $version" ] || return 1
  install_there || return 1
  [ "$(stat -c %i "/opt/copy$libraries/insight.so")" != "$inode" ] || return 1
  echo "SELECT 'predicted ' || count(insight_predict('churn', c)) FROM customers c;" >&"$to"
  read -r -t 20 answer <&"$from" || return 1
  echo '\q' >&"$to"
  wait "$pid"
  echo "$answer"
  [ "$answer" = "predicted 1000" ]
}
check "installing again disturbs no session" installs_under_a_session

# says NAME VALUE...: a pg_config that answers as the copied one does, but for the given questions.
says() {
  local file=/opt/says-$1
  shift
  { echo '#!/bin/sh'; echo 'case "$1" in'; while [ $# -gt 0 ]; do echo "$1) echo '$2' ;;"; shift 2; done; echo "*) exec $copied/pg_config \"\$@\" ;;"; echo 'esac'; } >"$file"
  chmod 755 "$file"
}
says version --version 'PostgreSQL 99.1'
says client --bindir /nowhere
mkdir -p /opt/arm
head -c 18 "$copied/postgres" >/opt/arm/postgres
printf '\xb7\x00' >>/opt/arm/postgres # EM_AARCH64
says arm --bindir /opt/arm
refused "another major version is refused" "this build is for PostgreSQL $PG_MAJOR" env PG_CONFIG=/opt/says-version unpacked/install.sh
refused "so is a pg_config without a server" "there is no server at /nowhere/postgres" env PG_CONFIG=/opt/says-client unpacked/install.sh
if [ "$(uname -m)" = x86_64 ]; then
  refused "so is another processor" "another processor" env PG_CONFIG=/opt/says-arm unpacked/install.sh
fi
cp -r unpacked future
sed -i 's/^glibc=.*/glibc=99.0/' future/build
refused "so is an older C library" "needs the GNU C library 99.0" env PG_CONFIG="$copied/pg_config" future/install.sh
refused "so is who may not write there" "call it as root" runuser -u postgres -- env PG_CONFIG="$copied/pg_config" unpacked/install.sh
mkdir /opt/tools
ln -s "$(command -v dirname)" /opt/tools/
refused "so is a machine without pg_config" "there is no pg_config in PATH" env PATH=/opt/tools /bin/sh unpacked/install.sh
refused "and what it does not know" "usage: " unpacked/install.sh --help
rm -r /opt/says-* /opt/arm /opt/tools
check "install.sh --uninstall removes it" install_there --uninstall
check "nothing of it is left" left_nothing
refused "removing it twice is refused" "is not installed" env PG_CONFIG="$copied/pg_config" unpacked/install.sh --uninstall
refused "now there is no extension" 'extension "insight" is not available' works "$copied" /tmp/copied

# updates FROM: a model and its predictions of that version, and the same predictions after the update.
updates() {
  local from=$1 there psql="$copied/psql -XAtq -v ON_ERROR_STOP=1 -h /tmp/copied -p 5432"
  there=$(mktemp -d)
  tar -xzf insight-"$from"-*.tar.gz -C "$there" --strip-components 1
  PG_CONFIG="$copied/pg_config" "$there/install.sh" || return 1
  version=$from works "$copied" /tmp/copied || return 1
  $psql -d works -c "CREATE TABLE before AS SELECT customer_id, insight_predict('churn', c) AS p FROM customers c" || return 1
  install_there || return 1
  $psql -d works -c 'ALTER EXTENSION insight UPDATE' || return 1
  [ "$($psql -d works -c "SELECT extversion FROM pg_extension WHERE extname = 'insight'")" = "$version" ] || return 1
  [ "$($psql -d works -c 'SELECT insight_version()')" = "$version" ] || return 1
  [ "$($psql -d works -c "SELECT count(*) FILTER (WHERE p = insight_predict('churn', c)) FROM customers c JOIN before USING (customer_id)")" = 1000 ] || return 1
  # The same functions, tables and views as a new database gets.
  local members="SELECT pg_describe_object(classid, objid, 0) FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
    AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'insight') ORDER BY 1"
  $psql -d postgres -c 'DROP DATABASE IF EXISTS fresh' -c 'CREATE DATABASE fresh' || return 1
  $psql -d fresh -c 'CREATE EXTENSION insight' || return 1
  diff <($psql -d works -c "$members") <($psql -d fresh -c "$members") || return 1
  $psql -d works -c "SELECT version FROM insight_retrain('churn')"
}
while read -r from; do check "version $from is updated to $version with its model and predictions" updates "$from"; done < <(cat earlier 2>/dev/null)

stop_cluster /tmp/cluster
(
  PG_BIN=$copied
  stop_cluster /tmp/copied
)
ended
