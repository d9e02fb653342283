package rules

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Broken is a rule that something breaks.
type Broken struct {
	What string // is wrong, with the value
	Do   string // about it
}

// Error is what is wrong and what to do in one line.
func (b *Broken) Error() string { return b.What + "; " + b.Do }

func broken(do, what string, args ...any) *Broken {
	return &Broken{What: fmt.Sprintf(what, args...), Do: do}
}

// methods are what a tool may use. CONNECT and TRACE are for proxies and debugging.
var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// Method reads the method of a call, in any case of letters. The error is a *Broken.
func Method(word string) (string, error) {
	method := strings.ToUpper(word)
	if !slices.Contains(methods, method) {
		return "", broken("use one of "+strings.Join(methods, ", "), "method %q cannot be used", method)
	}
	return method, nil
}

// URL reads the address of a web service. The error is a *Broken, and shows of the
// address neither its query nor its user.
func URL(text string) (*url.URL, error) {
	if text == "" {
		return nil, broken("add one", "there is no url")
	}
	u, err := url.Parse(text)
	if err != nil {
		var of *url.Error
		for errors.As(err, &of) && of.Err != nil {
			err = of.Err
		}
		return nil, broken("write https://host/path; where it is a template, check what its template renders to", "the url cannot be read (%s)", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return nil, broken("write https://host/path", "%q is not an address of a web service", Where(u))
	}
	return u, nil
}

// Where is an address as messages may show it: without its user and its query.
func Where(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// Statuses is what a tool expects a service to answer: ranges, both ends included.
type Statuses [][2]int

// Success is what is expected by a tool that says nothing about it.
func Success() Statuses { return Statuses{{200, 299}} }

// Expect reads what a tool expects: statuses such as 201 and groups such as 2xx,
// one at least. The error is a *Broken.
func Expect(words []string) (Statuses, error) {
	if len(words) == 0 {
		return nil, broken("remove it to expect any success", "expect is an empty list")
	}
	var s Statuses
	for _, word := range words {
		word = strings.ToLower(strings.TrimSpace(word))
		low, err := strconv.Atoi(strings.ReplaceAll(word, "xx", "00"))
		if err != nil || len(word) != 3 || low < 100 || low > 599 {
			return nil, broken(`write 200, "2xx", or a list of such`, "expect %q is not a status", word)
		}
		high := low
		if strings.HasSuffix(word, "xx") {
			high = low + 99
		}
		s = append(s, [2]int{low, high})
	}
	return s, nil
}

// Has reports whether a status is among them.
func (s Statuses) Has(status int) bool {
	for _, r := range s {
		if status >= r[0] && status <= r[1] {
			return true
		}
	}
	return false
}

// String lists the statuses as a tool would write them.
func (s Statuses) String() string {
	words := make([]string, len(s))
	for i, r := range s {
		words[i] = strconv.Itoa(r[0])
		if r[1] > r[0] {
			words[i] = strconv.Itoa(r[0]/100) + "xx"
		}
	}
	return strings.Join(words, " or ")
}

// Argv is the program of a process with its arguments: argv as it is, or a shell
// with the command. The error is a *Broken.
func Argv(argv []string, command string) ([]string, error) {
	switch {
	case len(argv) > 0 && command != "":
		return nil, broken("keep one", "it has both argv and command")
	case len(argv) == 0 && command == "":
		return nil, broken("add one", "it has neither argv nor command")
	case command != "":
		argv = []string{"sh", "-c", command}
	case argv[0] == "":
		return nil, broken("name the program first, as in [node, charge.js]", "the first word of argv is empty")
	}
	if strings.Contains(strings.Join(argv, ""), "\x00") {
		return nil, broken("pass such data in `with`", "an argument holds a zero byte, which no program can be given")
	}
	return argv, nil
}
