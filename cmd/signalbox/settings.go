package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/definitions/expression"
	"github.com/signalbox/signalbox/persistence/redis"
)

// setting is one thing that a person can choose about a node. Its name is the
// flag; the variable of the environment and the key of the project file follow
// from it. A flag wins over the environment, that over the project file, and
// that over the fallback.
type setting struct {
	name     string
	fallback string
	usage    string
	yesNo    bool
	devOnly  bool

	serveOnly bool
}

var settings = append([]setting{
	{name: "addr", fallback: "127.0.0.1:8080", usage: "`HOST:PORT` to listen on; no host is 127.0.0.1, port 0 picks one and prints it"},
	{name: "data", usage: "`DIR` of the embedded store, and of what the node remembers of another one (default .signalbox beside the project)"},
	{name: "store", fallback: "embedded", usage: "`STORE` that remembers everything: embedded, or an address like redis://HOST:6379, redis+sentinel://HOST,HOST/NAME, redis+cluster://HOST,HOST"},
	{name: "memory", yesNo: true, devOnly: true, usage: "keep nothing on disk: everything is lost when the node stops"},
	{name: "no-auth", yesNo: true, usage: "ask nobody for an API key"},
	{name: "log-format", fallback: "text", usage: "text or json"},
	{name: "log-level", fallback: "info", usage: "debug, info, warn or error"},
	{name: "allow-private", yesNo: true, usage: "let HTTP tools reach private and loopback addresses"},
	{name: "retention", fallback: "720h", usage: "how long a finished execution and its history are kept; 0 keeps them for ever"},
	{name: "drain-delay", fallback: "0", serveOnly: true, usage: "how long the node goes on taking requests after SIGTERM while /readyz says no, so that a load balancer looks elsewhere first"},
}, clusterSettings...)

func (s setting) variable() string {
	return "SIGNALBOX_" + strings.ToUpper(strings.ReplaceAll(s.name, "-", "_"))
}

func (s setting) key() string { return strings.ReplaceAll(s.name, "-", "_") }

// addSettings gives a command a flag for each setting, and says in its help
// which variable means the same.
func addSettings(cmd *cobra.Command, dev bool) {
	for _, s := range settings {
		if s.devOnly && !dev || s.serveOnly && dev {
			continue
		}
		usage := s.usage + " (" + s.variable() + ")"
		if s.yesNo {
			cmd.Flags().Bool(s.name, false, usage)
		} else {
			cmd.Flags().String(s.name, s.fallback, usage)
		}
	}
}

// choice is what a setting came to, and who said so.
type choice struct {
	text        string
	by          string
	fromProject bool
}

// choose settles every setting that the command has. A key of the project file
// for which there is no setting has been diagnosed when the file was read.
func (a *app) choose(cmd *cobra.Command, project map[string]string) map[string]choice {
	chosen := make(map[string]choice, len(settings))
	for _, s := range settings {
		flag := cmd.Flags().Lookup(s.name)
		variable := a.env(s.variable())
		said, inProject := project[s.key()]
		switch {
		case flag == nil:
		case flag.Changed:
			chosen[s.name] = choice{text: flag.Value.String(), by: "--" + s.name}
		case variable != "":
			chosen[s.name] = choice{text: variable, by: s.variable()}
		case inProject && said != "":
			chosen[s.name] = choice{text: said, by: "`" + s.key() + "` in the project file", fromProject: true}
		default:
			chosen[s.name] = choice{text: s.fallback, by: "the default"}
		}
	}
	return chosen
}

// devOnly lists who asks `serve` for what only `dev` does, where no flag can.
func (a *app) devOnly(project map[string]string) (by []string) {
	for _, s := range settings {
		said := choice{text: project[s.key()], by: "`" + s.key() + ": true` in the project file"}
		if text := a.env(s.variable()); text != "" {
			said = choice{text: text, by: s.variable()}
		}
		if yes, err := said.yes(); s.devOnly && yes && err == nil {
			by = append(by, said.by)
		}
	}
	return by
}

// config is what a node is run with.
type config struct {
	addr         string         // HOST:PORT, the host never empty
	data         string         // folder of the store
	redis        *redis.Address // nil for the embedded store
	memory       bool
	noAuth       bool
	allowPrivate bool
	logJSON      bool
	logLevel     slog.Level
	retention    time.Duration
	drainDelay   time.Duration
	cluster      *clustering // nil: this node is alone
}

