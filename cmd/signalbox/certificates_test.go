package main

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/runtime/cluster"
)

// TestCertificatesAreGoodForNodes: what is made verifies for its host, for
// servers and clients, and is what a node takes.
func TestCertificatesAreGoodForNodes(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	if _, err := makeCertificates(dir, []string{"node-1", "10.0.0.7"}, now); err != nil {
		t.Fatal(err)
	}
	ca, _, err := readCertificate(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	if _, err := makeCertificates(dir, []string{"*.nodes.svc", "fe80::1"}, now); err != nil {
		t.Fatal(err)
	}
	for file, host := range map[string]string{"node-1": "node-1", "10.0.0.7": "10.0.0.7", "any.nodes.svc": "signalbox-0.nodes.svc", "fe80--1": "fe80::1"} {
		cert, key := filepath.Join(dir, file+".pem"), filepath.Join(dir, file+".key")
		if _, err := cluster.LoadCertificates(cert, key, filepath.Join(dir, "ca.pem")); err != nil {
			t.Error(err)
		}
		read, _, err := readCertificate(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			if _, err := read.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
				t.Errorf("%s: %v", host, err)
			}
		}
		if _, err := read.Verify(x509.VerifyOptions{Roots: roots, DNSName: "node-2"}); err == nil {
			t.Errorf("the certificate of %s is good for another host", host)
		}
		if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s can be read by others: %v, %v", key, info, err)
		}
	}
}

// TestCertificatesAreKeptUntilTheyEndSoon: a second run changes nothing, a run
// shortly before the end makes those of the nodes anew, by the same authority.
func TestCertificatesAreKeptUntilTheyEndSoon(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	states := func(at time.Time) string {
		t.Helper()
		made, err := makeCertificates(dir, []string{"node-1"}, at)
		if err != nil {
			t.Fatal(err)
		}
		return made[0].State + " " + made[1].State
	}
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{now, "made made"},
		{now.Add(time.Hour), "kept kept"},
		{now.Add(certificateLife - certificateRenewal + time.Hour), "kept made"},
		{now.Add(authorityLife - certificateRenewal + time.Hour), "made made"},
	} {
		if got := states(c.at); got != c.want {
			t.Errorf("%s later: %s, want %s", c.at.Sub(now), got, c.want)
		}
	}
}

// TestCertificatesThatDoNotFitAreNotReplaced: what a person has to look at is said.
func TestCertificatesThatDoNotFitAreNotReplaced(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(dir string) error
		says  string
	}{
		"key gone": {func(dir string) error { return os.Remove(filepath.Join(dir, "node-1.key")) }, "without its key"},
		"not PEM":  {func(dir string) error { return os.WriteFile(filepath.Join(dir, "ca.pem"), []byte("x"), 0o600) }, "not PEM"},
		"other key": {func(dir string) error {
			return os.Rename(filepath.Join(dir, "ca.key"), filepath.Join(dir, "node-1.key"))
		}, "ca.key"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := makeCertificates(dir, []string{"node-1"}, time.Now()); err != nil {
				t.Fatal(err)
			}
			if err := c.spoil(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := makeCertificates(dir, []string{"node-1"}, time.Now()); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want it to say %q", err, c.says)
			}
		})
	}
}
