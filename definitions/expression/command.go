package expression

import (
	"fmt"
	"slices"
	"strings"
	"text/template/parse"

	"github.com/signalbox/signalbox/workflow"
)

// command compiles one stage of a pipeline. piped is the value of the stage
// before it, nil for the first.
func (c *compiler) command(n *parse.CommandNode, piped expr) (expr, symbol) {
	first := n.Args[0]
	if id, ok := first.(*parse.IdentifierNode); ok {
		return c.call(id, n.Args[1:], piped)
	}
	if len(n.Args) == 2 && piped == nil {
		if f := c.format(first, n.Args[1]); f != nil {
			return f, symbol{}
		}
	}
	if len(n.Args) > 1 || piped != nil {
		at := c.place(first.Position())
		c.mistake(at, "a function comes first, as in {{ default \"x\" .value }} or {{ .value | default \"x\" }}",
			"%s is a value and takes no arguments", unspell.Replace(first.String()))
		return constant{}, symbol{}
	}
	return c.operand(first)
}

// operand compiles a value that stands by itself.
func (c *compiler) operand(n parse.Node) (expr, symbol) {
	switch n := n.(type) {
	case *parse.FieldNode:
		return c.reference(c.fieldPlace(n.Pos, n.Ident, 1), fromDot, 0, nil, "", n.Ident, c.dot)
	case *parse.DotNode:
		return c.reference(c.place(n.Pos), fromDot, 0, nil, ".", nil, c.dot)
	case *parse.VariableNode:
		v := c.variable(n.Ident[0])
		if v == nil {
			c.mistake(c.place(n.Pos), "", "the variable %s is not set here", n.Ident[0])
			return constant{}, symbol{}
		}
		from := n.Ident[0]
		if from == "$" {
			from = ""
		}
		return c.reference(c.fieldPlace(n.Pos, n.Ident, 0), fromVariable, v.slot, nil, from, n.Ident[1:], v.symbol)
	case *parse.ChainNode:
		inner, known := c.operand(n.Node)
		return c.reference(c.place(n.Node.Position()), fromExpr, 0, inner, "(...)", n.Field, known)
	case *parse.PipeNode:
		if len(n.Decl) > 0 {
			c.mistake(c.place(n.Pos), "set it in an action of its own", "a variable cannot be set inside parentheses")
		}
		return c.pipe(n)
	case *parse.IdentifierNode:
		return c.call(n, nil, nil)
	case *parse.StringNode:
		return constant{n.Text}, symbol{}
	case *parse.BoolNode:
		return constant{n.True}, symbol{}
	case *parse.NilNode:
		return constant{nil}, symbol{}
	case *parse.NumberNode:
		return constant{c.numeral(n)}, symbol{}
	}
	c.mistake(c.place(n.Position()), "", "%s is not supported here", n)
	return constant{}, symbol{}
}

// fieldPlace corrects the parser, which gives a path of several segments the
// position of its second one.
func (c *compiler) fieldPlace(pos parse.Pos, ident []string, dots int) place {
	if len(ident) > 1 {
		pos -= parse.Pos(len(ident[0]) + dots)
	}
	return c.place(pos)
}

func (c *compiler) reference(at place, start start, slot int, inner expr, from string, ident []string, base symbol) (expr, symbol) {
	p := &path{place: at, start: start, slot: slot, inner: inner, from: from, names: make([]string, len(ident))}
	for i, name := range ident {
		p.names[i] = unspell.Replace(name)
	}
	if inner != nil && len(p.names) == 0 {
		return inner, base
	}
	return p, c.refer(at, base, p.names)
}

// numeral follows Go templates: what is written like an integer is one.
func (c *compiler) numeral(n *parse.NumberNode) any {
	written := strings.ContainsAny(n.Text, ".eEpP") && !strings.HasPrefix(n.Text, "0x") && !strings.HasPrefix(n.Text, "0X")
	switch {
	case strings.HasSuffix(n.Text, "i"): // complex numbers have no JSON form
	case n.IsInt && !(written && n.IsFloat):
		return n.Int64
	case n.IsFloat:
		return n.Float64
	}
	c.mistake(c.place(n.Pos), "", "%s is no number that is known here", n.Text)
	return nil
}

