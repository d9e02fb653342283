package embedded

import (
	"fmt"
	"testing"

	"github.com/signalbox/signalbox/persistence/storetest"
)

// BenchmarkCommit measures durable commits of closed-loop submitters.
func BenchmarkCommit(b *testing.B) {
	for _, submitters := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("submitters=%d", submitters), func(b *testing.B) {
			s, err := Open(b.TempDir(), Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			storetest.Benchmark(b, s, submitters)
		})
	}
}
