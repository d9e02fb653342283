package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/examples"
)

func (a *app) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Watch one approval from event to receipt, kill -9 included",
		Long: `Run a node in a temporary folder and show what it does: an event starts a
workflow, a signal lets it go on, the receipt says what became of the signal, and
a second execution waits on while its node is killed and opened again.

Each request is printed as a curl line. Nothing is left behind.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), demoTimeout)
			defer cancel()
			return a.demo(ctx)
		},
	}
}

// demo is the story: the state that its chapters share.
type demo struct {
	*app
	dir  string // temporary, removed at the end
	node *child
	url  string // of the node, the same after it was opened again
	step int
}

func (a *app) demo(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "signalbox-demo-")
	if err != nil {
		return failed("the demo needs a temporary folder: %w", err)
	}
	d := &demo{app: a, dir: dir}
	defer func() {
		if d.node != nil {
			d.node.kill()
		}
		if removeErr := os.RemoveAll(dir); removeErr != nil && err == nil {
			err = failed("the demo could not remove its folder: %w", removeErr)
		}
	}()
	if err := copyExample("approval", d.project()); err != nil {
		return failed("unpacking the example: %w", err)
	}
	d.say("Signalbox: an approval that survives kill -9\n\n")
	for _, chapter := range []func(context.Context) error{
		d.startNode, d.approve, d.showReceipt, d.killHalfWay, d.goOn,
	} {
		if err := chapter(ctx); err != nil {
			return err
		}
	}
	d.whereNext()
	return nil
}

func (d *demo) project() string { return filepath.Join(d.dir, "approval") }
func (d *demo) data() string    { return filepath.Join(d.dir, "data") }

// copyExample writes the files of an example that the binary carries into a folder.
func copyExample(name, into string) error {
	example, err := fs.Sub(examples.Files, name)
	if err != nil {
		return err
	}
	return os.CopyFS(into, example)
}

func (d *demo) startNode(ctx context.Context) error {
	d.title("A node starts on an empty store")
	if err := d.open(ctx, "127.0.0.1:0"); err != nil {
		return err
	}
	d.say("   It serves this workflow, and everything it accepts is on disk before it answers:\n\n")
	source, err := os.ReadFile(filepath.Join(d.project(), "approval-processor.yaml"))
	if err != nil {
		return failed("reading the example: %w", err)
	}
	d.listing(source)
	return nil
}

// open starts the node as a process of its own, so that it can be killed.
func (d *demo) open(ctx context.Context, addr string) error {
	args := []string{"serve", d.project(), "--addr", addr, "--data", d.data(), "--no-auth", "--log-level", "error", "--with-parent"}
	node, err := startChild(ctx, args)
	if err != nil {
		return err
	}
	d.node, d.url = node, node.url
	d.command("signalbox serve approval --addr " + node.addr() + " --data data --no-auth")
	d.say("   listening on %s, ready after %v\n\n", node.url, node.ready.Round(time.Millisecond))
	return nil
}

func (d *demo) approve(ctx context.Context) error {
	d.title("An event starts the workflow, and the execution waits")
	id, err := d.startByEvent(ctx, "contract-7")
	if err != nil {
		return err
	}
	d.title("A person decides: a signal to that execution")
	if err := d.decide(ctx, id, "decision-1", "approved"); err != nil {
		return err
	}
	d.title("The execution has finished, with the decision in its last task")
	return d.showFinished(ctx, id)
}

// startByEvent posts the event and shows the execution that it started.
func (d *demo) startByEvent(ctx context.Context, request string) (execID string, err error) {
	var accepted struct {
		EventID string `json:"event_id"`
	}
	body := `{"name":"approval-request","payload":{"request_id":"` + request + `"}}`
	if err := d.post(ctx, "/api/v0/events", body, &accepted); err != nil {
		return "", err
	}
	var receipt struct {
		Deliveries []struct {
			ExecID string `json:"exec_id"`
		} `json:"deliveries"`
	}
	err = d.get(ctx, "/api/v0/events/"+accepted.EventID, &receipt, []string{"state", "deliveries"}, func() bool {
		return len(receipt.Deliveries) > 0 && receipt.Deliveries[0].ExecID != ""
	})
	if err != nil {
		return "", err
	}
	execID = receipt.Deliveries[0].ExecID
	return execID, d.showWaiting(ctx, execID)
}

func (d *demo) showWaiting(ctx context.Context, execID string) error {
	var now struct {
		Waits []json.RawMessage `json:"waits"`
	}
	return d.get(ctx, "/api/v0/executions/workflows/"+execID, &now, []string{"workflow_exec_id", "status", "waits"}, func() bool {
		return len(now.Waits) == 1
	})
}

func (d *demo) decide(ctx context.Context, execID, signalID, decision string) error {
	body := `{"signal_name":"approval-decision","signal_id":"` + signalID +
		`","payload":{"decision":"` + decision + `","approved_by":"manager@company.com"}}`
	var answer struct {
		Outcome string `json:"outcome"`
	}
	if err := d.post(ctx, "/api/v0/executions/workflows/"+execID+"/signals", body, &answer); err != nil {
		return err
	}
	if answer.Outcome != "delivered" {
		return failed("the signal was %s, and the demo expected it to be delivered", answer.Outcome)
	}
	return nil
}

