package main

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// chosenBy settles the settings of a command line, an environment and a
// project file.
func chosenBy(t *testing.T, args []string, env, project map[string]string) (config, error) {
	t.Helper()
	a := &app{terminal: terminal{env: func(name string) string { return env[name] }}}
	cmd := &cobra.Command{}
	addSettings(cmd, true)
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	return configure(a.choose(cmd, project), "project")
}

func TestSettingsDefault(t *testing.T) {
	got, err := chosenBy(t, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := config{
		addr: "127.0.0.1:8080", data: filepath.Join("project", ".signalbox"),
		logLevel: slog.LevelInfo, retention: 720 * time.Hour,
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestSettingsPrecedence adds one layer after the other for each setting.
func TestSettingsPrecedence(t *testing.T) {
	for _, c := range []struct {
		name                 string
		project, env, flag   string
		read                 func(config) any
		inProject, inEnv, in any
	}{
		{"addr", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", func(c config) any { return c.addr }, "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"},
		{"data", "a", "b", "c", func(c config) any { return c.data }, filepath.Join("project", "a"), "b", "c"},
		{"store", "redis://u:s@a", "embedded", "redis+cluster://b", func(c config) any { return fmt.Sprint(c.redis) }, "redis://a:6379", "<nil>", "redis+cluster://b:6379"},
		{"memory", "true", "0", "true", func(c config) any { return c.memory }, true, false, true},
		{"no-auth", "yes", "no", "true", func(c config) any { return c.noAuth }, true, false, true},
		{"allow-private", "on", "off", "true", func(c config) any { return c.allowPrivate }, true, false, true},
		{"log-format", "json", "text", "json", func(c config) any { return c.logJSON }, true, false, true},
		{"log-level", "debug", "warn", "error", func(c config) any { return c.logLevel }, slog.LevelDebug, slog.LevelWarn, slog.LevelError},
		{"retention", "1h", "2d", "0", func(c config) any { return c.retention }, time.Hour, 48 * time.Hour, keptForever},
	} {
		project := map[string]string{strings.ReplaceAll(c.name, "-", "_"): c.project}
		env := map[string]string{}
		args := []string(nil)
		for _, layer := range []struct {
			add  func()
			want any
		}{
			{func() {}, c.inProject},
			{func() { env["SIGNALBOX_"+strings.ToUpper(strings.ReplaceAll(c.name, "-", "_"))] = c.env }, c.inEnv},
			{func() { args = []string{"--" + c.name + "=" + c.flag} }, c.in},
		} {
			layer.add()
			got, err := chosenBy(t, args, env, project)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			} else if c.read(got) != layer.want {
				t.Errorf("%s with %v, %v, %v is %v, want %v", c.name, project, env, args, c.read(got), layer.want)
			}
		}
	}
}

func TestSettingsRefused(t *testing.T) {
	for _, c := range []struct{ name, value, says string }{
		{"addr", "8080", "HOST:PORT"},
		{"addr", "127.0.0.1:http", "number"},
		{"addr", "127.0.0.1:-1", "number"},
		{"store", "sqlite://u:secret@h", "embedded, or an address"},
		{"store", "redis://u:secret@h?colour=red", "option \"colour\""},
		{"store", "redis+ring://u:secret@h", "redis+cluster"},
		{"no-auth", "perhaps", "true or false"},
		{"log-format", "xml", "text, json"},
		{"log-level", "LOUD", "debug, info"},
		{"retention", "soon", "duration"},
		{"retention", "-1h", "duration"},
	} {
		env := map[string]string{"SIGNALBOX_" + strings.ToUpper(strings.ReplaceAll(c.name, "-", "_")): c.value}
		_, err := chosenBy(t, nil, env, nil)
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "SIGNALBOX_") {
			t.Errorf("%s=%s: %v, want something about %q and where it came from", c.name, c.value, err, c.says)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%v shows a password", err)
		}
	}
}

// TestMemoryOfARedis: a store cannot be both.
func TestMemoryOfARedis(t *testing.T) {
	_, err := chosenBy(t, []string{"--memory", "--store", "redis://u:secret@h"}, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "leave one of them out") || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}

func TestLoopback(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:80": true, "127.9.9.9:80": true, "[::1]:80": true, "localhost:80": true,
		"0.0.0.0:80": false, "[::]:80": false, "10.0.0.1:80": false, "example.org:80": false, "localhost.example.org:80": false, "80": false,
	} {
		if loopback(addr) != want {
			t.Errorf("loopback(%q) is %v", addr, !want)
		}
	}
	// No host is this machine, never the whole network.
	if got, err := (choice{text: ":0"}).hostPort(); err != nil || got != "127.0.0.1:0" {
		t.Errorf(":0 is %q, %v", got, err)
	}
}
