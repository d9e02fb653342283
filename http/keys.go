package http

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// Scope is a permission of a key.
type Scope string

// The scopes. Admin implies all others.
const (
	SignalsWrite    Scope = "signals:write"
	EventsWrite     Scope = "events:write"
	ExecutionsRead  Scope = "executions:read"
	ExecutionsWrite Scope = "executions:write"
	Admin           Scope = "admin"
)

// Scopes lists every scope.
var Scopes = []Scope{SignalsWrite, EventsWrite, ExecutionsRead, ExecutionsWrite, Admin}

// Documents is where keys and audit records are kept.
type Documents interface {
	// PutDocument returns when the document is durable; a nil body deletes it.
	PutDocument(ctx context.Context, kind, id string, body []byte) error
	// Documents lists up to limit documents in the order of id, after the given one.
	Documents(ctx context.Context, kind, after string, limit int) (ids []string, bodies [][]byte, err error)
}

// Kinds of documents that a KeyRing keeps.
const (
	keyKind    = "key"
	keyUseKind = "key-use"
	auditKind  = "audit"
)

// KeySpec says what a new key may do.
type KeySpec struct {
	Name    string
	Scopes  []Scope
	Expires time.Duration // after its creation; 0: never
	By      string        // who creates it, for the audit trail
}

// Key is what may be known about an API key. Its token is shown once, when it
// is created, and never kept.
type Key struct {
	ID         string  `json:"id"`
	Name       string  `json:"name"`
	Hint       string  `json:"hint"` // the beginning of the token, to tell keys apart
	Scopes     []Scope `json:"scopes"`
	CreatedAt  Time    `json:"created_at"`
	CreatedBy  string  `json:"created_by,omitempty"`
	ExpiresAt  Time    `json:"expires_at,omitzero"`
	RevokedAt  Time    `json:"revoked_at,omitzero"`
	LastUsedAt Time    `json:"last_used_at,omitzero"`
}

// Active says whether the key opens anything at that moment.
func (k *Key) Active(now time.Time) bool {
	return k.RevokedAt == 0 && (k.ExpiresAt == 0 || now.Before(k.ExpiresAt.Time()))
}

// Has says whether the key has one of the scopes, or all of them by being admin.
func (k *Key) Has(scopes ...Scope) bool {
	for _, have := range k.Scopes {
		if have == Admin || slices.Contains(scopes, have) {
			return true
		}
	}
	return false
}

// storedKey is the document of a key. The hash is a plain SHA-256: a token has
// 256 random bits, so there is nothing to guess that a slow hash would slow
// down, and a slow one would cost every request tens of milliseconds.
type storedKey struct {
	Key
	Hash string `json:"hash"` // hexadecimal
}

const (
	tokenPrefix  = "sbx_"
	tokenRandom  = 32 // bytes
	tokenHint    = len(tokenPrefix) + 4
	keyIDLetters = 16
)

var tokenLength = len(tokenPrefix) + base64.RawURLEncoding.EncodedLen(tokenRandom)

// KeyRing knows the API keys of a cluster. It answers from memory; the index
// is read again when a key changes here and every KeyRefresh, so that changes
// made on other nodes work. It is safe for use by many goroutines.
type KeyRing struct {
	docs   Documents
	most   int // keys that are kept
	logger *slog.Logger
	index  atomic.Pointer[keyIndex]
	audit  *auditTrail

	mu     sync.Mutex // held while the index is read or a key is changed
	usage  map[string]*keyUsage
	writes sync.WaitGroup
	slots  chan struct{} // one per write under way
}

// keyIndex is one reading of all keys; it is never changed.
type keyIndex struct {
	byPrefix map[uint64][]*keyEntry // by the first eight bytes of the hash
	entries  []*keyEntry            // oldest first
	loaded   time.Time
	tried    time.Time // of the last attempt to read a younger one
}

type keyEntry struct {
	Key
	hash  [sha256.Size]byte
	usage *keyUsage
}

// keyUsage outlives the readings of the index.
type keyUsage struct {
	last    atomic.Int64 // Unix milliseconds
	written atomic.Int64
}

// NewKeyRing makes a key ring over its documents. It reads them when they are
// first needed.
func NewKeyRing(docs Documents) *KeyRing {
	k := &KeyRing{
		docs: docs, most: MaxKeys, logger: slog.New(slog.DiscardHandler),
		usage: make(map[string]*keyUsage), slots: make(chan struct{}, maxKeyWrites),
	}
	k.audit = newAuditTrail(k)
	return k
}

