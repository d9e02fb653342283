package redis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind says how the servers of an address stand to each other.
type Kind string

// The kinds of address.
const (
	Standalone Kind = "standalone" // one Redis
	Sentinel   Kind = "sentinel"   // the primary that sentinels name
	Cluster    Kind = "cluster"    // Redis Cluster
)

// Address says where a Redis is and how the store uses it.
type Address struct {
	Kind   Kind
	Hosts  []string // HOST:PORT of the server, of sentinels, or of some nodes of a cluster
	Master string   // the name that sentinels know the primary by
	DB     int      // number of the database; a cluster has only 0

	Username, Password                 string
	SentinelUsername, SentinelPassword string
	TLS                                *tls.Config // nil for a connection in the clear

	Prefix     string        // that every key begins with
	Partitions int           // of a store that is made; 0 for the usual
	Replicas   int           // that must have synced before a 2xx, asked for with WAITAOF
	Confirm    time.Duration // how long they have for it
}

const (
	defaultPort         = "6379"
	defaultSentinelPort = "26379"
	defaultPrefix       = "signalbox:"
)

// ParseAddress reads an address:
//
//	redis://[USER[:PASSWORD]@]HOST[:PORT][/DB]
//	redis+sentinel://[USER[:PASSWORD]@]HOST[:PORT],HOST[:PORT].../NAME[/DB]
//	redis+cluster://[USER[:PASSWORD]@]HOST[:PORT],HOST[:PORT]...
//
// with rediss instead of redis for TLS, and after a ? any of prefix, replicas,
// confirm, partitions, password_file, ca, cert, key, server_name, sentinel_user and
// sentinel_password_file. No error shows a password.
func ParseAddress(text string) (*Address, error) {
	scheme, rest, found := strings.Cut(text, "://")
	base, kind, _ := strings.Cut(scheme, "+")
	if !found || base != "redis" && base != "rediss" {
		return nil, errors.New("an address begins with redis://, rediss://, redis+sentinel:// or redis+cluster://")
	}
	rest, query, _ := strings.Cut(rest, "?")
	a := &Address{Kind: Standalone, Prefix: defaultPrefix, Confirm: confirmLimit}
	if kind != "" {
		a.Kind = Kind(kind)
	}
	if !slices.Contains([]Kind{Standalone, Sentinel, Cluster}, a.Kind) || kind == string(Standalone) {
		return nil, fmt.Errorf("%s:// is none of redis://, redis+sentinel:// and redis+cluster:// (with rediss for TLS)", scheme)
	}
	// A password may hold a slash: the credentials end at the last @ before the query.
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		if err := a.credentials(rest[:at]); err != nil {
			return nil, err
		}
		rest = rest[at+1:]
	}
	hosts, path, _ := strings.Cut(rest, "/")
	if err := a.hosts(hosts); err != nil {
		return nil, err
	}
	if err := a.path(path); err != nil {
		return nil, err
	}
	if base == "rediss" {
		a.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if err := a.options(query); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *Address) credentials(text string) error {
	user, password, both := strings.Cut(text, ":")
	var err error
	if a.Username, err = url.PathUnescape(user); err == nil && both {
		a.Password, err = url.PathUnescape(password)
	}
	if err != nil {
		return errors.New("the user or the password in the address is not written as a URL wants it: a % begins two hexadecimal digits, and stands for itself as %25")
	}
	return nil
}

func (a *Address) hosts(text string) error {
	port := defaultPort
	if a.Kind == Sentinel {
		port = defaultSentinelPort
	}
	for _, host := range strings.Split(text, ",") {
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
		name, number, err := net.SplitHostPort(host)
		n, notNumber := strconv.Atoi(number)
		if err != nil || notNumber != nil || n < 1 || n > 65535 || name == "" {
			return fmt.Errorf("%q is no HOST:PORT of a Redis", host)
		}
		a.Hosts = append(a.Hosts, host)
	}
	if a.Kind == Standalone && len(a.Hosts) > 1 {
		return errors.New("redis:// names one host; several are redis+sentinel:// or redis+cluster://")
	}
	return nil
}

