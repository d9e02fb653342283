package executors

import (
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// provider is somebody who serves models over OpenAI's chat completions.
type provider struct {
	base   string // address that the calls go under
	keyEnv string // variable of the node's environment that holds a key
	keyed  bool   // refuses calls without a key
	schema bool   // takes a JSON schema for the answer; others are told in words
	mock   bool   // answers by itself
}

// providers are known by name. Everybody else needs an api_url.
var providers = map[string]provider{
	"anthropic":  {base: "https://api.anthropic.com/v1/", keyEnv: "ANTHROPIC_API_KEY", keyed: true},
	"cerebras":   {base: "https://api.cerebras.ai/v1/", keyEnv: "CEREBRAS_API_KEY", keyed: true, schema: true},
	"deepseek":   {base: "https://api.deepseek.com/v1/", keyEnv: "DEEPSEEK_API_KEY", keyed: true},
	"google":     {base: "https://generativelanguage.googleapis.com/v1beta/openai/", keyEnv: "GEMINI_API_KEY", keyed: true},
	"groq":       {base: "https://api.groq.com/openai/v1/", keyEnv: "GROQ_API_KEY", keyed: true},
	"mock":       {mock: true},
	"ollama":     {base: "http://localhost:11434/v1/"},
	"openai":     {base: "https://api.openai.com/v1/", keyEnv: "OPENAI_API_KEY", keyed: true, schema: true},
	"openrouter": {base: "https://openrouter.ai/api/v1/", keyEnv: "OPENROUTER_API_KEY", keyed: true},
	"xai":        {base: "https://api.x.ai/v1/", keyEnv: "XAI_API_KEY", keyed: true, schema: true},
}

// model is a resolved model: whom to ask, where, with which key.
type model struct {
	provider provider
	who      string // the provider's name
	name     string // the model's name
	base     *url.URL
	key      string
	params   map[string]any
}

// String names the model in failures and logs.
func (m *model) String() string {
	if m.name == "" {
		return "the " + m.who + " provider"
	}
	return "model " + m.name + " of " + m.who
}

// The variables of the node's environment that choose a model for agents
// without one. A model may be written as provider:model.
const (
	envModel   = "SIGNALBOX_MODEL"
	envKey     = "OPENAI_API_KEY"
	envBaseURL = "OPENAI_BASE_URL"
)

// resolve finds the model of a request: its own, else the environment's, else
// the mock provider.
func (a *agent) resolve(r *agentRequest) (*model, error) {
	if spec := r.Model; spec != nil && (spec.Provider != "" || spec.Model != "" || spec.APIURL != "") {
		return a.configured(r.name(), *spec)
	}
	var params map[string]any
	if r.Model != nil {
		params = r.Model.Params
	}
	getenv := a.options.Getenv
	chosen := getenv(envModel)
	if chosen == "" || chosen == "mock" {
		m := &model{provider: providers["mock"], who: "mock", params: params}
		level, why := slog.LevelWarn, "no model is configured; give the project one under models, or set "+envModel+" and "+envKey
		switch {
		case chosen == "mock":
			level, why = slog.LevelInfo, envModel+" says so"
		case getenv(envKey) != "" || getenv(envBaseURL) != "":
			why = envKey + " or " + envBaseURL + " is set, but " + envModel + " does not say which model to use"
		}
		a.announce(level, m, why)
		return m, nil
	}
	who, name, split := strings.Cut(chosen, ":")
	if _, known := providers[who]; !split || !known {
		who, name = "openai", chosen
	}
	m, err := a.configured(r.name(), modelSpec{Provider: text(who), Model: text(name), Params: params})
	if err != nil {
		return nil, err
	}
	a.announce(slog.LevelInfo, m, envModel+" is set")
	return m, nil
}

// configured checks a model and fills in what its provider is known to need.
func (a *agent) configured(what string, spec modelSpec) (*model, error) {
	m := &model{
		who:    strings.ToLower(strings.TrimSpace(string(spec.Provider))),
		name:   strings.TrimSpace(string(spec.Model)),
		key:    strings.TrimSpace(string(spec.APIKey)),
		params: spec.Params,
	}
	if m.who == "" {
		m.who = "openai"
	}
	var known bool
	m.provider, known = providers[m.who]
	if !known && spec.APIURL == "" {
		return nil, permanent(CodeModelConfig, "%s: provider %q is not known and the model has no api_url; the known ones are %s, any other OpenAI-compatible one needs its api_url", what, excerpt(m.who), strings.Join(slices.Sorted(maps.Keys(providers)), ", "))
	}
	if m.provider.mock {
		return m, nil
	}
	if m.name == "" {
		return nil, permanent(CodeModelConfig, "%s: the model of provider %s has no name; add model: to it", what, m.who)
	}
	if err := a.locate(what, m, string(spec.APIURL)); err != nil {
		return nil, err
	}
	if m.key == "" && m.provider.keyed && spec.APIURL == "" && !a.elsewhere(m) {
		return nil, permanent(CodeModelConfig, "%s: provider %s wants a key; put %s into .env and write api_key: \"{{ .env.%s }}\", or set it in the environment of the node", what, m.who, m.provider.keyEnv, m.provider.keyEnv)
	}
	return m, nil
}

// locate finds the address of a model's provider. A key of the environment goes
// only to the address that it belongs to: the provider's own, or the one that
// the environment names beside it, never to one that a workflow names.
func (a *agent) locate(what string, m *model, address string) error {
	mayUseEnv := address == ""
	if address == "" {
		address = m.provider.base
		if base := a.options.Getenv(envBaseURL); base != "" && m.who == "openai" {
			address = base
		}
	}
	if m.key == "" && mayUseEnv && m.provider.keyEnv != "" {
		m.key = strings.TrimSpace(a.options.Getenv(m.provider.keyEnv))
	}
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return permanent(CodeModelConfig, "%s: the api_url of provider %s is not an address; write https://host/v1", what, m.who)
	}
	if u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return permanent(CodeModelConfig, "%s: the api_url of provider %s has a user, a query or a fragment; keep the address only, and put the key into api_key", what, m.who)
	}
	if a.guard != nil {
		if err := a.guard.checkURL(u); err != nil {
			return permanent(CodeAddressRefused, "%s: api_url %s: %s", what, where(u), err)
		}
	}
	if strings.ContainsAny(m.key, "\r\n\x00") {
		return permanent(CodeModelConfig, "%s: the api_key of provider %s holds a line break; keep the key only", what, m.who)
	}
	m.base = u.JoinPath("/")
	return nil
}

// elsewhere reports whether the environment moved the provider to a server that
// may not want a key, such as one on the same machine.
func (a *agent) elsewhere(m *model) bool {
	return m.who == "openai" && a.options.Getenv(envBaseURL) != ""
}