func (d *demo) showFinished(ctx context.Context, execID string) error {
	var now struct {
		Status string `json:"status"`
		Tasks  map[string]struct {
			Output json.RawMessage `json:"output"`
		} `json:"tasks"`
	}
	err := d.get(ctx, "/api/v0/executions/workflows/"+execID, &now, []string{"status", "finished_at"}, func() bool {
		return now.Status == "SUCCESS" || now.Status == "FAILED"
	})
	if err != nil {
		return err
	}
	if now.Status != "SUCCESS" {
		return failed("execution %s ended %s, and the demo expected SUCCESS", execID, now.Status)
	}
	d.say("   process-approval answered (the mock model repeats its prompt):\n   %s\n\n", compact(now.Tasks["process-approval"].Output))
	return nil
}

func (d *demo) showReceipt(ctx context.Context) error {
	d.title("The receipt says what became of the signal, step by step")
	var receipt struct {
		State string `json:"state"`
	}
	return d.get(ctx, "/api/v0/signals/decision-1", &receipt, []string{"signal_id", "state", "outcome", "steps"}, func() bool {
		return receipt.State == "consumed"
	})
}

func (d *demo) killHalfWay(ctx context.Context) error {
	d.title("A second execution waits, and its node is killed")
	if _, err := d.startByEvent(ctx, "contract-8"); err != nil {
		return err
	}
	d.command(fmt.Sprintf("kill -9 %d", d.node.pid()))
	addr := d.node.addr()
	d.node.kill()
	d.say("   the node is gone: no drain, no goodbye\n\n")
	d.title("The node is opened again on the same folder, and the wait is there")
	return d.open(ctx, addr)
}

func (d *demo) goOn(ctx context.Context) error {
	var waits struct {
		Items []struct {
			ExecID string `json:"workflow_exec_id"`
		} `json:"waits"`
	}
	if err := d.get(ctx, "/api/v0/waits?name=approval-decision", &waits, nil, func() bool { return len(waits.Items) == 1 }); err != nil {
		return err
	}
	if err := d.decide(ctx, waits.Items[0].ExecID, "decision-2", "rejected"); err != nil {
		return err
	}
	return d.showFinished(ctx, waits.Items[0].ExecID)
}

func (d *demo) whereNext() {
	d.say(`That is all. Where to go next:
  %[1]s dev examples/approval
      the same project on http://127.0.0.1:8080, reloaded as you edit it
  %[1]s validate FILE
      everything that is wrong with a workflow, and what to do about it
  README.md
      a first workflow of your own
  examples/
      more projects to start from
`, invocation())
}

// invocation is how this program was started: go run builds it into a folder
// that is gone afterwards.
func invocation() string {
	if self, err := os.Executable(); err == nil && strings.Contains(self, "go-build") {
		return "go run ./cmd/signalbox"
	}
	return "signalbox"
}
