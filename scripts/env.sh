# shellcheck shell=sh
# Sourced in the root of the clone: what `make` runs sees nothing of the caller's shell that changes
# how Ansible, git, Python or ssh behave.

ROOT=$(pwd -P)
umask 022  # an unprivileged node user must be able to read what we make
CDPATH='' && unset CDPATH

# names_like PATTERN...: the names of the environment variables that match one of the basic regular
# expressions.
names_like() {
    for pattern in "$@"; do env | sed -n "s/^\\($pattern\\)=.*/\\1/p"; done
}

# utf8_locale: a UTF-8 locale that this machine has; reads the list of `locale -a`.
utf8_locale() {
    available=$(locale -a 2>/dev/null) || available=''
    for wanted in C.UTF-8 C.utf8 en_US.UTF-8 en_US.utf8; do
        if printf '%s\n' "$available" | grep -qxF "$wanted"; then
            printf '%s\n' "$wanted" && return
        fi
    done
    any=$(printf '%s\n' "$available" | grep -i 'utf-\{0,1\}8$' | head -n 1)
    printf '%s\n' "${any:-C.UTF-8}"
}

writable() { [ -n "$1" ] && [ -d "$1" ] && [ -w "$1" ]; }

# shellcheck disable=SC2046  # names of variables hold no blanks
unset $(names_like '_*ANSIBLE_[A-Za-z0-9_]*' 'GIT_[A-Z0-9_]*' 'PYTHON[A-Z0-9][A-Z0-9]*' \
    'PIP_\(USER\|TARGET\|PREFIX\|ROOT\)') \
    MAKEFLAGS MFLAGS MAKELEVEL VIRTUAL_ENV SSH_AUTH_SOCK SSH_ASKPASS RSYNC_RSH RSYNC_OLD_ARGS

if [ "$(locale charmap 2>/dev/null)" != UTF-8 ]; then
    LC_ALL=$(utf8_locale) && export LC_ALL
fi
if ! writable "${HOME-}"; then
    HOME=$ROOT/.home
    mkdir -p "$HOME"
    export HOME XDG_CONFIG_HOME="$HOME/.config" XDG_CACHE_HOME="$HOME/.cache"
    export XDG_STATE_HOME="$HOME/.local/state" XDG_DATA_HOME="$HOME/.local/share"
    unset PIP_CACHE_DIR XDG_RUNTIME_DIR
fi
writable "${TMPDIR:-/tmp}" || unset TMPDIR

# The clone is what gets used: not an old copy in ~/.ansible, and although Ansible ignores an
# ansible.cfg in a world-writable directory.
export ANSIBLE_CONFIG="$ROOT/ansible.cfg" ANSIBLE_COLLECTIONS_PATH="$ROOT/.collections"
PATH=${PATH:-/usr/bin:/bin}
# In a shell where it was activated it is there already; once, so that it can be taken off again.
while [ "$PATH" != "${PATH#"$ROOT/.venv/bin:"}" ]; do PATH=${PATH#"$ROOT/.venv/bin:"}; done
export PATH="$ROOT/.venv/bin:$PATH:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
