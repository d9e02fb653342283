package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// app is one run of the program: its terminal and the flags that every verb has.
type app struct {
	terminal
	url     string
	key     string
	output  string
	started bool // the command line was understood; errors before that are wrong usage
}

// run runs one command line and returns the exit code.
func run(ctx context.Context, args []string, t terminal) int {
	a := &app{terminal: t}
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var known *status
	if err != nil && !a.started && !errors.As(err, &known) {
		err = &status{exitUsage, err, "`signalbox --help` lists the commands, `signalbox COMMAND --help` its flags"}
	}
	return report(t.err, a.located(err))
}

// located names the node in a hint that names one of its routes.
func (a *app) located(err error) error {
	if err == nil || errors.Is(err, errSaid) {
		return err
	}
	told := explain(err)
	return &status{told.code, told.err, strings.ReplaceAll(told.hint, "GET /api/", "GET "+a.address()+"/api/")}
}

const rootHelp = `Signalbox runs event-driven workflows and tells you the truth about your signal.

A workflow is YAML; it waits for a signal - an approval, a payment, a webhook -
for a second or a year, and goes on when the signal comes.

Environment, where a flag wins over its variable:
  SIGNALBOX_URL       of the node to talk to, like --url
  SIGNALBOX_KEY       API key, like --key
  SIGNALBOX_KEY_FILE  file that holds the API key, when SIGNALBOX_KEY does not
  NO_COLOR            keep the output plain

` + exitCodes

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "signalbox",
		Short:         "Event-driven workflows that tell the truth about your signal",
		Long:          rootHelp,
		Version:       versionName(), // for who looks for --version
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          onlyVerbs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.begin(cmd) }
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(wrongFlag)
	flags := root.PersistentFlags()
	flags.StringVar(&a.url, "url", "", "`URL` of the node to talk to (else SIGNALBOX_URL, else "+defaultURL+")")
	flags.StringVar(&a.key, "key", "", "API `KEY` (else SIGNALBOX_KEY, else the file that SIGNALBOX_KEY_FILE names)")
	flags.StringVar(&a.output, "output", "table", "`FORMAT` of the result: table or json")
	root.AddGroup(
		&cobra.Group{ID: "run", Title: "Run a node:"},
		&cobra.Group{ID: "talk", Title: "Talk to a node:"},
		&cobra.Group{ID: "write", Title: "Write workflows:"},
	)
	add(root, "run", a.demoCommand(), a.devCommand(), a.serveCommand(), a.healthCommand(), a.clusterCommand(), a.keysCommand(), a.storeCommand())
	add(root, "talk", a.startCommand(), a.signalCommand(), a.eventCommand(), a.broadcastCommand(), a.broadcastsCommand(),
		a.executionsCommand(), a.waitsCommand(), a.whyCommand(), a.receiptCommand(), a.deadlettersCommand(), a.booksCommand())
	add(root, "write", a.validateCommand(), a.schemaCommand())
	root.AddCommand(a.versionCommand())
	completionVerbs(root)
	return root
}

// completionVerbs gives the verb that cobra adds what it lacks: it takes any word for
// the name of a shell, and says nothing of it.
func completionVerbs(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" {
			continue
		}
		cmd.Args = onlyVerbs
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		for _, shell := range cmd.Commands() {
			shell.Args = exactly()
		}
	}
}

func add(parent *cobra.Command, group string, children ...*cobra.Command) {
	for _, child := range children {
		child.GroupID = group
		parent.AddCommand(child)
	}
}

// begin runs after the command line was understood and before the verb.
func (a *app) begin(cmd *cobra.Command) error {
	a.started = true
	if a.output != "table" && a.output != "json" {
		return wrongUsage("--output is %q; it is table or json", a.output)
	}
	return meant(cmd)
}

const defaultURL = "http://127.0.0.1:8080"

// address is where the node is: the flag, the environment, or the default.
func (a *app) address() string {
	for _, from := range []string{a.url, a.env("SIGNALBOX_URL")} {
		if from != "" {
			return strings.TrimRight(from, "/")
		}
	}
	return defaultURL
}

// secret is the API key: the flag, the environment, or a file that it names.
func (a *app) secret() (string, error) {
	if a.key != "" {
		return a.key, nil
	}
	if key := a.env("SIGNALBOX_KEY"); key != "" {
		return key, nil
	}
	name := a.env("SIGNALBOX_KEY_FILE")
	if name == "" {
		return "", nil
	}
	file, err := os.Open(name)
	if err != nil {
		return "", failed("SIGNALBOX_KEY_FILE: %w", err)
	}
	defer file.Close()
	content, err := readBounded(file, maxKeyFile)
	if err != nil {
		return "", failed("SIGNALBOX_KEY_FILE %s: %w", name, err)
	}
	key := strings.TrimSpace(string(content))
	if key == "" {
		return "", failed("SIGNALBOX_KEY_FILE %s is empty", name)
	}
	return key, nil
}

// exactly asks for that many arguments and says which.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		return wrongUsage("`%s` takes %s, got %d: usage is `%s`",
			cmd.CommandPath(), orElse(strings.Join(names, " and "), "nothing"), len(args), cmd.UseLine())
	}
}

// onlyVerbs asks for one of the verbs of a command, and suggests the nearest.
func onlyVerbs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := wrongUsage("`%s` has no verb %q", cmd.CommandPath(), args[0])
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return hinted(err, "did you mean `"+cmd.CommandPath()+" "+near[0]+"`?")
	}
	return hinted(err, "`"+cmd.CommandPath()+" --help` lists them")
}

// folder is the project that a verb works on: the argument, or here.
func folder(args []string) string {
	if len(args) == 0 {
		return "."
	}
	return args[0]
}

// atMostFolder asks for no more than the project's folder.
func atMostFolder(cmd *cobra.Command, args []string) error {
	if len(args) <= 1 {
		return nil
	}
	return wrongUsage("`%s` takes one folder or file, got %s", cmd.CommandPath(), fmt.Sprint(args))
}
