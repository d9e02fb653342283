package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/definitions"
)

const precedence = `A flag wins over its variable in the environment, that over the key of the same
name in the project file (signalbox.yaml), and that over the default.

`

func (a *app) serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:        "serve [DIR]",
		SuggestFor: []string{"server", "daemon"},
		Short:      "Run a node for production",
		Long: `Run a node on the project in DIR, or here.

It asks for API keys unless it is told --no-auth; ` + "`signalbox keys bootstrap`" + ` makes
the first one. When it is ready it prints one line: listening on http://HOST:PORT.
SIGTERM or SIGINT stops it gracefully, a second one at once.

` + precedence + exitCodes,
		Example: "  signalbox serve ./project --data /var/lib/signalbox --addr 0.0.0.0:8080\n" +
			"  signalbox serve ./project --addr 0.0.0.0:8080 --store redis://redis:6379 --cluster \\\n" +
			"    --cluster-addr 10.0.0.1:8090 --cluster-cert node.pem --cluster-key node.key --cluster-ca ca.pem",
		Args: atMostFolder,
	}
	addSettings(cmd, false)
	cmd.Flags().Bool("with-parent", false, "stop when standard input ends")
	cmd.Flags().Lookup("with-parent").Hidden = true // for the demo, which outlives no node that it starts
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		if cmd.Flags().Changed("with-parent") {
			var cancel context.CancelFunc
			ctx, cancel = context.WithCancel(ctx)
			defer cancel()
			go a.watchParent(cancel)
		}
		project, c, err := a.load(cmd, folder(args))
		if err != nil {
			return err
		}
		for _, by := range a.devOnly(project.Settings) {
			a.logger(c).Warn(by+" is for `signalbox dev` only: this node keeps everything", "store", c.storeName())
		}
		n, err := a.openNode(ctx, c, project, false)
		if err != nil {
			return err
		}
		return n.run(ctx, a)
	}
	return cmd
}

// watchParent ends the node when its standard input does, which is when the
// process that started it is gone, however it went.
func (a *app) watchParent(stop func()) {
	var one [1]byte
	for {
		if _, err := a.in.Read(one[:]); err != nil {
			stop()
			return
		}
	}
}

// load reads a project, prints what is to be said about it, and settles what
// the node is run with.
func (a *app) load(cmd *cobra.Command, dir string) (*definitions.Project, config, error) {
	project, findings := definitions.Load(dir)
	if findings.Errors() || project == nil {
		findings.Print(a.err)
		return nil, config{}, failed("%s was not loaded: correct what is said above", dir)
	}
	c, err := configure(a.choose(cmd, project.Settings), project.Dir)
	if err != nil || !c.logJSON {
		findings.Print(a.err)
		return project, c, err
	}
	// Whoever reads the log by machine reads the warnings by machine, too.
	logger := a.logger(c)
	for _, f := range findings {
		logger.Warn(f.Message, "file", f.File, "line", f.Line, "col", f.Col, "rule", f.Rule, "hint", f.Hint)
	}
	return project, c, nil
}
