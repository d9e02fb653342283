package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/definitions"
)

func (a *app) devCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:        "dev [DIR]",
		SuggestFor: []string{"run", "up"},
		Short:      "Run a node that reloads the YAML as you edit it",
		Long: `Run a node on the project in DIR, or here, and read its YAML again whenever a
file changes. An edit with errors is explained and the last good version stays;
executions that are under way go on with the version that they started with.

On a loopback address nobody is asked for a key.

` + precedence + exitCodes,
		Example: "  signalbox dev examples/approval\n  signalbox dev --memory --addr 127.0.0.1:0",
		Args:    atMostFolder,
	}
	addSettings(cmd, true)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return a.dev(cmd, folder(args)) }
	return cmd
}

func (a *app) dev(cmd *cobra.Command, dir string) error {
	project, c, err := a.load(cmd, dir)
	if err != nil {
		return err
	}
	n, err := a.openNode(cmd.Context(), c, project, true)
	if err != nil {
		return err
	}
	watching, stop := context.WithCancel(cmd.Context())
	ended := make(chan error, 1)
	go func() {
		r := &reloader{app: a, dir: dir, project: project, deploy: n.runtime.Deploy}
		ended <- r.watch(watching)
	}()
	err = n.run(cmd.Context(), a)
	stop()
	if watchErr := <-ended; watchErr != nil {
		fmt.Fprintf(a.err, "the files were not watched to the end: %v\n", watchErr)
	}
	return err
}

// reloader reads a project again when its files change.
type reloader struct {
	*app
	dir     string
	project *definitions.Project // the last good one
	deploy  func(context.Context, *definitions.Project) error
}

// reload reads the project and deploys it, or says why the last good version stays.
func (r *reloader) reload(ctx context.Context) {
	project, diagnostics := definitions.Load(r.dir)
	diagnostics.Print(r.err)
	if diagnostics.Errors() || project == nil {
		fmt.Fprintln(r.err, "not reloaded: the last good version stays until this is corrected")
		return
	}
	changes := differences(r.project, project)
	if err := r.deploy(ctx, project); err != nil {
		fmt.Fprintf(r.err, "not reloaded: %v\n", err)
		return
	}
	r.project = project
	if len(changes) == 0 {
		fmt.Fprintln(r.err, "reloaded: nothing that matters has changed")
	}
	for _, change := range changes {
		fmt.Fprintln(r.err, "reloaded:", change)
	}
}

// differences says what a new reading of a project changed, workflow by workflow.
func differences(before, after *definitions.Project) []string {
	was := make(map[string]string, len(before.Workflows))
	for _, w := range before.Workflows {
		was[w.ID] = w.Hash
	}
	var changes []string
	if !maps.Equal(before.Secret, after.Secret) {
		changes = append(changes, "the secrets in .env changed")
	}
	for _, w := range after.Workflows {
		old, known := was[w.ID]
		delete(was, w.ID)
		switch {
		case !known:
			changes = append(changes, fmt.Sprintf("%s is new (%s)", w.ID, short(w.Hash)))
		case old != w.Hash:
			changes = append(changes, fmt.Sprintf("%s changed (%s to %s)", w.ID, short(old), short(w.Hash)))
		}
	}
	for id := range was {
		changes = append(changes, id+" is gone; its executions go on")
	}
	slices.Sort(changes)
	return changes
}

func short(hash string) string { return hash[:min(len(hash), 8)] }
