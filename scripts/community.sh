# shellcheck shell=sh
# Sourced by lint.sh: the checks that Galaxy, builders of execution environments, REUSE, GitHub and
# GitLab make of a collection. None needs the network.

# built FOLDER: the tarball that Galaxy would get, as a path.
built() {
    .venv/bin/python -m ansible galaxy collection build --output-path "$1" >/dev/null || return
    printf '%s\n' "$1"/*.tar.gz
}

# importer: what Galaxy does with an upload; a warning fails here. ansible-lint has run before, on
# more than what ships.
importer() (
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    tarball=$(built "$folder") || exit
    export GALAXY_IMPORTER_RUN_ANSIBLE_LINT=False GALAXY_IMPORTER_CHECK_REQUIRED_TAGS=True \
        GALAXY_IMPORTER_ANSIBLE_LOCAL_TMP="$folder/tmp"
    status=0
    (cd "$folder" && "$ROOT/.venv/bin/python" -m galaxy_importer.main "$tarball") \
        >"$folder/said" 2>&1 || status=$?
    grep -v '^Loading' "$folder/said"
    [ "$status" -eq 0 ] && ! grep -Eq '^(WARNING|ERROR)' "$folder/said"
)

# introspect: whether an execution environment gets the programs that the collection calls.
introspect() {
    said=$(.venv/bin/ansible-builder introspect .collections) || return
    printf '%s\n' "$said"
    for package in git openssh-client openssh-clients rsync; do
        printf '%s\n' "$said" | grep -Eq "^ *- .?$package( |\$)" || return
    done
}

# schema NAME FILE...: files of one form, against the schema that check-jsonschema brings along.
schema() {
    name=$1 && shift
    .venv/bin/check-jsonschema --builtin-schema "vendor.$name" "$@"
}

community() {
    check changelog .venv/bin/antsibull-changelog lint
    # shellcheck disable=SC2086  # a list of settings
    check reuse env $TRUST_GIT .venv/bin/reuse lint --quiet
    check workflows schema github-workflows .github/workflows/*.yml examples/ci/github-*.yml
    check 'issue forms' schema github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml
    check 'issue config' schema github-issue-config .github/ISSUE_TEMPLATE/config.yml
    check gitlab .venv/bin/check-jsonschema --builtin-schema vendor.gitlab-ci \
        --data-transform gitlab-ci examples/ci/gitlab-*.yml
    check introspect introspect
    check importer importer
}
