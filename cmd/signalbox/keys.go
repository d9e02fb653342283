package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/http"
	"github.com/signalbox/signalbox/workflow"
)

// keyKeeper is where keys are: in the store of a stopped node, or behind the
// front door of a running one.
type keyKeeper interface {
	create(ctx context.Context, spec http.KeySpec) (token string, key http.Key, err error)
	list(ctx context.Context) ([]http.Key, error)
	revoke(ctx context.Context, id string) (http.Key, error)
	close() error
}

func (a *app) keysCommand() *cobra.Command {
	var data, store string
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Make, list and revoke API keys",
		Long: `Make, list and revoke API keys.

With --data the store of a stopped node is opened, with --store a Redis, whose
nodes may go on running; otherwise a running node is asked (--url), with a key
that has the scope admin. The first key is made by ` + "`keys bootstrap`" + ` on the store.
A token is shown once and kept only as a hash.

Where they are says the first that is there of --store, --data; --url, SIGNALBOX_URL;
SIGNALBOX_STORE, SIGNALBOX_DATA; the node at ` + defaultURL + `.
For ` + "`bootstrap`" + `, which asks no node: --store, --data; SIGNALBOX_STORE, SIGNALBOX_DATA;
the folder .signalbox, here. What the project file says of a store does not count.

Scopes: ` + strings.Join(scopeNames(), ", ") + `; admin implies all of them.`,
		Args: onlyVerbs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&data, "data", "", "`DIR` of the store of a stopped node (SIGNALBOX_DATA; bootstrap: default .signalbox)")
	cmd.PersistentFlags().StringVar(&store, "store", "", "`STORE` that is no folder, like redis://HOST:6379 (SIGNALBOX_STORE)")
	onStore := func() (config, error) {
		c := config{data: data}
		said := choice{text: store, by: "--store"}
		if data == "" && store == "" {
			c.data = a.env("SIGNALBOX_DATA")
			said = choice{text: a.env("SIGNALBOX_STORE"), by: "SIGNALBOX_STORE"}
		}
		var err error
		c.redis, err = said.store()
		return c, err
	}
	where := func() (config, error) {
		if data == "" && store == "" && (a.url != "" || a.env("SIGNALBOX_URL") != "") {
			return config{}, nil
		}
		return onStore()
	}
	cmd.AddCommand(a.keysBootstrapCommand(onStore), a.keysCreateCommand(where), a.keysListCommand(where), a.keysRevokeCommand(where))
	return cmd
}

func scopeNames() []string {
	names := make([]string, len(http.Scopes))
	for i, s := range http.Scopes {
		names[i] = string(s)
	}
	return names
}

func (a *app) keysBootstrapCommand(where func() (config, error)) *cobra.Command {
	var name, tokenFile string
	var ifNone bool
	cmd := &cobra.Command{
		Use:   "bootstrap",
		Short: "Make the first key, which has the scope admin",
		Example: "  signalbox keys bootstrap --data /var/lib/signalbox\n" +
			"  signalbox keys bootstrap --store redis://redis:6379 --if-none --token-file /run/secrets/signalbox-key",
		Args: exactly(),
	}
	cmd.Flags().StringVar(&name, "name", "admin", "of the key, as receipts show it")
	cmd.Flags().BoolVar(&ifNone, "if-none", false, "leave it at that when there is an admin key already, for scripts that run at every start")
	cmd.Flags().StringVar(&tokenFile, "token-file", "", "`FILE` with the token that the key is to have: sbx_ and 32 random bytes in base64url (default: a new one, printed once)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, cancel := context.WithTimeout(cmd.Context(), requestTimeout)
		defer cancel()
		c, err := where()
		if err != nil {
			return err
		}
		if c.redis == nil {
			c.data = orElse(c.data, ".signalbox")
		}
		ring, err := a.openKeys(ctx, c, true)
		if err != nil {
			return err
		}
		given, err := tokenOf(tokenFile)
		if err != nil {
			return errors.Join(err, ring.close())
		}
		token, key, err := ring.keys.Bootstrap(ctx, name, given)
		if ifNone && alreadyMade(err) {
			return errors.Join(a.printNone(err), ring.close())
		}
		if err = errors.Join(err, ring.close()); err != nil {
			return err
		}
		return a.printFirst(token, key, tokenFile)
	}
	return cmd
}

