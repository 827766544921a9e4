#!/bin/sh
# What the Makefile's targets do. Words in $ARGS, quoted as in a shell, go to the program behind the target: make test ARGS="-k placement"
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

# sanity: ansible-test wants to stand in .../ansible_collections/distributed/gummy, and fetches a get-pip that PyPI's own pip can stand in for.
sanity() {
    tree=$(mktemp -d)
    home=$ROOT/.cache/sanity
    mkdir -p "$tree/ansible_collections/distributed/gummy" "$home/.ansible/test/cache"
    rsync -a --delete --filter=':- .gitignore' ./ "$tree/ansible_collections/distributed/gummy/"
    .venv/bin/python scripts/get_pip_stand_in.py "$home/.ansible/test/cache"
    version=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    status=0
    (
        cd "$tree/ansible_collections/distributed/gummy"
        unset ANSIBLE_CONFIG ANSIBLE_COLLECTIONS_PATH
        # the interpreter itself comes first: a pyenv shim of the same name does not run there
        HOME=$home PATH="$("$ROOT/.venv/bin/python" -c 'import sys; print(sys.base_prefix)')/bin:$PATH" GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*' \
            "$ROOT/.venv/bin/python" -m ansible test sanity --python "$version" --color no
    ) || status=$?
    rm -rf "$tree"
    return "$status"
}

# beside FILES WORD...: the tests on the other ansible-core, then these files.
beside() {
    alone=$1 status=0 running='' && shift
    trap 'kill "$running"; wait "$running"; exit 1' TERM
    if [ -z "$no_second" ]; then
        say "== tests on .venv-2.19"
        .venv-2.19/bin/python -m pytest -m 'not once' "$@" & running=$!
        wait "$running" || status=$?
    else
        say "SKIPPED the second run: $no_second"
    fi
    if [ -n "$alone" ]; then
        say "== the short soak, the node program on the oldest Python, harvests of random trees"
        # shellcheck disable=SC2086  # a list of names
        .venv/bin/python -m pytest $alone & running=$!
        wait "$running" || status=$?
    fi
    return "$status"
}

lint() {
    main_venv
    install .lint .venv tests/requirements-lint.txt
    need git=git rsync=rsync
    check ruff .venv/bin/ruff check --cache-dir .cache/ruff .
    check mypy .venv/bin/mypy --cache-dir .cache/mypy -p ansible_collections.distributed.gummy.plugins.plugin_utils
    check yamllint .venv/bin/yamllint --strict .
    check ansible-lint env GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*' .venv/bin/ansible-lint
    if command -v shellcheck >/dev/null 2>&1; then
        check shellcheck shellcheck scripts/*.sh .ci/run
    else
        say "== shellcheck skipped: it is not on this machine"
    fi
    check sanity sanity
    [ -z "$failed" ] || stop "failed:$failed"
    say "== lint: all good"
}

target=${1-}
eval "set -- ${ARGS-}"
case $target in
    venv) main_venv ;;
    demo)
        local_fleet_needs && main_venv && blocking
        exec .venv/bin/python tests/demo/demo.py "$@" </dev/null ;;
    test)
        local_fleet_needs && main_venv && blocking
        second_venv
        # Tests wait more than they work, so the rest runs beside the main part; words in ARGS say what all of them run.
        alone=''
        if [ $# -eq 0 ]; then
            alone='tests/soak tests/integration/test_random_trees.py tests/integration/test_node_oldest_python.py'
            set -- tests/unit tests/integration --ignore-glob='*/test_random_trees.py' --ignore-glob='*/test_node_oldest_python.py'
        fi
        mkdir -p .cache
        beside "$alone" "$@" >.cache/beside.log 2>&1 </dev/null &
        beside=$!
        trap 'kill "$beside"; wait "$beside"' EXIT INT TERM
        check 'tests on .venv' .venv/bin/python -m pytest "$@" </dev/null
        check 'tests beside them' wait "$beside"
        trap - EXIT INT TERM
        cat .cache/beside.log
        [ -z "$failed" ] || stop "failed:$failed" ;;
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
        e2e_build || stop "Go could not build the programs (see above): check the network or GOPROXY, then type \`make e2e\` again."
        exec .venv/bin/python -m pytest tests/e2e "$@" </dev/null ;;
    lint) lint ;;
    bench)
        local_fleet_needs && need parallel=parallel && main_venv && blocking
        exec .venv/bin/python tests/bench/run.py "$@" </dev/null ;;
    clean)
        [ ! -d .demo ] || .venv/bin/python tests/demo/demo.py --down
        [ ! -d .cache/e2e ] || PYTHONPATH=tests/integration .venv/bin/python -B tests/e2e/real_tailnet.py
        rm -rf .venv .venv-2.19 .collections .demo .home .cache ;;
    *) stop "usage: make venv | demo | test | soak | e2e | lint | bench | clean" ;;
esac
