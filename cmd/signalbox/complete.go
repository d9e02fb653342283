package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/http"
	"github.com/signalbox/signalbox/workflow"
)

// suggestion is what a shell may complete an argument with.
type suggestion func(context.Context, *http.Client, []string) ([]string, error)

// completing lets the shell complete each argument by asking the node. A node
// that does not answer completes nothing: a shell is no place for an error.
func (a *app) completing(cmd *cobra.Command, each ...suggestion) *cobra.Command {
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= len(each) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		client, err := a.client()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		words, err := each[len(args)](ctx, client, args)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

// workflowIDs are the workflows that the node has loaded.
func workflowIDs(ctx context.Context, client *http.Client, _ []string) ([]string, error) {
	all, err := client.Workflows(ctx)
	ids := make([]string, len(all))
	for i, w := range all {
		ids[i] = w.ID
	}
	return ids, err
}

// eventNames are the events that some trigger listens to.
func eventNames(ctx context.Context, client *http.Client, _ []string) ([]string, error) {
	all, err := client.Workflows(ctx)
	var names []string
	for _, w := range all {
		names = append(names, w.Triggers...)
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

// executionIDs are the newest executions.
func executionIDs(ctx context.Context, client *http.Client, _ []string) ([]string, error) {
	page, err := client.Executions(ctx, workflow.Query{Limit: maxListed})
	ids := make([]string, len(page.Executions))
	for i, e := range page.Executions {
		ids[i] = e.WorkflowExecID + "\t" + e.WorkflowID + " " + string(e.Status)
	}
	return ids, err
}

// awaitedNames are the signals that the execution named before waits for.
func awaitedNames(ctx context.Context, client *http.Client, args []string) ([]string, error) {
	execution, err := client.Execution(ctx, args[0])
	names := make([]string, len(execution.Waits))
	for i, w := range execution.Waits {
		names[i] = w.SignalName
	}
	return names, err
}
