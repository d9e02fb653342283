package expression_test

import (
	"fmt"

	"github.com/signalbox/signalbox/definitions/expression"
	"github.com/signalbox/signalbox/workflow"
)

func ExampleNewTemplate() {
	t, err := expression.NewTemplate(map[string]any{
		"decision": "{{ .signal.payload.decision }}",
		"amount":   "{{ .signal.payload.amount }}",
		"note":     `{{ .signal.payload.note | default "none" }}`,
	}, expression.Env{})
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := t.Render(&workflow.Scope{Signal: workflow.Value(`{"payload":{"decision":"approved","amount":900}}`)})
	fmt.Println(string(v), err)
	// Output: {"amount":900,"decision":"approved","note":"none"} <nil>
}

func ExampleNewCondition() {
	c, err := expression.NewCondition(`signal.payload.decision == "approved" && signal.payload.amount <= 500`, expression.Env{})
	if err != nil {
		fmt.Println(err)
		return
	}
	v := c.Judge(&workflow.Scope{Signal: workflow.Value(`{"payload":{"decision":"approved","amount":900}}`)})
	fmt.Println(v.Holds, v.Reason)
	// Output: false signal.payload.amount <= 500: 900 <= 500 is false
}

func ExampleUnmask() {
	secret := map[string]string{"API_KEY": "hunter2"}
	t, err := expression.NewMaskedTemplate("Bearer {{ .env.API_KEY }}", expression.Env{Secret: secret})
	if err != nil {
		fmt.Println(err)
		return
	}
	masked, err := t.Render(&workflow.Scope{})
	if err != nil {
		fmt.Println(err)
		return
	}
	clear, err := expression.Unmask(masked, secret)
	fmt.Println(string(masked), string(clear), err)
	// Output: "Bearer ⟦secret:API_KEY⟧" "Bearer hunter2" <nil>
}
