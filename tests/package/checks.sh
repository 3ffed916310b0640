# Counts what passes and what fails. Sourced.
passed=0 failed=0
# check WHAT COMMAND...: passes where the command does; what it said is shown where it does not.
check() {
  local what=$1 said
  shift
  if said=$("$@" 2>&1); then
    passed=$((passed + 1))
    echo "ok      $what"
  else
    failed=$((failed + 1))
    echo "FAILED  $what"
    tail -20 <<<"$said" | sed 's/^/        /'
  fi
}
# refused WHAT WORDS COMMAND...: passes where the command fails and says WORDS.
refused() {
  local what=$1 words=$2 said
  shift 2
  if said=$("$@" 2>&1); then said="it was not refused: $said"; elif grep -qF -- "$words" <<<"$said"; then said=""; fi
  check "$what" [ -z "$said" ]
  [ -z "$said" ] || sed 's/^/        /' <<<"$said"
}
# add_counts OUTPUT: of a script whose last line is 'N passed, N failed'. One without that line failed.
add_counts() {
  local counts
  counts=$(tail -1 <<<"$1" | grep -xE '[0-9]+ passed, [0-9]+ failed' || echo "0 passed, 1 failed")
  passed=$((passed + ${counts%% *}))
  counts=${counts#*, }
  failed=$((failed + ${counts% *}))
}
ended() { echo "$passed passed, $failed failed"; }
