# shellcheck shell=sh
# Sourced after bootstrap.sh: what `make lint` runs, on the whole project or on the files that are
# named, as pre-commit names those that a commit changes. Both take their commands from here.

# Git refuses a clone that belongs to somebody else, as in CI; two of the tools call git.
TRUST_GIT='GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=*'

. scripts/community.sh

# sanity LINES: ansible-test on these files, one a line, or on all there are if LINES is empty.
# It wants to stand in .../ansible_collections/distributed/gummy, and fetches a get-pip that PyPI's
# own pip can stand in for.
sanity() {
    tree=$(mktemp -d)
    home=$ROOT/.cache/sanity
    mkdir -p "$tree/ansible_collections/distributed/gummy" "$home/.ansible/test/cache"
    rsync -a --delete --filter=':- .gitignore' ./ "$tree/ansible_collections/distributed/gummy/"
    .venv/bin/python scripts/get_pip_stand_in.py "$home/.ansible/test/cache"
    version=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    prefix=$(.venv/bin/python -c 'import sys; print(sys.base_prefix)')
    status=0
    (
        cd "$tree/ansible_collections/distributed/gummy"
        unset ANSIBLE_CONFIG ANSIBLE_COLLECTIONS_PATH
        # The interpreter itself comes first: a pyenv shim of the same name does not run there.
        export HOME="$home" PATH="$prefix/bin:$PATH"
        # shellcheck disable=SC2086  # a list of settings
        on_lines "$1" env $TRUST_GIT "$ROOT/.venv/bin/python" -m ansible test sanity \
            --python "$version" --color no
    ) || status=$?
    rm -rf "$tree"
    return "$status"
}

# documentation: what antsibull-docs says of the texts that plugins, roles and docs/docsite hold, and
# whether it can build the pages of the collection from them.
documentation() (
    pages=$(mktemp -d)
    trap 'rm -rf "$pages"' EXIT
    cd .collections/ansible_collections/distributed/gummy || exit
    unset ANSIBLE_CONFIG
    "$ROOT/.venv/bin/antsibull-docs" lint-collection-docs --plugin-docs \
        --validate-collection-refs dependent --check-extra-docs-refs . &&
        "$ROOT/.venv/bin/antsibull-docs" collection --use-current --fail-on-error \
            --squash-hierarchy --dest-dir "$pages" distributed.gummy
)

# shell_programs: every shell program of the project, one a line.
shell_programs() {
    printf '%s\n' scripts/*.sh .ci/run
    find plugins roles -name '*.sh' | sort
}

# named PATTERN: those of the named files that match the extended regular expression, one a line;
# fails if there are none.
named() { printf '%s\n' "$lint_files" | grep -E "$1"; }

# concerns PATTERN: whether a check of the whole is due: always if no file is named, else if one of
# them matches.
concerns() { [ -z "$lint_files" ] || named "$1" >/dev/null; }

# check_files NAME PATTERN ALL COMMAND...: the check with those of the named files behind it that
# match; with ALL, one a line, if none is named at all. Without a match nothing happens.
check_files() {
    title=$1 pattern=$2 files=$3 && shift 3
    [ -z "$lint_files" ] || files=$(named "$pattern") || return 0
    check "$title" on_lines "$files" "$@"
}

# on_lines LINES COMMAND...: the command with each of the lines as one word behind it.
on_lines() {
    lines=$1 && shift
    if [ -z "$lines" ]; then
        "$@"
        return
    fi
    printf '%s\n' "$lines" | tr '\n' '\0' | xargs -0 "$@"
}

# lint FILE...
lint() {
    lint_files=$([ $# -eq 0 ] || printf '%s\n' "$@")
    main_venv
    install .lint .venv tests/requirements-lint.txt
    need git=git rsync=rsync
    # Elsewhere a machine without shellcheck lints what it can.
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
        need shellcheck=shellcheck
    fi

    python='\.py$|^tests/doubles/'
    check_files ruff "$python" . .venv/bin/ruff check --cache-dir .cache/ruff
    check_files format "$python" . .venv/bin/ruff format --check --cache-dir .cache/ruff

    # Types and imports are those of whole programs, so there is no half of these checks.
    if concerns '^(plugins|roles|scripts)/.*\.py$|^pyproject\.toml$'; then
        check mypy .venv/bin/mypy --cache-dir .cache/mypy \
            -p ansible_collections.distributed.gummy.plugins
        check 'mypy of programs' env MYPYPATH=roles/local_fleet/files \
            .venv/bin/mypy --cache-dir .cache/mypy roles/local_fleet/files scripts
        check wings env PYTHONPATH=.collections \
            .venv/bin/lint-imports --no-logo --cache-dir .cache/imports
        # A contract that never fails would look the same.
        check 'wings, broken on purpose' .venv/bin/python -m pytest -q tests/unit/test_wings.py
    fi

    check_files yamllint '\.ya?ml$|^\.(yamllint|ansible-lint)$' . .venv/bin/yamllint --strict
    if concerns '\.ya?ml$|^\.ansible-lint$'; then
        # shellcheck disable=SC2086  # a list of settings
        check ansible-lint env $TRUST_GIT .venv/bin/ansible-lint
    fi

    if concerns '^(plugins|roles|meta|docs/docsite)/|^README\.md$|^galaxy\.yml$'; then
        check antsibull-docs documentation
    fi

    if command -v shellcheck >/dev/null 2>&1; then
        check_files shellcheck '\.sh$|^\.ci/run$' "$(shell_programs)" shellcheck
    else
        say "== shellcheck skipped: it is not on this machine"
    fi

    if [ -z "$lint_files" ]; then
        check sanity sanity ''
    elif files=$(named '^(plugins|roles|playbooks|meta)/'); then
        check sanity sanity "$files"
    fi

    # These look at the collection as a whole.
    [ -n "$lint_files" ] || community

    [ -z "$failed" ] || stop "failed:$failed"
    say "== lint: all good"
}
