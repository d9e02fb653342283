package expression

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template/parse"
)

// program is one compiled string.
type program struct {
	main body

	// lone is set when the string is exactly one reference: its value keeps
	// its JSON type. single is set when it is exactly one pipeline, perhaps
	// with spaces around it: a JSON text that it prints becomes structure.
	lone   *path
	single expr
	inner  expr // what single encodes, when its last function is toJson

	references []Reference
}

// compile reads one string that holds actions.
func compile(source string) (*program, []*PositionError) {
	if len(source) > MaxStringBytes {
		return nil, []*PositionError{{Line: 1, Col: 1,
			Message: fmt.Sprintf("this text has %d bytes, at most %d are read", len(source), MaxStringBytes)}}
	}
	respelled, bad := respell(source)
	if bad != nil {
		return nil, []*PositionError{bad}
	}
	trees, bad := parseTemplate(respelled)
	if bad != nil {
		return nil, []*PositionError{bad}
	}
	c := &compiler{source: respelled, trees: trees, bodies: map[string]*body{}}
	p := &program{}
	if tree := trees[mainName]; tree != nil && tree.Root != nil {
		p.main = *c.compileBody(mainName, tree, symbol{known: true})
		p.lone, p.single = whole(p.main.stmts, source)
		if last, ok := p.single.(*call); ok && last.fn.name == "toJson" {
			p.inner = last.args[0]
		}
	}
	for i := 0; i < len(c.called); i++ { // bodies may call further ones
		name := c.called[i]
		*c.bodies[name] = *c.compileBody(name, trees[name], symbol{})
	}
	p.references = c.references
	return p, c.mistakes
}

const mainName = "main"

// whole says whether a string is one reference or one pipeline and nothing else.
func whole(stmts []stmt, source string) (*path, expr) {
	var only *print
	for _, s := range stmts {
		switch s := s.(type) {
		case literal:
			if strings.TrimSpace(s.text) != "" {
				return nil, nil
			}
		case *print:
			if only != nil {
				return nil, nil
			}
			only = s
		default:
			return nil, nil
		}
	}
	if only == nil {
		return nil, nil
	}
	lone, _ := only.value.(*path)
	if strings.TrimSpace(source) != source || len(stmts) != 1 {
		lone = nil
	}
	return lone, only.value
}

func parseTemplate(text string) (map[string]*parse.Tree, *PositionError) {
	if at := tooNested(text); at >= 0 {
		line, col := positionIn(text, at)
		return nil, &PositionError{Line: line, Col: col, Message: fmt.Sprintf("blocks or parentheses nest deeper than %d levels", maxNesting)}
	}
	trees, err := parseOnce(text)
	if err == nil {
		return trees, nil
	}
	return nil, locate(text, err)
}

func parseOnce(text string) (trees map[string]*parse.Tree, err error) {
	defer guard(&err)
	trees = map[string]*parse.Tree{}
	tree := parse.New(mainName)
	tree.Mode = parse.SkipFuncCheck
	_, err = tree.Parse(text, "", "", trees)
	if _, ok := trees[mainName]; !ok {
		trees[mainName] = tree
	}
	return trees, err
}

var blockWord = regexp.MustCompile(`^-?\s*(if|with|range|define|block|end|else)\b(\s+(?:if|with)\b)?`)

// tooNested finds where parentheses or blocks nest too deep for the parser's
// and our own stack, or returns -1. A chain of `else if` nests as well: each
// of them is a block within the one before.
func tooNested(text string) int {
	var blocks []int // how many levels each open block counts for
	depth := 0
	for at := 0; ; {
		i := strings.Index(text[at:], leftDelimiter)
		if i < 0 {
			return -1
		}
		at += i + len(leftDelimiter)
		m := blockWord.FindStringSubmatch(text[at:min(len(text), at+blockWindow)])
		switch {
		case m == nil:
		case m[1] == "end":
			if last := len(blocks) - 1; last >= 0 {
				depth -= blocks[last]
				blocks = blocks[:last]
			}
		case m[1] != "else":
			blocks = append(blocks, 1)
			depth++
		case m[2] != "" && len(blocks) > 0:
			blocks[len(blocks)-1]++
			depth++
		}
		end := strings.Index(text[at:], rightDelimiter)
		if end < 0 {
			end = len(text) - at
		}
		if depth > maxNesting {
			return at
		}
		parens := 0
		for j := range end {
			switch text[at+j] {
			case '(':
				parens++
			case ')':
				parens--
			}
			if parens > maxNesting {
				return at + j
			}
		}
		at += end
	}
}

