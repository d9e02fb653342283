package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) certificatesCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "certificates HOST...",
		Short: "Make what nodes know each other by: an authority, and a certificate for each host",
		Long: `Make certificates for nodes that reach each other over a network. DIR gets
  ca.pem, ca.key       the authority; its key signs and belongs on no node
  HOST.pem, HOST.key   of each node, HOST being that of its --cluster-advertise
What is there stays, unless it ends soon: then it is made anew, and running nodes
read it. *.DOMAIN is every host of a domain, in any.DOMAIN.pem.

Other means to make certificates do as well: a node needs one of its host, for
servers and clients both.`,
		Example: "  signalbox cluster certificates --dir certificates node-1.internal node-2.internal\n" +
			"  signalbox serve ... --cluster-cert certificates/node-1.internal.pem \\\n" +
			"    --cluster-key certificates/node-1.internal.key --cluster-ca certificates/ca.pem",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return wrongUsage("`%s` takes the hosts of the nodes: usage is `%s`", cmd.CommandPath(), cmd.UseLine())
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "certificates", "`DIR` for the files")
	cmd.RunE = func(_ *cobra.Command, hosts []string) error {
		for _, host := range hosts {
			if !hostName(host) {
				return wrongUsage("%q is not a host: give the one of --cluster-advertise without its port", host)
			}
		}
		made, err := makeCertificates(dir, hosts, time.Now())
		if err != nil {
			return failed("%w", err)
		}
		return a.print(map[string]any{"files": made}, func(t *rows) {
			for _, f := range made {
				t.row(f.Path, f.State, "until "+f.Until.Format(time.DateOnly))
			}
		})
	}
	return cmd
}

// hostName reports whether a text can be the host of a certificate and the name of its file.
func hostName(host string) bool {
	rest, _ := strings.CutPrefix(host, "*.") // any host of a domain
	return rest != "" && rest != "ca" && !strings.HasPrefix(rest, ".") && !strings.ContainsAny(rest, "/\\ \t:*") || net.ParseIP(host) != nil
}

// fileOf is the name of the files of a host.
func fileOf(host string) string { return strings.NewReplacer("*", "any", ":", "-").Replace(host) }

// madeCertificate is one certificate with its key beside it.
type madeCertificate struct {
	Path  string    `json:"path"`
	State string    `json:"state"` // made or kept
	Until time.Time `json:"until"`
}

// makeCertificates makes what is missing or ends within certificateRenewal.
func makeCertificates(dir string, hosts []string, now time.Time) ([]madeCertificate, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	authority := &x509.Certificate{
		Subject: pkix.Name{CommonName: "Signalbox nodes"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: now.Add(-certificateSkew), NotAfter: now.Add(authorityLife),
	}
	ca, caKey, state, err := keepOrMake(dir, "ca", authority, nil, nil, now)
	if err != nil {
		return nil, err
	}
	made := []madeCertificate{{filepath.Join(dir, "ca.pem"), state, ca.NotAfter}}
	for _, host := range hosts {
		node := &x509.Certificate{
			Subject:     pkix.Name{CommonName: host},
			KeyUsage:    x509.KeyUsageDigitalSignature,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
			NotBefore:   now.Add(-certificateSkew), NotAfter: now.Add(certificateLife),
		}
		if ip := net.ParseIP(host); ip != nil {
			node.IPAddresses = []net.IP{ip}
		} else {
			node.DNSNames = []string{host}
		}
		cert, _, state, err := keepOrMake(dir, fileOf(host), node, ca, caKey, now)
		if err != nil {
			return nil, err
		}
		made = append(made, madeCertificate{filepath.Join(dir, fileOf(host)+".pem"), state, cert.NotAfter})
	}
	return made, nil
}

// keepOrMake reads a certificate with its key, or makes and writes both. Without a
// parent it signs itself.
func keepOrMake(dir, name string, template, parent *x509.Certificate, parentKey crypto.Signer, now time.Time) (*x509.Certificate, crypto.Signer, string, error) {
	certFile, keyFile := filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	cert, key, err := readCertificate(certFile, keyFile)
	if err != nil {
		return nil, nil, "", err
	}
	if cert != nil && now.Before(cert.NotAfter.Add(-certificateRenewal)) && (parent == nil || cert.CheckSignatureFrom(parent) == nil) {
		return cert, key, "kept", nil
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, "", err
	}
	if parent == nil {
		parent, parentKey = template, signer
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, nil, "", err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, signer.Public(), parentKey)
	if err != nil {
		return nil, nil, "", err
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		return nil, nil, "", err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return nil, nil, "", err
	}
	// The key first: a certificate without its key would be kept for ever.
	err = errors.Join(
		replaceFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600),
		replaceFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644))
	return cert, signer, "made", err
}

// readCertificate reads a certificate with its key; nil when there is none.
func readCertificate(certFile, keyFile string) (*x509.Certificate, crypto.Signer, error) {
	certText, err := os.ReadFile(certFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	keyText, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %s is there without its key; bring the key back, or remove both for new ones", err, certFile)
	}
	certBlock, _ := pem.Decode(certText)
	keyBlock, _ := pem.Decode(keyText)
	if certBlock == nil || keyBlock == nil {
		return nil, nil, fmt.Errorf("%s or %s is not PEM; remove both for new ones", certFile, keyFile)
	}
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", certFile, err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", keyFile, err)
	}
	key, ok := parsed.(crypto.Signer)
	if public, same := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !same || !public.Equal(key.Public()) {
		return nil, nil, fmt.Errorf("%s is not the key of %s; remove both for new ones", keyFile, certFile)
	}
	return cert, key, nil
}

// replaceFile writes a file whole or not at all: nodes read it meanwhile.
func replaceFile(path string, content []byte, mode os.FileMode) error {
	next := path + ".new"
	if err := os.WriteFile(next, content, mode); err != nil {
		return err
	}
	return os.Rename(next, path)
}
