package executors

import (
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// Options is what the hands need to know of the project and the node.
type Options struct {
	// Secrets returns the current secrets of the project, by name. Nil: there are none.
	Secrets func() map[string]string

	// Unmask replaces the placeholders of secrets in a rendered request, just
	// before it is used. Nil: requests hold no placeholders.
	Unmask func(v workflow.Value, secret map[string]string) (workflow.Value, error)

	// Duration reads the duration texts of tools and of the mock provider.
	// Nil: workflow.ParseDuration.
	Duration func(text string) (time.Duration, error)

	// Logger says which provider answers for agents without a model, and where
	// a panic came from. It never sees requests or outputs. Nil: silence.
	Logger *slog.Logger

	// AllowPrivate lets HTTP tools reach private, loopback and link-local addresses.
	AllowPrivate bool

	// Dir is the folder of the project, where process tools run. "": the
	// working directory of the node.
	Dir string

	// Getenv reads OPENAI_API_KEY, SIGNALBOX_MODEL and the like, and what a
	// process tool inherits. Nil: os.Getenv.
	Getenv func(string) string

	// OnUsage is told what each call of a model cost; it must not block. Nil: nobody is.
	OnUsage func(Usage)

	// Transport carries the calls of HTTP tools and models, unguarded: tests
	// only. Nil: transports that check every address they connect to.
	Transport http.RoundTripper
}

// Usage is what one call of a model cost, in tokens.
type Usage struct {
	Provider           string
	Model              string
	PromptTokens       int64
	CompletionTokens   int64
	TotalTokens        int64
	CachedPromptTokens int64
	ReasoningTokens    int64
}

// New returns the executors by name: "agent" and "tool". They are safe for
// concurrent use; those that are io.Closers give their idle connections back
// when closed, which Pool.Stop does.
func New(o Options) map[string]Executor {
	o = o.withDefaults()
	schemas := newSchemaCache()
	return map[string]Executor{
		"agent": newAgent(o, schemas),
		"tool":  newTool(o, schemas),
	}
}

func (o Options) withDefaults() Options {
	if o.Secrets == nil {
		o.Secrets = func() map[string]string { return nil }
	}
	if o.Unmask == nil {
		o.Unmask = func(v workflow.Value, _ map[string]string) (workflow.Value, error) { return v, nil }
	}
	if o.Duration == nil {
		o.Duration = workflow.ParseDuration
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.OnUsage == nil {
		o.OnUsage = func(Usage) {}
	}
	return o
}
