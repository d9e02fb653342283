package cluster_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/signalbox/signalbox/persistence/redis/redistest"
	"github.com/signalbox/signalbox/runtime/cluster"
)

// client is a client of a Redis that is closed at the end of the test.
func client(t testing.TB, server *redistest.Server) *goredis.Client {
	t.Helper()
	c := goredis.NewClient(&goredis.Options{Addr: server.Addr})
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close the client of Redis: %v", err)
		}
	})
	return c
}

func member(id, address string) cluster.Member {
	return cluster.Member{ID: id, Address: address, Protocol: cluster.Protocol, Version: "test"}
}

func find(v cluster.View, id string) *cluster.Member {
	for i := range v.Members {
		if v.Members[i].ID == id {
			return &v.Members[i]
		}
	}
	return nil
}

func TestALeaseIsHeldRenewedAndLost(t *testing.T) {
	ctx := t.Context()
	leases := cluster.NewLeases(client(t, redistest.Start(t)), "test:", 300*time.Millisecond)
	first, err := leases.Join(ctx, member("a", "127.0.0.1:7001"))
	if err != nil || len(first.Members) != 1 || first.SinceDeparture != -1 {
		t.Fatalf("the first to join sees %+v, %v", first, err)
	}
	a := *find(first, "a")
	if a.JoinedAt == 0 {
		t.Error("nobody wrote down when it joined")
	}
	second, err := leases.Join(ctx, member("b", "127.0.0.1:7002"))
	if err != nil || len(second.Members) != 2 || second.Number <= first.Number {
		t.Fatalf("the second to join sees %+v, %v", second, err)
	}
	same, err := leases.Renew(ctx, a)
	if err != nil || same.Number != second.Number {
		t.Fatalf("a renewal that changes nothing makes view %d of %d, %v", same.Number, second.Number, err)
	}
	// b is not renewed and runs out; a is.
	until := time.Now().Add(10 * time.Second)
	for same, err = leases.Renew(ctx, a); err == nil && find(same, "b") != nil; same, err = leases.Renew(ctx, a) {
		if time.Now().After(until) {
			t.Fatal("a lease that nobody renews does not run out")
		}
	}
	if err != nil || find(same, "a") == nil || same.Number <= second.Number || same.SinceDeparture < 0 {
		t.Fatalf("after one ran out: %+v, %v", same, err)
	}
	if _, err := leases.Renew(ctx, *find(second, "b")); !errors.Is(err, cluster.ErrLost) {
		t.Fatalf("renewing a lease that ran out: %v", err)
	}
	for range 2 {
		if err := leases.Leave(ctx, "a"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := leases.Renew(ctx, a); !errors.Is(err, cluster.ErrLost) {
		t.Fatalf("renewing after leaving: %v", err)
	}
}

// TestWhoHoldsTheAddressNowReplacesWhoHeldIt: a process that is started again
// does not wait for the lease of the one that was killed.
func TestWhoHoldsTheAddressNowReplacesWhoHeldIt(t *testing.T) {
	leases := cluster.NewLeases(client(t, redistest.Start(t)), "", time.Minute)
	for _, m := range []cluster.Member{member("old", "n1:7001"), member("other", "n2:7001"), member("new", "n1:7001")} {
		if _, err := leases.Join(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	v, err := leases.Join(t.Context(), member("third", "n3:7001"))
	if err != nil || find(v, "old") != nil || find(v, "new") == nil || find(v, "other") == nil {
		t.Fatalf("%+v, %v", v, err)
	}
	if v.SinceDeparture < 0 || v.SinceDeparture > time.Minute.Milliseconds() {
		t.Errorf("the replaced one departed %d ms ago", v.SinceDeparture)
	}
}

func TestChangesAreToldAtOnce(t *testing.T) {
	server := redistest.Start(t)
	leases := cluster.NewLeases(client(t, server), "", time.Minute)
	changes := leases.Changes(t.Context())
	until := time.After(10 * time.Second)
	for i := 0; ; i++ { // the subscription may not be there yet
		if _, err := leases.Join(t.Context(), member(fmt.Sprint("m", i), fmt.Sprint("n:", i))); err != nil {
			t.Fatal(err)
		}
		select {
		case <-changes:
			return
		case <-until:
			t.Fatal("nobody was told")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// TestViewsAreOneStory: whatever nodes do at the same time, two that see the
// same number of a view see the same members.
func TestViewsAreOneStory(t *testing.T) {
	leases := cluster.NewLeases(client(t, redistest.Start(t)), "", 50*time.Millisecond)
	var mu sync.Mutex
	views := map[uint64]string{}
	var group sync.WaitGroup
	for node := range 8 {
		group.Go(func() {
			for i := range 50 {
				m := member(fmt.Sprint("m", node, "-", i), fmt.Sprint("n", node, ":1"))
				v, err := leases.Join(t.Context(), m)
				if err == nil && i%3 == 0 {
					v, err = leases.Renew(t.Context(), *find(v, m.ID))
				}
				if errors.Is(err, cluster.ErrLost) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				text := fmt.Sprint(v.Members)
				if was, ok := views[v.Number]; ok && was != text {
					t.Errorf("view %d is %s and %s", v.Number, was, text)
				}
				views[v.Number] = text
				mu.Unlock()
			}
		})
	}
	group.Wait()
}
