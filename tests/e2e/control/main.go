// The control server of the test's tailnet: tailscale's own test library, with a DERP and STUN of its own, since the tailnet has no internet.
//
//	control 10.99.0.1:9911
//
// It prints "ready". A line of JSON on stdin, a StableID and any other fields of a tailcfg.Node, changes that node and tells all nodes; the
// answer is a line, "ok" or what is wrong. It ends with its stdin, so it never outlives the test.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"testing"

	"tailscale.com/tailcfg"
	"tailscale.com/tstest/integration"
	"tailscale.com/tstest/integration/testcontrol"
	"tailscale.com/types/logger"
)

const suffix = "e2e.gummy.test"

// noTest is what RunDERPAndSTUN calls of a test; the rest is nil.
type noTest struct{ testing.TB }

func (noTest) Helper()                   {}
func (noTest) Cleanup(func())            {}
func (noTest) Logf(string, ...any)       {}
func (noTest) Fatal(a ...any)            { log.Fatal(a...) }
func (noTest) Fatalf(f string, a ...any) { log.Fatalf(f, a...) }

func main() {
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	host, _, _ := net.SplitHostPort(os.Args[1])
	control := &testcontrol.Server{
		DERPMap:          integration.RunDERPAndSTUN(noTest{}, logger.Discard, host),
		ExplicitBaseURL:  "http://" + os.Args[1],
		AllNodesSameUser: true,
		MagicDNSDomain:   suffix,
		DNSConfig:        &tailcfg.DNSConfig{Proxied: true, Domains: []string{suffix}},
	}
	go func() { log.Fatal(http.Serve(listener, control)) }()
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if err := change(control, lines.Bytes()); err != nil {
			fmt.Println(err)
		} else {
			fmt.Println("ok")
		}
	}
}

func change(control *testcontrol.Server, line []byte) error {
	var wanted tailcfg.Node
	if err := json.Unmarshal(line, &wanted); err != nil {
		return err
	}
	nodes := control.AllNodes()
	at := slices.IndexFunc(nodes, func(node *tailcfg.Node) bool { return node.StableID == wanted.StableID })
	if at < 0 {
		return fmt.Errorf("no node has the id %q", wanted.StableID)
	}
	if err := json.Unmarshal(line, nodes[at]); err != nil { // onto what the node is already
		return err
	}
	control.UpdateNode(nodes[at])
	control.SetMasqueradeAddresses(nil) // there are none: it is the library's way to send every node a new map
	return nil
}
