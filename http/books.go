package http

import (
	"context"
	"net/http"
	"net/url"

	"github.com/signalbox/signalbox/workflow"
)

// bookkeeper is what the front door needs of the node for the books.
type bookkeeper interface {
	// Books returns a row for each name, all as of one moment, the rest last.
	Books(ctx context.Context) ([]workflow.BookRow, error)
}

// Books prove that every accepted message has exactly one fate.
type Books struct {
	Rows     []BookRow      `json:"rows"`
	Total    workflow.Tally `json:"total"`
	Balanced bool           `json:"balanced"` // accepted = consumed + buffered + expired + dead, in every row
}

// BookRow is where the accepted messages of one name stand.
type BookRow struct {
	Name string `json:"name"`
	Rest bool   `json:"rest,omitempty"` // the row of all names that have none of their own
	workflow.Tally
}

// restName is shown for the row of the rest.
const restName = "(other names)"

func (x *exchange) books() error {
	rows, err := x.server.node.Books(x.context())
	if err != nil {
		return err
	}
	only := x.query("name")
	out := Books{Rows: []BookRow{}, Balanced: true}
	for _, r := range rows {
		if only != "" && (r.Rest || r.Name != only) {
			continue
		}
		row := BookRow{Name: r.Name, Rest: r.Rest, Tally: r.Tally}
		if r.Rest {
			row.Name = restName
		}
		out.Rows = append(out.Rows, row)
		out.Total.Add(r.Tally)
		out.Balanced = out.Balanced && r.Balanced()
	}
	return x.answer(http.StatusOK, "the books", out)
}

// Books reads the books; name narrows to one row and may be "".
func (c *Client) Books(ctx context.Context, name string) (Books, error) {
	query := make(url.Values)
	add(query, "name", name)
	return call[Books](ctx, c, "GET", api+"/books", query, nil)
}
