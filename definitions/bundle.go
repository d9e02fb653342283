package definitions

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/signalbox/signalbox/workflow"
)

// bundleFormat is the version of the bundle's shape. A later one must still
// compile bundles of this one, because executions run on them for years.
const bundleFormat = 1

// bundle is what the catalog stores: one workflow with all that it needs.
type bundle struct {
	Format   int `json:"format"`
	Workflow any `json:"workflow"`
}

// bundle writes the compiled workflow, and what it inherits, as canonical JSON:
// keys sorted, one spelling per field, no comments, no secrets.
func (c *compiler) bundle() ([]byte, error) {
	whole := c.workflow
	for _, listName := range resourceLists {
		inherited := c.inherited[listName]
		if len(inherited) == 0 {
			continue
		}
		slices.SortStableFunc(inherited, func(a, b *node) int {
			return cmp.Or(cmp.Compare(a.get("id").str(), b.get("id").str()), cmp.Compare(a.get("model").str(), b.get("model").str()))
		})
		own := whole.get(listName)
		merged := &node{place: own.at(), kind: list, items: slices.Concat(own.list(), inherited)}
		whole = whole.with(listName, merged)
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(bundle{Format: bundleFormat, Workflow: whole.tree()}); err != nil {
		return nil, err
	}
	if b.Len() > MaxBundleBytes {
		return nil, fmt.Errorf("the workflow with all that it uses has %d bytes, at most %d can be kept", b.Len(), MaxBundleBytes)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// hashOf is the content hash of a bundle.
func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Compile rebuilds a definition from its Bundle, as stored in the catalog. The
// secrets are those of the project now; they are no part of a version. The
// definition has the hash of the bundle. An error means that the bytes are no
// bundle, or one of a release that this one does not know.
func Compile(stored []byte, secret map[string]string) (*workflow.Definition, error) {
	if len(stored) > MaxBundleBytes {
		return nil, fmt.Errorf("the bundle has %d bytes, more than the %d that one may have", len(stored), MaxBundleBytes)
	}
	var b bundle
	decoder := json.NewDecoder(bytes.NewReader(stored))
	decoder.UseNumber()
	if err := decoder.Decode(&b); err != nil {
		return nil, fmt.Errorf("the stored definition is not a bundle: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the stored definition is not a bundle: something follows it")
	}
	if b.Format != bundleFormat {
		return nil, fmt.Errorf("the stored definition has format %d, this release reads %d; use a release that reads it", b.Format, bundleFormat)
	}
	root := nodeOf(b.Workflow)
	if root.kind != mapping {
		return nil, errors.New("the stored definition is not a bundle: it has no workflow")
	}
	f := findings{stored: true}
	c := newCompiler(root, nil, secret, &f)
	def := c.compile()
	if found := f.sorted(); found.Errors() {
		first := found[slices.IndexFunc(found, func(d Diagnostic) bool { return d.Severity == Error })]
		return nil, fmt.Errorf("the stored definition does not compile: %s", first.Message)
	}
	def.Hash = hashOf(stored)
	return def, nil
}
