package workflow

import (
	"fmt"
	"strconv"
	"strings"
)

// Weight is how much a signal counts, in thousandths: sums of it are exact, so
// that three times 0.1 is 0.3 and a threshold is met or not, never nearly.
type Weight int64

// One is the weight of a signal that a wait does not weigh.
const One Weight = 1000

// ParseWeight reads a decimal number that is not negative, of at most three
// decimals.
func ParseWeight(s string) (Weight, error) {
	text := strings.TrimSpace(s)
	whole, part, _ := strings.Cut(text, ".")
	part = strings.TrimRight(part, "0")
	if len(part) > 3 {
		return 0, fmt.Errorf("%q has more than three decimals", s)
	}
	n, err := strconv.ParseUint(whole+(part + "000")[:3], 10, 63)
	if err != nil || whole == "" || whole[0] == '+' {
		return 0, fmt.Errorf("%q is no number of 0 or more, such as 3 or 0.5", s)
	}
	if Weight(n) > MaxWeight {
		return 0, fmt.Errorf("%q is more than %s, the most that can count", s, MaxWeight)
	}
	return Weight(n), nil
}

// String is the number as people write it.
func (w Weight) String() string {
	s := strconv.FormatInt(int64(w/One), 10)
	if part := w % One; part != 0 {
		s += strings.TrimRight(fmt.Sprintf(".%03d", int64(part)), "0")
	}
	return s
}
