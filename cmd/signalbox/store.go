package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/embedded"
)

const placesOfStores = `A STORE is embedded:DIR, the folder of a stopped node, or an address like
redis://HOST:6379, redis+sentinel://HOST,HOST/NAME or redis+cluster://HOST,HOST.
No node may write to it meanwhile.`

func (a *app) storeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "store",
		Short: "Copy, verify, back up, restore and salvage what a node remembers",
		Long:  "Copy, verify, back up, restore and salvage what a node remembers.\n\n" + placesOfStores,
		Args:  onlyVerbs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.storeCopyCommand(), a.storeVerifyCommand(), a.storeBackupCommand(), a.storeRestoreCommand(), a.storeSalvageCommand())
	return cmd
}

// portableStore is a store that can be read as a whole and filled.
type portableStore interface {
	persistence.Store
	persistence.Exporter
	persistence.Importer
}

// openPlace opens the store that a person named.
func (a *app) openPlace(ctx context.Context, flag, place string, mayCreate bool) (portableStore, error) {
	c := config{}
	dir, folder := strings.CutPrefix(place, "embedded:")
	switch {
	case place == "" || folder && dir == "":
		return nil, wrongUsage("%s names a store: embedded:DIR, or an address like redis://HOST:6379", flag)
	case folder:
		c.data = dir
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) && !mayCreate {
			return nil, failed("there is no store in %s", dir)
		}
	default:
		var err error
		if c.redis, err = (choice{text: place, by: flag}).store(); err != nil {
			return nil, err
		}
		if c.redis == nil {
			return nil, wrongUsage("%s: an embedded store has a folder, embedded:DIR", flag)
		}
	}
	logger := slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelError, ReplaceAttr: spelledOut}))
	s, err := openStore(ctx, c, logger)
	if err != nil {
		return nil, err
	}
	portable, ok := s.(portableStore)
	if !ok {
		return nil, errors.Join(failed("the store %s cannot be copied", c.storeName()), s.Close())
	}
	return portable, nil
}

// empty refuses to fill a store in which something is.
func empty(ctx context.Context, s persistence.Exporter, name string) error {
	for it, err := range s.Export(ctx) {
		if err != nil {
			return err
		}
		return hinted(failed("the store %s is not empty: it has %s", name, it), "name a new folder, another Redis, or another key prefix (?prefix=)")
	}
	return nil
}

func (a *app) storeCopyCommand() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "copy --from STORE --to STORE",
		Short: "Copy everything into another, empty store, and compare both",
		Long: `Copy everything that a store remembers into another, empty one: executions with
their history and receipts, events, dead letters, books, keys and workflows. Both
are read again at the end and compared by a hash over all that is in them.

` + placesOfStores,
		Example: "  signalbox store copy --from embedded:/var/lib/signalbox --to redis://10.0.0.5:6379",
		Args:    exactly(),
	}
	cmd.Flags().StringVar(&from, "from", "", "`STORE` to copy")
	cmd.Flags().StringVar(&to, "to", "", "`STORE` to fill, which must be empty")
	leaveOut := leavingOut(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		ctx := cmd.Context()
		source, err := a.openPlace(ctx, "--from", from, false)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, source.Close()) }()
		target, err := a.openPlace(ctx, "--to", to, true)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, target.Close()) }()
		return a.fill(ctx, target, hideUser(to), a.exported(source.Export(ctx), *leaveOut))
	}
	return cmd
}

// fill fills an empty store, reads it again, and prints what was copied.
func (a *app) fill(ctx context.Context, target portableStore, name string, items iter.Seq2[persistence.Item, error]) error {
	if err := empty(ctx, target, name); err != nil {
		return err
	}
	sum, err := persistence.Fill(ctx, target, items)
	if err != nil {
		return hinted(failed("the store %s is filled only in part, after %d items: %w", name, sum.Items(), err),
			strings.TrimSuffix("empty it before you try again; `signalbox store verify` lists everything that is wrong in a store; "+leaveOutHint(err), "; "))
	}
	found, err := persistence.SumOf(ctx, target)
	if err != nil {
		return failed("the store %s was filled and cannot be read again: %w", name, err)
	}
	if !found.Equal(sum) {
		return failed("what is in the store %s now is not what was copied: %d items with the hash %s, and not %d with %s; do not use it",
			name, found.Items(), found.Hash(), sum.Items(), sum.Hash())
	}
	return a.printSum(sum, "the same in both")
}

