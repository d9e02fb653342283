package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"

	"github.com/redis/go-redis/v9"

	store "github.com/signalbox/signalbox/persistence/redis"
	"github.com/signalbox/signalbox/runtime/cluster"
)

// clustering is how a node is one of several.
type clustering struct {
	listen       string                // HOST:PORT for other nodes
	advertise    string                // HOST:PORT under which they reach it, "" for where it listens
	certificates *cluster.Certificates // nil: on the loopback, in the clear
}

// clusterSettings are the settings of a cluster, for `serve` only.
var clusterSettings = []setting{
	{name: "cluster", yesNo: true, serveOnly: true, usage: "be one of several nodes on the same Redis"},
	{name: "cluster-addr", fallback: "127.0.0.1:8090", serveOnly: true, usage: "`HOST:PORT` to listen on for the other nodes"},
	{name: "cluster-advertise", serveOnly: true, usage: "`HOST:PORT` under which the other nodes reach this one (default --cluster-addr)"},
	{name: "cluster-cert", serveOnly: true, usage: "`FILE` with the certificate of this node, PEM; read again when it changes"},
	{name: "cluster-key", serveOnly: true, usage: "`FILE` with the key of that certificate"},
	{name: "cluster-ca", serveOnly: true, usage: "`FILE` with the authority that signs the certificates of all nodes"},
}

// clustered settles how the node is one of several; nil when it is alone.
func clustered(chosen map[string]choice, c config, projectDir string) (*clustering, error) {
	if yes, err := chosen["cluster"].yes(); err != nil || !yes {
		return nil, err
	}
	var wrong []error
	k := &clustering{listen: settle(&wrong, chosen["cluster-addr"].hostPort)}
	if chosen["cluster-advertise"].text != "" {
		k.advertise = settle(&wrong, chosen["cluster-advertise"].hostPort)
	}
	if c.redis == nil {
		wrong = append(wrong, wrongUsage("--cluster needs a store that all nodes share: --store redis://HOST:6379"))
	}
	files := map[string]string{}
	for _, name := range []string{"cluster-cert", "cluster-key", "cluster-ca"} {
		if file := chosen[name]; file.text != "" {
			files[name] = file.path(projectDir)
		}
	}
	host, _, err := net.SplitHostPort(k.listen)
	ip := net.ParseIP(host)
	switch {
	case err != nil: // it has been said
	case len(files) == 3:
		k.certificates, err = cluster.LoadCertificates(files["cluster-cert"], files["cluster-key"], files["cluster-ca"])
		if err != nil {
			wrong = append(wrong, failed("%w", err))
		} else if err = k.covered(); err != nil {
			wrong = append(wrong, failed("%w; it has to be for the host of --cluster-advertise, for servers and clients, and signed by --cluster-ca, as `signalbox cluster certificates HOST` makes them", err))
		}
	case len(files) > 0:
		wrong = append(wrong, wrongUsage("--cluster-cert, --cluster-key and --cluster-ca belong together: give all three, or none on the loopback"))
	case !loopback(k.listen) || k.advertise != "" && !loopback(k.advertise):
		wrong = append(wrong, chosen["cluster-addr"].wrong("without certificates nodes are reached on the loopback only, because whoever reaches one may do anything: give --cluster-cert, --cluster-key and --cluster-ca, which `signalbox cluster certificates` makes"))
	}
	if ip != nil && ip.IsUnspecified() && k.advertise == "" {
		wrong = append(wrong, chosen["cluster-addr"].wrong("nobody can reach that address; say with --cluster-advertise HOST:PORT where the other nodes reach this one"))
	}
	return k, errors.Join(wrong...)
}

// covered asks whether the certificate is for where the others reach this node.
func (k *clustering) covered() error {
	host, _, err := net.SplitHostPort(orElse(k.advertise, k.listen))
	if ip := net.ParseIP(host); err != nil || ip != nil && ip.IsUnspecified() {
		return nil // which is wrong, and said elsewhere
	}
	return k.certificates.Covers(host)
}

// path is a file that a setting names. What the project file says is relative to it.
func (c choice) path(projectDir string) string {
	if c.fromProject && !filepath.IsAbs(c.text) {
		return filepath.Join(projectDir, c.text)
	}
	return c.text
}

// join prepares the node's part in the cluster.
func (n *node) join() *cluster.Options {
	k := n.config.cluster
	if k == nil {
		return nil
	}
	n.leases = store.Connect(n.config.redis)
	return &cluster.Options{
		Membership: cluster.NewLeases(n.leases, n.config.redis.Prefix, cluster.LeaseTTL),
		Listen:     k.listen, Advertise: k.advertise, TLS: k.certificates,
		Version: versionName(), Logger: n.logger,
	}
}

// closeLeases closes the connections to the leases.
func closeLeases(client redis.UniversalClient) error {
	if client == nil {
		return nil
	}
	if err := client.Close(); err != nil {
		return fmt.Errorf("close the connections to the leases: %w", err)
	}
	return nil
}

// logCluster says in the log how the node is one of several.
func (n *node) logCluster(logger *slog.Logger) {
	if k := n.config.cluster; k != nil {
		logger.Info("this node is one of several", "cluster_addr", k.listen, "encrypted", k.certificates != nil)
	}
}
