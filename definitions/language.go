package definitions

import "slices"

// The names of the shapes.
const (
	projectShape    = "project"
	serverShape     = "server"
	sourceShape     = "source"
	workflowShape   = "workflow"
	keyShape        = "key"
	configShape     = "config"
	triggerShape    = "trigger"
	taskShape       = "task"
	processorShape  = "processor"
	taskConfigShape = "task_config"
	transitionShape = "transition"
	branchShape     = "branch"
	collectShape    = "collect"
	extendShape     = "extend_on"
	remindShape     = "reminder"
	signalShape     = "signal"
	retryShape      = "retry_policy"
	agentShape      = "agent"
	actionShape     = "action"
	modelShape      = "model"
	toolShape       = "tool"
)

// The task types of this release, and those of the wider system that come later.
var (
	taskTypes      = []string{"basic", "wait", "signal"}
	laterTaskTypes = []string{"router", "parallel", "collection", "composite", "aggregate", "memory"}
)

// shapes is the language: every mapping with every field of it. The order is
// the one of the reference page.
func shapes() []*shape {
	return []*shape{
		projectLanguage(), serverLanguage(), sourceLanguage(),
		workflowLanguage(), keyLanguage(), configLanguage(), triggerLanguage(),
		taskLanguage(), processorLanguage(), branchLanguage(), collectLanguage(), extendLanguage(), remindLanguage(), taskConfigLanguage(), transitionLanguage(), signalLanguage(), retryLanguage(),
		agentLanguage(), actionLanguage(), modelLanguage(), toolLanguage(),
	}
}

const notNow = "this release ignores it"

func projectLanguage() *shape {
	fields := []*field{
		{name: "name", forms: asText, doc: "The project's name; the name of its folder when it has none.", example: "shop"},
		{name: "version", forms: asText, doc: "The project's version, for people."},
		{name: "description", forms: asText, doc: "What the project is for."},
		{name: "author", forms: asText | asMap, doc: "Who wrote it."},
		{name: "workflows", forms: asList, doc: "The workflows, written here or in files of their own. Without it, every YAML file beside the project file is one.",
			items: &field{forms: asText | asMap, shape: workflowShape, altKey: "source", altShape: sourceShape}, example: "- source: ./order.yaml"},
		{name: "server", forms: asMap, shape: serverShape, doc: "Settings of the node; each may also stand at the top of the project file."},
	}
	fields = append(fields, resourceFields()...)
	fields = append(fields, &field{name: "config", forms: asMap, shape: configShape, doc: "Defaults for all workflows: `env`, `retry_policy` and time limits."},
		envField())
	for _, s := range serverLanguage().fields {
		if s.unused == "" {
			fields = append(fields, s)
		}
	}
	for _, name := range []string{"mode", "temporal", "database", "redis", "runtime", "limits", "cli", "monitoring", "autoload", "ratelimit", "worker", "webhooks",
		"attachments", "mcp_proxy", "embedders", "vector_dbs", "knowledge_bases", "knowledge", "memories", "mcps", "tasks_config", "resource", "$schema"} {
		fields = append(fields, &field{name: name, forms: anything, unused: notNow})
	}
	return &shape{name: projectShape, title: "a project", fields: fields,
		doc: "The file `signalbox.yaml` (or `compozy.yaml`) of a project folder, or any file with a `workflows:` list. What it defines beside workflows is known to all of them."}
}

