package definitions

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/signalbox/signalbox/definitions/expression"
	"github.com/signalbox/signalbox/workflow"
)

// projectFiles are the names of a project file, the first one that is there counts.
var projectFiles = []string{"signalbox.yaml", "signalbox.yml", "compozy.yaml", "compozy.yml"}

const secretsFile = ".env"

// Load reads a file or folder and compiles what it defines. The diagnostics
// hold everything that was found, errors and warnings, by file and place. The
// project is nil when there is any error: nothing is ever half-loaded.
func Load(path string) (*Project, Diagnostics) {
	l := &loader{findings: new(findings), given: path, read: make(map[string]bool)}
	l.load()
	project := l.finish()
	found := l.findings.sorted()
	if found.Errors() {
		return nil, found
	}
	return project, found
}

// loader reads the files of one project.
type loader struct {
	findings *findings
	given    string // path that was asked for
	dir      string // folder of the project
	root     *os.Root
	file     string // project file, relative to the folder; "" for none
	read     map[string]bool

	project    Project
	top        *resources // what the project file defines for all workflows
	candidates []*candidate
}

// candidate is one workflow before it is compiled.
type candidate struct {
	node   *node
	around *resources
	file   string
}

func (l *loader) load() {
	info, err := os.Stat(l.given)
	if err != nil {
		l.unreadable(l.given, err)
		return
	}
	l.dir = l.given
	if !info.IsDir() {
		l.dir, l.file = filepath.Dir(l.given), filepath.Base(l.given)
	}
	l.root, err = os.OpenRoot(l.dir)
	if err != nil {
		l.unreadable(l.dir, err)
		return
	}
	defer l.close()
	l.project.Dir = l.dir
	l.project.Secret = l.secrets()
	if info.IsDir() {
		l.findProjectFile()
	}
	if l.file == "" {
		l.beside()
		return
	}
	src, content, ok := l.open(l.file, !info.IsDir(), place{})
	if !ok {
		return
	}
	l.project.File = filepath.Join(l.dir, l.file)
	l.main(src, content)
}

func (l *loader) close() {
	if err := l.root.Close(); err != nil {
		l.unreadable(l.dir, err)
	}
}

func (l *loader) unreadable(name string, err error) {
	hint := ""
	if errors.Is(err, fs.ErrNotExist) {
		hint = "give the path of a YAML file, or of a folder with some"
	}
	l.findings.failf((&source{name: name}).file(), "unreadable", hint, "it cannot be read: %s", reason(err))
}

// reason is the cause of an error of a path, without the path.
func reason(err error) string {
	var of *fs.PathError
	if errors.As(err, &of) {
		return of.Err.Error()
	}
	return err.Error()
}

func (l *loader) findProjectFile() {
	var found []string
	for _, name := range projectFiles {
		if _, err := l.root.Stat(name); err == nil {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return
	}
	l.file = found[0]
	for _, other := range found[1:] {
		l.findings.warnf(l.named(other).file(), "second-project-file", "remove one of the two", "it is not read: %s is the project file", l.file)
	}
}

// named is a source without text, for findings about a whole file.
func (l *loader) named(rel string) *source {
	return &source{name: filepath.Join(l.dir, filepath.FromSlash(rel))}
}

// open reads one file of the project, at most MaxFileBytes of it. The given
// file may be a link to anywhere; every other one stays inside the folder.
func (l *loader) open(rel string, given bool, from place) (*source, []byte, bool) {
	src := l.named(rel)
	if from.src == nil {
		from = src.file()
	}
	if len(l.read) >= MaxFiles {
		l.findings.failf(from, "limit", "split the project", "a project has at most %d files", MaxFiles)
		return nil, nil, false
	}
	content, err := l.content(rel, given)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.findings.failf(from, "missing-file", "the path is relative to "+l.shownDir(), "the file %s does not exist", quoted(rel))
	case err != nil && strings.Contains(err.Error(), "escapes"):
		l.findings.failf(from, "outside", "copy the file into the project folder", "%s is outside of the project folder", quoted(rel))
	case err != nil:
		l.findings.failf(from, "unreadable", "name a YAML file that this user may read", "%s cannot be read: %s", quoted(rel), reason(err))
	default:
		l.read[src.name] = true
		l.project.Files = append(l.project.Files, src.name)
		src = newSource(src.name, content)
		return src, content, true
	}
	return nil, nil, false
}

func (l *loader) shownDir() string {
	if l.dir == "." {
		return "the project folder"
	}
	return l.dir
}

// content reads a regular file up to its bound.
func (l *loader) content(rel string, given bool) (content []byte, err error) {
	open, stat := l.root.Open, l.root.Stat
	if given {
		open, stat = os.Open, os.Stat
		rel = l.given
	}
	info, err := stat(rel)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	file, err := open(rel)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	content, err = io.ReadAll(io.LimitReader(file, MaxFileBytes+1))
	if err == nil && len(content) > MaxFileBytes {
		err = fmt.Errorf("it has more than %d bytes; split it into several files", MaxFileBytes)
	}
	return content, err
}

