#!/bin/sh
# Handlers that misbehave, one for each name. Used by the tests of the process runner.
# Those that other processes must be seen to start print a line first, or write their number to the file $2.
case $1 in
ignores_term) trap '' TERM; echo ready; while :; do sleep 60; done ;;
obeys_term) trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 60 & wait $!; done ;;
double_forks) (sh -c 'echo $$ >"$0"; exec sleep 60 >/dev/null 2>&1' "$2" &) ; while [ ! -s "$2" ]; do :; done; exit "${3:-0}" ;;
double_forks_deaf) (sh -c 'trap "" TERM; echo $$ >"$0"; while :; do sleep 60; done' "$2" &) ; sleep 60 ;;
leaves_session) setsid sh -c 'echo $$ >"$0"; exec sleep 60' "$2" & while [ ! -s "$2" ]; do :; done; exit "${3:-0}" ;;
leaves_session_and_sleeps) setsid sh -c 'echo $$ >"$0"; exec sleep 60' "$2" & sleep 60 ;;
forks_on) trap '' TERM; echo ready; while :; do sleep 60 & done ;;
closes_stdin) exec <&-; echo closed ;;
never_reads) sleep 60 ;;
ignores_input) exit 0 ;;
writes_1g) head -c 1073741824 /dev/zero ;;
floods_stderr) trap '' TERM; exec yes flood >&2 ;;
silent) sleep 60 ;;
exits) exit "$2" ;;
dies_by) kill -"$2" $$; sleep 60 ;;
stops_itself) echo ready; kill -STOP $$; echo woken ;;
stops_itself_deaf) trap '' TERM; echo ready; while :; do kill -STOP $$; done ;;
holds_pipe) sleep 60 & echo done; exit 0 ;;
holds_pipe_for_good) sh -c 'echo $$ >"$NUMBER"; exec sleep 60' & while [ ! -s "$NUMBER" ]; do :; done; echo done ;;
slow_echo) while read -r line; do sleep 0.01; echo "$line"; done ;;
no_output) cat >/dev/null ;;
not_text) printf 'a\377\376b' ;;
marks) printf '%s' 'first'; head -c 100000 /dev/zero | tr '\0' x; printf '%s' 'last' ;;
burns) i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done ;;
env) env ;;
pwd) pwd ;;
*) echo "no such behaviour: $1" >&2; exit 99 ;;
esac