// configure checks what was chosen and says everything that is wrong with it.
// The project's folder is where relative paths of the project file begin.
func configure(chosen map[string]choice, projectDir string) (config, error) {
	var wrong []error
	c := config{
		data:         chosen["data"].folder(projectDir),
		addr:         settle(&wrong, chosen["addr"].hostPort),
		memory:       settle(&wrong, chosen["memory"].yes),
		noAuth:       settle(&wrong, chosen["no-auth"].yes),
		allowPrivate: settle(&wrong, chosen["allow-private"].yes),
		logJSON:      settle(&wrong, chosen["log-format"].oneOf("text", "json")) == "json",
		logLevel:     settle(&wrong, chosen["log-level"].level),
		retention:    settle(&wrong, chosen["retention"].duration),
	}
	if chosen["drain-delay"].text != "" {
		c.drainDelay = settle(&wrong, chosen["drain-delay"].duration)
	}
	if c.redis = settle(&wrong, chosen["store"].store); c.redis != nil && c.memory {
		wrong = append(wrong, chosen["memory"].wrong("the store is "+c.redis.String()+", which keeps what it keeps; leave one of them out"))
	}
	var err error
	if c.cluster, err = clustered(chosen, c, projectDir); err != nil {
		wrong = append(wrong, err)
	}
	if c.retention == 0 {
		c.retention = keptForever
	}
	if len(wrong) > 0 {
		return c, &status{code: explain(wrong[0]).code, err: errors.Join(wrong...)}
	}
	return c, nil
}

// settle is the value of a choice, or one more thing that is wrong.
func settle[T any](wrong *[]error, read func() (T, error)) T {
	value, err := read()
	if err != nil {
		*wrong = append(*wrong, err)
	}
	return value
}

// folder is where the store is. What the project file says is relative to it.
func (c choice) folder(projectDir string) string {
	switch {
	case c.text == "":
		return filepath.Join(projectDir, ".signalbox")
	case c.fromProject && !filepath.IsAbs(c.text):
		return filepath.Join(projectDir, c.text)
	}
	return c.text
}

func (c choice) wrong(why string) error {
	return wrongUsage("%s, from %s: %s", strconv.Quote(c.text), c.by, why)
}

func (c choice) oneOf(allowed ...string) func() (string, error) {
	return func() (string, error) {
		if slices.Contains(allowed, c.text) {
			return c.text, nil
		}
		return "", c.wrong("it is one of " + strings.Join(allowed, ", "))
	}
}

func (c choice) level() (slog.Level, error) {
	name, err := c.oneOf("debug", "info", "warn", "error")()
	if err != nil {
		return 0, err
	}
	var level slog.Level
	return level, level.UnmarshalText([]byte(name))
}

func (c choice) yes() (bool, error) {
	switch strings.ToLower(c.text) {
	case "", "false", "0", "no", "off":
		return false, nil
	case "true", "1", "yes", "on":
		return true, nil
	}
	return false, c.wrong("it is true or false")
}

func (c choice) duration() (time.Duration, error) {
	if c.text == "0" {
		return 0, nil
	}
	d, err := expression.ParseDuration(c.text)
	if err != nil {
		return 0, c.wrong(err.Error())
	}
	return d, nil
}

// hostPort checks an address. One without a host means this machine only: to
// listen to the whole network takes saying so, as 0.0.0.0.
func (c choice) hostPort() (string, error) {
	host, port, err := net.SplitHostPort(c.text)
	if err != nil {
		return "", c.wrong("not HOST:PORT, like 127.0.0.1:8080")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return "", c.wrong("the port is a number from 0 to 65535")
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// store is the address of a Redis, nil for the embedded store.
func (c choice) store() (*redis.Address, error) {
	if c.text == "embedded" || c.text == "" {
		return nil, nil
	}
	shown := choice{text: hideUser(c.text), by: c.by}
	if !strings.HasPrefix(c.text, "redis") {
		return nil, shown.wrong("a store is embedded, or an address that begins with redis://, redis+sentinel:// or redis+cluster://")
	}
	a, err := redis.ParseAddress(c.text)
	if err != nil {
		return nil, shown.wrong(err.Error())
	}
	return a, nil
}

// hideUser drops the name and password of an address before it is shown.
func hideUser(address string) string {
	scheme, rest, found := strings.Cut(address, "://")
	if !found {
		return address
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = rest[i+1:]
	}
	return fmt.Sprintf("%s://%s", scheme, rest)
}

// loopback reports whether only this machine can reach an address.
func loopback(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
