package main

import (
	"errors"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/signalbox/signalbox/definitions/expression"
	"github.com/signalbox/signalbox/workflow"
)

// span is a flag that takes a duration as the YAML does: 90s, 15m, 7d.
type span struct{ value *time.Duration }

func spanVar(flags *pflag.FlagSet, p *time.Duration, name, usage string) {
	flags.Var(span{p}, name, usage)
}

// String implements pflag.Value.
func (s span) String() string {
	if s.value == nil || *s.value == 0 {
		return ""
	}
	return s.value.String()
}

// Set implements pflag.Value.
func (s span) Set(said string) error {
	if said == "0" {
		*s.value = 0
		return nil
	}
	d, err := expression.ParseDuration(said)
	if err == nil {
		*s.value = d
	}
	return err
}

// Type implements pflag.Value: it is what the help shows in place of the value.
func (span) Type() string { return "DURATION" }

// meant refuses values that would do what leaving the flag out does, and that nobody
// gives for that: an id from a variable that is not set, a list of nothing, all of no lines.
func meant(cmd *cobra.Command) error {
	for _, name := range []string{"id", "signal-id"} {
		if flag := cmd.Flags().Lookup(name); flag != nil && flag.Changed && flag.Value.String() == "" {
			return hinted(wrongUsage("--%s is empty", name), "give an id, or leave the flag out for one that the node makes; is a variable not set?")
		}
	}
	if cmd.Flags().Changed("atomic") && !cmd.Flags().Changed("file") {
		return wrongUsage("--atomic is about the lines of a file: name it with --file")
	}
	if flag := cmd.Flags().Lookup("limit"); flag != nil && flag.Changed {
		if n, err := strconv.Atoi(flag.Value.String()); err == nil && n < 1 {
			return wrongUsage("--limit %d: it is 1 or more; leave the flag out for %s", n, flag.DefValue)
		}
	}
	return nil
}

// wrongFlag says of a flag that cannot be read which one may be meant, and where
// the flags of its command are listed.
func wrongFlag(cmd *cobra.Command, err error) error {
	hint := "`" + cmd.CommandPath() + " --help` lists its flags"
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		name := unknown.GetSpecifiedName()
		var known []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				known = append(known, f.Name)
			}
		})
		if near := workflow.Nearest(name, known); near != "" {
			hint = "did you mean --" + near + "? " + hint
		}
		return hinted(wrongUsage("`%s` has no flag %q", cmd.CommandPath(), name), hint)
	}
	var value *pflag.InvalidValueError
	if errors.As(err, &value) {
		return hinted(wrongUsage("--%s %q: %w", value.GetFlag().Name, value.GetValue(), value.Unwrap()), hint)
	}
	return hinted(wrongUsage("%w", err), hint)
}
