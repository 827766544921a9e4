# shellcheck shell=sh
# Sourced after env.sh: finds Python and the system's tools, makes the virtual environments.

say() { printf '%s\n' "$*" >&2; }
stop() { say "gummy: $*"; exit 1; }

# python_candidates: every program that may be a Python, one a line. A shim that comes first on PATH
# does not hide what lies behind it.
python_candidates() (
    [ -z "${PYTHON-}" ] || command -v "$PYTHON" || printf '%s\n' "$PYTHON"
    dirs=$PATH:/opt/homebrew/bin
    for dir in "${PYENV_ROOT:-${HOME-}/.pyenv}"/versions/*/bin; do dirs=$dirs:$dir; done
    set -f && IFS=:
    for dir in $dirs; do
        case $dir in '' | "$ROOT"/.venv*) continue ;; esac
        for name in python3.14 python3.13 python3.12 python3.11 python3; do
            [ ! -x "$dir/$name" ] || printf '%s\n' "$dir/$name"
        done
    done
)

# try_pythons: reads candidates; runs each, and prints `ok MINOR PATH` or `no PATH: REASON`. What is
# printed of a usable one is the program behind it: what a shim stands for may be another tomorrow.
try_pythons() {
    # The version is out before the imports that a Python without its venv package fails at.
    probe='import sys
print("%d %d" % sys.version_info[:2])
sys.stdout.flush()
import venv, ensurepip
ensurepip.version()
print(sys.executable)'
    line_end='
'
    while IFS= read -r path; do
        status=0
        answer=$("$path" -c "$probe" 2>/dev/null </dev/null) || status=$?
        version=${answer%%"$line_end"*}
        minor=${version#* }
        case $version in
            '3 '[0-9]*) ;;
            *) printf 'no %s: does not run\n' "$path"; continue ;;
        esac
        if [ "$minor" -lt 11 ] || { [ "$minor" -gt 14 ] && [ -z "${PYTHON-}" ]; }; then
            printf 'no %s: is 3.%s\n' "$path" "$minor"
        elif [ "$status" -ne 0 ]; then
            printf 'no %s: has no venv with ensurepip\n' "$path"
        else
            printf 'ok %s %s\n' "$minor" "${answer#*"$line_end"}"
        fi
    done
}

# pythons: the usable ones as `MINOR PATH`, $PYTHON first, then the newest. If there is none, what
# was found and why it is of no use goes to stderr.
pythons() {
    # A shim that finds nothing of its own takes what is on PATH: not the environment that is to be
    # made anew.
    tried=$(PATH=${PATH#"$ROOT/.venv/bin:"} && python_candidates | awk '!seen[$0]++' | try_pythons)
    usable=$(printf '%s\n' "$tried" | sed -n 's/^ok //p')
    if [ -z "$usable" ]; then
        say "Found: $(printf '%s\n' "$tried" | sed -n 's/^no //p' | tr '\n' ';')"
        return 1
    fi
    if [ -n "${PYTHON-}" ]; then
        printf '%s\n' "$usable"
    else
        printf '%s\n' "$usable" | sort -s -k1,1nr
    fi
}

need_python="No usable Python 3.11 to 3.14 with venv and ensurepip: \
type \`apt-get install python3 python3-venv\` (Debian), \`brew install python\` (macOS), \
or name one with \`make PYTHON=/path/to/python3\`."

# stamp REQUIREMENTS: what the stamp of an environment with these requirements holds in this folder.
stamp() { printf '%s\n' "$(cksum <"$1") $ROOT ${PYTHON-}"; }

# whole VENV REQUIREMENTS: whether it runs and was made to the end.
whole() {
    "$1/bin/python" -c '' 2>/dev/null && [ "$(cat "$1/.whole" 2>/dev/null)" = "$(stamp "$2")" ]
}

# install STAMP VENV REQUIREMENTS: pip's part, once for these requirements. The stamp is written
# last, so that a half-built venv is not taken for a whole one.
install() {
    [ "$(cat "$2/$1" 2>/dev/null)" != "$(stamp "$3")" ] || return 0
    say "Installing $3 into $2"
    "$2/bin/python" -m pip install --quiet --disable-pip-version-check --no-input -r "$3" \
        </dev/null >&2 || stop "pip could not install $3 (see above): \
check the network or pip's index, then type the same command again."
    stamp "$3" >"$2/$1"
}

# make_venv VENV REQUIREMENTS PYTHON
make_venv() {
    say "Making $1 with $3"
    rm -rf "$1"
    "$3" -m venv "$1" >&2 || stop "$3 could not make $1: free some disk, \
or name another Python with \`make PYTHON=/path/to/python3\`."
    install .whole "$1" "$2"
}

# main_requirements: what .venv holds: the newest ansible-core, or the one of make's CORE=2.20.
main_requirements() {
    file=tests/requirements${CORE:+-$CORE}.txt
    [ -f "$file" ] || stop "there is no $file: leave CORE out for the newest ansible-core, \
or give one of $(printf '%s\n' tests/requirements-2.*.txt | sed 's/.*-//; s/\.txt$//' | xargs)."
    printf '%s\n' "$file"
}

# main_venv: .venv, and the link that makes the clone importable as a collection.
main_venv() {
    requirements=$(main_requirements) || exit 1
    namespace=.collections/ansible_collections/distributed
    mkdir -p "$namespace"
    [ -L "$namespace/gummy" ] || ln -s ../../.. "$namespace/gummy"
    ! whole .venv "$requirements" || return 0
    found=$(pythons) || stop "$need_python"
    make_venv .venv "$requirements" "$(printf '%s\n' "$found" | sed -n '1s/^[0-9]* //p')"
}

# second_venv: .venv-2.19, with the oldest Python there is; $no_second says why not.
# shellcheck disable=SC2034  # make.sh reads no_second
second_venv() {
    no_second=''
    [ -z "${CORE-}" ] || { no_second="CORE names the only ansible-core"; return 0; }
    ! whole .venv-2.19 tests/requirements-2.19.txt || return 0
    core=$(.venv/bin/python -c 'import ansible.release as r; print(r.__version__)')
    found=$(PYTHON='' pythons | sort -s -n | sed -n '/^1[123] /{s/^[0-9]* //p;q;}')
    case $core/$found in
        2.19.*) no_second="the first run was on ansible-core $core already" ;;
        */)
            no_second='there is no Python 3.11 to 3.13 with venv and ensurepip '
            no_second="${no_second}for ansible-core 2.19" ;;
        *) make_venv .venv-2.19 tests/requirements-2.19.txt "$found" ;;
    esac
}

