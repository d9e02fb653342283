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
	return &shape{name: branchShape, title: "a branch", fields: fields,
		doc: "One of the things that a wait holds for at once. What it leaves out of `wait_for`, `correlate`, `condition`, `schema`, `distinct_by`, `weights` and `veto` it takes from the wait."}
}

func collectLanguage() *shape {
	return &shape{name: collectShape, title: "collect", doc: "When what was collected is enough.", fields: []*field{
		{name: "until", forms: asText, meaning: condition, required: true, mistaken: []string{"while", "condition"}, doc: "CEL over `collected`, the list of signals that count so far, each with `payload`, `metadata`, `by`, `weight` and `branch`.", example: "collected.exists(c, c.payload.final) || size(collected) >= 5"},
	}}
}