// printSum prints what was copied, backed up or found.
func (a *app) printSum(sum *persistence.Sum, verdict string) error {
	counts := map[string]int{}
	for _, k := range persistence.ItemKinds {
		counts[k.Name] = sum.Counts[k.Kind]
	}
	answer := map[string]any{"items": sum.Items(), "counts": counts, "hash": sum.Hash(), "verdict": verdict}
	return a.print(answer, func(t *rows) {
		for _, k := range persistence.ItemKinds {
			t.field(k.Name, fmt.Sprint(sum.Counts[k.Kind]))
		}
		t.field("hash", sum.Hash())
		t.field("verdict", verdict)
	})
}

func (a *app) storeVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify STORE",
		Short: "Read everything and say what is wrong with it",
		Long: `Read everything that a store remembers and everything that it lists: what does not
decode, what breaks an invariant, which history has a gap, which list is not that
of the executions, which books do not balance. It changes nothing that is remembered;
damaged files of rows are mended, as at the start of a node.

` + placesOfStores,
		Example: "  signalbox store verify embedded:/var/lib/signalbox",
		Args:    exactly("STORE"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			s, err := a.openPlace(cmd.Context(), "STORE", args[0], false)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			wrong := 0
			sum, err := persistence.Verify(cmd.Context(), s, func(what string) {
				wrong++
				if wrong <= maxListed {
					fmt.Fprintln(a.err, "wrong:", what)
				}
			})
			if err != nil {
				return err
			}
			if wrong == 0 {
				return a.printSum(sum, "nothing is wrong")
			}
			if err := a.printSum(sum, fmt.Sprintf("%d things are wrong", wrong)); err != nil {
				return err
			}
			return errSaid
		},
	}
}

func (a *app) storeBackupCommand() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "backup --from STORE --to FILE",
		Short: "Write everything into one file with a checksum",
		Long: `Write everything that a store remembers into one file, with a checksum at its end.
The file holds all payloads as they are: keep it as you keep the store. API keys are
in it as hashes only. A backup of an older release is read for ever.

` + placesOfStores,
		Example: "  signalbox store backup --from embedded:/var/lib/signalbox --to signalbox.backup",
		Args:    exactly(),
	}
	cmd.Flags().StringVar(&from, "from", "", "`STORE` to back up")
	cmd.Flags().StringVar(&to, "to", "", "`FILE` to write, which must not be there")
	leaveOut := leavingOut(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if to == "" {
			return wrongUsage("--to names the file of the backup")
		}
		if _, err := os.Stat(to); err == nil {
			return failed("the file %s is there already, and a backup replaces none", to)
		}
		s, err := a.openPlace(cmd.Context(), "--from", from, false)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		sum, err := writeBackupFile(to, a.exported(s.Export(cmd.Context()), *leaveOut))
		if err != nil {
			return hinted(failed("the backup was not written: %w", err), leaveOutHint(err))
		}
		return a.printSum(sum, "written to "+to)
	}
	return cmd
}

// leavingOut adds the flag that has what is damaged left out.
func leavingOut(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("without-damaged", false, "leave out what is damaged, and name it, instead of giving up")
}

// leaveOutHint says how to go on where something is damaged.
func leaveOutHint(err error) string {
	if !persistence.IsDamaged(err) {
		return ""
	}
	return "--without-damaged leaves it out, and all else that is damaged"
}

// exported is what is copied of what a store exports.
func (a *app) exported(items iter.Seq2[persistence.Item, error], leaveOut bool) iter.Seq2[persistence.Item, error] {
	if !leaveOut {
		return items
	}
	return persistence.WithoutDamaged(items, func(err error) { fmt.Fprintln(a.err, "left out:", err) })
}