func serverLanguage() *shape {
	fields := []*field{
		{name: "addr", forms: asText, doc: "Address to listen on, HOST:PORT.", example: "127.0.0.1:8080"},
		{name: "data", forms: asText, doc: "Folder of the embedded store, relative to the project."},
		{name: "store", forms: asText, doc: "Which store remembers: `embedded`, or the URL of a Redis.", example: "embedded"},
		{name: "no_auth", forms: asTruth, doc: "Ask nobody for a key."},
		{name: "log_format", forms: asText, values: []string{"text", "json"}, doc: "How log lines look."},
		{name: "log_level", forms: asText, values: []string{"debug", "info", "warn", "error"}, doc: "Which log lines are written."},
		{name: "allow_private", forms: asTruth, doc: "Let `http` tools reach private, loopback and link-local addresses."},
		{name: "memory", forms: asTruth, doc: "Keep everything in memory, for development: with `signalbox dev` only; `serve` warns of it and keeps everything."},
		{name: "retention", forms: asText, meaning: duration, doc: "How long finished executions are kept.", example: "720h"},
		{name: "drain_delay", forms: asText, meaning: duration, doc: "How long the node goes on taking requests after SIGTERM while it says that it is not ready.", example: "5s"},
		{name: "cluster", forms: asTruth, doc: "Be one of several nodes on the same Redis."},
		{name: "cluster_addr", forms: asText, doc: "Address to listen on for the other nodes, HOST:PORT.", example: "127.0.0.1:8090"},
		{name: "cluster_advertise", forms: asText, doc: "Address under which the other nodes reach this one, HOST:PORT."},
		{name: "cluster_cert", forms: asText, doc: "File with the certificate of this node, relative to the project."},
		{name: "cluster_key", forms: asText, doc: "File with the key of that certificate."},
		{name: "cluster_ca", forms: asText, doc: "File with the authority that signs the certificates of all nodes."},
	}
	for _, name := range []string{"host", "port"} {
		fields = append(fields, &field{name: name, forms: asText, unused: "write `addr: HOST:PORT`"})
	}
	for _, name := range []string{"auth", "cors", "cors_enabled", "timeouts", "timeout", "source_of_truth", "seed_from_repo_on_empty"} {
		fields = append(fields, &field{name: name, forms: anything, unused: notNow})
	}
	return &shape{name: serverShape, title: "the server settings", fields: fields,
		doc: "Settings of the node that serves the project. A flag or an environment variable overrides them."}
}

func sourceLanguage() *shape {
	return &shape{name: sourceShape, title: "a source", doc: "A workflow in a file of its own.", fields: []*field{
		{name: "source", forms: asText, required: true, mistaken: []string{"file", "path", "ref", "include", "import"}, doc: "Path of the file, relative to the project folder and inside of it.", example: "./order.yaml"},
	}}
}

// resourceFields are what both projects and workflows define.
func resourceFields() []*field {
	return []*field{
		{name: "schemas", forms: asList, items: &field{forms: asMap, meaning: schemaRef}, doc: "JSON Schemas with an `id`, which schema fields can name."},
		{name: "agents", forms: asList, items: &field{forms: asText | asMap, shape: agentShape}, doc: "Agents that tasks can name."},
		{name: "tools", forms: asList, items: &field{forms: asText | asMap, shape: toolShape}, doc: "Tools that tasks can name."},
		{name: "models", forms: asList, items: &field{forms: asMap, shape: modelShape}, doc: "Models that agents and tasks can name; one may be the default."},
	}
}

func envField() *field {
	return &field{name: "env", forms: asMap, doc: "Names and texts, shown to expressions as `.env.NAME`. Secrets belong into the file `.env` beside the project file instead.", example: "REGION: eu"}
}

