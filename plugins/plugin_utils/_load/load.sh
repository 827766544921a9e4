# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# Functions that print how busy this node is; sent before probe.sh, or alone to a node whose other
# facts are known. Nothing here may read stdin, for the script itself comes from there.

# Sets id, the name of the folder of this node's state. The node program has the same rule, and a
# test compares the two.
machine_id() {
  id=
  [ ! -r /etc/machine-id ] || read -r id < /etc/machine-id
  case $id in *[!A-Za-z0-9-]*) id=$(tr -cd 'A-Za-z0-9-' < /etc/machine-id) ;; esac
  [ -n "$id" ] || id=$(
    ioreg -rd1 -c IOPlatformExpertDevice |
      sed -n 's/.*"IOPlatformUUID" = "\([^"]*\)".*/\1/p' |
      tr -cd 'A-Za-z0-9-'
  )
  [ -n "$id" ] || id=$(uname -n | tr -cd 'A-Za-z0-9-')
  id=${id:-unknown}
}

# say KEY VALUE...: a line that is told from what start-up files print, and seen to be cut.
say() { printf '@gummy-probe %s @end\n' "$*"; }

# Counts the cpus, and prints what they did since the machine started.
cpu_sample() {
  cpus=0
  while read -r key rest; do
    case $key in
      cpu) say stat "$key $rest" ;;
      cpu*) cpus=$((cpus + 1)) ;;
      *) break ;;
    esac
  done < /proc/stat
}

# What the cpus do now lies between two samples; macOS tells it by itself.
second_cpu_sample() {
  [ ! -r /proc/stat ] || { sleep 0.2 || sleep 1; cpu_sample; }
}

# Costs no process: the shell does it all.
linux_load() {
  say os linux
  cpu_sample
  say cpus "$cpus"
  read -r line < /proc/loadavg && say loadavg "$line"
  while read -r key value rest; do
    case $key in
      MemTotal:) say "$key" "$value" ;;
      MemAvailable:)
        say "$key" "$value"
        break
        ;;
    esac
  done < /proc/meminfo
}

macos_load() {
  say os macos
  say cpus "$(sysctl -n hw.ncpu)"
  say loadavg "$(sysctl -n vm.loadavg)"
  say memsize "$(sysctl -n hw.memsize)"
  vm_stat | while read -r line; do
    case $line in
      Mach* | Pages\ free* | Pages\ inactive* | Pages\ speculative*) say vm "$line" ;;
    esac
  done
  say top "$(top -l 2 -n 0 -s 1 | sed -n 's/^CPU usage: //p' | tail -n 1)"
}

# Counts the slots whose process lives.
busy_slots() {
  busy=0
  machine_id
  for slot in "${XDG_STATE_HOME:-$HOME/.local/state}/distributed-gummy/$id/slots"/*; do
    case ${slot##*/} in *[!0-9]*) continue ;; esac
    pid=
    [ -f "$slot" ] && read -r pid rest < "$slot"
    case $pid in '' | 0* | *[!0-9]*) continue ;; esac
    kill -0 "$pid" && busy=$((busy + 1))
  done
  say busy "$busy"
}

# Whether the process whose directory in /proc this is was started by a job of ours.
is_ours() { tr '\0' '\n' < "$1/environ" | grep -q '^GUMMY_ATTEMPT='; }

# Counts tasks of gummy that somebody started by hand; _node/people.py has the same rule. A shell
# that such a task forks is called as the task is. Looking for them costs no process.
linux_foreign() {
  pids=' '
  parents=
  for comm in /proc/[0-9]*/comm; do
    name=
    read -r name < "$comm"
    [ "$name" = gummy ] || continue
    proc=${comm%/comm}
    case " $(tr '\0' ' ' < "$proc/cmdline")" in
      *[\ /]gummy\ task\ * | *[\ /]gummy\ plan\ * | *[\ /]gummy\ execute\ *) ;;
      *) continue ;;
    esac
    [ -r "$proc/environ" ] || continue
    is_ours "$proc" && continue
    # shellcheck disable=SC2034  # state stands between the two that count
    read -r pid name state parent rest < "$proc/stat" || continue
    pids="$pids$pid "
    parents="$parents $parent"
  done
  foreign=0
  for parent in $parents; do
    case $pids in *" $parent "*) ;; *) foreign=$((foreign + 1)) ;; esac
  done
  say foreign "$foreign"
}

# The same where there is no /proc: ps writes the environment behind the command.
macos_foreign() {
  say foreign "$(
    ps -xEwwo pid=,ppid=,command= | awk '
      {
        word = 3
        if ($word !~ /(^|\/)gummy$/) word = 4
        if ($word !~ /(^|\/)gummy$/ || $(word + 1) !~ /^(task|plan|execute)$/) next
        if ($0 ~ / GUMMY_ATTEMPT=/) next
        parent[$1] = $2
      }
      END {
        count = 0
        for (pid in parent) if (!(parent[pid] in parent)) count++
        print count
      }'
  )"
}

# Programs print in English, and are found where login shells find them.
load() {
  LC_ALL=C
  # shellcheck disable=SC2034  # shell_path.sh reads session_path
  session_path=$PATH
  PATH=$PATH:/usr/local/bin:/opt/homebrew/bin:/usr/bin:/bin:/usr/sbin:/sbin
  export LC_ALL PATH
  echo
  say begin
  busy_slots
  if [ -r /proc/stat ]; then
    linux_load
    linux_foreign
  else
    macos_load
    macos_foreign
  fi
}
