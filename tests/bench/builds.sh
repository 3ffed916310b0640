# Sourced by tests/bench/run: builds of two revisions beside each other, each with a server of its own.

builds="${XDG_CACHE_HOME:-$HOME/.cache}/insight-builds"

# to_compare_with: revisions that may be meant where none is named, the best first. The last tag; without one the commit of a month
# ago, or the first since then that has what is measured and builds.
to_compare_with() {
  git describe --tags --abbrev=0 HEAD^ 2>/dev/null && return
  local since commit
  since=$(git log -1 --first-parent --before='1 month ago' --format=%H)
  for commit in $since $(git rev-list --reverse --first-parent "${since:+$since..}HEAD"); do
    if git grep -q 'fn insight_predict_table(' "$commit" -- src; then echo "$commit"; fi
  done
}

# build_of full|fast COMMIT: sets the folder `built`, where what the commit makes lies as it would be installed. It is kept, for a
# commit does not change.
build_of() {
  local sources="$builds/sources" target="$builds/target" profile=release
  [ "$1" = full ] || profile=$1
  built="$builds/$2-pg$PG_MAJOR-$1"
  [ ! -e "$built" ] || return 0
  # A target folder of its own: cargo tells one package in two folders apart by the times of files alone, and would take one's library
  # for the other's. It begins with the dependencies that are built already.
  if [ ! -e "$target/$profile" ] && [ -e "$CARGO_TARGET_DIR/$profile/deps" ]; then
    mkdir -p "$target/$profile"
    as_root cp -a "$CARGO_TARGET_DIR/$profile"/{.fingerprint,build,deps} "$target/$profile"
  fi
  as_root rm -rf "$sources" "$built.part"
  mkdir -p "$sources"
  # With the time of now, so that cargo sees that they have changed.
  git archive "$2" | tar -xm -C "$sources" || return 1
  (cd "$sources" && CARGO_TARGET_DIR="$target" pgrx_build package "$1" --out-dir "$built.part") || return 1
  as_root mv "$built.part" "$built"
  as_root rm -rf "$sources"
}

# server_with BUILD FOLDER: a server that has the extension of BUILD. A moved server finds its files by their places relative to its
# programs, so the layout is kept; only programs need to be copies.
server_with() {
  local place
  mkdir -p "$2$PG_BIN"
  cp -r "$PG_BIN/." "$2$PG_BIN"
  for place in "$("$PG_BIN/pg_config" --pkglibdir)" "$("$PG_BIN/pg_config" --sharedir)"; do
    mkdir -p "$2$place"
    cp -rs "$place/." "$2$place"
    rm -f "$2$place"/insight.so "$2$place"/extension/insight{.control,--*.sql}
  done
  cp -r "$1/." "$2"
  chmod -R a+rX "$2"
}

# old_and_new REVISION: starts a server of the revision in $cluster/old and one of the sources as they are in $cluster/new; sets the
# revision's words `revision`. An empty one stands for the one that is best compared with.
old_and_new() {
  local commit side built=
  say "building the sources as they are ($build) in $CARGO_TARGET_DIR"
  pgrx_build package "$build" --out-dir "$cluster/build" || return 1
  for commit in ${1:-$(to_compare_with)}; do
    revision="$(git describe --tags --always "$commit") of $(git log -1 --date=short --format='%ad: %s' "$commit")"
    say "building $revision ($build) in $builds"
    build_of "$build" "$(git rev-parse "$commit^{commit}")" && break
    built=
  done
  [ -n "$built" ] || { echo "no revision that builds to compare with" >&2; return 1; }
  server_with "$built" "$cluster/old/server"
  server_with "$cluster/build" "$cluster/new/server"
  for side in old new; do
    (PG_BIN="$cluster/$side/server$PG_BIN" start_cluster "$cluster/$side" "$port" "${settings[@]}")
    createdb -h "$cluster/$side" bench
    psql -X -q -h "$cluster/$side" -c 'CREATE EXTENSION insight'
  done
}
