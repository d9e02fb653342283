package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Certificates are what a node shows others and what it knows them by: files,
// which are read again when they have changed, so that they can be renewed under
// a running node.
type Certificates struct {
	cert, key, ca string

	mu     sync.Mutex
	looked time.Time
	stamp  [3]time.Time // when the files were changed last
	pair   *tls.Certificate
	pool   *x509.CertPool
}

// LoadCertificates reads the certificate of this node with its key, and the
// authority that signs those of all nodes, from PEM files.
func LoadCertificates(cert, key, ca string) (*Certificates, error) {
	c := &Certificates{cert: cert, key: key, ca: ca}
	if _, _, err := c.current(); err != nil {
		return nil, err
	}
	return c, nil
}

// current is what the files hold now, or held when they could be read last.
func (c *Certificates) current() (*tls.Certificate, *x509.CertPool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pair != nil && time.Since(c.looked) < certificatesEvery {
		return c.pair, c.pool, nil
	}
	c.looked = time.Now()
	var stamp [3]time.Time
	for i, path := range []string{c.cert, c.key, c.ca} {
		info, err := os.Stat(path)
		if err != nil {
			return c.keep(err)
		}
		stamp[i] = info.ModTime()
	}
	if c.pair != nil && stamp == c.stamp {
		return c.pair, c.pool, nil
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return c.keep(fmt.Errorf("the certificate %s with the key %s: %w", c.cert, c.key, err))
	}
	text, err := os.ReadFile(c.ca)
	if err != nil {
		return c.keep(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return c.keep(fmt.Errorf("the authority %s holds no certificate in PEM", c.ca))
	}
	c.pair, c.pool, c.stamp = &pair, pool, stamp
	return c.pair, c.pool, nil
}

// keep goes on with what was read before: half a renewal must not cut a node off.
func (c *Certificates) keep(err error) (*tls.Certificate, *x509.CertPool, error) {
	if c.pair != nil {
		return c.pair, c.pool, nil
	}
	return nil, nil, fmt.Errorf("the certificates of the cluster cannot be read: %w", err)
}

// Covers says why other nodes would not talk to this one at that host, nil when
// they would: each of them makes the same checks, and would only say so in its log.
func (c *Certificates) Covers(host string) error {
	pair, pool, err := c.current()
	if err != nil {
		return err
	}
	var chain []*x509.Certificate
	for _, der := range pair.Certificate {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("the certificate %s: %w", c.cert, err)
		}
		chain = append(chain, cert)
	}
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		if err := verifyChain(chain, pool, host, usage); err != nil {
			return fmt.Errorf("other nodes will refuse the certificate %s: %w", c.cert, err)
		}
	}
	return nil
}

// server asks for a certificate of the same authority. The check is our own,
// because the authority may change while the configuration lives.
func (c *Certificates) server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		ClientAuth: tls.RequireAnyClientCert,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			pair, _, err := c.current()
			return pair, err
		},
		VerifyConnection: func(s tls.ConnectionState) error { return c.verify(s, "", x509.ExtKeyUsageClientAuth) },
	}
}

// client checks that the other node has a certificate of the authority for the
// host of its address. InsecureSkipVerify turns off only the check that cannot
// follow a changed authority; verify does the whole of it.
func (c *Certificates) client() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, _, err := c.current()
			return pair, err
		},
		VerifyConnection: func(s tls.ConnectionState) error { return c.verify(s, s.ServerName, x509.ExtKeyUsageServerAuth) },
	}
}

func (c *Certificates) verify(s tls.ConnectionState, host string, usage x509.ExtKeyUsage) error {
	_, pool, err := c.current()
	if err != nil {
		return err
	}
	if len(s.PeerCertificates) == 0 {
		return errors.New("the other node shows no certificate")
	}
	return verifyChain(s.PeerCertificates, pool, host, usage)
}

// verifyChain checks a certificate, with those between it and the authority, for a
// host ("": any) and a use.
func verifyChain(chain []*x509.Certificate, pool *x509.CertPool, host string, usage x509.ExtKeyUsage) error {
	o := x509.VerifyOptions{Roots: pool, Intermediates: x509.NewCertPool(), DNSName: host, KeyUsages: []x509.ExtKeyUsage{usage}}
	for _, between := range chain[1:] {
		o.Intermediates.AddCert(between)
	}
	_, err := chain[0].Verify(o)
	return err
}