// bootstrapped is what `keys bootstrap` says to a program: it made a key, whose token
// is left out when a file has it, or for which reason it made none.
type bootstrapped struct {
	Created bool   `json:"created"`
	Reason  string `json:"reason,omitempty"`
	Token   string `json:"token,omitempty"`
	*http.Key
}

// printNone says that there was a key already, which made none necessary.
func (a *app) printNone(why error) error {
	if a.output == "json" {
		return writeJSON(a.out, bootstrapped{Reason: why.Error()})
	}
	fmt.Fprintln(a.err, why, "- so none is made")
	return nil
}

// printFirst shows the first key, and its token unless it is that of a file.
func (a *app) printFirst(token string, key http.Key, file string) error {
	switch {
	case a.output == "json" && file == "":
		return writeJSON(a.out, bootstrapped{Created: true, Token: token, Key: &key})
	case a.output == "json":
		return writeJSON(a.out, bootstrapped{Created: true, Key: &key})
	case file == "":
		return a.printToken(token, key)
	}
	fmt.Fprintf(a.err, "key %s (%s) may %s; its token is that of %s\n", key.ID, key.Name, scopeText(key.Scopes), file)
	return nil
}

// tokenOf reads a token from a file, "" when there is none to read.
func tokenOf(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	f, err := os.Open(file)
	if err != nil {
		return "", failed("--token-file: %w", err)
	}
	defer f.Close()
	content, err := readBounded(f, maxKeyFile)
	if err != nil {
		return "", failed("--token-file %s: %w", file, err)
	}
	token := strings.TrimSpace(string(content))
	if token == "" {
		return "", failed("--token-file %s is empty", file)
	}
	return token, nil
}

func alreadyMade(err error) bool {
	var refusal *workflow.Refusal
	return errors.As(err, &refusal) && refusal.Code == http.CodeBootstrapped
}

func (a *app) keysCreateCommand(where func() (config, error)) *cobra.Command {
	var name, expires string
	var scopes []string
	cmd := &cobra.Command{
		Use:     "create",
		Short:   "Make a key",
		Example: "  signalbox keys create --name payments --scopes signals:write --expires 30d",
		Args:    exactly(),
	}
	flags := cmd.Flags()
	flags.StringVar(&name, "name", "", "of the key, as receipts show it")
	flags.StringSliceVar(&scopes, "scopes", nil, "what it may do, separated by commas")
	flags.StringVar(&expires, "expires", "", "after how long, like 30d (default: never)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		spec := http.KeySpec{Name: name}
		if name == "" || len(scopes) == 0 {
			return wrongUsage("a key needs --name and --scopes; the scopes are %s", strings.Join(scopeNames(), ", "))
		}
		var err error
		if spec.Scopes, err = http.ParseScopes(scopes); err != nil {
			return wrongUsage("--scopes: %w", err)
		}
		if spec.Expires, err = lifetime(expires); err != nil {
			return err
		}
		return a.withKeys(cmd, where, func(ctx context.Context, keys keyKeeper) error {
			token, key, err := keys.create(ctx, spec)
			if err != nil {
				return err
			}
			return a.printToken(token, key)
		})
	}
	return cmd
}

func lifetime(said string) (time.Duration, error) {
	if said == "" {
		return 0, nil
	}
	d, err := (choice{text: said, by: "--expires"}).duration()
	if err == nil && d == 0 {
		err = wrongUsage("--expires %s: leave it out for a key that never expires", said)
	}
	return d, err
}

func (a *app) keysListCommand(where func() (config, error)) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the keys, revoked and expired ones too",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withKeys(cmd, where, func(ctx context.Context, keys keyKeeper) error {
				all, err := keys.list(ctx)
				if err != nil {
					return err
				}
				return a.print(map[string]any{"keys": all}, func(t *rows) {
					t.row("ID", "NAME", "BEGINS", "SCOPES", "STATE", "CREATED", "LAST USED")
					for _, k := range all {
						t.row(k.ID, k.Name, k.Hint, scopeText(k.Scopes), keyState(&k, time.Now()), k.CreatedAt, orElse(k.LastUsedAt.String(), "-"))
					}
				})
			})
		},
	}
}

