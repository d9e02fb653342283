package storetest

import (
	"context"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// Load may fail.
func (f *Faulty) Load(ctx context.Context, execID string) (*persistence.Snapshot, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Store.Load(ctx, execID)
}

// Executions may fail.
func (f *Faulty) Executions(ctx context.Context, q workflow.Query) (workflow.Page[*workflow.State], error) {
	if err := f.read(); err != nil {
		return workflow.Page[*workflow.State]{}, err
	}
	return f.Store.Executions(ctx, q)
}

// LastFinished may fail.
func (f *Faulty) LastFinished(ctx context.Context, limit int) ([]*workflow.State, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Store.LastFinished(ctx, limit)
}

// Holder may fail.
func (f *Faulty) Holder(ctx context.Context, workflowID, key string) (string, error) {
	if err := f.read(); err != nil {
		return "", err
	}
	return f.Store.Holder(ctx, workflowID, key)
}

// Records may fail.
func (f *Faulty) Records(ctx context.Context, execID string, after uint64, limit int) ([]workflow.Record, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Store.Records(ctx, execID, after, limit)
}

// Waits may fail.
func (f *Faulty) Waits(ctx context.Context, q workflow.WaitQuery) (workflow.Page[workflow.WaitRow], error) {
	if err := f.read(); err != nil {
		return workflow.Page[workflow.WaitRow]{}, err
	}
	return f.Store.Waits(ctx, q)
}

// KeyPaths may fail.
func (f *Faulty) KeyPaths(ctx context.Context, name string) ([]string, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Store.KeyPaths(ctx, name)
}

// Due may fail.
func (f *Faulty) Due(ctx context.Context, until workflow.Instant, after *persistence.Due, limit int) ([]persistence.Due, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Store.Due(ctx, until, after, limit)
}

// NextDue may fail.
func (f *Faulty) NextDue(ctx context.Context) (workflow.Instant, error) {
	if err := f.read(); err != nil {
		return 0, err
	}
	return f.Store.NextDue(ctx)
}

// Working may fail.
func (f *Faulty) Working(ctx context.Context, after string, limit int) ([]string, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Store.Working(ctx, after, limit)
}

// Receipt may fail.
func (f *Faulty) Receipt(ctx context.Context, signalID, execID string) (*workflow.Receipt, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Store.Receipt(ctx, signalID, execID)
}

// Receipts may fail.
func (f *Faulty) Receipts(ctx context.Context, signalID, after string, limit int) ([]workflow.Receipt, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Store.Receipts(ctx, signalID, after, limit)
}

// Event may fail.
func (f *Faulty) Event(ctx context.Context, id string) (*workflow.EventReceipt, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Store.Event(ctx, id)
}

// OpenEvents may fail.
func (f *Faulty) OpenEvents(ctx context.Context, after string, limit int) ([]*workflow.EventReceipt, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Store.OpenEvents(ctx, after, limit)
}

// Books may fail.
func (f *Faulty) Books(ctx context.Context) ([]workflow.BookRow, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Store.Books(ctx)
}

// Letter may fail.
func (f *Faulty) Letter(ctx context.Context, id string) (*workflow.DeadLetter, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Store.Letter(ctx, id)
}

// Letters may fail.
func (f *Faulty) Letters(ctx context.Context, q workflow.LetterQuery) (workflow.Page[*workflow.DeadLetter], error) {
	if err := f.read(); err != nil {
		return workflow.Page[*workflow.DeadLetter]{}, err
	}
	return f.Store.Letters(ctx, q)
}

// Kept may fail.
func (f *Faulty) Kept(ctx context.Context, q workflow.KeptQuery) (workflow.Page[*workflow.EventReceipt], error) {
	if err := f.read(); err != nil {
		return workflow.Page[*workflow.EventReceipt]{}, err
	}
	return f.Store.Kept(ctx, q)
}

// Expiring may fail.
func (f *Faulty) Expiring(ctx context.Context, until workflow.Instant, after *workflow.EventReceipt, limit int) ([]*workflow.EventReceipt, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Store.Expiring(ctx, until, after, limit)
}

// Document may fail.
func (f *Faulty) Document(ctx context.Context, kind, id string) ([]byte, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Store.Document(ctx, kind, id)
}

// Documents may fail.
func (f *Faulty) Documents(ctx context.Context, kind, after string, limit int) ([]persistence.Document, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Store.Documents(ctx, kind, after, limit)
}