func (a *Address) path(path string) error {
	path = strings.TrimSuffix(path, "/")
	if a.Kind == Sentinel {
		if a.Master, path, _ = strings.Cut(path, "/"); a.Master == "" {
			return errors.New("redis+sentinel:// ends in the name of the primary, as the sentinels know it: redis+sentinel://HOST:26379/mymaster")
		}
	}
	if path == "" {
		return nil
	}
	db, err := strconv.Atoi(path)
	switch {
	case err != nil || db < 0:
		return fmt.Errorf("/%s is no number of a database", path)
	case a.Kind == Cluster && db != 0:
		return errors.New("a Redis Cluster has only the database 0")
	}
	a.DB = db
	return nil
}

// options reads what follows the question mark.
func (a *Address) options(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("the options behind the ? are not written as a URL wants them: NAME=VALUE&NAME=VALUE")
	}
	read := map[string]func(string) error{
		"prefix":                 a.prefix,
		"partitions":             number(&a.Partitions, 1, maxPartitions),
		"replicas":               number(&a.Replicas, 0, 1000),
		"confirm":                a.confirm,
		"password_file":          secretFile(&a.Password),
		"sentinel_user":          func(v string) error { a.SentinelUsername = v; return nil },
		"sentinel_password_file": secretFile(&a.SentinelPassword),
		"ca":                     a.authority,
		"server_name":            a.overTLS(func(v string) error { a.TLS.ServerName = v; return nil }),
		"cert":                   a.overTLS(func(v string) error { return a.certificate(v, values.Get("key")) }),
		"key":                    a.overTLS(func(string) error { return nil }), // read with cert
	}
	for name, value := range values {
		set, known := read[name]
		if !known {
			return fmt.Errorf("the address has an option %q; there are: prefix, replicas, confirm, partitions, password_file, ca, cert, key, server_name, sentinel_user, sentinel_password_file", name)
		}
		if len(value) != 1 {
			return fmt.Errorf("the option %s is given %d times", name, len(value))
		}
		if err := set(value[0]); err != nil {
			return fmt.Errorf("the option %s of the address: %w", name, err)
		}
	}
	if (values.Get("cert") == "") != (values.Get("key") == "") {
		return errors.New("cert and key go together: the certificate of this client and its private key")
	}
	return nil
}

func (a *Address) prefix(v string) error {
	if v == "" || len(v) > maxPrefix || strings.ContainsAny(v, "{}") {
		return fmt.Errorf("%q is none: 1 to %d bytes without braces, which are for the hash tag", v, maxPrefix)
	}
	a.Prefix = v
	return nil
}

func (a *Address) confirm(v string) error {
	d, err := time.ParseDuration(v)
	if err != nil || d < time.Millisecond || d > maxConfirmLimit {
		return fmt.Errorf("%q is no duration from 1ms to %v", v, maxConfirmLimit)
	}
	a.Confirm = d
	return nil
}

func number(to *int, least, most int) func(string) error {
	return func(v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < least || n > most {
			return fmt.Errorf("%q is no number from %d to %d", v, least, most)
		}
		*to = n
		return nil
	}
}

func secretFile(to *string) func(string) error {
	return func(name string) error {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		*to = strings.TrimRight(string(b), "\r\n")
		return nil
	}
}

var errClear = errors.New("it is for TLS: write rediss instead of redis")

func (a *Address) overTLS(set func(string) error) func(string) error {
	return func(v string) error {
		if a.TLS == nil {
			return errClear
		}
		return set(v)
	}
}

func (a *Address) authority(name string) error {
	if a.TLS == nil {
		return errClear
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return fmt.Errorf("%s holds no certificate in PEM", name)
	}
	a.TLS.RootCAs = pool
	return nil
}

func (a *Address) certificate(cert, key string) error {
	if key == "" {
		return nil // said later, with both names
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return err
	}
	a.TLS.Certificates = []tls.Certificate{pair}
	return nil
}

// String shows the address without any secret.
func (a *Address) String() string {
	scheme := "redis"
	if a.TLS != nil {
		scheme = "rediss"
	}
	if a.Kind != Standalone {
		scheme += "+" + string(a.Kind)
	}
	text := scheme + "://" + strings.Join(a.Hosts, ",")
	if a.Master != "" {
		text += "/" + a.Master
	}
	if a.DB != 0 {
		text += "/" + strconv.Itoa(a.DB)
	}
	return text
}
