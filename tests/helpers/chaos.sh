#!/bin/sh
# One event on standard input, and what its member `do` says is done to it: a handler of the chaos test.
line=$(head -c 4096)
case $line in
*'"do":"fail"'*) exit 3 ;;
*'"do":"no"'*) exit 2 ;;
*'"do":"die"'*) kill -KILL $$ ;;
*'"do":"hang"'*) exec sleep 60 ;;
*'"do":"deaf"'*) trap '' TERM; while :; do sleep 60; done ;;
*'"do":"flood"'*) head -c 300000 /dev/zero; exit 0 ;;
*'"do":"hold"'*) sleep 60 & exit 0 ;;
*'"do":"escape"'*) setsid sleep 60 & exit 0 ;;
*'"do":"stop"'*) kill -STOP $$ ;;
*'"do":"forks"'*) sleep 60 & sleep 60 & exec sleep 60 ;;
esac