func workflowLanguage() *shape {
	fields := []*field{
		{name: "id", forms: asText, doc: "The workflow's id, unique in the project.", example: "order"},
		{name: "name", forms: asText, doc: "Taken as the id, with a warning, when there is no `id`."},
		{name: "version", forms: asText, doc: "The version, for people; `.workflow.version`.", example: "1.2.0"},
		{name: "description", forms: asText, doc: "What the workflow is for."},
		{name: "author", forms: asText | asMap, doc: "Who wrote it."},
		{name: "resource", forms: asText, values: []string{"workflow"}, doc: "Says that the file is a workflow; may be left out."},
		{name: "config", forms: asMap, shape: configShape, doc: "Input, environment, failure and retry of the whole workflow."},
		{name: "input", forms: asText | asMap, meaning: schemaRef, mistaken: []string{"inputs", "parameters"}, doc: "What an execution is started with; the same as `config.input`."},
		envField(),
		{name: "key", forms: asText | asMap, shape: keyShape, meaning: template, mistaken: []string{"business_key", "correlation", "unique_by", "idempotency_key"}, doc: "What an execution is about, in your own words: a template, or a mapping that also says whether the key is unique.", example: "{{ .workflow.input.order_id }}"},
		{name: "labels", forms: asMap, meaning: template, mistaken: []string{"tags", "annotations"}, doc: "Names and texts that every execution is marked with, to find and to address it by.", example: "region: eu"},
	}
	fields = append(fields, resourceFields()...)
	fields = append(fields,
		&field{name: "triggers", forms: asList, mistaken: []string{"on", "trigger", "events"}, items: &field{forms: asMap, shape: triggerShape}, doc: "Which events start an execution."},
		&field{name: "tasks", forms: asList, mistaken: []string{"steps", "jobs", "nodes"}, required: true, items: &field{forms: asMap, shape: taskShape}, doc: "What happens, in the order listed unless the tasks say otherwise."},
		&field{name: "outputs", forms: asMap, meaning: template, mistaken: []string{"output", "result", "results"}, doc: "The result of the execution; the outputs of all tasks when it is left out."},
		&field{name: "schedule", forms: asMap, later: "start the workflow with an event from a cron job until schedules come"},
		&field{name: "task_id", forms: asText, unused: "the first task listed starts"},
		&field{name: "mcps", forms: anything, unused: notNow},
		&field{name: "knowledge", forms: anything, unused: notNow},
		&field{name: "knowledge_bases", forms: anything, unused: notNow},
		&field{name: "$schema", forms: asText, unused: notNow},
	)
	return &shape{name: workflowShape, title: "a workflow", fields: fields, doc: "What should happen. A file may be one workflow, or hold several under `workflows:` or as documents separated by `---`."}
}

func configLanguage() *shape {
	return &shape{name: configShape, title: "a workflow's config", doc: "Settings of a whole workflow, or of all workflows when it stands in the project file.", fields: slices.Concat([]*field{
		{name: "input", forms: asText | asMap, meaning: schemaRef, doc: "What an execution is started with: its defaults are filled in, then it is checked."},
		envField(),
		{name: "on_error", forms: asText | asMap, shape: transitionShape, meaning: taskRef, doc: "Task that handles a failure that no task handles itself."},
		retryField("retry_policy"),
	}, timeoutFields(), []*field{{name: "source_of_truth", forms: anything, unused: notNow}})}
}

// timeoutFields are the reference system's time limits. Only the one that
// bounds an attempt has a counterpart here.
func timeoutFields() []*field {
	fields := []*field{{name: "start_to_close_timeout", forms: asText, meaning: duration, doc: "Longest time of one attempt of a basic task that has no `timeout`.", example: "5m"}}
	for _, name := range []string{"schedule_to_start_timeout", "schedule_to_close_timeout", "heartbeat_timeout"} {
		fields = append(fields, &field{name: name, forms: asText, meaning: duration, unused: "work is never queued for long here; use `timeout`"})
	}
	return fields
}

func triggerLanguage() *shape {
	return &shape{name: triggerShape, title: "a trigger", doc: "An event that starts an execution, whose input is the event's payload.", fields: []*field{
		{name: "type", forms: asText, values: []string{"signal"}, doc: "Always `signal` in this release."},
		{name: "name", forms: asText, mistaken: []string{"event", "signal", "id"}, doc: "Name of the event. In a pattern, `*` is one segment between dots, `order.*.paid`, and `**` at the end any rest, `order.**`.", example: "order.created"},
		{name: "schema", forms: asText | asMap, meaning: schemaRef, doc: "What the payload must look like; an event that breaks it starts nothing and says why."},
		{name: "filter", forms: asText, meaning: condition, mistaken: []string{"condition", "if", "when"}, doc: "CEL over `payload` (and `signal.payload`, the same); an event for which it is false starts nothing.", example: "payload.amount > 100"},
		{name: "webhook", forms: asMap, later: "let the webhook's receiver post the event to /api/v0/events"},
	}}
}

