package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watch reloads the project after each burst of changes, until the context ends.
// It watches folders and not files, because editors replace a file by another.
func (r *reloader) watch(ctx context.Context) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("cannot watch %s: %w; restart the node to load an edit", r.project.Dir, err)
	}
	defer watcher.Close()
	r.follow(watcher)
	quiet := time.NewTimer(reloadPause)
	quiet.Stop()
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event, open := <-watcher.Events:
			if !open {
				return nil
			}
			if matters(event) {
				quiet.Reset(reloadPause)
			}
		case err, open := <-watcher.Errors:
			if !open {
				return nil
			}
			fmt.Fprintf(r.err, "watching the files: %v; they are read again to be safe\n", err)
			quiet.Reset(reloadPause)
		case <-quiet.C:
			r.reload(ctx)
			r.follow(watcher)
		}
	}
}

// follow watches every folder that a file of the project lies in.
func (r *reloader) follow(watcher *fsnotify.Watcher) {
	folders := []string{r.project.Dir}
	for _, file := range r.project.Files {
		folders = append(folders, filepath.Dir(file))
	}
	slices.Sort(folders)
	folders = slices.Compact(folders)
	known := watcher.WatchList()
	for _, folder := range folders[:min(len(folders), maxWatched)] {
		if slices.Contains(known, folder) {
			continue
		}
		if err := watcher.Add(folder); err != nil {
			fmt.Fprintf(r.err, "cannot watch %s: %v; restart the node to load an edit there\n", folder, err)
		}
	}
}

// matters reports whether an event may change the project. The store lies in a
// folder of its own, and what changes only in its attributes says the same.
func matters(event fsnotify.Event) bool {
	if event.Op == fsnotify.Chmod {
		return false
	}
	name := filepath.Base(event.Name)
	switch strings.ToLower(filepath.Ext(name)) {
	case ".yaml", ".yml":
		return !strings.HasPrefix(name, ".")
	}
	return name == ".env"
}