// Create makes a key and returns its token, which nobody can see again.
func (k *KeyRing) Create(ctx context.Context, spec KeySpec) (token string, key Key, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.create(ctx, spec)
}

// Bootstrap makes the first key, with the scope admin. Its token is the given one,
// which has to be as random as those that are made here; "" makes one. It refuses when
// a node has an active admin key: whoever holds that one can make others.
func (k *KeyRing) Bootstrap(ctx context.Context, name, token string) (string, Key, error) {
	if token != "" && !wellFormed(token) {
		return "", Key{}, invalidField("token", "is not of this system: sbx_ and 32 random bytes in base64url without padding",
			"one is made by: echo \"sbx_$(openssl rand -base64 32 | tr +/ -_ | tr -d =)\"")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	index, err := k.read(ctx)
	if err != nil {
		return "", Key{}, err
	}
	now := time.Now()
	for _, e := range index.entries {
		if e.Active(now) && e.Has(Admin) {
			return "", Key{}, refuse(CodeBootstrapped,
				fmt.Sprintf("there is an active admin key already: %s (%s)", e.ID, e.Name),
				"use it to create further keys; when its token is lost, revoke it on the stopped node's data folder first")
		}
	}
	return k.createAs(ctx, KeySpec{Name: name, Scopes: []Scope{Admin}, By: "bootstrap"}, orMint(token))
}

// wellFormed says whether a token looks like one that was made here. It cannot
// tell how random it is.
func wellFormed(token string) bool {
	if len(token) != tokenLength || token[:len(tokenPrefix)] != tokenPrefix {
		return false
	}
	_, err := base64.RawURLEncoding.Strict().DecodeString(token[len(tokenPrefix):])
	return err == nil
}

// orMint is the token, or a new one.
func orMint(token string) string {
	if token != "" {
		return token
	}
	random := make([]byte, tokenRandom)
	rand.Read(random) // never fails: it ends the process instead
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(random)
}

func (k *KeyRing) create(ctx context.Context, spec KeySpec) (string, Key, error) {
	return k.createAs(ctx, spec, orMint(""))
}

func (k *KeyRing) createAs(ctx context.Context, spec KeySpec, token string) (string, Key, error) {
	if err := checkSpec(&spec); err != nil {
		return "", Key{}, err
	}
	index, err := k.read(ctx)
	if err != nil {
		return "", Key{}, err
	}
	now := time.Now()
	if err := k.makeRoom(ctx, index, now); err != nil {
		return "", Key{}, err
	}
	hash := sha256.Sum256([]byte(token))
	stored := storedKey{Hash: hex.EncodeToString(hash[:]), Key: Key{
		ID:        "key_" + strings.ToLower(rand.Text()[:keyIDLetters]),
		Name:      spec.Name,
		Hint:      token[:tokenHint],
		Scopes:    spec.Scopes,
		CreatedAt: Time(workflow.InstantOf(now)),
		CreatedBy: spec.By,
	}}
	if spec.Expires > 0 {
		stored.ExpiresAt = Time(workflow.InstantOf(now.Add(spec.Expires)))
	}
	if err := k.store(ctx, &stored); err != nil {
		return "", Key{}, err
	}
	return token, stored.Key, k.audit.write(ctx, AuditRecord{What: AuditCreated, KeyID: stored.ID, KeyName: stored.Name, By: spec.By})
}

func checkSpec(spec *KeySpec) error {
	if err := checkName("name", spec.Name); err != nil {
		return err
	}
	if len(spec.Name) > MaxKeyNameBytes {
		return invalidField("name", fmt.Sprintf("has %d bytes, at most %d are allowed", len(spec.Name), MaxKeyNameBytes), "")
	}
	if spec.Expires < 0 {
		return invalidField("expires", "must be above zero", "leave it out for a key that never expires")
	}
	names := make([]string, len(spec.Scopes))
	for i, s := range spec.Scopes {
		names[i] = string(s)
	}
	scopes, err := ParseScopes(names)
	spec.Scopes = scopes
	return err
}

// makeRoom forgets the oldest key that opens nothing any more when there are
// as many as may be kept.
func (k *KeyRing) makeRoom(ctx context.Context, index *keyIndex, now time.Time) error {
	if len(index.entries) < k.most {
		return nil
	}
	for _, e := range index.entries {
		if e.Active(now) {
			continue
		}
		if err := k.docs.PutDocument(ctx, keyUseKind, e.ID, nil); err != nil {
			return fmt.Errorf("forget the use of key %s: %w", e.ID, err)
		}
		if err := k.docs.PutDocument(ctx, keyKind, e.ID, nil); err != nil {
			return fmt.Errorf("forget key %s: %w", e.ID, err)
		}
		return nil
	}
	return refuse(CodeTooManyKeys, fmt.Sprintf("there are %d active keys, the most that are allowed", len(index.entries)),
		"revoke keys that nobody uses")
}

// store writes a key and reads the index again, so that it works at once.
func (k *KeyRing) store(ctx context.Context, key *storedKey) error {
	body, err := json.Marshal(key)
	if err != nil {
		return fmt.Errorf("encode key %s: %w", key.ID, err)
	}
	if err := k.docs.PutDocument(ctx, keyKind, key.ID, body); err != nil {
		return fmt.Errorf("keep key %s: %w", key.ID, err)
	}
	_, err = k.read(ctx)
	return err
}

// List returns all keys, oldest first, revoked and expired ones included.
func (k *KeyRing) List(ctx context.Context) ([]Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	index, err := k.read(ctx)
	if err != nil {
		return nil, err
	}
	written, err := k.lastUses(ctx)
	if err != nil {
		return nil, err
	}
	keys := make([]Key, 0, len(index.entries))
	for _, e := range index.entries {
		key := e.Key
		key.LastUsedAt = max(Time(e.usage.last.Load()), written[e.ID])
		keys = append(keys, key)
	}
	return keys, nil
}

// lastUses is what any node wrote about the last use of keys.
func (k *KeyRing) lastUses(ctx context.Context) (map[string]Time, error) {
	ids, bodies, err := k.docs.Documents(ctx, keyUseKind, "", 2*k.most)
	if err != nil {
		return nil, fmt.Errorf("read the last use of the API keys: %w", err)
	}
	uses := make(map[string]Time, len(ids))
	for i, body := range bodies {
		var use keyUse
		if err := json.Unmarshal(body, &use); err != nil {
			return nil, fmt.Errorf("the last use of key %s is damaged: %w", ids[i], err)
		}
		uses[ids[i]] = use.LastUsedAt
	}
	return uses, nil
}

// keyUse is the document of a key's last use. It is apart from the key itself,
// so that writing it can never undo a revocation made elsewhere.
type keyUse struct {
	LastUsedAt Time `json:"last_used_at"`
}

// Revoke ends a key at once on this node, and within KeyRefresh on others. It
// returns the key; revoking it again changes nothing.
func (k *KeyRing) Revoke(ctx context.Context, id, by string) (Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	index, err := k.read(ctx)
	if err != nil {
		return Key{}, err
	}
	at := slices.IndexFunc(index.entries, func(e *keyEntry) bool { return e.ID == id })
	if at < 0 {
		return Key{}, refuse(CodeNoKey, fmt.Sprintf("there is no key %q", truncate(id)), "list the keys to see their ids")
	}
	e := index.entries[at]
	if e.RevokedAt != 0 {
		return e.Key, nil
	}
	stored := storedKey{Key: e.Key, Hash: hex.EncodeToString(e.hash[:])}
	stored.RevokedAt = Time(workflow.InstantOf(time.Now()))
	if err := k.store(ctx, &stored); err != nil {
		return Key{}, err
	}
	return stored.Key, k.audit.write(ctx, AuditRecord{What: AuditRevoked, KeyID: id, KeyName: e.Name, By: by})
}

// Empty says whether no key opens anything, so that a node could serve nobody.
func (k *KeyRing) Empty(ctx context.Context) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	index, err := k.read(ctx)
	if err != nil {
		return false, err
	}
	now := time.Now()
	return !slices.ContainsFunc(index.entries, func(e *keyEntry) bool { return e.Active(now) }), nil
}

