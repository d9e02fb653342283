package acceptance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	nethttp "net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/binary"
)

const (
	// seedTimeout bounds one program of the seed; it is only reached by a failure.
	seedTimeout = 30 * time.Second
	// installTimeout bounds npm, which fetches some seventy packages.
	installTimeout = 4 * time.Minute
)

// TestSeedPrograms runs the two JavaScript programs of the Event API page as
// they are printed there, against the real binary that asks for keys: only the
// address, the key and the execution are put in their place when they are
// loaded. Both executions that they signal have to finish.
func TestSeedPrograms(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("this machine has no node")
	}
	t.Parallel() // npm waits for its registry
	clients := installClients(t)
	n := startSeedNode(t)

	t.Run("approval-integration.js", func(t *testing.T) {
		n.ask(t, "POST", "/api/v0/workflows/approval-processor/executions", `{"exec_id":"exec_123"}`, 202)
		output := n.program(t, clients, "approval-integration.js").run(t)
		if !strings.Contains(output, "done") {
			t.Errorf("the program said %q", output)
		}
		finished := n.finished(t, "exec_123")
		for _, want := range []string{"Decision: approved", "Approved by: external-system"} {
			if !strings.Contains(finished, want) {
				t.Errorf("the execution does not say %q: %s", want, finished)
			}
		}
	})

	t.Run("payment-webhook.js", func(t *testing.T) {
		n.ask(t, "POST", "/api/v0/workflows/payment/executions", `{"exec_id":"order-1","input":{"order_id":"o-1","amount":42.5}}`, 202)
		webhook := n.program(t, clients, "payment-webhook.js").listen(t)
		answer := post(t, webhook+"/webhooks/payment", "",
			`{"event_type":"payment.succeeded","transaction_id":"t-1","workflow_exec_id":"order-1","amount":42.5,"status":"succeeded"}`, 200)
		if !strings.Contains(answer, `"success":true`) {
			t.Errorf("the webhook answered %s", answer)
		}
		finished := n.finished(t, "order-1")
		if !strings.Contains(finished, `"shipped":"t-1"`) {
			t.Errorf("the order was not shipped: %s", finished)
		}
	})

	t.Run("a wrong key is refused", func(t *testing.T) {
		wrong := n.program(t, clients, "approval-integration.js")
		wrong.Env = append(wrong.Env, "SIGNALBOX_KEY=sbx_wrong")
		if output, err := wrong.CombinedOutput(); err == nil || !strings.Contains(string(output), "401") {
			t.Errorf("the program ended with %v and said %s", err, output)
		}
	})
}

// installClients copies the programs and installs what they require beside the copy.
func installClients(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(examplesDir, "approval", "clients"))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), installTimeout)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--prefer-offline", "--loglevel=error")
	npm.Dir = dir
	if output, err := npm.CombinedOutput(); err != nil {
		t.Fatalf("npm install: %v\n%s", err, output)
	}
	return dir
}

// seedNode is a running node with a key.
type seedNode struct {
	url string
	key string
}

func startSeedNode(t *testing.T) *seedNode {
	t.Helper()
	program, err := binary.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	project, data := t.TempDir(), filepath.Join(t.TempDir(), "data")
	for _, file := range []string{"approval/approval-processor.yaml", "payment-webhook/payment.yaml"} {
		content, err := os.ReadFile(filepath.Join(examplesDir, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(project, filepath.Base(file)), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key, err := exec.CommandContext(t.Context(), program, "keys", "bootstrap", "--data", data).Output()
	if err != nil {
		t.Fatalf("keys bootstrap: %v", err)
	}
	n, err := binary.Start(binary.Options{Path: program, Project: project, Data: data, Args: []string{"--no-auth=false"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := n.Stop(seedTimeout); err != nil {
			t.Error(err)
		}
	})
	return &seedNode{url: n.URL, key: strings.TrimSpace(string(key))}
}

// program is one of the programs, told where the node is.
func (n *seedNode) program(t *testing.T, clients, name string) *seedProgram {
	ctx, cancel := context.WithTimeout(t.Context(), seedTimeout)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "node", "run.js", name)
	cmd.Dir = clients
	cmd.Env = append(os.Environ(), "SIGNALBOX_URL="+n.url, "SIGNALBOX_KEY="+n.key, "EXEC_ID=exec_123", "PORT=0", "NO_PROXY=127.0.0.1")
	return &seedProgram{cmd}
}

type seedProgram struct{ *exec.Cmd }

// run runs the program to its end.
func (p *seedProgram) run(t *testing.T) string {
	t.Helper()
	output, err := p.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", p, err, output)
	}
	return string(output)
}

// listen starts the program and returns the address that it listens on; the
// program is ended with the test.
func (p *seedProgram) listen(t *testing.T) string {
	t.Helper()
	var log bytes.Buffer
	p.Stderr = &log
	stdout, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Process.Kill(); err != nil {
			t.Errorf("ending %s: %v", p, err)
		}
		_ = p.Wait() // it was killed, which is all that this error says
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !ok {
		t.Fatalf("%s said %q (%v)\n%s", p, line, err, &log)
	}
	return address
}

// ask sends a request with the node's key and returns the body of the answer.
func (n *seedNode) ask(t *testing.T, method, path, body string, want int) string {
	t.Helper()
	return send(t, method, n.url+path, n.key, body, want)
}

// finished reads the stream of an execution, which ends when it does, and
// returns the execution, which has to have succeeded.
func (n *seedNode) finished(t *testing.T, execID string) string {
	t.Helper()
	n.ask(t, "GET", "/api/v0/executions/workflows/"+execID+"/stream", "", 200)
	answer := n.ask(t, "GET", "/api/v0/executions/workflows/"+execID, "", 200)
	var execution struct {
		Data struct {
			Status string `json:"status"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(answer), &execution); err != nil {
		t.Fatal(err)
	}
	if execution.Data.Status != "SUCCESS" {
		t.Fatalf("%s is %s: %s", execID, execution.Data.Status, answer)
	}
	return answer
}

func post(t *testing.T, url, key, body string, want int) string {
	t.Helper()
	return send(t, "POST", url, key, body, want)
}

func send(t *testing.T, method, url, key, body string, want int) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), seedTimeout)
	defer cancel()
	request, err := nethttp.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	response, err := nethttp.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(fmt.Errorf("%s %s: %w", method, url, err))
	}
	if response.StatusCode != want {
		t.Fatalf("%s %s answered %d, want %d: %s", method, url, response.StatusCode, want, answer)
	}
	return string(answer)
}