# need PROGRAM=PACKAGE...: installs what is missing with apt where we may; else says what to type.
need() {
    packages=''
    for pair in "$@"; do
        command -v "${pair%%=*}" >/dev/null 2>&1 || packages="$packages ${pair#*=}"
    done
    [ -n "$packages" ] || return 0
    # shellcheck disable=SC2086  # a list of names
    packages=$(printf '%s\n' $packages | sort -u | xargs)
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        if command -v apt-get >/dev/null 2>&1; then
            how="sudo apt-get install"
        elif command -v brew >/dev/null 2>&1; then
            how="brew install"
        else
            how="sudo dnf install"
        fi
        stop "missing on this machine; type: $how $packages"
    fi
    say "Installing $packages"
    apt_install "$packages" ||
        stop "apt-get could not install; type: apt-get update && apt-get install $packages"
}

# apt_install PACKAGES: without starting or enabling a service. Debian's own mark keeps sshd down
# meanwhile, and does no harm if we are killed here.
apt_install() (
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    services=''
    case " $1 " in *' rsync '*) services='rsync.service' ;; esac
    case " $1 " in *' openssh-server '*)
        services="$services ssh.service ssh.socket"
        mkdir -p /etc/ssh
        [ -e /etc/ssh/sshd_not_to_be_run ] || trap 'rm -f /etc/ssh/sshd_not_to_be_run' EXIT
        : >>/etc/ssh/sshd_not_to_be_run ;;
    esac
    # shellcheck disable=SC2086  # a list of names
    {
        apt-get -qq update && apt-get -qq install -y --no-install-recommends $1
    } </dev/null >&2 || return 1
    for service in $services; do
        deb-systemd-helper disable "$service" >/dev/null 2>&1 || :
        update-rc.d "${service%.*}" disable >/dev/null 2>&1 || :
    done
)

# local_fleet_needs: what the role local_fleet and the jobs on its nodes call.
local_fleet_needs() {
    need sshd=openssh-server ssh=openssh-client ssh-keygen=openssh-client rsync=rsync git=git
}
