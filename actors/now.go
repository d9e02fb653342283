package actors

import "github.com/signalbox/signalbox/workflow"

// workNow does the work that the turn asked for and that has no effect outside: its
// result is another input of the same turn, so that the task starts and ends in one
// commit. Everything else stays an effect, for after the commit.
func (f *fold) workNow() error {
	for i, done := 0, 0; i < len(f.room.Effects) && done < MaxNow; {
		job, ok := f.room.Effects[i].(workflow.RunTask)
		var in workflow.Input
		if ok {
			in, ok = f.system.Hands.Now(job)
		}
		if !ok {
			i++
			continue
		}
		done++
		f.room.Effects = append(f.room.Effects[:i], f.room.Effects[i+1:]...)
		if _, err := f.advance(in, nil); err != nil {
			return err
		}
	}
	return nil
}