func taskLanguage() *shape {
	basic, wait, signal := []string{"basic"}, onlyWaits, []string{"signal"}
	fields := []*field{
		{name: "id", forms: asText, mistaken: []string{"name", "task"}, doc: "The task's id, unique in the workflow. `a-b` is also found as `a_b`.", example: "charge-card"},
		{name: "type", forms: asText, values: taskTypes, mistaken: []string{"kind"}, doc: "`basic` does work, `wait` holds until a signal comes, `signal` sends an event. `basic` when left out."},
		{name: "description", forms: asText, doc: "What the task is for."},
	}
	fields = append(fields, workFields(basic)...)
	fields = append(fields, []*field{
		{name: "wait_for", forms: asText, meaning: template, kinds: wait, mistaken: []string{"signal_name", "waits_for"}, doc: "Name of the signal or event to wait for.", example: "approval-{{ .workflow.input.request_id }}"},
		{name: "correlate", forms: asText, meaning: scalar, kinds: wait, mistaken: []string{"correlation", "correlation_id", "correlation_key"}, doc: "Which one it waits for, among others of that name: the `correlation_id` that the message must have. A template, or CEL without `signal`.", example: "workflow.input.order_id"},
		branchesField("any", "Things to wait for at once, by name; the first one that comes ends the wait. With `count`, so many of them do."),
		branchesField("all", "Things to wait for at once, by name; the wait ends when all of them have come, in any order."),
	}...)
	fields = append(fields, quorumFields(wait)...)
	fields = append(fields, timeFields()...)
	fields = append(fields, []*field{
		{name: "processor", forms: asMap, shape: processorShape, kinds: wait, doc: "Work that looks at each signal before the condition is judged; its result is `processor.output`. A wait with branches has it in its branches."},
		{name: "schema", forms: asText | asMap, meaning: schemaRef, kinds: wait, doc: "What the payload of the signal must look like; the sender of another one gets a 422."},
		{name: "signal", forms: asText | asMap, shape: signalShape, kinds: signal, doc: "The event to send."},
		{name: "condition", forms: asText, meaning: condition, mistaken: []string{"if", "when", "unless"}, doc: "CEL. A wait takes only a signal for which it is true; any other task is skipped when it is false.", example: `signal.payload.status == "ready"`},
		{name: "sleep", forms: asText, meaning: duration, mistaken: []string{"delay", "wait"}, doc: "How long to hold before the task runs.", example: "10 seconds"},
		{name: "timeout", forms: asText, meaning: duration, doc: "Longest time of one attempt, or of the whole wait. A wait without one holds until its signal comes.", example: "24h"},
		deadlineField(wait),
		{name: "retries", forms: asNumber, doc: "How often a failed attempt is repeated: one less than `attempts`."},
		retryField("retry_policy"),
		{name: "config", forms: asMap, shape: taskConfigShape, doc: "Another place for `retry_policy`, `on_error` and `timeout`."},
		{name: "outputs", forms: asMap, meaning: template, mistaken: []string{"result"}, doc: "Replaces the task's output; sees the original as `.output`, in a wait also `.signal` and `.processor`."},
		{name: "on_success", forms: asText | asMap, shape: transitionShape, meaning: taskRef, mistaken: []string{"next", "then", "goto"}, doc: "Task that runs next. As soon as one task has it, nothing follows just because it is listed next."},
		{name: "on_error", forms: asText | asMap, shape: taskShape, altKey: "next", altShape: transitionShape, meaning: taskRef, mistaken: []string{"on_failure", "catch"}, doc: "Task that runs when this one fails for good: an id, `next`, or the task itself."},
		{name: "on_timeout", forms: asText | asMap, shape: taskShape, altKey: "next", altShape: transitionShape, meaning: taskRef, doc: "Task that runs when the time is over: an id, `next`, or the task itself."},
		{name: "on_veto", forms: asText | asMap, shape: taskShape, altKey: "next", altShape: transitionShape, meaning: taskRef, kinds: wait, doc: "Task that runs when the wait is vetoed: an id, `next`, or the task itself. Without it, `on_error` does."},
		{name: "final", forms: asTruth, doc: "The execution ends after this task."},
		{name: "depends_on", forms: asText | asList, items: &field{forms: asText, meaning: taskRef}, mistaken: []string{"needs", "after", "depends", "requires"}, doc: "Tasks that must have ended well before this one starts; `[]` starts it with the execution."},
		{name: "env", forms: asMap, doc: "Adds to `.env` for this task."},
	}...)
	for _, name := range []string{"tasks", "routes", "strategy", "max_workers", "items", "filter", "item_var", "index_var", "mode", "batch",
		"operation", "memory_ref", "key_template"} {
		fields = append(fields, &field{name: name, forms: anything, later: "it belongs to a task type that is not in this release"})
	}
	for _, name := range []string{"tools", "mcps", "memory", "knowledge", "attachments", "max_iterations", "file_path"} {
		fields = append(fields, &field{name: name, forms: anything, unused: notNow})
	}
	return &shape{name: taskShape, title: "a task", fields: fields, doc: "One node of a workflow."}
}

