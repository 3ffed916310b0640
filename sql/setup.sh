# Shared by sql/quickstart and tests/run: installs what is missing, builds, and starts private clusters.
# Source it from bash with `set -euo pipefail` and the repository's root as the working directory.

# The server's version, 13 to 18, and the folder of its programs.
PG_MAJOR="${PG_MAJOR:-15}"
PG_BIN="${PG_BIN:-/usr/lib/postgresql/$PG_MAJOR/bin}"
PGRX=0.18.0
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/insight-target}"

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }

# As root, or through sudo.
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# PostgreSQL refuses to run as root.
as_postgres() { if [ "$(id -u)" = 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi; }

install_packages() {
  local wanted=(build-essential pkg-config clang libclang-dev gettext "$@") missing=() package
  # A server that is there with its headers may be of any package, or of none.
  [ -x "$PG_BIN/postgres" ] && [ -e "$("$PG_BIN/pg_config" --includedir-server)/postgres.h" ] ||
    wanted+=("postgresql-$PG_MAJOR" "postgresql-server-dev-$PG_MAJOR")
  for package in "${wanted[@]}"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  say "installing Debian packages: ${missing[*]}"
  # A server of its own on port 5432 is not wanted by us; one that is there is left alone.
  if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    as_root mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
  fi
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

install_cargo_pgrx() {
  command -v cargo >/dev/null || export PATH="$HOME/.cargo/bin:$PATH"
  if [ "$(cargo pgrx --version 2>/dev/null)" != "cargo-pgrx $PGRX" ]; then
    say "installing cargo-pgrx $PGRX (about 5 minutes)"
    cargo install cargo-pgrx --version "=$PGRX" --locked --quiet
  fi
  if ! grep -qs "^pg$PG_MAJOR" "${PGRX_HOME:-$HOME/.pgrx}/config.toml"; then
    cargo pgrx init "--pg$PG_MAJOR" "$PG_BIN/pg_config" >/dev/null 2>&1
  fi
}

# pgrx_build install|package full|fast [OPTION...]: of the sources in the working directory.
pgrx_build() {
  local command=$1 build=$2 options=(--release --no-default-features --features "pg$PG_MAJOR cuda")
  [ "$build" = fast ] && options=(--profile fast --no-default-features --features "pg$PG_MAJOR")
  local log
  log=$(mktemp)
  if ! as_root env PATH="$PATH" HOME="$HOME" CARGO_TARGET_DIR="$CARGO_TARGET_DIR" \
    cargo pgrx "$command" --pg-config "$PG_BIN/pg_config" "${options[@]}" "${@:3}" >"$log" 2>&1; then
    tail -50 "$log"
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}

# build_and_install full|fast: the library goes to PostgreSQL's own folders, where every cluster finds it.
build_and_install() {
  say "building insight ($1; the first time takes 10 to 20 minutes) in $CARGO_TARGET_DIR"
  pgrx_build install "$1"
  install_messages
}

# Translated messages lie where PostgreSQL's own do.
install_messages() {
  if ! command -v msgfmt >/dev/null; then
    say "msgfmt (Debian package gettext) is missing: messages stay English"
    return
  fi
  local file folder
  for file in sql/po/*.po; do
    folder="$("$PG_BIN/pg_config" --localedir)/$(basename "$file" .po)/LC_MESSAGES"
    as_root mkdir -p "$folder"
    as_root msgfmt -o "$folder/insight.mo" "$file"
    as_root chmod 644 "$folder/insight.mo"
  done
}

# Where the server's headers lie, its test program does, too.
pg_regress() {
  local makefile
  makefile=$("$PG_BIN/pg_config" --pgxs)
  "${makefile%/makefiles/*}/test/regress/pg_regress" "$@"
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])' 2>/dev/null ||
    echo $((20000 + RANDOM % 20000))
}

# start_cluster FOLDER PORT [SETTING...]: a cluster that only this machine reaches; its socket lies in FOLDER.
start_cluster() {
  local folder=$1 port=$2
  shift 2
  mkdir -p "$folder"
  chmod 700 "$folder"
  [ "$(id -u)" = 0 ] && chown postgres "$folder"
  as_postgres "$PG_BIN/initdb" -D "$folder/data" -U postgres -A trust -E UTF8 --locale C.UTF-8 >/dev/null
  {
    echo "port = $port"
    echo "unix_socket_directories = '$folder'"
    echo "listen_addresses = ''"
    printf '%s\n' "$@"
  } | as_postgres tee -a "$folder/data/postgresql.conf" >/dev/null
  as_postgres "$PG_BIN/pg_ctl" -D "$folder/data" -l "$folder/log" -w start >/dev/null
}

stop_cluster() {
  as_postgres "$PG_BIN/pg_ctl" -D "$1/data" -m immediate -w stop >/dev/null 2>&1 || true
  rm -rf "$1"
}