var parserPrefix = regexp.MustCompile(`^template: [^:]*:(\d+):(?:\d+:)? `)

// locate finds the action that the parser stumbled over. The parser tells only
// a line; the first action without which the text parses further is the one.
func locate(text string, err error) *PositionError {
	message := parserPrefix.ReplaceAllString(unspell.Replace(err.Error()), "")
	at := strings.Index(text, leftDelimiter)
	if strings.Contains(message, "unexpected EOF") {
		at = lastOpen(text)
		message = "a block that starts here has no {{ end }}"
	} else {
		from := 0
		for range maxLocated {
			i := strings.Index(text[from:], leftDelimiter)
			if i < 0 {
				break
			}
			at, from = from+i, from+i+len(leftDelimiter)
			end := strings.Index(text[from:], rightDelimiter)
			if end < 0 {
				break
			}
			from += end + len(rightDelimiter)
			if _, e := parseOnce(text[:from]); e != nil && !strings.Contains(e.Error(), "unexpected EOF") && !strings.Contains(e.Error(), "unclosed action") {
				break
			}
		}
	}
	line, col := positionIn(text, max(at, 0))
	return &PositionError{Line: line, Col: col, Message: message, Hint: parserHint(message)}
}

// lastOpen is the innermost block that was opened and not closed.
func lastOpen(text string) int {
	var open []int
	for at := 0; ; {
		i := strings.Index(text[at:], leftDelimiter)
		if i < 0 {
			break
		}
		at += i + len(leftDelimiter)
		if m := blockWord.FindStringSubmatch(text[at:min(len(text), at+blockWindow)]); m != nil {
			switch m[1] {
			case "end":
				open = open[:max(0, len(open)-1)]
			case "else":
			default:
				open = append(open, at-len(leftDelimiter))
			}
		}
	}
	if len(open) == 0 {
		return max(0, strings.LastIndex(text, leftDelimiter))
	}
	return open[len(open)-1]
}

func parserHint(message string) string {
	switch {
	case strings.Contains(message, "unclosed action"):
		return "close it with }}"
	case strings.Contains(message, "unexpected {{end}}"):
		return "there is no open if, with, range or define to end"
	case strings.Contains(message, "undefined variable"):
		return "set it first, as in {{ $x := .workflow.input.x }}, inside the same block or around it"
	case strings.Contains(message, "unterminated"):
		return "close the quotes"
	case strings.Contains(message, "bad character"):
		return "names are made of letters, digits, _ and inner hyphens; separate arguments with spaces"
	}
	return ""
}

// symbol is what is known about a value without running anything: which path
// of the scope it is.
type symbol struct {
	known bool
	path  []string
}

type variable struct {
	name   string
	slot   int
	symbol symbol
}

type compiler struct {
	source     string // respelled
	trees      map[string]*parse.Tree
	bodies     map[string]*body
	called     []string
	references []Reference
	mistakes   []*PositionError

	vars  []variable
	slots int
	dot   symbol

	last    place // of the node looked at last, so that positions cost one pass
	lastPos int
}

func (c *compiler) place(pos parse.Pos) place {
	at := max(0, min(int(pos), len(c.source)))
	if c.lastPos > at || c.last.line == 0 {
		c.last, c.lastPos = place{1, 1}, 0
	}
	for _, r := range c.source[c.lastPos:at] {
		switch r {
		case '\n':
			c.last = place{c.last.line + 1, 1}
		case digitLetter:
		default:
			c.last.col++
		}
	}
	c.lastPos = at
	return c.last
}

func (c *compiler) mistake(p place, hint, message string, args ...any) {
	if len(c.mistakes) < maxMistakes {
		c.mistakes = append(c.mistakes, &PositionError{Line: p.line, Col: p.col, Message: fmt.Sprintf(message, args...), Hint: hint})
	}
}

func (c *compiler) compileBody(name string, tree *parse.Tree, dot symbol) *body {
	c.vars = []variable{{name: "$", slot: 0, symbol: dot}}
	c.slots, c.dot = 1, dot
	b := &body{name: name, stmts: c.list(tree.Root)}
	b.slots = c.slots
	return b
}

func (c *compiler) list(l *parse.ListNode) []stmt {
	if l == nil {
		return nil
	}
	scope := len(c.vars)
	stmts := make([]stmt, 0, len(l.Nodes))
	for _, n := range l.Nodes {
		if s := c.stmt(n); s != nil {
			stmts = append(stmts, s)
		}
	}
	c.vars = c.vars[:scope]
	return stmts
}