// workFields say who does the work and with what.
func workFields(kinds []string) []*field {
	return []*field{
		{name: "agent", forms: asText | asMap, shape: agentShape, kinds: kinds, doc: "Agent that does the work: its id, or the agent itself."},
		{name: "action", forms: asText, kinds: kinds, doc: "Which of the agent's actions."},
		{name: "prompt", forms: asText, meaning: template, kinds: kinds, doc: "What the agent is asked, after the action's own prompt. Without an agent the model is asked directly."},
		{name: "model_config", aliases: []string{"model"}, forms: asText | asMap, shape: modelShape, kinds: kinds, doc: "Model for this task instead of the agent's: `provider:model`, the id of one in `models`, or the model itself."},
		{name: "tool", forms: asText | asMap, shape: toolShape, kinds: kinds, mistaken: []string{"uses", "run"}, doc: "Tool that does the work: its id, or the tool itself. `echo` and `transform` are always there."},
		{name: "with", forms: asText | asMap, meaning: template, mistaken: []string{"args", "arguments", "params", "inputs"}, doc: "What the work is given; `.input` in the texts of its agent or tool."},
		{name: "input", forms: asText | asMap, meaning: schemaRef, kinds: kinds, doc: "What `with` must look like."},
		{name: "output", forms: asText | asMap, meaning: schemaRef, kinds: kinds, doc: "What the work must answer."},
	}
}

func processorLanguage() *shape {
	fields := []*field{
		{name: "id", forms: asText, doc: "The processor's id; `<wait>-processor` when left out, of a branch `<wait>-<branch>-processor`."},
		{name: "type", forms: asText, values: []string{"basic"}, doc: "Always `basic`."},
		{name: "description", forms: asText, doc: "What the processor is for."},
	}
	fields = append(fields, workFields(nil)...)
	fields = append(fields, []*field{
		{name: "timeout", forms: asText, meaning: duration, doc: "Longest time of one attempt."},
		{name: "retries", forms: asNumber, doc: "How often a failed attempt is repeated."},
		retryField("retry_policy"),
		{name: "config", forms: asMap, shape: taskConfigShape, doc: "Another place for `retry_policy` and `timeout`."},
		{name: "outputs", forms: asMap, meaning: template, doc: "Replaces the processor's output."},
		{name: "env", forms: asMap, doc: "Adds to `.env` for this processor."},
	}...)
	return &shape{name: processorShape, title: "a processor", fields: fields, doc: "Work that runs on each signal of a wait, or of one of its branches. Its `with` always has the signal, as `signal`."}
}

func taskConfigLanguage() *shape {
	return &shape{name: taskConfigShape, title: "a task's config", doc: "Settings of one task.", fields: append([]*field{
		{name: "on_error", forms: asText | asMap, shape: transitionShape, meaning: taskRef, doc: "The same as the task's `on_error`."},
		retryField("retry_policy"),
	}, timeoutFields()...)}
}

