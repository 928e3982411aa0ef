package sqldb_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postroad/internal/store/sqldb"
)

func TestOneProcessPerFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	release, err := sqldb.LockFolder(dir)
	must(t, err)
	if _, err := sqldb.LockFolder(dir); !errors.Is(err, sqldb.ErrLocked) || strings.Contains(err.Error(), "\n") {
		t.Errorf("the second: %v", err)
	}
	release()
	release, err = sqldb.LockFolder(dir)
	must(t, err)
	release()
	if _, err := sqldb.LockFolder(filepath.Join(dir, "missing")); err == nil || errors.Is(err, sqldb.ErrLocked) {
		t.Errorf("a folder that is not there: %v", err)
	}
	if free, err := sqldb.Free(dir); err != nil || free == 0 {
		t.Errorf("free: %d, %v", free, err)
	}
}

func TestBlobs(t *testing.T) {
	t.Parallel()
	blobs, err := sqldb.OpenBlobs(filepath.Join(t.TempDir(), "blobs"))
	must(t, err)
	content := bytes.Repeat([]byte("0123456789abcdef"), 10000)
	write := func() string {
		t.Helper()
		b, err := blobs.Create()
		must(t, err)
		_, err = b.Write(content)
		must(t, errors.Join(err, b.Commit()))
		return b.Name()
	}
	read := func(name string, size int64, hash uint64) error {
		f, err := blobs.Open(name, size, hash)
		if err != nil {
			return err
		}
		got, err := io.ReadAll(f)
		if err == nil && !bytes.Equal(got, content) {
			t.Error("other bytes came back")
		}
		return errors.Join(err, f.Close())
	}
	size, hash := int64(len(content)), sqldb.Sum(content)
	name := write()
	must(t, read(name, size, hash))
	links, err := blobs.Link(name, name)
	must(t, err)
	must(t, blobs.Remove(name))
	for _, link := range links {
		must(t, read(link, size, hash))
	}
	for what, err := range map[string]error{
		"another checksum":  read(links[0], size, hash^1),
		"too long":          read(links[0], size-1, hash),
		"too short":         read(links[0], size+1, hash),
		"gone":              read(name, size, hash),
		"out of the folder": read("../lock", size, hash),
		"no name":           read("", size, hash),
	} {
		if !errors.Is(err, sqldb.ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := blobs.Link(links[0], name); err == nil {
		t.Error("linked what is gone")
	}
	entries, err := os.ReadDir(blobs.Dir())
	if err != nil || len(entries) != 2 {
		t.Errorf("%d files stay after a link that failed, %v", len(entries), err)
	}
	must(t, blobs.Remove(name, "never"))
	b, err := blobs.Create()
	must(t, err)
	must(t, b.Discard())

	owned := func([]string) (map[string]bool, error) { return map[string]bool{links[0]: true}, nil }
	if n, err := blobs.Sweep(time.Now(), owned); err != nil || n != 0 {
		t.Errorf("swept %d young files, %v", n, err)
	}
	if n, err := blobs.Sweep(time.Now().Add(25*time.Hour), owned); err != nil || n != 1 {
		t.Errorf("swept %d files, %v", n, err)
	}
	must(t, read(links[0], size, hash))
}

// A link to an old file is young: its row may be on the way.
func TestSweepSparesAFreshLinkToAnOldFile(t *testing.T) {
	t.Parallel()
	blobs, err := sqldb.OpenBlobs(filepath.Join(t.TempDir(), "blobs"))
	must(t, err)
	b, err := blobs.Create()
	must(t, err)
	must(t, b.Commit())
	old := time.Now().Add(-72 * time.Hour)
	must(t, os.Chtimes(filepath.Join(blobs.Dir(), b.Name()), old, old))
	_, err = blobs.Link(b.Name())
	must(t, err)
	n, err := blobs.Sweep(time.Now(), func([]string) (map[string]bool, error) { return nil, nil })
	if err != nil || n != 0 {
		t.Errorf("swept %d, %v", n, err)
	}
}
