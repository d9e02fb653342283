package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/http"
)

// client talks to the node that the flags and the environment name.
func (a *app) client() (*http.Client, error) {
	key, err := a.secret()
	if err != nil {
		return nil, err
	}
	return http.NewClient(a.address(), key), nil
}

// asking makes a verb out of one question to a node, which gets requestTimeout.
func (a *app) asking(ask func(context.Context, *http.Client, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		client, err := a.client()
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), requestTimeout)
		defer cancel()
		return ask(ctx, client, args)
	}
}
