package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// Leases are a membership in Redis. A member is a field of one hash, its lease
// an entry of one sorted set with the moment when it runs out, by the clock of
// Redis alone. Everything that is done is one script, so that every node sees
// the same members in the same order of views.
type Leases struct {
	client redis.UniversalClient
	prefix string
	ttl    time.Duration
}

// NewLeases returns the membership of the cluster of that name. Keys begin with
// the prefix and share one hash slot, so that Redis Cluster takes the scripts.
func NewLeases(client redis.UniversalClient, prefix string, ttl time.Duration) *Leases {
	return &Leases{client: client, prefix: prefix, ttl: ttl}
}

func (l *Leases) keys() []string {
	slot := l.prefix + "{cluster}:"
	return []string{slot + "members", slot + "leases", slot + "view", slot + "departed"}
}

func (l *Leases) channel() string { return l.prefix + "{cluster}:changes" }

// script does one of join, renew and leave, after dropping every member whose
// lease has run out or is gone in another way. It returns whether the node is a member, the number of the view, how
// long ago somebody departed, and the members.
var script = redis.NewScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local what, id, ttl, text, address = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local changed, departed = false, false

local function drop(gone)
  redis.call('HDEL', KEYS[1], gone)
  redis.call('ZREM', KEYS[2], gone)
  changed, departed = true, true
end

for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do drop(gone) end
for _, each in ipairs(redis.call('HKEYS', KEYS[1])) do
  if not redis.call('ZSCORE', KEYS[2], each) then drop(each) end
end

if what == 'leave' then
  if redis.call('ZSCORE', KEYS[2], id) then drop(id) end
elseif what == 'join' then
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    if all[i] ~= id and cjson.decode(all[i + 1]).address == address then drop(all[i]) end
  end
  text = string.gsub(text, '"joined_at":0', '"joined_at":' .. string.format('%d', now), 1)
  redis.call('HSET', KEYS[1], id, text)
  redis.call('ZADD', KEYS[2], now + ttl, id)
  changed = true
elseif redis.call('ZSCORE', KEYS[2], id) then
  redis.call('ZADD', KEYS[2], now + ttl, id)
  if redis.call('HGET', KEYS[1], id) ~= text then
    redis.call('HSET', KEYS[1], id, text)
    changed = true
  end
end

if departed then redis.call('SET', KEYS[4], string.format('%d', now)) end
if changed then
  redis.call('INCR', KEYS[3])
  redis.call('PUBLISH', ARGV[6], id)
end
local ago = -1
local last = redis.call('GET', KEYS[4])
if last then ago = now - tonumber(last) end
return {
  redis.call('ZSCORE', KEYS[2], id) and 1 or 0,
  tonumber(redis.call('GET', KEYS[3]) or 0),
  ago,
  redis.call('HVALS', KEYS[1]),
}
`)

// Join implements Membership.
func (l *Leases) Join(ctx context.Context, m Member) (View, error) {
	v, _, err := l.run(ctx, "join", m)
	return v, err
}

// Renew implements Membership.
func (l *Leases) Renew(ctx context.Context, m Member) (View, error) {
	v, held, err := l.run(ctx, "renew", m)
	if err == nil && !held {
		err = ErrLost
	}
	return v, err
}

// Leave implements Membership.
func (l *Leases) Leave(ctx context.Context, id string) error {
	_, _, err := l.run(ctx, "leave", Member{ID: id})
	return err
}

func (l *Leases) run(ctx context.Context, what string, m Member) (v View, held bool, err error) {
	text, err := json.Marshal(m)
	if err != nil {
		return v, false, fmt.Errorf("encode the member %s: %w", m.ID, err)
	}
	answer, err := script.Run(ctx, l.client, l.keys(), what, m.ID, l.ttl.Milliseconds(), text, m.Address, l.channel()).Slice()
	if err != nil {
		return v, false, fmt.Errorf("the leases of the cluster: %s %s: %w", what, m.ID, err)
	}
	return decodeView(answer)
}

func decodeView(answer []any) (v View, held bool, err error) {
	odd := errors.New("the leases of the cluster: Redis gave an answer of another shape than the script does")
	if len(answer) != 4 {
		return v, false, odd
	}
	member, ok1 := answer[0].(int64)
	number, ok2 := answer[1].(int64)
	ago, ok3 := answer[2].(int64)
	texts, ok4 := answer[3].([]any)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return v, false, odd
	}
	v.Number, v.SinceDeparture = uint64(number), ago
	for _, text := range texts {
		s, ok := text.(string)
		if !ok {
			return v, false, odd
		}
		var m Member
		if err := json.Unmarshal([]byte(s), &m); err != nil {
			return v, false, fmt.Errorf("the leases of the cluster hold a damaged member: %w", err)
		}
		v.Members = append(v.Members, m)
	}
	slices.SortFunc(v.Members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	return v, member == 1, nil
}

// Changes implements Membership.
func (l *Leases) Changes(ctx context.Context) <-chan struct{} {
	changed := make(chan struct{}, 1)
	subscription := l.client.Subscribe(ctx, l.channel())
	go func() {
		defer subscription.Close() //nolint:errcheck // the connection goes with the context
		messages := subscription.Channel()
		for {
			select {
			case <-ctx.Done():
				return
			case _, ok := <-messages:
				if !ok {
					return
				}
			}
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	}()
	return changed
}