// main reads the project file, or the one file that was given.
func (l *loader) main(src *source, content []byte) {
	before := len(l.findings.list)
	docs := read(src, content, l.findings)
	if len(docs) == 0 && len(l.findings.list) == before {
		l.findings.failf(src.file(), "empty", "write a workflow with `id:` and `tasks:`, or a list of them under `workflows:`", "the file defines nothing")
	}
	named := slices.Contains(projectFiles, l.file)
	listsNothing := named
	for i, doc := range docs {
		if named && i == 0 && !looksLikeWorkflow(doc) || doc.has("workflows") {
			listsNothing = l.projectDocument(doc, i == 0) && listsNothing
			continue
		}
		listsNothing = false
		l.workflowDocument(doc, true, l.file)
	}
	if listsNothing && len(docs) > 0 {
		l.beside()
	}
}

// projectDocument reads a document with project fields; it reports whether it
// lists no workflows. Only the first document of the main file is the project's.
func (l *loader) projectDocument(doc *node, first bool) (listsNothing bool) {
	checked := l.checkProject(doc)
	around := &resources{owner: checked, parent: l.top}
	if first {
		l.top = around
		l.settings(checked)
	}
	l.checkDefinitions(around)
	l.listed(checked, around, l.file, true)
	return len(checked.get("workflows").list()) == 0 && checked.get("workflows").str() == ""
}

func (l *loader) checkProject(doc *node) *node {
	if doc.kind != mapping {
		l.notADefinition(doc, true)
		return &node{place: doc.place, kind: mapping}
	}
	if doc.has("tasks") {
		l.findings.failf(doc.keyOf("tasks"), "mixed", "move the tasks into a workflow under `workflows:`", "a document is either one workflow with `tasks`, or a project with `workflows`")
		doc = doc.without("tasks")
	}
	checked := (&checker{findings: l.findings}).check(doc, language[projectShape])
	checkResources(checked, l.findings)
	(&compiler{findings: l.findings}).checkEnv(checked.get("env"))
	(&compiler{findings: l.findings}).checkEnv(checked.get("config").get("env"))
	for _, name := range []string{"input", "on_error"} {
		if config := checked.get("config"); config.has(name) {
			l.findings.warnf(config.keyOf(name), "no-effect", "move it into the config of a workflow", "%q has no effect for a whole project", name)
		}
	}
	return checked
}

// checkDefinitions checks what a document lists for its workflows.
func (l *loader) checkDefinitions(around *resources) {
	c := &compiler{findings: l.findings, resources: around, env: expression.Env{Secret: l.project.Secret}}
	c.checkDefinitions()
	c.checkUses()
}

// listed takes the workflows that a document lists.
func (l *loader) listed(doc *node, around *resources, file string, mayName bool) {
	for _, item := range doc.get("workflows").list() {
		switch {
		case item.kind == broken:
		case item.isMap() && !item.has("source"):
			l.candidates = append(l.candidates, &candidate{item, around, file})
		case !mayName:
			l.findings.failf(item.place, "nested-source", "list the file in the project file", "only the project file can name other files")
		case item.isMap():
			l.source(item.get("source"))
		default:
			l.source(item)
		}
	}
}

// source reads a file that the project file names.
func (l *loader) source(n *node) {
	if n == nil || n.kind == broken {
		return
	}
	rel := path.Clean(filepath.ToSlash(n.str()))
	switch {
	case n.str() == "":
		l.findings.failf(n.place, "missing-file", "write the path of a YAML file", "the source is empty")
		return
	case path.IsAbs(rel) || filepath.IsAbs(n.str()):
		l.findings.failf(n.place, "outside", "write a path relative to the project folder", "%s is an absolute path", quoted(n.str()))
		return
	case rel == ".." || strings.HasPrefix(rel, "../"):
		l.findings.failf(n.place, "outside", "copy the file into the project folder", "%s is outside of the project folder", quoted(n.str()))
		return
	case l.read[l.named(rel).name]:
		l.findings.failf(n.place, "duplicate-source", "remove it", "the file %s is read already", quoted(n.str()))
		return
	}
	src, content, ok := l.open(rel, false, n.place)
	if !ok {
		return
	}
	l.extra(src, content, rel, true)
}

// extra reads a file that is not the project file.
func (l *loader) extra(src *source, content []byte, rel string, named bool) {
	before := len(l.findings.list)
	docs := read(src, content, l.findings)
	for _, doc := range docs {
		if doc.has("workflows") {
			checked := l.checkProject(doc)
			around := &resources{owner: checked, parent: l.top}
			l.checkDefinitions(around)
			l.listed(checked, around, rel, false)
			continue
		}
		l.workflowDocument(doc, named, rel)
	}
	if len(docs) == 0 && named && len(l.findings.list) == before {
		l.findings.failf(src.file(), "empty", "write a workflow with `id:` and `tasks:`", "the file defines nothing")
	}
}

