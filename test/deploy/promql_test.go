package deploy

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// query is what an expression of Prometheus asks for.
type query struct {
	metrics []asked
	groups  []string // labels that it groups or joins by
}

// asked is one metric of a query with the labels that it is selected by.
type asked struct {
	name   string
	labels []selected
}

type selected struct{ name, op, value string }

// notMetrics are words of the language that stand where a metric could.
var notMetrics = []string{"and", "or", "unless", "offset", "bool", "by", "without", "on", "ignoring", "group_left", "group_right", "inf", "nan"}

var (
	tokens   = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[a-zA-Z_:][a-zA-Z0-9_:]*|[0-9][0-9.a-z]*|=~|!~|!=|[{}(),=]|\S`)
	grouping = []string{"by", "without", "on", "ignoring", "group_left", "group_right"}
)

// parse reads as much of an expression as is needed to know what it asks for.
func parse(expression string) query {
	var q query
	words := tokens.FindAllString(strings.NewReplacer("$__rate_interval", "5m", "$__interval", "5m").Replace(expression), -1)
	next := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	for i := 0; i < len(words); i++ {
		word := words[i]
		switch {
		case slices.Contains(grouping, word) && next(i+1) == "(":
			for i += 2; next(i) != ")" && i < len(words); i++ {
				if words[i] != "," {
					q.groups = append(q.groups, words[i])
				}
			}
		case !regexp.MustCompile(`^[a-zA-Z_:]`).MatchString(word), next(i+1) == "(", slices.Contains(grouping, next(i+1)), slices.Contains(notMetrics, strings.ToLower(word)):
		default:
			m := asked{name: word}
			if next(i+1) == "{" {
				for i += 2; next(i) != "}" && i < len(words); i++ {
					if words[i] == "," {
						continue
					}
					m.labels = append(m.labels, selected{words[i], next(i + 1), strings.Trim(next(i+2), `"`)})
					i += 2
				}
			}
			q.metrics = append(q.metrics, m)
		}
	}
	return q
}

func TestParse(t *testing.T) {
	q := parse(`histogram_quantile(0.9, sum by (le, route) (rate(a_bucket{job=~"$job",code!="5{0}0"}[$__rate_interval]))) > 0.1 and on (x) b_total offset 15m or vector(0)`)
	if len(q.metrics) != 2 || q.metrics[0].name != "a_bucket" || q.metrics[1].name != "b_total" || len(q.metrics[1].labels) != 0 {
		t.Fatalf("%+v", q)
	}
	if want := []selected{{"job", "=~", "$job"}, {"code", "!=", "5{0}0"}}; !slices.Equal(q.metrics[0].labels, want) {
		t.Errorf("the labels are %v", q.metrics[0].labels)
	}
	if want := []string{"le", "route", "x"}; !slices.Equal(q.groups, want) {
		t.Errorf("it groups by %v", q.groups)
	}
}
