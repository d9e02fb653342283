package definitions

// onlyWaits are the task types that have the fields of this file.
var onlyWaits = []string{"wait"}

func branchesField(name, doc string) *field {
	return &field{name: name, forms: asList | asMap, named: true, items: &field{forms: asMap, shape: branchShape}, kinds: onlyWaits, doc: doc, example: "{ paid: { wait_for: payment }, canceled: { wait_for: cancellation } }"}
}

func deadlineField(kinds []string) *field {
	return &field{name: "deadline", forms: asText, meaning: template, kinds: kinds, mistaken: []string{"until", "due"}, doc: "When the wait is over, instead of `timeout`: a duration, or a time as RFC 3339 has it.", example: `"{{ .workflow.input.due }}"`}
}

// quorumFields say how many signals are enough and which of them count.
func quorumFields(kinds []string) []*field {
	return []*field{
		{name: "count", forms: asNumber | asText, meaning: template, kinds: kinds, mistaken: []string{"quorum", "threshold", "at_least", "min"}, doc: "How many signals are enough, or with `weights` which sum of them; of a wait with branches, how many branches.", example: "3"},
		{name: "distinct_by", forms: asText, meaning: scalar, kinds: kinds, mistaken: []string{"distinct", "unique_by", "unique"}, doc: "CEL. Of the signals for which it gives the same value only the first counts; the others are kept, with the reason.", example: "signal.payload.approver"},
		{name: "weights", forms: asText | asMap, meaning: scalar, kinds: kinds, mistaken: []string{"weight", "weighted_by"}, doc: "What each signal counts: CEL that gives a number, or a number for each value of `distinct_by`, `\"*\"` for any other. One with weight 0, or without one, does not count.", example: "{ cfo: 2, \"*\": 1 }"},
		{name: "veto", forms: asText, meaning: condition, kinds: kinds, mistaken: []string{"reject", "rejected_by", "veto_if"}, doc: "CEL. One signal for which it is true ends the wait at once, with the failure WAIT_VETOED. It is judged before `condition`.", example: "signal.payload.approved == false"},
		{name: "collect", forms: asMap, shape: collectShape, kinds: kinds, doc: "Collect signals until a condition over all of them holds, instead of `count`."},
	}
}

// timeFields say what happens while a wait is open.
func timeFields() []*field {
	return []*field{
		{name: "extend_on", forms: asText | asMap, shape: extendShape, kinds: onlyWaits, mistaken: []string{"extend", "slide", "sliding"}, doc: "What moves the deadline on: the name of a signal that adds the wait's `timeout` once more, or a mapping.", example: "{ wait_for: more-time, by: 1d, max: 3 }"},
		{name: "remind", forms: asList, items: &field{forms: asMap, shape: remindShape}, kinds: onlyWaits, mistaken: []string{"reminders", "reminder", "escalate", "notify"}, doc: "What happens at given times while the wait is open, without ending it.", example: "[{ after: 1d, event: approval-overdue }, { before: 2h, task: call-the-boss }]"},
	}
}

func extendLanguage() *shape {
	return &shape{name: extendShape, title: "extend_on", doc: "Which signals move the deadline of a wait, and how far.", fields: []*field{
		{name: "wait_for", forms: asText, meaning: template, mistaken: []string{"signal", "name"}, doc: "Name of the signal that moves it. Without it, each signal that counts does, or each one of the wait's that meets `condition`, counted or not.", example: "more-time"},
		{name: "condition", forms: asText, meaning: condition, mistaken: []string{"if", "when"}, doc: "CEL. Only a signal for which it is true moves the deadline."},
		{name: "schema", forms: asText | asMap, meaning: schemaRef, doc: "What the payload of `wait_for` must look like."},
		{name: "by", forms: asText, meaning: template, mistaken: []string{"duration", "for", "add"}, doc: "Duration that is added to the deadline; the wait's `timeout` when left out.", example: "1d"},
		{name: "max", forms: asNumber, mistaken: []string{"times", "limit", "at_most"}, doc: "How often at most. Default: 10."},
	}}
}

func remindLanguage() *shape {
	return &shape{name: remindShape, title: "a reminder", doc: "One rung of a wait's ladder: `after` or `before`, and `event` or `task`. Each comes once.", fields: []*field{
		{name: "after", forms: asText, meaning: duration, mistaken: []string{"in", "at"}, doc: "How long after the wait has opened.", example: "1d"},
		{name: "before", forms: asText, meaning: duration, doc: "How long before the deadline, with which it moves.", example: "2h"},
		{name: "event", forms: asText | asMap, shape: signalShape, meaning: template, mistaken: []string{"signal", "emit", "send"}, doc: "Event to send: its name, or its `id` and `payload`, which also see `.collected`.", example: "approval-overdue"},
		{name: "task", forms: asText, meaning: taskRef, mistaken: []string{"run", "next", "start", "then"}, doc: "Task to run. When nothing else leads to it, it has no place in the listed order, and its failure ends nothing."},
	}}
}

func branchLanguage() *shape {
	fields := []*field{
		{name: "name", forms: asText, mistaken: []string{"id"}, doc: "The branch's name; that of its signal when left out. In a mapping of branches it is the key.", example: "paid"},
		{name: "wait_for", forms: asText, meaning: template, mistaken: []string{"signal_name", "waits_for", "signal"}, doc: "Name of the signal or event to wait for.", example: "payment"},
		{name: "correlate", forms: asText, meaning: scalar, mistaken: []string{"correlation", "correlation_id", "correlation_key"}, doc: "The `correlation_id` that the message must have. A template, or CEL without `signal`."},
		{name: "condition", forms: asText, meaning: condition, mistaken: []string{"if", "when"}, doc: "CEL. The branch takes only a signal for which it is true."},
		{name: "schema", forms: asText | asMap, meaning: schemaRef, doc: "What the payload of the signal must look like."},
		{name: "timeout", forms: asText, meaning: duration, doc: "Longest time of this branch. The wait times out when too few branches are left.", example: "2h"},
		deadlineField(nil),
	}
	fields = append(fields, quorumFields(nil)...)
	fields = append(fields, &field{name: "processor", forms: asMap, shape: processorShape, doc: "Work that looks at each signal of the branch before its condition is judged; its result is `processor.output`."})
	return &shape{name: branchShape, title: "a branch", fields: fields,
		doc: "One of the things that a wait holds for at once. What it leaves out of `wait_for`, `correlate`, `condition`, `schema`, `distinct_by`, `weights` and `veto` it takes from the wait."}
}

func collectLanguage() *shape {
	return &shape{name: collectShape, title: "collect", doc: "When what was collected is enough.", fields: []*field{
		{name: "until", forms: asText, meaning: condition, required: true, mistaken: []string{"while", "condition"}, doc: "CEL over `collected`, the list of signals that count so far, each with `payload`, `metadata`, `by`, `weight` and `branch`.", example: "collected.exists(c, c.payload.final) || size(collected) >= 5"},
	}}
}