func (c *compiler) stmt(n parse.Node) stmt {
	switch n := n.(type) {
	case *parse.TextNode:
		return literal{text: string(n.Text), sealed: seal(string(n.Text))}
	case *parse.ActionNode:
		value, known := c.pipe(n.Pipe)
		if len(n.Pipe.Decl) > 0 {
			return &assign{slot: c.declare(n.Pipe, 0, known), value: value}
		}
		return &print{place: c.place(n.Pipe.Pos), value: value}
	case *parse.IfNode:
		return c.branch(&n.BranchNode, false)
	case *parse.WithNode:
		return c.branch(&n.BranchNode, true)
	case *parse.RangeNode:
		return c.loop(&n.BranchNode)
	case *parse.TemplateNode:
		return c.invoke(n)
	case *parse.BreakNode:
		return jump{stopLoop}
	case *parse.ContinueNode:
		return jump{nextTurn}
	case *parse.CommentNode:
		return nil
	}
	c.mistake(c.place(n.Position()), "", "%s is not supported here", n)
	return nil
}

// declare gives the i-th variable of a pipeline its slot.
func (c *compiler) declare(pipe *parse.PipeNode, i int, known symbol) int {
	name := pipe.Decl[i].Ident[0]
	if pipe.IsAssign {
		if v := c.variable(name); v != nil {
			v.symbol = symbol{}
			return v.slot
		}
	}
	c.vars = append(c.vars, variable{name: name, slot: c.slots, symbol: known})
	c.slots++
	return c.slots - 1
}

func (c *compiler) variable(name string) *variable {
	for i := len(c.vars) - 1; i >= 0; i-- {
		if c.vars[i].name == name {
			return &c.vars[i]
		}
	}
	return nil
}

func (c *compiler) branch(n *parse.BranchNode, with bool) stmt {
	scope, dot := len(c.vars), c.dot
	b := &branch{with: with, slot: -1}
	value, known := c.pipe(n.Pipe)
	b.value = value
	if len(n.Pipe.Decl) > 0 {
		b.slot = c.declare(n.Pipe, 0, known)
	}
	if with {
		c.dot = known
	}
	b.yes = c.list(n.List)
	c.dot = dot
	b.other = c.list(n.ElseList)
	c.vars = c.vars[:scope]
	return b
}

func (c *compiler) loop(n *parse.BranchNode) stmt {
	scope, dot := len(c.vars), c.dot
	l := &loop{place: c.place(n.Pipe.Pos), key: -1, element: -1}
	l.value, _ = c.pipe(n.Pipe)
	switch len(n.Pipe.Decl) {
	case 1:
		l.element = c.declare(n.Pipe, 0, symbol{})
	case 2:
		l.key = c.declare(n.Pipe, 0, symbol{})
		l.element = c.declare(n.Pipe, 1, symbol{})
	}
	c.dot = symbol{}
	l.body = c.list(n.List)
	c.dot = dot
	l.other = c.list(n.ElseList)
	c.vars = c.vars[:scope]
	return l
}

func (c *compiler) invoke(n *parse.TemplateNode) stmt {
	i := &invoke{place: c.place(n.Pos)}
	if n.Pipe != nil {
		i.arg, _ = c.pipe(n.Pipe)
	}
	if c.trees[n.Name] == nil || n.Name == mainName {
		c.mistake(i.place, "define it in the same text with {{ define }}", "there is no template %q", n.Name)
		return i
	}
	if c.bodies[n.Name] == nil {
		c.bodies[n.Name] = &body{}
		c.called = append(c.called, n.Name)
	}
	i.body = c.bodies[n.Name]
	return i
}

// pipe compiles a pipeline: each command's value is the last argument of the next.
func (c *compiler) pipe(n *parse.PipeNode) (expr, symbol) {
	var value expr
	var known symbol
	for _, cmd := range n.Cmds {
		value, known = c.command(cmd, value)
	}
	return value, known
}

// refer records a path that starts at a known place of the scope.
func (c *compiler) refer(at place, base symbol, names []string) symbol {
	if !base.known {
		return symbol{}
	}
	full := slices.Concat(base.path, names)
	ref := Reference{Line: at.line, Col: at.col}
	if len(full) > 0 {
		ref.Root, ref.Path = full[0], full[1:]
	}
	c.references = append(c.references, ref)
	return symbol{known: true, path: full}
}

// joinMistakes makes one error of many.
func joinMistakes(mistakes []*PositionError) error {
	errs := make([]error, len(mistakes))
	for i, m := range mistakes {
		errs[i] = m
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}
