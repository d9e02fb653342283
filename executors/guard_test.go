package executors

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
)

// inside is a service on loopback that nobody may reach; it counts who did.
func inside(t *testing.T) (port string, reached *atomic.Int64) {
	t.Helper()
	reached = new(atomic.Int64)
	s := service(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port, reached
}

func TestInsideIsNotReached(t *testing.T) {
	t.Parallel()
	tool := hands(t, Options{})["tool"]
	port, reached := inside(t)
	for host, rule := range map[string]string{
		"127.0.0.1":                  "loopback",
		"127.0.0.1.":                 "loopback",
		"127.1.2.3":                  "loopback",
		"localhost":                  "loopback",
		"[::1]":                      "loopback",
		"[0:0:0:0:0:0:0:1]":          "loopback",
		"0.0.0.0":                    "unspecified",
		"[::]":                       "unspecified",
		"10.0.0.1":                   "private",
		"172.16.0.1":                 "private",
		"172.31.255.255":             "private",
		"192.168.1.1":                "private",
		"[fd00::1]":                  "private",
		"169.254.169.254":            "link-local",
		"[fe80::1]":                  "link-local",
		"[fe80::1%25lo]":             "link-local",
		"[fd00:ec2::254]":            "metadata",
		"100.100.100.200":            "metadata",
		"168.63.129.16":              "platform",
		"100.64.0.1":                 "carrier",
		"192.0.0.192":                "protocol",
		"198.18.0.1":                 "benchmarking",
		"224.0.0.1":                  "multicast",
		"255.255.255.255":            "reserved",
		"[ff02::1]":                  "multicast",
		"[::ffff:127.0.0.1]":         "loopback",
		"[::ffff:7f00:1]":            "loopback",
		"[::ffff:169.254.169.254]":   "link-local",
		"[::127.0.0.1]":              "obsolete",
		"[64:ff9b::127.0.0.1]":       "loopback",
		"[64:ff9b::a9fe:a9fe]":       "link-local",
		"[2002:7f00:1::]":            "loopback",
		"[2001:0:7f00:1::]":          "tunnel",
		"2130706433":                 "a number",
		"0x7f000001":                 "a number",
		"0x7f.0.0.1":                 "a number",
		"0177.0.0.1":                 "a number",
		"017700000001":               "a number",
		"127.1":                      "a number",
		"0":                          "a number",
		"public.example@127.0.0.1":   "loopback",
		"127.0.0.1:80@[::1]":         "loopback",
		"%31%32%37.0.0.1":            "loopback",
		"\uff11\uff12\uff17.0.0.1":   "loopback",
		"127\u30020\u30020\u30021":   "loopback",
		"127.0.0.1%2e":               "loopback",
		"\u2460\u2461\u2466.0.0.1":   "loopback",
		"[::ffff:0:127.0.0.1]":       "translated",
		"[64:ff9b:1::127.0.0.1]":     "local translation",
		"[0:0:0:0:0:ffff:127.0.0.1]": "loopback",
	} {
		t.Run(host, func(t *testing.T) {
			out, f := try(t, tool, calling("http://"+host+":"+port+"/latest/meta-data/", map[string]any{"timeout": "2s"}))
			if f == nil {
				t.Fatalf("it was reached: %s", out)
			}
			if f.Code == CodeRequestInvalid {
				return // not an address at all
			}
			if f.Code != CodeAddressRefused && !(f.Code == CodeNetwork && strings.Contains(f.Message, "lookup")) {
				t.Fatalf("failed with %s: %s", f.Code, f.Message)
			}
			advised := strings.Contains(f.Message, "--allow-private") || strings.Contains(f.Message, "four decimal parts")
			if f.Code == CodeAddressRefused && (!f.Permanent || !advised || !strings.Contains(f.Message, rule) && !strings.Contains(f.Message, "a number")) {
				t.Errorf("the refusal does not say why or what to do: %+v", f)
			}
		})
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("the inside was reached %d times", n)
	}
}

func TestPublicAddressesAreAllowed(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"93.184.216.34", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::101:101", "2002:101:101::"} {
		if rule := ruleOf(netip.MustParseAddr(text), false); rule != "" {
			t.Errorf("%s is refused as %s", text, rule)
		}
	}
	for text, refused := range map[string]bool{"127.0.0.1": false, "192.168.0.5": false, "::1": false, "0.0.0.0": false, "fd12::1": false, "169.254.169.254": true, "fd00:ec2::254": true, "100.100.100.200": true, "fe80::1": true} {
		if got := ruleOf(netip.MustParseAddr(text), true) != ""; got != refused {
			t.Errorf("a model at %s: refused is %t", text, got)
		}
	}
}

