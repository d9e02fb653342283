package definitions

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/signalbox/signalbox/workflow"
)

// Catalog holds the current workflows by id and every known version by content
// hash. It is safe for use by many goroutines; reading the current ones takes
// no lock.
type Catalog struct {
	load    func(hash string) (bundle []byte, err error)
	current atomic.Pointer[shelf]

	mu       sync.Mutex
	versions map[string]*version // that are not current, or were not
	order    []string            // of versions, oldest first
}

// shelf is one generation of current workflows. It is never changed.
type shelf struct {
	workflows []*Workflow // by id
	byID      map[string]*Workflow
	byHash    map[string]*workflow.Definition
	listeners map[string][]Listener // by exact name
	patterns  patterns              // the others
	secret    map[string]string
}

// Listener is one trigger that an event starts an execution through.
type Listener struct {
	Workflow *Workflow
	Index    int // of the trigger in the workflow
	Trigger  workflow.Trigger
}

// version is one definition that is compiled once, by whoever asks first.
type version struct {
	once sync.Once
	def  *workflow.Definition
	err  error
}

// ErrUnknownVersion says that no bundle is kept under a hash.
var ErrUnknownVersion = errors.New("no definition is kept under that hash")

// NewCatalog returns an empty catalog. load finds the bundle of a version that
// the catalog does not hold; it is called by several goroutines at once, but
// never twice at once for the same hash, and returns nil bytes or an error
// when there is none.
func NewCatalog(load func(hash string) (bundle []byte, err error)) *Catalog {
	c := &Catalog{load: load, versions: make(map[string]*version)}
	c.current.Store(&shelf{})
	return c
}

// Replace makes the workflows of a project the current ones. Versions that were
// current until now can still be had by their hash.
func (c *Catalog) Replace(p *Project) {
	next := &shelf{
		workflows: p.Workflows,
		byID:      make(map[string]*Workflow, len(p.Workflows)),
		byHash:    make(map[string]*workflow.Definition, len(p.Workflows)),
		listeners: make(map[string][]Listener),
		secret:    p.Secret,
	}
	for _, w := range p.Workflows {
		next.byID[w.ID] = w
		next.byHash[w.Hash] = w.Definition
		for i, t := range w.Triggers {
			if strings.Contains(t.Name, anySegment) {
				next.patterns.add(t.Name, Listener{w, i, t})
				continue
			}
			next.listeners[t.Name] = append(next.listeners[t.Name], Listener{w, i, t})
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.current.Swap(next)
	// Secrets are compiled into a definition, so versions that were compiled
	// with the old ones are compiled again when they are asked for. Those that
	// were current may not have been stored yet, and stay as they are.
	c.versions, c.order = make(map[string]*version), nil
	for hash, def := range before.byHash {
		if next.byHash[hash] == nil {
			v := &version{def: def}
			v.once.Do(func() {})
			c.keep(hash, v)
		}
	}
}

// Current returns the current workflow of that id, or nil.
func (c *Catalog) Current(id string) *Workflow { return c.current.Load().byID[id] }

// All returns the current workflows by id. The slice must not be changed.
func (c *Catalog) All() []*Workflow { return c.current.Load().workflows }

// Version returns the definition with that content hash: a current one, one
// that was asked for before, or one that is compiled from its bundle now. The
// error wraps ErrUnknownVersion when there is none.
func (c *Catalog) Version(hash string) (*workflow.Definition, error) {
	shelf := c.current.Load()
	if def := shelf.byHash[hash]; def != nil {
		return def, nil
	}
	c.mu.Lock()
	v := c.versions[hash]
	if v == nil {
		v = new(version)
		c.keep(hash, v)
	}
	c.mu.Unlock()
	v.once.Do(func() {
		v.err = errors.New("loading it panicked") // unless it is overwritten
		v.def, v.err = c.restore(hash, shelf.secret)
	})
	if v.err != nil {
		c.forget(hash, v)
		return nil, fmt.Errorf("definition %.12s: %w", hash, v.err)
	}
	return v.def, nil
}

func (c *Catalog) restore(hash string, secret map[string]string) (*workflow.Definition, error) {
	bundle, err := c.load(hash)
	if err != nil {
		return nil, err
	}
	if bundle == nil {
		return nil, ErrUnknownVersion
	}
	if hashOf(bundle) != hash {
		return nil, errors.New("its stored bundle is damaged: the content has another hash")
	}
	return Compile(bundle, secret)
}

// keep holds a version, and lets the oldest go when there are too many.
func (c *Catalog) keep(hash string, v *version) {
	c.versions[hash] = v
	c.order = append(c.order, hash)
	for len(c.order) > MaxVersions {
		delete(c.versions, c.order[0])
		c.order = c.order[1:]
	}
}

// forget lets a version go that could not be loaded, so that it is tried again.
func (c *Catalog) forget(hash string, v *version) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.versions[hash] != v {
		return
	}
	delete(c.versions, hash)
	for i, h := range c.order {
		if h == hash {
			c.order = append(c.order[:i:i], c.order[i+1:]...)
			break
		}
	}
}

// Listeners returns the triggers that an event of that name goes through:
// those of exactly that name, then those of patterns, the most literal first,
// each group by workflow id.
func (c *Catalog) Listeners(event string) []Listener {
	all := c.current.Load()
	return all.patterns.find(slices.Clone(all.listeners[event]), event)
}
