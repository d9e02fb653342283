package persistence

import (
	"maps"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// released are how many fields each structure had when releases began to skip what
// a newer one added. A number never changes: a further field goes through added.
var released = map[string]int{
	"stateFields": 25, "labelFields": 2, "originFields": 7, "failureFields": 3, "taskFields": 20,
	"gatheringFields": 5, "collectedFields": 5, "waitFields": 16, "bufferedFields": 15, "timerFields": 4,
	"heldFields": 2, "doneFields": 5, "failedFields": 8, "recordFields": 8, "receiptFields": 12,
	"answerFields": 8, "stepFields": 5, "eventReceiptFields": 8, "countsFields": 6, "nearFields": 5,
	"letterFields": 19, "eventFields": 12, "cloudEventFields": 6, "deliveryFields": 7, "waitRowFields": 2,
}

// TestFurtherFieldsAreAdded reads fields.go: whatever a structure has beyond what was
// released is written by way of added, or the release before cannot read the row.
func TestFurtherFieldsAreAdded(t *testing.T) {
	source, err := os.ReadFile("fields.go")
	if err != nil {
		t.Fatal(err)
	}
	function, opened := regexp.MustCompile(`^func (\w+)\(`), regexp.MustCompile(`c\.open\((\d+)\)`)
	plain, name := map[string]int{}, ""
	for line := range strings.Lines(string(source)) {
		if m := function.FindStringSubmatch(line); m != nil {
			name = m[1]
		}
		if m := opened.FindStringSubmatch(line); m != nil {
			if plain[name], err = strconv.Atoi(m[1]); err != nil {
				t.Fatal(err)
			}
		}
		if strings.HasPrefix(line, "\tadded(c, ") {
			plain[name]--
		}
	}
	for name := range plain {
		if _, old := released[name]; !old {
			delete(plain, name) // a structure that is new is within a field that was added
		}
	}
	if !maps.Equal(plain, released) {
		t.Errorf("fields that are not written by way of added:\n%v\nreleased were:\n%v", plain, released)
	}
}
