#!/bin/bash
# Tries slurmdbd.conf with slurmdbd, which sees no database here: once it looks for one it has read its file.
set -u
for folder in /run/mysqld /run/slurmdbd; do
  mkdir -p "$folder"
  mount -t tmpfs none "$folder"
done
chown slurm: /run/slurmdbd
log=/run/slurmdbd/log
slurmdbd -D >$log 2>&1 &
while [ $SECONDS -lt 40 ]; do
  { kill -0 $! && ! grep -q 'database must be up' $log; } 2>/dev/null || break
  sleep 0.1
done
kill -KILL $! 2>/dev/null
! grep -E 'error:|fatal:' $log | grep -vE 'mysql_real_connect|database must be up'
