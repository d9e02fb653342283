package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/http"
)

func (a *app) executionsFollowCommand() *cobra.Command {
	var after uint64
	cmd := &cobra.Command{
		Use:   "follow EXEC_ID",
		Short: "Show what happens to an execution, as it happens, until it has finished",
		Args:  exactly("EXEC_ID"),
	}
	cmd.Flags().Uint64Var(&after, "after", 0, "only records after the one with this number")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := a.client()
		if err != nil {
			return err
		}
		return client.Follow(cmd.Context(), args[0], after, nil, a.sayEvent)
	}
	return a.completing(cmd, executionIDs)
}

// sayEvent prints one event of a stream: as one line of JSON for programs.
func (a *app) sayEvent(event http.StreamEvent) error {
	if a.output == "json" {
		var line any = event.Record
		if event.Ending != nil {
			line = event.Ending
		}
		return json.NewEncoder(a.out).Encode(line)
	}
	if event.Record == nil {
		return nil // the last record has said how it ended
	}
	r := event.Record
	line := fmt.Sprintf("%6d  %s  %-20s %s", r.Seq, r.At, r.Type, strings.Join(nonEmpty(r.Task, r.Wait, r.Signal, r.Reason), "  "))
	_, err := fmt.Fprintln(a.out, plain(strings.TrimRight(line, " ")))
	return err
}

func nonEmpty(texts ...string) []string {
	return slices.DeleteFunc(texts, func(text string) bool { return text == "" })
}