// seenAsPublic is a guard for tests in which one loopback address stands for
// the internet, and names are looked up in a server of the test.
func seenAsPublic(public string, answers ...string) *guard {
	g := toolGuard()
	judge := g.judge
	g.judge = func(a netip.Addr) string {
		if a.Unmap().String() == public {
			return ""
		}
		return judge(a)
	}
	g.resolver = resolverOf(answers...)
	return g
}

// toolWith is an HTTP tool behind a guard.
func toolWith(t *testing.T, g *guard) *tool {
	t.Helper()
	o := Options{}.withDefaults()
	made := &tool{options: o, schemas: newSchemaCache(), http: guardedHTTPTool(o, g)}
	t.Cleanup(func() {
		if err := made.Close(); err != nil {
			t.Error(err)
		}
	})
	return made
}

// serviceAt is a service on a loopback address other than the usual one.
func serviceAt(t *testing.T, address string, handler http.HandlerFunc) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("this machine has no address %s: %v", address, err)
	}
	s := &http.Server{Handler: handler}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-served
	})
}

func TestRedirectInsideIsNotFollowed(t *testing.T) {
	t.Parallel()
	port, reached := inside(t)
	targets := []string{
		"http://127.0.0.1:" + port + "/", "http://[::1]:" + port + "/", "http://localhost:" + port + "/",
		"http://2130706433:" + port + "/", "http://inside.example:" + port + "/", "//127.0.0.1:" + port + "/",
	}
	const public = "127.0.0.2"
	var at int
	serviceAt(t, public+":"+port, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", targets[at])
		w.WriteHeader(http.StatusFound)
	})
	tool := toolWith(t, seenAsPublic(public, "127.0.0.1"))
	for at = range targets {
		mustFail(t, tool, calling("http://"+public+":"+port+"/", nil), CodeAddressRefused, "so that a workflow cannot be used to reach inside")
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("the inside was reached %d times", n)
	}
}

// A name that is public when it is first looked up and inside afterwards gains
// nothing: the address of the socket is judged, not the name.
func TestRebindingIsNotFollowed(t *testing.T) {
	t.Parallel()
	port, reached := inside(t)
	const public = "127.0.0.2"
	serviceAt(t, public+":"+port, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close") // so that the next call looks the name up again
		_, _ = io.WriteString(w, "public")
	})
	tool := toolWith(t, seenAsPublic(public, public, "127.0.0.1"))
	job := calling("http://rebind.example:"+port+"/", nil)
	if out := must(t, tool, job); !strings.Contains(out, `"body":"public"`) {
		t.Fatalf("the first call gives %s", out)
	}
	for range 3 {
		mustFail(t, tool, job, CodeAddressRefused, "127.0.0.1 is a loopback address")
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("the inside was reached %d times", n)
	}
}

// resolverOf answers look-ups of IPv4 addresses in the order given, the last
// one for ever, and knows no IPv6.
func resolverOf(answers ...string) *net.Resolver {
	var asked atomic.Int64
	next := func() netip.Addr {
		i := min(int(asked.Add(1)), len(answers)) - 1
		return netip.MustParseAddr(answers[i])
	}
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go serveDNS(ours, next)
		return theirs, nil
	}}
}

// serveDNS answers the questions of one connection in the framing of TCP.
func serveDNS(c net.Conn, next func() netip.Addr) {
	defer c.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		question := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, question); err != nil {
			return
		}
		end := 12
		for question[end] != 0 {
			end += int(question[end]) + 1
		}
		end += 5 // the root, the type, the class
		answer := append([]byte{}, question[:2]...)
		const typeA = 1
		isA := binary.BigEndian.Uint16(question[end-4:]) == typeA
		counts := []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}
		if isA {
			counts[5] = 1
		}
		answer = append(append(answer, counts...), question[12:end]...)
		if isA {
			address := next().As4()
			answer = append(answer, 0xc0, 12, 0, typeA, 0, 1, 0, 0, 0, 0, 0, 4)
			answer = append(answer, address[:]...)
		}
		binary.BigEndian.PutUint16(size[:], uint16(len(answer)))
		if _, err := c.Write(append(size[:], answer...)); err != nil {
			return
		}
	}
}