func transitionLanguage() *shape {
	return &shape{name: transitionShape, title: "a transition", doc: "Where to go.", fields: []*field{
		{name: "next", forms: asText, meaning: template, required: true, mistaken: []string{"goto", "task", "id"}, doc: "Id of the task. After `on_success` it may be a template that sees the task's `.output`."},
		{name: "with", forms: asMap, unused: "the next task takes its input from its own `with`"},
	}}
}

func signalLanguage() *shape {
	return &shape{name: signalShape, title: "a signal", doc: "An event that a `signal` task sends to whoever listens.", fields: []*field{
		{name: "id", forms: asText, meaning: template, required: true, mistaken: []string{"name", "signal_name"}, doc: "The event's name.", example: "order-{{ .workflow.input.id }}-paid"},
		{name: "payload", forms: asText | asMap, meaning: object, mistaken: []string{"data", "with", "body"}, doc: "The event's payload, an object: empty when it is left out or renders to null. The task fails when it renders to anything else."},
	}}
}

func retryField(name string) *field {
	return &field{name: name, aliases: []string{"retry"}, forms: asMap, shape: retryShape, doc: "How a failed attempt is repeated; without it, it is not."}
}

func retryLanguage() *shape {
	return &shape{name: retryShape, title: "a retry policy", doc: "How often a failed attempt is repeated and how long to hold before.", fields: []*field{
		{name: "maximum_attempts", aliases: []string{"max_attempts", "attempts"}, forms: asNumber, doc: "At most so many attempts, the first included. Default: 3."},
		{name: "initial_interval", forms: asText, meaning: duration, doc: "How long to hold before the second attempt. Default: 1s.", example: "1s"},
		{name: "backoff_coefficient", aliases: []string{"backoff"}, forms: asNumber, doc: "Each further hold is so many times the last. Default: 2."},
		{name: "maximum_interval", aliases: []string{"max_interval"}, forms: asText, meaning: duration, doc: "Longest hold. Default: 1m.", example: "1m"},
		{name: "non_retryable_error_types", forms: asList, items: &field{forms: asText}, doc: "Failure codes that end the task at once.", example: "[PROCESS_EXIT]"},
	}}
}

func agentLanguage() *shape {
	fields := []*field{
		{name: "id", forms: asText, doc: "The agent's id."},
		{name: "description", forms: asText, doc: "What the agent is for."},
		{name: "instructions", forms: asText, meaning: template, mistaken: []string{"system", "system_prompt"}, doc: "What the model is told about itself."},
		{name: "model", aliases: []string{"config"}, forms: asText | asMap, shape: modelShape, doc: "`provider:model`, the id of one in `models`, or the model itself; the project's default model when left out."},
		{name: "actions", forms: asList, items: &field{forms: asMap, shape: actionShape}, doc: "What the agent can be asked."},
		{name: "with", forms: asMap, meaning: template, doc: "Defaults of the task's `with`."},
		{name: "resource", forms: asText, unused: notNow},
		{name: "version", forms: asText, doc: "The agent's version, for people."},
	}
	for _, name := range []string{"tools", "mcps", "memory", "knowledge", "max_iterations", "env", "attachments", "json_mode"} {
		fields = append(fields, &field{name: name, forms: anything, unused: notNow})
	}
	return &shape{name: agentShape, title: "an agent", fields: fields, doc: "A model with instructions and, if it likes, prepared questions."}
}

func actionLanguage() *shape {
	return &shape{name: actionShape, title: "an action", doc: "A prepared question to an agent.", fields: []*field{
		{name: "id", forms: asText, required: true, doc: "The action's id."},
		{name: "description", forms: asText, doc: "What the action is for."},
		{name: "prompt", forms: asText, required: true, meaning: template, doc: "What the model is asked."},
		{name: "input", forms: asText | asMap, meaning: schemaRef, doc: "What `with` must look like."},
		{name: "output", forms: asText | asMap, meaning: schemaRef, doc: "What the model must answer: a JSON value of this schema instead of a text."},
		{name: "with", forms: asMap, meaning: template, doc: "Defaults of the task's `with`."},
		{name: "json_mode", forms: asTruth, unused: "give the action an `output` schema"},
		{name: "attachments", forms: anything, unused: notNow},
	}}
}