// writeBackupFile writes a backup so that its file is there whole or not at all.
func writeBackupFile(to string, items iter.Seq2[persistence.Item, error]) (*persistence.Sum, error) {
	f, err := os.CreateTemp(filepath.Dir(to), filepath.Base(to)+".*")
	if err != nil {
		return nil, err
	}
	sum, err := persistence.WriteBackup(f, items)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), to)
	}
	if err != nil {
		return sum, errors.Join(err, os.Remove(f.Name()))
	}
	return sum, nil
}

func (a *app) storeRestoreCommand() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "restore --from FILE --to STORE",
		Short: "Fill an empty store from a backup",
		Long: `Fill an empty store from a backup. The file is read twice: once to be sure that it is
whole, then to restore it. What was written is read again and compared.

A Redis that was restored is a new one to the nodes that remember the old one: remove
the file redis.json in their data folders before they start.

` + placesOfStores,
		Example: "  signalbox store restore --from signalbox.backup --to redis://10.0.0.5:6379",
		Args:    exactly(),
	}
	cmd.Flags().StringVar(&from, "from", "", "`FILE` of the backup")
	cmd.Flags().StringVar(&to, "to", "", "`STORE` to fill, which must be empty")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		file, err := os.Open(from)
		if err != nil {
			return failed("--from names the file of a backup: %w", err)
		}
		defer file.Close()
		for _, err := range persistence.ReadBackup(file) {
			if err != nil {
				return failed("nothing was restored from %s: %w", from, err)
			}
		}
		if _, err := file.Seek(0, 0); err != nil {
			return failed("%s cannot be read again: %w", from, err)
		}
		s, err := a.openPlace(cmd.Context(), "--to", to, true)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		return a.fill(cmd.Context(), s, hideUser(to), persistence.ReadBackup(file))
	}
	return cmd
}

func (a *app) storeSalvageCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "salvage embedded:DIR",
		Short: "Go on with what is before the damage of a journal",
		Long: `Go on with what is before the damage of a journal. A node does not start on a journal
that is damaged where an acknowledged write was, because that and what came behind it
would be forgotten. This forgets it: everything before is kept, and the rest of the
journal is moved aside, to files that end in .damaged, for a person to look at. Where
there is a backup that is young enough, restore that instead.

A journal without damage is left as it is.`,
		Example: "  signalbox store salvage embedded:/var/lib/signalbox",
		Args:    exactly("embedded:DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			dir, ok := strings.CutPrefix(args[0], "embedded:")
			if !ok || dir == "" {
				return wrongUsage("only the folder of an embedded store is salvaged: embedded:DIR")
			}
			if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
				return failed("there is no store in %s", dir)
			}
			return a.salvage(dir)
		},
	}
}

// salvage opens a store that does not open, and says where it was damaged.
func (a *app) salvage(dir string) error {
	s, err := embedded.Open(dir, embedded.Options{})
	var damage *embedded.Damage
	answer := salvaged{}
	if errors.As(err, &damage) {
		answer = salvaged{Damaged: true, File: damage.File, Offset: damage.Offset, Cause: damage.Cause}
		s, err = embedded.Open(dir, embedded.Options{Salvage: true})
	}
	if err != nil {
		return failed("cannot %w", err)
	}
	if err := s.Close(); err != nil {
		return failed("cannot %w", err)
	}
	return a.print(answer, func(t *rows) {
		if !answer.Damaged {
			t.field("verdict", "the journal is not damaged, and nothing was changed")
			return
		}
		t.field("damaged", fmt.Sprintf("%s, byte %d", answer.File, answer.Offset))
		t.field("cause", answer.Cause)
		t.field("verdict", "everything before it is kept; the rest of the journal was moved aside, to files that end in .damaged")
	})
}

// salvaged is what was done about a damaged journal.
type salvaged struct {
	Damaged bool   `json:"damaged"`
	File    string `json:"file,omitempty"`
	Offset  int64  `json:"offset,omitempty"`
	Cause   string `json:"cause,omitempty"`
}
