package examples_test

import (
	"bytes"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/definitions"
	"github.com/signalbox/signalbox/examples"
)

const firstLine = "# yaml-language-server: $schema=../signalbox.schema.json\n"

// TestSchema compares the committed schema with the language of this tree, and
// checks that each YAML file names it, so that editors help where people start.
func TestSchema(t *testing.T) {
	committed, err := os.ReadFile("signalbox.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.TrimSpace(committed), bytes.TrimSpace(definitions.Schema())) {
		t.Error("the language has changed: go run ./cmd/signalbox schema > examples/signalbox.schema.json")
	}
	files, err := fs.Glob(examples.Files, "*/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no YAML is embedded: %v", err)
	}
	for _, name := range files {
		content, err := fs.ReadFile(examples.Files, name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(content), firstLine) {
			t.Errorf("%s does not begin with %q", name, firstLine)
		}
	}
}

// TestSeedIsUnchanged holds the approval example and its clients to the text of
// the page that they come from: only the line for editors was put in front.
func TestSeedIsUnchanged(t *testing.T) {
	content, err := fs.ReadFile(examples.Files, "approval/approval-processor.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"workflows:", "  - id: approval-processor", "        wait_for: approval-decision", "        on_timeout: handle-timeout", "        agent: processor-agent",
		"          Decision: {{ .tasks.wait_for_decision.result.payload.decision }}",
	} {
		if !strings.Contains(string(content), line+"\n") {
			t.Errorf("the approval example lost the line %q", line)
		}
	}
	for _, gone := range []string{"timeout:", "condition:", "on_success:"} {
		for line := range strings.Lines(string(content)) {
			if strings.HasPrefix(strings.TrimSpace(line), gone) {
				t.Errorf("the seed has no %q", gone)
			}
		}
	}
	for file, line := range map[string]string{
		"approval/clients/approval-integration.js": "await approval.sendApprovalDecision('exec_123', 'approved');",
		"approval/clients/payment-webhook.js":      "app.post('/webhooks/payment', async (req, res) => {",
	} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(source), line) {
			t.Errorf("%s lost the line %q", file, line)
		}
	}
}