func scopeText(scopes []http.Scope) string {
	names := make([]string, len(scopes))
	for i, s := range scopes {
		names[i] = string(s)
	}
	return strings.Join(names, ",")
}

func keyState(k *http.Key, now time.Time) string {
	switch {
	case k.RevokedAt != 0:
		return "revoked " + k.RevokedAt.String()
	case !k.Active(now):
		return "expired " + k.ExpiresAt.String()
	case k.ExpiresAt != 0:
		return "until " + k.ExpiresAt.String()
	}
	return "active"
}

func (a *app) keysRevokeCommand(where func() (config, error)) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke KEY_ID",
		Short: "End a key at once",
		Args:  exactly("KEY_ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withKeys(cmd, where, func(ctx context.Context, keys keyKeeper) error {
				key, err := keys.revoke(ctx, args[0])
				if err != nil {
					return err
				}
				return a.print(key, func(t *rows) {
					t.field("revoked", key.ID)
					t.field("name", key.Name)
				})
			})
		},
	}
}

// printToken shows a new key. Its token is the only thing on standard output
// that is not a table, so that a script can take the first line.
func (a *app) printToken(token string, key http.Key) error {
	made := struct {
		Token string `json:"token"`
		http.Key
	}{token, key}
	if a.output == "json" {
		return writeJSON(a.out, made)
	}
	fmt.Fprintf(a.err, "key %s (%s) may %s; its token is shown only now:\n", key.ID, key.Name, scopeText(key.Scopes))
	_, err := fmt.Fprintln(a.out, token)
	return err
}

// withKeys opens the keys where they are, and closes them again.
func (a *app) withKeys(cmd *cobra.Command, where func() (config, error), do func(context.Context, keyKeeper) error) error {
	c, err := where()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), requestTimeout)
	defer cancel()
	var keys keyKeeper
	if c.data == "" && c.redis == nil {
		client, err := a.client()
		if err != nil {
			return err
		}
		keys = remoteKeys{client}
	} else {
		stored, err := a.openKeys(ctx, c, false)
		if err != nil {
			return err
		}
		keys = stored
	}
	return errors.Join(do(ctx, keys), keys.close())
}

// storedKeys are those in the store of a stopped node.
type storedKeys struct {
	keys  *http.KeyRing
	store interface{ Close() error }
}

// openKeys opens a store for its keys. Only the first key may make the store:
// a wrong folder elsewhere would look like one without keys.
func (a *app) openKeys(ctx context.Context, c config, mayCreate bool) (*storedKeys, error) {
	if !mayCreate && c.redis == nil {
		if _, err := os.Stat(c.data); errors.Is(err, fs.ErrNotExist) {
			return nil, hinted(failed("there is no store in %s", c.data), "--data names the folder of a node; `keys bootstrap` makes a new one")
		}
	}
	logger := slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	store, err := openStore(ctx, c, logger)
	if err != nil && c.redis != nil {
		return nil, err
	}
	if err != nil {
		return nil, hinted(err, "is its node running? then leave --data out and name the node with --url")
	}
	return &storedKeys{http.NewKeyRing(documents{store}), store}, nil
}

func (s *storedKeys) create(ctx context.Context, spec http.KeySpec) (string, http.Key, error) {
	spec.By = "command line"
	return s.keys.Create(ctx, spec)
}

func (s *storedKeys) list(ctx context.Context) ([]http.Key, error) { return s.keys.List(ctx) }

func (s *storedKeys) revoke(ctx context.Context, id string) (http.Key, error) {
	return s.keys.Revoke(ctx, id, "command line")
}

func (s *storedKeys) close() error {
	s.keys.Close()
	return s.store.Close()
}

// remoteKeys are those of a running node.
type remoteKeys struct{ client *http.Client }

func (r remoteKeys) create(ctx context.Context, spec http.KeySpec) (string, http.Key, error) {
	made, err := r.client.CreateKey(ctx, spec)
	if err != nil {
		return "", http.Key{}, err
	}
	return made.Token, made.Key, nil
}

func (r remoteKeys) list(ctx context.Context) ([]http.Key, error) { return r.client.Keys(ctx) }

func (r remoteKeys) revoke(ctx context.Context, id string) (http.Key, error) {
	return r.client.RevokeKey(ctx, id)
}

func (r remoteKeys) close() error { return nil }
