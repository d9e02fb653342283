package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/http"
)

func (a *app) clusterCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "List the nodes and what each of them holds",
		Args:  onlyVerbs,
		RunE: a.asking(func(ctx context.Context, client *http.Client, args []string) error {
			c, err := client.Cluster(ctx)
			if err != nil {
				return err
			}
			return a.print(c, func(t *rows) { clusterTable(t, &c) })
		}),
	}
	cmd.AddCommand(a.certificatesCommand())
	return cmd
}

func clusterTable(t *rows, c *http.ClusterAnswer) {
	if !c.Clustered {
		t.row("This node is alone: it runs without --cluster.")
		t.row()
	}
	t.row("NODE", "ADDRESS", "VERSION", "STATE", "PARTITIONS", "IN MEMORY", "HANDING OVER", "SINCE")
	for _, m := range c.Members {
		name := orElse(m.ID, "-")
		if m.ID != "" && m.ID == c.Self {
			name += " (asked)"
		}
		t.row(name, orElse(m.Address, "-"), m.Version, m.State, strconv.Itoa(m.Partitions), strconv.Itoa(m.Live),
			strconv.Itoa(m.HandingOver), orElse(m.JoinedAt.String(), "-"))
	}
	if c.Moving {
		t.row()
		t.row("Owners are changing: what moves is answered by its new owner.")
	}
}
