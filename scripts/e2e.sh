# shellcheck shell=sh
# Sourced after bootstrap.sh: where the end-to-end tests can run, and the programs they run on.

PATH=$PATH:/usr/local/go/bin

# e2e_lacks: one line that says what this machine lacks for all of them and no command of ours may
# install; nothing if it has it all.
e2e_lacks() {
    if [ "$(uname -s)" != Linux ]; then
        echo "they need Linux, for its network namespaces"
    elif [ "$(id -u)" -ne 0 ]; then
        echo "they need root, for network namespaces: sudo make e2e"
    fi
}

# e2e_kernel_lacks: the same for what can only be found out by trying it, in namespaces that end
# with the trial.
e2e_kernel_lacks() { try_namespaces 'ip link set lo up' ''; }

# try_namespaces COMMANDS WITH: nothing, or why they can't be run in namespaces of their own.
try_namespaces() {
    said=$(unshare --net --uts --pid --mount --fork --mount-proc sh -c "$1" 2>&1) ||
        printf 'they need network namespaces%s: %s\n' "$2" \
            "$(printf '%s\n' "$said" | tail -n 1)"
}

# tailnet_lacks: the same for the tests on a tailnet, which are most of them.
tailnet_lacks() {
    if ! (: <>/dev/net/tun) 2>/dev/null; then
        printf '%s%s\n' "they need /dev/net/tun, which can't be opened: " \
            'modprobe tun, or let this container have it'
    elif ! command -v go >/dev/null 2>&1; then
        echo "they need Go on PATH or in /usr/local/go/bin (https://go.dev/dl)"
    elif said=$(cd tests/e2e/control && GOWORK=off go list -m 2>&1 >/dev/null); then
        try_namespaces 'ip link add one type veth peer name two &&
            ip link add three type bridge &&
            ip tuntap add four mode tun' ' with veth, bridge and tun'
    else
        case $said in
            *'requires go'* | *'invalid go version'*)
                echo "they need a newer Go: $(printf '%s' "$said" | tail -n 1)" ;;
        esac  # anything else is for the build to say, and no reason to skip
    fi
}

# e2e_build: tailscale, tailscaled and our control server, of the versions that go.sum pins.
e2e_build() (
    mkdir -p .cache/e2e/bin
    cd tests/e2e/control || exit
    say "== building tailscale, tailscaled and a control server (the first time takes some minutes)"
    GOWORK=off CGO_ENABLED=0 go build -buildvcs=false -o ../../../.cache/e2e/bin/ \
        . tailscale.com/cmd/tailscale tailscale.com/cmd/tailscaled
)