func modelLanguage() *shape {
	return &shape{name: modelShape, title: "a model", doc: "Which model, where and with which key.", fields: []*field{
		{name: "id", forms: asText, doc: "Id that agents and tasks can name; `model` serves as one too."},
		{name: "provider", forms: asText, doc: "`mock`, `openai`, or the name of an OpenAI-compatible one.", example: "mock"},
		{name: "model", forms: asText, meaning: template, doc: "Name of the model at its provider.", example: "gpt-4o-mini"},
		{name: "api_url", forms: asText, meaning: template, doc: "Base URL of an OpenAI-compatible endpoint."},
		{name: "api_key", forms: asText, meaning: template, doc: "Key of the provider; keep it in `.env`.", example: `"{{ .env.OPENAI_API_KEY }}"`},
		{name: "params", forms: asMap, doc: "`temperature`, `max_tokens` and whatever else the provider takes."},
		{name: "default", forms: asTruth, doc: "Used by whoever names no model."},
		{name: "organization", forms: asText, unused: notNow},
		{name: "max_tool_iterations", forms: asNumber, unused: notNow},
	}}
}

func toolLanguage() *shape {
	return &shape{name: toolShape, title: "a tool", doc: "Something that does work without a model.", fields: []*field{
		{name: "id", forms: asText, doc: "The tool's id."},
		{name: "type", forms: asText, values: toolTypes, doc: "`echo`, `transform`, `http` or `process`; follows from `url`, `argv` or `command` when left out."},
		{name: "description", forms: asText, doc: "What the tool is for."},
		{name: "input", aliases: []string{"input_schema"}, forms: asText | asMap, meaning: schemaRef, doc: "What `with` must look like."},
		{name: "output", forms: anything, meaning: schemaRef, doc: "What the tool must answer. For a `transform` it is the answer itself; a `process` that writes no JSON has `output: text`."},
		{name: "output_schema", forms: asText | asMap, meaning: schemaRef, doc: "What the tool must answer, where `output` says something else."},
		{name: "with", forms: asMap, meaning: template, doc: "Defaults of the task's `with`."},
		{name: "timeout", forms: asText, meaning: duration, doc: "Longest time of one call."},
		{name: "method", forms: asText, meaning: template, doc: "http: the method; GET, or POST with a body."},
		{name: "url", forms: asText, meaning: template, doc: "http: the address.", example: "https://api.example.com/orders/{{ .input.id }}"},
		{name: "headers", forms: asMap, meaning: template, doc: "http: the headers."},
		{name: "body", forms: anything, meaning: template, doc: "http: a text as it is, anything else as JSON."},
		{name: "expect", forms: asText | asNumber | asList, doc: "http: the status that counts as success: 200, [200, 404] or 2xx. Default: 2xx."},
		{name: "argv", forms: asList, items: &field{forms: asText, meaning: template}, doc: "process: program and arguments. It reads `with` as JSON and writes its answer as JSON.", example: "[node, charge.js]"},
		{name: "command", forms: asText, meaning: template, doc: "process: a line for the shell instead of `argv`."},
		{name: "cwd", forms: asText, meaning: template, doc: "process: folder to run in, relative to the project."},
		{name: "env", forms: asMap, meaning: template, doc: "process: environment of the program."},
		{name: "version", forms: asText, doc: "The tool's version, for people."},
		{name: "resource", forms: asText, unused: notNow},
		{name: "config", forms: anything, unused: notNow},
		{name: "runtime", forms: anything, unused: notNow},
	}}
}

// toolTypes are the kinds of tool; the built-in ones need no definition.
var (
	toolTypes    = []string{"echo", "transform", "http", "process"}
	builtInTools = []string{"echo", "transform"}
)
