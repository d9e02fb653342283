package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/http"
)

func (a *app) healthCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "health",
		Short: "Ask whether a node is ready",
		Long: `Ask whether a node is ready: exit code 0 when it is, 3 when it is not or nobody
answers. No key is needed. In an image without a shell it is the health check.

` + exitCodes,
		Args: exactly(),
		RunE: a.asking(func(ctx context.Context, client *http.Client, _ []string) error {
			r, err := client.Readiness(ctx)
			if err != nil {
				return err
			}
			err = a.print(r, func(t *rows) {
				t.field("status", r.Status)
				t.field("durability", r.Durability)
				t.field("version", r.Version)
				for _, problem := range r.Problems {
					t.field("problem", problem)
				}
			})
			if err != nil || r.Ready {
				return err
			}
			return &status{code: exitUnreachable, err: fmt.Errorf("the node at %s is not ready: %s", a.address(), strings.Join(append([]string{r.Status}, r.Problems...), "; "))}
		}),
	}
}