// format compiles `now.Format "2006"`, the only method there is.
func (c *compiler) format(first, layout parse.Node) expr {
	var ident []string
	switch n := first.(type) {
	case *parse.FieldNode:
		ident = n.Ident
	case *parse.VariableNode:
		ident = n.Ident
	case *parse.ChainNode:
		ident = n.Field
	}
	if len(ident) == 0 || ident[len(ident)-1] != "Format" {
		return nil
	}
	value, _ := c.operand(first)
	p, ok := value.(*path)
	if !ok {
		return nil
	}
	p.names = p.names[:len(p.names)-1]
	text, _ := c.operand(layout)
	return &format{place: p.place, inner: p, layout: text}
}

// call compiles a function and its arguments.
func (c *compiler) call(id *parse.IdentifierNode, nodes []parse.Node, piped expr) (expr, symbol) {
	at := c.place(id.Pos)
	args := make([]expr, 0, len(nodes)+1)
	var first symbol
	for i, n := range nodes {
		arg, known := c.operand(n)
		if i == 0 {
			first = known
		}
		args = append(args, arg)
	}
	if piped != nil {
		args = append(args, piped)
	}
	switch id.Ident {
	case "and", "or":
		if len(args) == 0 {
			c.mistake(at, "", "%s needs at least one value", id.Ident)
		}
		return &choice{until: id.Ident == "or", args: args}, symbol{}
	}
	fn := functions[id.Ident]
	if fn == nil {
		c.unknownFunction(at, id.Ident)
		return constant{}, symbol{}
	}
	if len(args) < fn.least || fn.most >= 0 && len(args) > fn.most {
		c.mistake(at, fn.usage, "%s takes %s, not %d", fn.name, countOf(fn), len(args))
		return constant{}, symbol{}
	}
	if fn.check != nil {
		if err := fn.check(constants(args)); err != nil {
			c.mistake(at, "", "%s: %s", fn.name, err)
			return constant{}, symbol{}
		}
	}
	return &call{place: at, fn: fn, args: args}, c.indexed(at, id.Ident, first, args)
}

// indexed follows `index .tasks "x" "output"` as the path that it is.
func (c *compiler) indexed(at place, name string, base symbol, args []expr) symbol {
	if name != "index" || !base.known {
		return symbol{}
	}
	var names []string
	for _, arg := range args[1:] {
		k, ok := arg.(constant)
		if !ok {
			return symbol{}
		}
		names = append(names, fmt.Sprint(k.value))
	}
	return c.refer(at, base, names)
}

// constants are the values of arguments that are known, nil for the others.
func constants(args []expr) []any {
	out := make([]any, len(args))
	for i, arg := range args {
		if k, ok := arg.(constant); ok {
			out[i] = k.value
		}
	}
	return out
}

func countOf(fn *function) string {
	switch {
	case fn.most < 0:
		return fmt.Sprintf("at least %d arguments", fn.least)
	case fn.least == fn.most && fn.least == 1:
		return "1 argument"
	case fn.least == fn.most:
		return fmt.Sprintf("%d arguments", fn.least)
	}
	return fmt.Sprintf("%d to %d arguments", fn.least, fn.most)
}

// refused are functions that the reference system has and we do not, with the
// reason: the same input must give the same bytes.
var refused = map[string]string{
	"expandenv":     "the server's environment is not visible; put the value into .env and read it as .env.NAME",
	"getHostByName": "there is no network in a template; use an http tool",
	"randAlpha":     "there is no randomness in a template; take an id from the input or .workflow.exec_id",
	"uuidv4":        "there is no randomness in a template; .workflow.exec_id is unique",
	"call":          "values hold no functions",
}

func (c *compiler) unknownFunction(at place, name string) {
	if name == "env" {
		c.mistake(at, "put the value into .env and read it as .env.NAME", "env: the server's environment is not visible")
		return
	}
	for prefix, why := range refused {
		if name == prefix || prefix == "randAlpha" && strings.HasPrefix(name, "rand") {
			c.mistake(at, why, "there is no function %q", name)
			return
		}
	}
	hint := ""
	if near := workflow.Nearest(name, functionNames); near != "" {
		hint = fmt.Sprintf("did you mean %s?", near)
	} else if slices.Contains(Roots(), name) {
		hint = fmt.Sprintf("did you mean .%s, with a dot?", name)
	}
	c.mistake(at, hint, "there is no function %q", name)
}