// Close waits for writes of last use and audit records that are under way.
func (k *KeyRing) Close() { k.writes.Wait() }

// find returns the key of a token, or a refusal with the code unauthenticated that
// says in its details whether the key is unknown, expired or revoked.
func (k *KeyRing) find(ctx context.Context, token string, now time.Time) (*keyEntry, error) {
	if len(token) != tokenLength || token[:len(tokenPrefix)] != tokenPrefix {
		return nil, denial(deniedMalformed, "the API key is not one of this system", "a key looks like sbx_ and 43 letters, digits, - and _")
	}
	index, err := k.fresh(ctx, now, KeyRefresh)
	if err != nil {
		return nil, err
	}
	var text [64]byte
	hash := sha256.Sum256(text[:copy(text[:], token)])
	e := index.match(&hash)
	if e == nil {
		// It may have been created on another node a moment ago.
		if index, err = k.fresh(ctx, now, keyRetry); err != nil {
			return nil, err
		}
		e = index.match(&hash)
	}
	switch {
	case e == nil:
		return nil, denial(deniedUnknown, "the API key is not known", "create one with `signalbox keys create`")
	case e.RevokedAt != 0:
		return nil, denial(deniedRevoked, "the API key was revoked at "+e.RevokedAt.String(), "create another one with `signalbox keys create`")
	case !e.Active(now):
		return nil, denial(deniedExpired, "the API key expired at "+e.ExpiresAt.String(), "create another one with `signalbox keys create`")
	}
	k.used(e, now)
	return e, nil
}

