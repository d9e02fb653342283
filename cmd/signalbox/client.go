package main

import (
	"context"
	"net/url"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/http"
)

// client talks to the node that the flags and the environment name.
func (a *app) client() (*http.Client, error) {
	if err := checkAddress(a.address()); err != nil {
		return nil, err
	}
	key, err := a.secret()
	if err != nil {
		return nil, err
	}
	if strings.ContainsFunc(key, unicode.IsControl) {
		return nil, hinted(wrongUsage("the API key has a line break in it, or another character that no key has"),
			"a key is one line, sbx_ and what follows; look at --key, SIGNALBOX_KEY or the file that SIGNALBOX_KEY_FILE names")
	}
	return http.NewClient(a.address(), key), nil
}

// checkAddress refuses what no request can be sent to.
func checkAddress(address string) error {
	target, err := url.Parse(address)
	if err == nil && (target.Scheme == "http" || target.Scheme == "https") && target.Host != "" {
		return nil
	}
	hint := "write one like " + defaultURL
	if whole, err := url.Parse("http://" + address); err == nil && !strings.Contains(address, "//") && whole.Host != "" {
		hint = "write http://" + address
	}
	return hinted(wrongUsage("%q is not the URL of a node, which begins with http:// or https://", address), hint)
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
