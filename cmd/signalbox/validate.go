package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/definitions"
)

func (a *app) validateCommand() *cobra.Command {
	return &cobra.Command{
		Use:        "validate FILE|DIR",
		SuggestFor: []string{"lint", "check"},
		Short:      "Say everything that is wrong with a project or a file",
		Long: `Read a project folder or one file and print every finding with file, line,
column, the line itself and what to do. Nothing is run and no node is asked.

Exit code 1 means that there are errors; warnings alone are 0.`,
		Example: "  signalbox validate examples/approval\n  signalbox validate order.yaml --output json",
		Args:    exactly("FILE|DIR"),
		RunE:    func(_ *cobra.Command, args []string) error { return a.validate(args[0]) },
	}
}

// verdict is the JSON form of a validation.
type verdict struct {
	OK        bool                    `json:"ok"`
	Errors    int                     `json:"errors"`
	Warnings  int                     `json:"warnings"`
	Workflows []string                `json:"workflows"`
	Findings  definitions.Diagnostics `json:"diagnostics"`
}

func (a *app) validate(path string) error {
	project, findings := definitions.Load(path)
	v := verdict{OK: !findings.Errors(), Workflows: []string{}, Findings: findings}
	if findings == nil {
		v.Findings = definitions.Diagnostics{}
	}
	for _, f := range findings {
		if f.Severity == definitions.Error {
			v.Errors++
		} else {
			v.Warnings++
		}
	}
	if project != nil {
		for _, w := range project.Workflows {
			v.Workflows = append(v.Workflows, w.ID)
		}
	}
	if err := a.sayVerdict(v); err != nil {
		return err
	}
	if !v.OK {
		return errSaid
	}
	return nil
}

func (a *app) sayVerdict(v verdict) error {
	if a.output == "json" {
		return writeJSON(a.out, v)
	}
	v.Findings.Print(a.out)
	summary := fmt.Sprintf("%s, %s", count(v.Errors, "error"), count(v.Warnings, "warning"))
	if v.OK {
		summary = fmt.Sprintf("%s valid: %s", count(len(v.Workflows), "workflow"), summary)
	}
	_, err := fmt.Fprintln(a.out, summary)
	return err
}

func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