// match looks up by the hash's first bytes and compares the whole of it in
// constant time: how long it takes tells nothing about other keys' hashes.
func (x *keyIndex) match(hash *[sha256.Size]byte) *keyEntry {
	for _, e := range x.byPrefix[binary.BigEndian.Uint64(hash[:])] {
		if subtle.ConstantTimeCompare(e.hash[:], hash[:]) == 1 {
			return e
		}
	}
	return nil
}

// fresh is the index, read again first when it is older than age. While the
// store cannot be read, the old index goes on for MaxKeyAge.
func (k *KeyRing) fresh(ctx context.Context, now time.Time, age time.Duration) (*keyIndex, error) {
	index := k.index.Load()
	if index != nil && (now.Sub(index.loaded) < age || now.Sub(index.tried) < keyRetry) {
		return index, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if younger := k.index.Load(); younger != index {
		return younger, nil // somebody else has just read it
	}
	younger, err := k.read(ctx)
	if err == nil {
		return younger, nil
	}
	if index == nil || now.Sub(index.loaded) > MaxKeyAge {
		return nil, fmt.Errorf("read the API keys: %w", err)
	}
	k.logger.Warn("the API keys cannot be read again; those read before go on", "read_at", index.loaded, "error", err)
	old := *index
	old.tried = now
	k.index.Store(&old)
	return &old, nil
}

// read reads all keys and makes them the index. The caller holds mu.
func (k *KeyRing) read(ctx context.Context) (*keyIndex, error) {
	_, bodies, err := k.docs.Documents(ctx, keyKind, "", 2*k.most)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	index := &keyIndex{byPrefix: make(map[uint64][]*keyEntry, len(bodies)), loaded: now, tried: now}
	usage := make(map[string]*keyUsage, len(bodies))
	for _, body := range bodies {
		e, err := k.entry(body)
		if err != nil {
			// A damaged key opens nothing; the others go on.
			k.logger.Error("an API key's document is damaged and ignored", "error", err)
			continue
		}
		usage[e.ID] = e.usage
		prefix := binary.BigEndian.Uint64(e.hash[:])
		index.byPrefix[prefix] = append(index.byPrefix[prefix], e)
		index.entries = append(index.entries, e)
	}
	slices.SortFunc(index.entries, func(a, b *keyEntry) int {
		return cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	k.usage = usage
	k.index.Store(index)
	return index, nil
}

func (k *KeyRing) entry(body []byte) (*keyEntry, error) {
	var stored storedKey
	if err := json.Unmarshal(body, &stored); err != nil {
		return nil, err
	}
	hash, err := hex.DecodeString(stored.Hash)
	if err != nil || len(hash) != sha256.Size {
		return nil, fmt.Errorf("key %q has no SHA-256 hash", stored.ID)
	}
	e := &keyEntry{Key: stored.Key, hash: [sha256.Size]byte(hash), usage: k.usage[stored.ID]}
	if e.usage == nil {
		e.usage = new(keyUsage)
	}
	return e, nil
}

// used remembers the moment, and writes it when the last writing is long ago.
func (k *KeyRing) used(e *keyEntry, now time.Time) {
	at := now.UnixMilli()
	e.usage.last.Store(at)
	written := e.usage.written.Load()
	if at-written < LastUseInterval.Milliseconds() || !e.usage.written.CompareAndSwap(written, at) {
		return
	}
	k.later("last use of key "+e.ID, func(ctx context.Context) error {
		body, err := json.Marshal(keyUse{LastUsedAt: Time(at)})
		if err != nil {
			return err
		}
		return k.docs.PutDocument(ctx, keyUseKind, e.ID, body)
	})
}

// later writes something that no request should wait for. When too many such
// writes are under way it is left out: all of them are samples.
func (k *KeyRing) later(what string, write func(context.Context) error) {
	select {
	case k.slots <- struct{}{}:
	default:
		k.logger.Warn("too many writes are under way, one is left out", "what", what)
		return
	}
	k.writes.Go(func() {
		defer func() { <-k.slots }()
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		if err := write(ctx); err != nil {
			k.logger.Warn("could not be written", "what", what, "error", err)
		}
	})
}