// looksLikeWorkflow reports whether a document was meant as one workflow.
func looksLikeWorkflow(doc *node) bool {
	if !doc.isMap() || doc.has("workflows") {
		return false
	}
	return doc.has("tasks") || doc.has("triggers") || doc.has("steps") || doc.get("resource").str() == "workflow"
}

// workflowDocument takes a document that is one workflow. In a folder without
// a project file other YAML is left alone, with a warning.
func (l *loader) workflowDocument(doc *node, named bool, file string) {
	if !looksLikeWorkflow(doc) {
		l.notADefinition(doc, named)
		return
	}
	l.candidates = append(l.candidates, &candidate{doc, l.top, file})
}

func (l *loader) notADefinition(doc *node, named bool) {
	switch {
	case doc.kind == broken:
	case !named:
		l.findings.warnf(doc.place, "skipped", "move it elsewhere, or list the workflows in a project file", "it is left alone: this is neither a workflow with `tasks` nor a list of `workflows`")
	case doc.kind == text && strings.Contains(doc.text, ":"):
		l.findings.failf(doc.place, "not-a-definition", "put a space after the colon", "this is a text, not a workflow")
	default:
		l.findings.failf(doc.place, "not-a-definition", "write a workflow with `id:` and `tasks:`, or a list of them under `workflows:`", "this is neither a workflow with `tasks` nor a list of `workflows`")
	}
}

// beside reads every YAML file of the folder that is no project file.
func (l *loader) beside() {
	entries, err := fs.ReadDir(l.root.FS(), ".")
	if err != nil {
		l.unreadable(l.dir, err)
		return
	}
	for _, e := range entries {
		name := e.Name()
		ext := filepath.Ext(name)
		if e.IsDir() || strings.HasPrefix(name, ".") || ext != ".yaml" && ext != ".yml" || slices.Contains(projectFiles, name) {
			continue
		}
		if len(l.read) >= MaxFiles {
			l.findings.failf(l.named(".").file(), "limit", "split the project", "a project has at most %d files", MaxFiles)
			return
		}
		if src, content, ok := l.open(name, false, place{}); ok {
			l.extra(src, content, name, false)
		}
	}
	if len(l.candidates) == 0 && !Diagnostics(l.findings.list).Errors() {
		l.findings.failf(l.named(".").file(), "empty", "add a YAML file with a workflow: `id:` and `tasks:`", "the folder has no workflows")
	}
}

// settings takes what the project file says about the node.
func (l *loader) settings(doc *node) {
	l.project.Name = doc.get("name").str()
	l.project.Settings = make(map[string]string)
	server := doc.get("server")
	for _, f := range language[serverShape].fields {
		value := doc.get(f.name)
		if value == nil {
			value = server.get(f.name)
		} else if server.has(f.name) {
			l.findings.failf(value.place, "duplicate-key", "keep one of the two", "%q is set here and under `server:`", f.name)
		}
		if value == nil || value.kind == broken || f.unused != "" {
			continue
		}
		if f.meaning == duration {
			if _, err := workflow.ParseDuration(value.str()); err != nil {
				l.findings.badDuration(value, err)
			}
		}
		l.project.Settings[f.name] = value.str()
	}
}

// finish compiles what was read.
func (l *loader) finish() *Project {
	if len(l.candidates) > MaxWorkflows {
		l.findings.failf(l.candidates[MaxWorkflows].node.place, "limit", "split the project", "a project has at most %d workflows", MaxWorkflows)
		return nil
	}
	compilers := make([]*compiler, len(l.candidates))
	compiled := make([]*workflow.Definition, len(l.candidates))
	first := make(map[string]*candidate)
	for i, w := range l.candidates {
		compilers[i] = newCompiler(w.node, w.around, l.project.Secret, l.findings)
		compiled[i] = compilers[i].compile()
		id := compiled[i].ID
		if other := first[id]; other != nil && id != "" {
			l.findings.failf(compilers[i].workflow.get("id").at(), "duplicate-id", "give one of them another id", "the workflow %s is already there, in %s line %d", quoted(id), other.node.src.name, other.node.line)
		}
		first[id] = w
	}
	if Diagnostics(l.findings.list).Errors() {
		return nil
	}
	for i, w := range l.candidates {
		bundle, err := compilers[i].bundle()
		if err != nil {
			l.findings.failf(w.node.place, "limit", "split the workflow", "%s", err)
			return nil
		}
		compiled[i].Hash = hashOf(bundle)
		l.project.Workflows = append(l.project.Workflows, &Workflow{Definition: compiled[i], File: w.file, Bundle: bundle})
	}
	slices.SortFunc(l.project.Workflows, func(a, b *Workflow) int { return cmp.Compare(a.ID, b.ID) })
	if l.project.Name == "" {
		l.project.Name = l.folderName()
	}
	return &l.project
}

// folderName is the name of a project that has none.
func (l *loader) folderName() string {
	if whole, err := filepath.Abs(l.dir); err == nil {
		return filepath.Base(whole)
	}
	return filepath.Base(l.dir) // the working folder is gone; its own name will do
}
