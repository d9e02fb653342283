package main

import (
	"encoding/json"
	"fmt"
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
		return client.Stream(cmd.Context(), args[0], after, a.sayRecord)
	}
	return cmd
}

// sayRecord prints one record: as one line of JSON for programs.
func (a *app) sayRecord(event http.StreamEvent) error {
	if a.output == "json" {
		_, err := fmt.Fprintf(a.out, "%s\n", compact(event.Data))
		return err
	}
	var r http.Record
	if err := json.Unmarshal(event.Data, &r); err != nil {
		return failed("the node sent a record that is no JSON: %w", err)
	}
	if r.Seq == 0 { // the closing word of the stream, which is no record
		return nil
	}
	line := fmt.Sprintf("%6d  %s  %-20s %s", r.Seq, r.At, r.Type, strings.Join(nonEmpty(r.Task, r.Wait, r.Signal, r.Reason), "  "))
	_, err := fmt.Fprintln(a.out, plain(strings.TrimRight(line, " ")))
	return err
}

func nonEmpty(texts ...string) []string {
	var kept []string
	for _, text := range texts {
		if text != "" {
			kept = append(kept, text)
		}
	}
	return kept
}
