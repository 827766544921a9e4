#!/bin/sh
# What the Makefile's targets do. Words behind the target, and those in $ARGS, quoted as in a shell,
# go to the program behind it:
#     make test ARGS="-k placement"
#     sh scripts/make.sh lint scripts/wings.py
set -eu
. scripts/env.sh
. scripts/bootstrap.sh

failed=''
# check NAME COMMAND...: goes on after a failure, so that one call shows all of them.
check() {
    name=$1 && shift
    say "== $name"
    "$@" || failed="$failed $name"
}

blocking() { .venv/bin/python -c 'import contextlib, os
for fd in 0, 1, 2:
    with contextlib.suppress(OSError):
        os.set_blocking(fd, True)  # Ansible refuses the pipes that some CI systems give'; }

# beside FILES SKIPPED WORD...: the tests on the other ansible-core, without those skipped, then
# these files.
beside() {
    alone=$1 skipped=$2 status=0 running='' && shift 2
    trap 'kill "$running"; wait "$running"; exit 1' TERM
    if [ -z "$no_second" ]; then
        say "== tests on .venv-2.19"
        # shellcheck disable=SC2086  # a list of words
        .venv-2.19/bin/python -m pytest -m 'not once' $skipped "$@" & running=$!
        wait "$running" || status=$?
    else
        say "SKIPPED the second run: $no_second"
    fi
    if [ -n "$alone" ]; then
        say "== the short soak, nodes that fail, the node program on the oldest Python, random trees"
        # shellcheck disable=SC2086  # a list of names
        .venv/bin/python -m pytest $alone & running=$!
        wait "$running" || status=$?
    fi
    return "$status"
}

target=${1-}
[ $# -eq 0 ] || shift
eval "set -- \"\$@\" ${ARGS-}"
case $target in
    venv) main_venv ;;
    demo)
        local_fleet_needs && main_venv && blocking
        exec .venv/bin/python tests/demo/demo.py "$@" </dev/null ;;
    test)
        local_fleet_needs && main_venv && blocking
        second_venv
        # Tests wait more than they work, so the rest runs beside the main part; words in ARGS say
        # what all of them run.
        alone='' skipped=''
        if [ $# -eq 0 ]; then
            # These wings know nothing of Ansible: what imports them is tried there.
            for wing in doctor files links load node project show; do
                skipped="$skipped --ignore=tests/unit/$wing"
            done
            alone=tests/soak
            set -- tests/unit tests/integration
            # These do not depend on the version of ansible-core.
            for name in crash_points link_faults node_faults node_oldest_python random_trees \
                silent_nodes two_writers; do
                alone="$alone tests/integration/test_$name.py"
                set -- "$@" "--ignore-glob=*/test_$name.py"
            done
        fi
        mkdir -p .cache
        beside "$alone" "$skipped" "$@" >.cache/beside.log 2>&1 </dev/null &
        beside=$!
        trap 'kill "$beside"; wait "$beside"' EXIT INT TERM
        check 'tests on .venv' .venv/bin/python -m pytest "$@" </dev/null
        check 'tests beside them' wait "$beside"
        trap - EXIT INT TERM
        cat .cache/beside.log
        [ -z "$failed" ] || stop "failed:$failed" ;;
    molecule)
        local_fleet_needs && main_venv && blocking
        # It would keep its notes in ~/.ansible/tmp, where another clone of this name has the same.
        export ANSIBLE_HOME="$ROOT/.cache/molecule/ansible"
        [ $# -gt 0 ] || set -- test --all
        exec .venv/bin/molecule "$@" </dev/null ;;
    soak)
        local_fleet_needs && main_venv && blocking
        exec .venv/bin/python tests/soak/soak.py "$@" </dev/null ;;
    e2e)
        . scripts/e2e.sh
        lacks=$(e2e_lacks)
        if [ -z "$lacks" ]; then
            need ip=iproute2 unshare=util-linux setpriv=util-linux
            lacks=$(e2e_kernel_lacks)
        fi
        if [ -n "$lacks" ]; then
            say "SKIPPED the end-to-end tests: $lacks"
            exit 0
        fi
        local_fleet_needs && main_venv && blocking
        case " $* " in
            *' --agents '*) ;;  # they need no tailnet
            *) lacks=$(tailnet_lacks)
                if [ -n "$lacks" ]; then
                    say "SKIPPED the tests on a tailnet: $lacks"
                else
                    e2e_build || stop "Go could not build the programs (see above): \
check the network or GOPROXY, then type \`make e2e\` again."
                fi ;;
        esac
        # Each test that is skipped says why.
        export GUMMY_E2E_LACKS="$lacks"
        exec .venv/bin/python -m pytest -rs tests/e2e "$@" </dev/null ;;
    lint)
        . scripts/lint.sh
        lint "$@" ;;
    bench)
        local_fleet_needs && need parallel=parallel && main_venv && blocking
        exec .venv/bin/python tests/bench/run.py "$@" </dev/null ;;
    clean)
        for fleet in .cache/molecule*/*/fleet; do
            [ ! -d "$fleet" ] || .venv/bin/python -B roles/local_fleet/files/fleet.py down \
                --dir "$ROOT/$fleet" >/dev/null
        done
        [ ! -d .demo ] || .venv/bin/python tests/demo/demo.py --down
        [ ! -d .cache/e2e ] ||
            PYTHONPATH=tests/integration .venv/bin/python -B tests/e2e/real_tailnet.py
        rm -rf .venv .venv-2.19 .collections .demo .home .cache ;;
    *) stop "usage: make venv | demo | test | molecule | soak | e2e | lint | bench | clean" ;;
esac
