//go:build !race || fleet

// For the reason why these are not run under the race detector see fleet_test.go.

package cluster_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/asynkron/protoactor-go/remote"

	"github.com/signalbox/signalbox/runtime/cluster"
)

// authority signs certificates of nodes.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}

// write writes a certificate for an address of the loopback, its key and the authority.
func (a *authority) write(t *testing.T, dir string, ip net.IP) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{ip},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "EC PRIVATE KEY", Bytes: secret},
		"ca.pem": {Type: "CERTIFICATE", Bytes: a.cert.Raw},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func certificates(t *testing.T, dir string) *cluster.Certificates {
	t.Helper()
	c, err := cluster.LoadCertificates(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var loopback = net.IPv4(127, 0, 0, 1)

// TestNodesKnowEachOther: with certificates nodes work together, and somebody
// without one, or with one of another authority, is not let in.
func TestNodesKnowEachOther(t *testing.T) {
	ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
	dir := t.TempDir()
	ours.write(t, dir, loopback)
	def := loadDefinition()
	f := newFleet(t, 0, def)
	f.tls = certificates(t, dir)
	f.add()
	f.add()
	f.settled(2)
	if err := f.other("x").begin(def, "x"); err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	theirs.write(t, elsewhere, loopback)
	pair, err := tls.LoadX509KeyPair(filepath.Join(elsewhere, "cert.pem"), filepath.Join(elsewhere, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for who, creds := range map[string]credentials.TransportCredentials{
		"somebody without encryption":    insecure.NewCredentials(),
		"somebody without a certificate": credentials.NewTLS(&tls.Config{InsecureSkipVerify: true}),
		"somebody of another authority":  credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}}),
	} {
		if err := knock(t, f.nodes[0].cluster.Address(), creds, "1"); err == nil {
			t.Errorf("%s was let in", who)
		}
	}
}

// knock opens a connection as a node does and waits for an answer.
func knock(t *testing.T, address string, creds credentials.TransportCredentials, protocol string) error {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // of a moment
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if protocol != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "signalbox-protocol", protocol)
	}
	stream, err := remote.NewRemotingClient(conn).Receive(ctx)
	if err != nil {
		return err
	}
	err = stream.Send(&remote.RemoteMessage{MessageType: &remote.RemoteMessage_ConnectRequest{ConnectRequest: &remote.ConnectRequest{
		ConnectionType: &remote.ConnectRequest_ServerConnection{ServerConnection: &remote.ServerConnection{SystemId: "s", Address: "a:1"}}}}})
	if err != nil && !errors.Is(err, io.EOF) { // the reason of an end is told to who reads
		return err
	}
	_, err = stream.Recv()
	return err
}

// TestCertificatesAreReadAgain: the authority is changed under running nodes, in
// the order that a person would do it.
func TestCertificatesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	newAuthority(t, "old").write(t, dir, loopback)
	def := loadDefinition()
	f := newFleet(t, 0, def)
	f.tls = certificates(t, dir)
	f.add()
	f.settled(1)
	next := newAuthority(t, "new")
	next.write(t, dir, loopback)
	later := time.Now().Add(time.Minute)
	for _, name := range []string{"cert.pem", "key.pem", "ca.pem"} {
		if err := os.Chtimes(filepath.Join(dir, name), later, later); err != nil {
			t.Fatal(err)
		}
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	creds := credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}})
	f.eventually("a node with a certificate of the new authority is let in", func() bool {
		return knock(t, f.nodes[0].cluster.Address(), creds, "1") == nil
	})
}

func TestCertificatesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	newAuthority(t, "ours").write(t, dir, loopback)
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := cluster.LoadCertificates(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "ca.pem"))
	if err == nil || !strings.Contains(err.Error(), "ca.pem") {
		t.Fatalf("%v", err)
	}
}

// TestAnotherProtocolIsRefused, at the door and in the membership.
func TestAnotherProtocolIsRefused(t *testing.T) {
	def := loadDefinition()
	f := newFleet(t, 1, def)
	for _, protocol := range []string{"", "0", "2"} {
		err := knock(t, f.nodes[0].cluster.Address(), insecure.NewCredentials(), protocol)
		if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "protocol 1") {
			t.Errorf("protocol %q: %v", protocol, err)
		}
		shown := protocol
		if shown == "" {
			shown = `""`
		}
		if !f.said.line("level=ERROR", "is refused: it speaks another protocol of the cluster", "protocol="+shown+" ", "ours=1") {
			t.Errorf("the log does not say that a node of protocol %q is refused", protocol)
		}
	}
	if err := knock(t, f.nodes[0].cluster.Address(), insecure.NewCredentials(), "1"); err != nil {
		t.Errorf("our own protocol: %v", err)
	}
	leases := cluster.NewLeases(client(t, f.redis), "", time.Minute)
	stranger := member("stranger", "127.0.0.1:1")
	stranger.Protocol = 2
	if _, err := leases.Join(t.Context(), stranger); err != nil {
		t.Fatal(err)
	}
	f.eventually("the log says that the stranger is refused", func() bool {
		return f.said.line("level=ERROR", "a node is refused", "node=stranger", "address=127.0.0.1:1", "protocol=2", "ours=1")
	})
	if err := f.nodes[0].begin(def, "x"); err != nil {
		t.Fatalf("a stranger disturbs those who are there: %v", err)
	}
	late := cluster.New(cluster.Options{Membership: leases, Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)})
	err := late.Start(t.Context(), f.nodes[0].system, f.nodes[0].Version)
	if err == nil || !strings.Contains(err.Error(), "speaks protocol 2") {
		t.Fatalf("joining a cluster of another protocol: %v", err)
	}
}

// TestAnAddressThatIsTaken is said as such.
func TestAnAddressThatIsTaken(t *testing.T) {
	f := newFleet(t, 1, loadDefinition())
	taken := f.nodes[0].cluster.Address()
	late := cluster.New(cluster.Options{Membership: cluster.NewLeases(client(t, f.redis), "", testTTL), Listen: taken, Logger: slog.New(slog.DiscardHandler)})
	err := late.Start(t.Context(), f.nodes[0].system, f.nodes[0].Version)
	if err == nil || !strings.Contains(err.Error(), taken) {
		t.Fatalf("listening on %s: %v", taken, err)
	}
}
