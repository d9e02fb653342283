package main

import (
	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/definitions"
)

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the YAML, for editors",
		Long: `Print the JSON Schema of project and workflow files.

Editors with a YAML language server use it when the first line of a file names it:

  # yaml-language-server: $schema=signalbox.schema.json`,
		Example: "  signalbox schema > signalbox.schema.json",
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			_, err := a.out.Write(definitions.Schema())
			return err
		},
	}
}
