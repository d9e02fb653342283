package definitions

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// secrets reads the .env file beside the project. Its lines are never shown in
// a finding.
func (l *loader) secrets() map[string]string {
	out := make(map[string]string)
	content, err := l.content(secretsFile, false)
	src := l.named(secretsFile)
	src.hidden = true
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return out
	case err == nil && len(content) > MaxSecretsBytes:
		err = fmt.Errorf("it has more than %d bytes", MaxSecretsBytes)
		fallthrough
	case err != nil:
		l.findings.failf(src.file(), "unreadable", "let this user read it, or remove it", "it cannot be read: %s", reason(err))
		return out
	}
	l.project.Files = append(l.project.Files, src.name)
	text := strings.TrimPrefix(string(content), "\ufeff")
	for i, line := range strings.Split(text, "\n") {
		name, value, problem := secret(line)
		if problem != "" {
			l.findings.failf(place{src: src, line: i + 1, col: 1, width: 1}, "env-file", "write NAME=value, one per line", "%s", problem)
		} else if name != "" {
			out[name] = value
		}
	}
	return out
}

// secret reads one line of a .env file; name is "" for a line without one.
func secret(line string) (name, value, problem string) {
	line = strings.TrimSpace(line)
	if line == "" || strings.HasPrefix(line, "#") {
		return "", "", ""
	}
	line = strings.TrimSpace(strings.TrimPrefix(line, "export "))
	name, value, found := strings.Cut(line, "=")
	name = strings.TrimSpace(name)
	if !found || !variable.MatchString(name) {
		return "", "", "this line is not NAME=value"
	}
	value = strings.TrimSpace(value)
	if value == "" || (value[0] != '"' && value[0] != '\'') {
		if i := strings.Index(value, " #"); i >= 0 {
			value = strings.TrimSpace(value[:i])
		}
		return name, value, ""
	}
	mark := value[0]
	end := closing(value, mark)
	if end < 0 {
		return "", "", "the value of " + name + " has an opening quote and no closing one"
	}
	if rest := strings.TrimSpace(value[end+1:]); rest != "" && !strings.HasPrefix(rest, "#") {
		return "", "", "something follows the quoted value of " + name
	}
	value = value[1:end]
	if mark == '"' {
		value = strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\"`, `"`, `\\`, `\`).Replace(value)
	}
	return name, value, ""
}

// closing finds the quote that ends a value; in double quotes \" does not.
func closing(value string, mark byte) int {
	for i := 1; i < len(value); i++ {
		switch {
		case value[i] == '\\' && mark == '"':
			i++
		case value[i] == mark:
			return i
		}
	}
	return -1
}
