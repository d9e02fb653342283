package executors

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
)

// refusedAddress says which rule an address broke.
type refusedAddress struct {
	address string
	rule    string
	allow   string
}

// Error names the address, the rule and what to do.
func (r *refusedAddress) Error() string {
	return fmt.Sprintf("%s is %s, which is refused so that a workflow cannot be used to reach inside; %s", r.address, r.rule, r.allow)
}

// The advice that goes with a refusal.
const (
	allowForTools  = "start the node with --allow-private if this tool may reach it"
	allowForModels = "give the model an api_url on another address, or start the node with --allow-private"
)

// reserved is one range that no public service lives in.
type reserved struct {
	prefix netip.Prefix
	rule   string
	near   bool // a model server of one's own may live there
}

// reservedRanges lists what is refused, from the special-purpose registries of
// IANA. Loopback, private and shared addresses are near: a model may run there.
var reservedRanges = []reserved{
	{netip.MustParsePrefix("0.0.0.0/8"), "an unspecified address", true},
	{netip.MustParsePrefix("10.0.0.0/8"), "a private address", true},
	{netip.MustParsePrefix("100.100.100.200/32"), "a cloud metadata address", false},
	{netip.MustParsePrefix("100.64.0.0/10"), "a shared carrier address", true},
	{netip.MustParsePrefix("127.0.0.0/8"), "a loopback address", true},
	{netip.MustParsePrefix("168.63.129.16/32"), "a cloud platform address", false},
	{netip.MustParsePrefix("169.254.0.0/16"), "a link-local address, where clouds serve metadata and keys", false},
	{netip.MustParsePrefix("172.16.0.0/12"), "a private address", true},
	{netip.MustParsePrefix("192.0.0.0/24"), "a protocol assignment", false},
	{netip.MustParsePrefix("192.0.2.0/24"), "a documentation address", false},
	{netip.MustParsePrefix("192.168.0.0/16"), "a private address", true},
	{netip.MustParsePrefix("198.18.0.0/15"), "a benchmarking address", false},
	{netip.MustParsePrefix("198.51.100.0/24"), "a documentation address", false},
	{netip.MustParsePrefix("203.0.113.0/24"), "a documentation address", false},
	{netip.MustParsePrefix("224.0.0.0/4"), "a multicast address", false},
	{netip.MustParsePrefix("240.0.0.0/4"), "a reserved address", false},
	{netip.MustParsePrefix("::/128"), "an unspecified address", true},
	{netip.MustParsePrefix("::1/128"), "a loopback address", true},
	{netip.MustParsePrefix("::/96"), "an obsolete IPv4-compatible address", false},
	{netip.MustParsePrefix("::ffff:0:0:0/96"), "an obsolete translated address", false},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "a local translation address", false},
	{netip.MustParsePrefix("100::/64"), "a discard address", false},
	{netip.MustParsePrefix("2001::/32"), "a tunnel address", false},
	{netip.MustParsePrefix("2001:db8::/32"), "a documentation address", false},
	{netip.MustParsePrefix("fd00:ec2::/32"), "a cloud metadata address", false},
	{netip.MustParsePrefix("fd20:ce::/32"), "a cloud metadata address", false},
	{netip.MustParsePrefix("fc00::/7"), "a private address", true},
	{netip.MustParsePrefix("fe80::/10"), "a link-local address", false},
	{netip.MustParsePrefix("fec0::/10"), "an obsolete site-local address", false},
	{netip.MustParsePrefix("ff00::/8"), "a multicast address", false},
}

// Ranges of IPv6 that carry an IPv4 address, which then decides.
var (
	translated = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour  = netip.MustParsePrefix("2002::/16")
)

// guard decides which addresses calls may connect to. It is asked with the
// address that the socket is about to use, after every look-up and redirect,
// so that no name can change its mind in between.
type guard struct {
	judge    func(netip.Addr) string // the rule that an address breaks, "" for none
	allow    string                  // what to do about a refusal
	resolver *net.Resolver           // nil: the system's
}

// toolGuard refuses everything that is not public.
func toolGuard() *guard {
	return &guard{judge: func(a netip.Addr) string { return ruleOf(a, false) }, allow: allowForTools}
}

// modelGuard lets a model server on the same machine or network be used, but
// never the addresses where clouds serve keys.
func modelGuard() *guard {
	return &guard{judge: func(a netip.Addr) string { return ruleOf(a, true) }, allow: allowForModels}
}

// ruleOf names the rule that an address breaks, "" for none.
func ruleOf(a netip.Addr, nearAllowed bool) string {
	a = carried(a.Unmap().WithZone(""))
	for _, r := range reservedRanges {
		if r.prefix.Contains(a) {
			if r.near && nearAllowed {
				return ""
			}
			return r.rule
		}
	}
	return ""
}

// carried returns the IPv4 address inside of a translated one, or a itself.
func carried(a netip.Addr) netip.Addr {
	if !a.Is6() {
		return a
	}
	b := a.As16()
	switch {
	case translated.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case sixToFour.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return a
}

// control is called by the dialer with the address of the socket, before it connects.
func (g *guard) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return &refusedAddress{address: address, rule: "not reached over TCP", allow: g.allow}
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("the address %q of a connection cannot be read: %w", address, err)
	}
	if rule := g.judge(at.Addr()); rule != "" {
		return &refusedAddress{address: at.Addr().String(), rule: rule, allow: g.allow}
	}
	return nil
}

// checkURL refuses what can be seen to be wrong before anything is looked up:
// addresses written out, and spellings of addresses that resolvers differ on.
func (g *guard) checkURL(u *url.URL) error {
	host := strings.TrimSuffix(u.Hostname(), ".")
	if a, err := netip.ParseAddr(host); err == nil {
		if rule := g.judge(a); rule != "" {
			return &refusedAddress{address: host, rule: rule, allow: g.allow}
		}
		return nil
	}
	if numericHost(host) {
		return &refusedAddress{address: host, rule: "a number that some systems take for an address", allow: "write it as four decimal parts"}
	}
	return nil
}

// numericHost reports whether a host is one of the old spellings of an IPv4
// address: 2130706433, 0x7f.1, 0177.0.0.1. A name never ends in a number.
func numericHost(host string) bool {
	last := strings.ToLower(host[strings.LastIndexByte(host, '.')+1:])
	if last == "" {
		return false
	}
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(last, "0123456789") == ""
}

// transport carries calls; g is nil where every address is allowed. Proxies of
// the environment are used only where the guard need not see the far side.
func transport(g *guard, proxied bool) *http.Transport {
	dialer := &net.Dialer{Timeout: DialTimeout}
	t := &http.Transport{
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    TLSTimeout,
		IdleConnTimeout:        IdleTimeout,
		MaxIdleConnsPerHost:    MaxIdlePerHost,
		MaxResponseHeaderBytes: MaxResponseHeaderBytes,
		ForceAttemptHTTP2:      true,
	}
	if g != nil {
		dialer.ControlContext = g.control
		dialer.Resolver = g.resolver
	}
	if proxied {
		t.Proxy = http.ProxyFromEnvironment
	}
	return t
}

// errTooLong says that a body went past its bound.
var errTooLong = errors.New("the body is longer than what is read")
